//! The version of a file. Reads no content.

use std::fs;
use std::path::Path;

/// Tells one content of a file from the next: time, inode, size. Windows has no inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion(i64, i64, u64, u64);

impl FileVersion {
    /// The version that exists now; `None` without a file.
    #[cfg(unix)]
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let file = fs::metadata(path).ok()?;
        Some(FileVersion(file.mtime(), file.mtime_nsec(), file.ino(), file.size()))
    }

    /// The version that exists now; `None` without a file.
    #[cfg(not(unix))]
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        let time = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(time.as_secs()).unwrap_or_default();
        Some(FileVersion(seconds, time.subsec_nanos().into(), 0, file.len()))
    }
}
