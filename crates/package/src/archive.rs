//! The zip file that Lambda unpacks: a pure function of names, modes and contents.
//!
//! Owns reproducibility: the same input gives the same bytes on every machine and day, so that a deployment without a change has
//! no effect.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// One file of the archive.
pub(crate) struct Entry {
    /// Path inside the archive, with `/`.
    pub(crate) name: String,
    /// Unix permission bits. Lambda keeps them: without 0o755 `bootstrap` cannot be started.
    pub(crate) mode: u32,
    /// The content.
    pub(crate) data: Vec<u8>,
}

/// Zopfli in four rounds: a few seconds here, some per cent fewer bytes in every cold start. Levels from 10 on choose
/// it (documentation of `zip::write::FileOptions::compression_level`).
const LEVEL: i64 = 13;

/// Writes the entries in the order given, all dated 1980-01-01, the earliest date of the format.
pub(crate) fn write(entries: &[Entry]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(LEVEL))
            .last_modified_time(DateTime::default())
            .unix_permissions(entry.mode);
        zip.start_file(entry.name.as_str(), options)?;
        zip.write_all(&entry.data)?;
    }
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn sample() -> Vec<Entry> {
        let text = b"version: 1\n".repeat(100);
        vec![
            Entry { name: "bootstrap".into(), mode: 0o755, data: (0..=255).cycle().take(5_000).collect() },
            Entry { name: "crossfade.yaml".into(), mode: 0o644, data: text },
        ]
    }

    #[test]
    fn the_same_entries_give_the_same_bytes() {
        assert_eq!(write(&sample()).unwrap(), write(&sample()).unwrap());
    }

    #[test]
    fn what_is_read_back_has_contents_order_modes_and_a_fixed_date() {
        let bytes = write(&sample()).unwrap();
        assert!(bytes.len() < 2_000, "not compressed: {} bytes", bytes.len());
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        for (index, entry) in sample().into_iter().enumerate() {
            let mut file = zip.by_index(index).unwrap();
            assert_eq!(
                (file.name().unwrap().to_string(), file.unix_mode()),
                (entry.name, Some(0o100_000 | entry.mode))
            );
            assert_eq!(file.last_modified(), Some(DateTime::default()));
            let mut data = Vec::new();
            file.read_to_end(&mut data).unwrap();
            assert_eq!(data, entry.data);
        }
        assert_eq!(zip.len(), 2);
    }
}
