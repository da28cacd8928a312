//! A local zip file for Lambda, read back. Owns the limits of what is unpacked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use crossfade_package::{Program, code_sha256};

use super::facts::{Unknown, Zip};

/// Lambda's limit for a function with its layers, unpacked (AWS, "Lambda quotas").
const MOST_UNPACKED: u64 = 250 * 1024 * 1024;

/// The program's name in the archive.
const PROGRAM: &str = "bootstrap";

/// Reads a package.
///
/// # Errors
///
/// If the file cannot be read, or is not a zip file that Lambda would take.
pub(crate) fn read(path: &Path) -> Result<Zip> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot read `{name}`"))?;
    file.take(MOST_UNPACKED + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read `{name}`"))?;
    ensure!(bytes.len() as u64 <= MOST_UNPACKED, "`{name}` is larger than Lambda allows");
    let code_sha256 = code_sha256(&bytes);
    let is_none = || format!("`{name}` is not a zip file for Lambda");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).with_context(is_none)?;
    let (mut files, mut left) = (BTreeMap::new(), MOST_UNPACKED);
    for index in 0..archive.len() {
        let entry = archive.by_index(index).with_context(is_none)?;
        let entry_name = entry.name().with_context(is_none)?.into_owned();
        let mut data = Vec::new();
        entry.take(left + 1).read_to_end(&mut data).with_context(is_none)?;
        left = left.checked_sub(data.len() as u64).with_context(|| format!("`{name}` is larger than Lambda allows"))?;
        files.insert(entry_name, data);
    }
    let program = match files.remove(PROGRAM) {
        Some(program) => {
            Program::read(&program).map_err(|error| Unknown(format!("`{PROGRAM}` in `{name}`: {error:#}")))
        }
        None => Err(Unknown(format!("`{name}` has no `{PROGRAM}`"))),
    };
    Ok(Zip { name, code_sha256, program, files })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn a_package_has_its_files_and_their_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bootstrap.zip");
        for (names, reason) in [(&["bootstrap", "crossfade.yaml"][..], "`bootstrap` in `"), (&["crossfade.yaml"], "`")]
        {
            let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
            for name in names {
                archive.start_file(*name, SimpleFileOptions::default()).unwrap();
                archive.write_all(b"version: 1\n").unwrap();
            }
            let bytes = archive.finish().unwrap().into_inner();
            std::fs::write(&path, &bytes).unwrap();
            let found = read(&path).unwrap();
            assert_eq!(found.code_sha256, code_sha256(&bytes));
            assert_eq!(found.files, BTreeMap::from([("crossfade.yaml".to_owned(), b"version: 1\n".to_vec())]));
            assert!(found.program.unwrap_err().0.starts_with(reason));
        }
        std::fs::write(&path, "no archive").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("is not a zip file for Lambda"));
    }
}
