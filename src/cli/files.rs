//! Manifests as a source that is watched.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::snapshot::manifest_files;

/// How often the files are looked at; an edit is seen within this time.
pub const INTERVAL: Duration = Duration::from_millis(200);

/// What tells one state of the files from another: their names, sizes and times of change.
pub type Fingerprint = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// Looks at the files; one that cannot be read now counts as absent.
pub fn fingerprint(paths: &[PathBuf]) -> Fingerprint {
    let files = paths.iter().flat_map(|path| manifest_files(path).unwrap_or_default());
    let seen = files.map(|file| match std::fs::metadata(&file) {
        Ok(metadata) => (file, metadata.len(), metadata.modified().ok()),
        Err(_) => (file, 0, None),
    });
    seen.collect()
}
