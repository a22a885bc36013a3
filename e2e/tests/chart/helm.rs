//! Helm as a child process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use e2e::{ControlPlane, assets, run_dir};
use serde_json::Value;

/// The chart of the repository.
pub fn chart() -> PathBuf {
    root().join("charts/tyk-ingress")
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The value sets that the chart is checked with, by the names of their files.
pub fn value_sets() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(chart().join("ci")).context("cannot list the value sets")?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.push(chart().join("values-hardened.yaml"));
    files.sort();
    ensure!(files.len() >= 5, "only {files:?}");
    Ok(files)
}

/// Runs Helm and returns what it prints.
///
/// # Errors
/// With what it prints to standard error, when it fails.
pub fn helm(cluster: Option<&ControlPlane>, args: &[&str]) -> Result<String> {
    let home = run_dir::fresh("helm")?;
    let mut command = Command::new(assets::helm()?);
    command.args(args).env("HOME", &home);
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, &home);
    }
    if let Some(cluster) = cluster {
        command.arg("--kubeconfig").arg(cluster.admin_kubeconfig());
    }
    let Output { status, stdout, stderr } = command.output().context("cannot start Helm")?;
    match status.success() {
        true => String::from_utf8(stdout).context("Helm prints no text"),
        false => bail!("helm {}: {}", args.join(" "), String::from_utf8_lossy(&stderr)),
    }
}

/// The objects that the chart becomes.
///
/// # Errors
/// When Helm refuses the values, or prints what is no YAML.
pub fn template(release: &str, namespace: &str, more: &[&str]) -> Result<Vec<Value>> {
    let chart = chart();
    let mut args = vec!["template", release, path(&chart)?, "--namespace", namespace];
    args.extend(more);
    let objects: Vec<Value> = serde_saphyr::from_multiple(&helm(None, &args)?).context("not YAML")?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

/// A path as an argument.
///
/// # Errors
/// When it is no UTF-8.
pub fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))
}

/// A copy of the chart as another version, with `change` made to each CustomResourceDefinition.
///
/// It asks for no version of Kubernetes: an API server that was built from its Go module knows none.
///
/// # Errors
/// When a file cannot be copied.
pub fn version(number: &str, change: impl Fn(&str) -> String) -> Result<PathBuf> {
    let copy = run_dir::fresh("chart")?.join("tyk-ingress");
    copy_folder(&chart(), &copy)?;
    let file = copy.join("Chart.yaml");
    let text = fs::read_to_string(&file)?;
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some((name @ ("version" | "appVersion"), _)) => format!("{name}: {number}\n"),
        Some(("kubeVersion", _)) => String::new(),
        _ => format!("{line}\n"),
    });
    fs::write(&file, lines.collect::<String>())?;
    for entry in fs::read_dir(copy.join("files/crds"))? {
        let file = entry?.path();
        fs::write(&file, change(&fs::read_to_string(&file)?))?;
    }
    Ok(copy)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let (source, target) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        match source.is_dir() {
            true => copy_folder(&source, &target)?,
            false => fs::copy(&source, &target)
                .map(drop)
                .with_context(|| format!("cannot copy {}", source.display()))?,
        }
    }
    Ok(())
}
