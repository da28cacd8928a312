//! The version of a file. Reads no content.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Tells one content of a file from the next: time, inode, size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion(i64, i64, u64, u64);

impl FileVersion {
    /// The version that exists now; `None` without a file.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(FileVersion(file.mtime(), file.mtime_nsec(), file.ino(), file.size()))
    }
}
