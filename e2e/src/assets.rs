//! The Kubernetes programs that a control plane is made of: found, or built once from their pinned Go modules.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kube-controller-manager"];

/// Go package of each program and the file or folder (with a closing slash) that `go build -o` writes.
const PACKAGES: [(&str, &[&str]); 2] = [
    (
        "",
        &[
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
        ],
    ),
    ("etcd", &["go.etcd.io/etcd/server/v3"]),
];

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
        for program in PROGRAMS {
            ensure!(
                dir.join(program).is_file(),
                "KUBEBUILDER_ASSETS is {}, which holds no {program}",
                dir.display()
            );
        }
        return Ok(dir);
    }
    build_if_stale(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"))
}

fn build_if_stale(module: &Path) -> Result<PathBuf> {
    let bin = module.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    // Held until the function returns: a second test process waits here, then finds the stamp.
    let lock = File::create(bin.join(".lock")).context("cannot make the build's lock file")?;
    lock.lock().context("cannot lock the build")?;
    let stamp = bin.join(".stamp");
    let wanted = fingerprint(module)?;
    let current = fs::read_to_string(&stamp).unwrap_or_default() == wanted;
    if !current || !PROGRAMS.iter().all(|p| bin.join(p).is_file()) {
        build(module, &bin)?;
        fs::write(&stamp, wanted).context("cannot write the build's stamp")?;
    }
    Ok(bin)
}

fn fingerprint(module: &Path) -> Result<String> {
    let sums = fs::read(module.join("go.sum")).context("cannot read e2e/assets/go.sum")?;
    Ok(Sha256::digest(sums)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Builds into a folder of its own and renames: a build that is broken off leaves no half-written program.
fn build(module: &Path, bin: &Path) -> Result<()> {
    let fresh = bin.join(format!(".building-{}", process::id()));
    fs::create_dir_all(&fresh).with_context(|| format!("cannot make {}", fresh.display()))?;
    let built = PACKAGES
        .iter()
        .try_for_each(|(output, packages)| go_build(module, &fresh.join(output), packages))
        .and_then(|()| {
            PROGRAMS.iter().try_for_each(|program| {
                fs::rename(fresh.join(program), bin.join(program))
                    .with_context(|| format!("the build made no {program}"))
            })
        });
    fs::remove_dir_all(&fresh).with_context(|| format!("cannot remove {}", fresh.display()))?;
    built
}

fn go_build(module: &Path, output: &Path, packages: &[&str]) -> Result<()> {
    let status = Command::new("go")
        .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(output)
        .args(packages)
        .env("CGO_ENABLED", "0")
        .current_dir(module)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!(
            "go build {} in {}: {status}",
            packages.join(" "),
            module.display()
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "the Kubernetes programs are not built and there is no `go` in PATH: install the Go version named in \
             e2e/assets/go.mod, or set KUBEBUILDER_ASSETS to a folder with {}",
            PROGRAMS.join(", ")
        ),
        Err(error) => Err(error).context("cannot start go"),
    }
}
