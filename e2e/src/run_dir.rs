//! The folder of one test process: logs, certificates, kubeconfigs.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

static RUN: OnceLock<Result<Run, String>> = OnceLock::new();
static COUNT: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Run {
    path: PathBuf,
    /// Locked as long as the process lives: a later run removes only folders that it can lock.
    _lock: File,
}

/// Makes a fresh folder, readable by its owner only, below `target/e2e/<test binary>-<pid>/`.
///
/// Folders of earlier runs of the same test binary are removed first; this run's stay, for their logs.
///
/// # Errors
/// When the target folder cannot be written.
pub fn fresh(name: &str) -> Result<PathBuf> {
    let run = RUN.get_or_init(|| open().map_err(|error| format!("{error:#}")));
    let run = run.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    let path = run
        .path
        .join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    make(&path)?;
    Ok(path)
}

/// Writes a file that only its owner can read.
///
/// # Errors
/// When it exists already or the folder cannot be written.
pub fn write_private(path: &Path, content: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Folder of what cargo builds with the profile of this program.
///
/// # Errors
/// When this program has no path.
pub fn profile() -> Result<PathBuf> {
    let executable = env::current_exe().context("this program has no path")?;
    let folder = executable.parent().context("this program is in no folder")?;
    // That of tests is one below.
    let folder = match folder.file_name().is_some_and(|name| name == "deps") {
        true => folder.parent(),
        false => Some(folder),
    };
    folder
        .map(Path::to_owned)
        .context("this program is not in a target folder")
}

fn open() -> Result<Run> {
    let executable = env::current_exe().context("the test binary has no path")?;
    let profile = profile()?;
    let target = profile.parent().context("the test binary is not in a target folder")?;
    let binary = executable
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    // `routing-0123456789abcdef` is cargo's name for a build of `routing`.
    let binary = binary.rsplit_once('-').map_or(binary.as_str(), |(name, _)| name);
    let base = target.join("e2e");
    fs::create_dir_all(&base).with_context(|| format!("cannot make {}", base.display()))?;
    // Between the making of a folder and its lock, nobody else may look for unlocked folders.
    let guard = File::create(base.join(".lock")).context("cannot make the lock of the runs")?;
    guard.lock().context("cannot lock the runs")?;
    remove_earlier(&base, binary)?;
    let path = base.join(format!("{binary}-{}", process::id()));
    make(&path)?;
    let lock = File::create(path.join("lock")).context("cannot make the run's lock")?;
    lock.lock().context("cannot lock the run")?;
    Ok(Run { path, _lock: lock })
}

fn remove_earlier(base: &Path, binary: &str) -> Result<()> {
    for entry in fs::read_dir(base).context("cannot list the runs")? {
        let path = entry.context("cannot list the runs")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.rsplit_once('-').is_none_or(|(name, _)| name != binary) {
            continue;
        }
        match File::open(path.join("lock")).map(|lock| lock.try_lock()) {
            Ok(Err(TryLockError::WouldBlock)) => {}
            _ => fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?,
        }
    }
    Ok(())
}

fn make(path: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}
