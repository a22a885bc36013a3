//! The Go programs of these tests, those of a control plane and Helm: found, or built once from their pinned modules.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// Programs that one Go module pins, and are built together.
struct Module {
    /// Folder of its `go.mod` below `e2e/`.
    folder: &'static str,
    programs: &'static [&'static str],
    /// Packages, and the file or folder (with a closing slash) that `go build -o` writes.
    packages: &'static [(&'static str, &'static [&'static str])],
}

const KUBERNETES: Module = Module {
    folder: "assets",
    programs: &["etcd", "kube-apiserver", "kube-controller-manager"],
    packages: &[
        (
            "",
            &[
                "k8s.io/kubernetes/cmd/kube-apiserver",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ],
        ),
        ("etcd", &["go.etcd.io/etcd/server/v3"]),
    ],
};

/// A module of its own: Helm needs other versions of the Kubernetes libraries.
const HELM: Module = Module {
    folder: "assets/helm",
    programs: &["helm"],
    packages: &[("", &["helm.sh/helm/v4/cmd/helm"])],
};

/// The directory that holds `etcd`, `kube-apiserver` and `kube-controller-manager`.
///
/// `$KUBEBUILDER_ASSETS` when set, else `e2e/assets/bin`, which is built first when it is missing or when `go.sum`
/// has changed since. Blocks for the length of the build (many minutes on a cold Go cache).
///
/// # Errors
/// When `$KUBEBUILDER_ASSETS` lacks a program, or when the build is needed and Go is missing or fails.
pub fn locate() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("KUBEBUILDER_ASSETS") {
        let dir = PathBuf::from(dir);
        for program in KUBERNETES.programs {
            ensure!(
                dir.join(program).is_file(),
                "KUBEBUILDER_ASSETS is {}, which holds no {program}",
                dir.display()
            );
        }
        return Ok(dir);
    }
    build_if_stale(&KUBERNETES)
}

/// The path of Helm.
///
/// `$HELM` when set, else `e2e/assets/helm/bin/helm`, which is built as the programs of [`locate`] are.
///
/// # Errors
/// When `$HELM` is no file, or when the build is needed and Go is missing or fails.
pub fn helm() -> Result<PathBuf> {
    if let Some(helm) = env::var_os("HELM") {
        let helm = PathBuf::from(helm);
        ensure!(helm.is_file(), "HELM is {}, which is no file", helm.display());
        return Ok(helm);
    }
    Ok(build_if_stale(&HELM)?.join("helm"))
}

fn build_if_stale(module: &Module) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(module.folder);
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    // Held until the function returns: a second test process waits here, then finds the stamp.
    let lock = File::create(bin.join(".lock")).context("cannot make the build's lock file")?;
    lock.lock().context("cannot lock the build")?;
    let stamp = bin.join(".stamp");
    let wanted = fingerprint(&folder)?;
    let current = fs::read_to_string(&stamp).unwrap_or_default() == wanted;
    if !current || !module.programs.iter().all(|p| bin.join(p).is_file()) {
        build(module, &folder, &bin)?;
        fs::write(&stamp, wanted).context("cannot write the build's stamp")?;
    }
    Ok(bin)
}

fn fingerprint(folder: &Path) -> Result<String> {
    let sums = folder.join("go.sum");
    let sums = fs::read(&sums).with_context(|| format!("cannot read {}", sums.display()))?;
    Ok(Sha256::digest(sums).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Builds into a folder of its own and renames: a build that is broken off leaves no half-written program.
fn build(module: &Module, folder: &Path, bin: &Path) -> Result<()> {
    let fresh = bin.join(format!(".building-{}", process::id()));
    fs::create_dir_all(&fresh).with_context(|| format!("cannot make {}", fresh.display()))?;
    let built = module
        .packages
        .iter()
        .try_for_each(|(output, packages)| go_build(folder, &fresh.join(output), packages))
        .and_then(|()| {
            module.programs.iter().try_for_each(|program| {
                fs::rename(fresh.join(program), bin.join(program))
                    .with_context(|| format!("the build made no {program}"))
            })
        });
    fs::remove_dir_all(&fresh).with_context(|| format!("cannot remove {}", fresh.display()))?;
    built
}

fn go_build(folder: &Path, output: &Path, packages: &[&str]) -> Result<()> {
    let status = Command::new("go")
        .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(output)
        .args(packages)
        .env("CGO_ENABLED", "0")
        .current_dir(folder)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("go build {} in {}: {status}", packages.join(" "), folder.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "{} is not built and there is no `go` in PATH: install the Go version named in {}, or name built programs \
             with KUBEBUILDER_ASSETS (a folder with {}) and HELM (a file)",
            packages.join(", "),
            folder.join("go.mod").display(),
            KUBERNETES.programs.join(", ")
        ),
        Err(error) => Err(error).context("cannot start go"),
    }
}
