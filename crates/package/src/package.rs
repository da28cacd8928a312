//! A whole package: the program and its files as one archive.
//!
//! Owns the order of the archive, Lambda's limits, and the hash by which Lambda knows a package.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64_simd::STANDARD;
use ring::digest::{SHA256, digest};

use crate::archive::{self, Entry};
use crate::configuration::{Files, MOST_UNPACKED, PROGRAM, has_private_key};
use crate::linkage::Program;

/// The largest archive that Lambda takes directly (AWS, "Lambda quotas"); a larger one goes through S3.
const MOST_UPLOADED: usize = 50 * 1024 * 1024;

/// A package, and its description for people.
#[derive(Debug)]
pub struct Package {
    /// The archive.
    pub zip: Vec<u8>,
    /// Names, sizes and permissions of the files in the archive, in order.
    pub files: Vec<(String, usize, u32)>,
    /// The program, which is the first file.
    pub program: Program,
    /// The SHA-256 of the archive in base64, as Lambda's `CodeSha256`.
    pub code_sha256: String,
    /// The same in hexadecimal digits, as `sha256sum` prints it.
    pub sha256: String,
    /// Reasons to be careful with the archive.
    pub warnings: Vec<String>,
}

impl Package {
    /// Packs a program, which `path` names in messages, and files.
    ///
    /// # Errors
    ///
    /// Lambda could not start the program, or would reject the archive.
    pub fn new(program: Vec<u8>, path: &Path, files: Files) -> Result<Package> {
        let read = Program::read(&program).with_context(|| format!("`{}`", path.display()))?;
        let problems = read.problems();
        ensure!(
            problems.is_empty(),
            "`{}` would not start on Amazon Linux 2023:\n  {}\nhint: build on a system with an older glibc, or with `cargo \
             zigbuild --release -p crossfade-function --bin bootstrap --target {}-unknown-linux-gnu.2.34` and pass the result \
             with `--binary`",
            path.display(),
            problems.join("\n  "),
            if read.architecture == crate::Architecture::Arm64 { "aarch64" } else { "x86_64" },
        );
        let mut entries = vec![Entry { name: PROGRAM.into(), mode: 0o755, data: program }];
        entries.extend(files.sorted().into_iter().map(|(name, data)| Entry { name, mode: 0o644, data }));
        let files: Vec<_> = entries.iter().map(|entry| (entry.name.clone(), entry.data.len(), entry.mode)).collect();
        let unpacked: usize = files.iter().map(|(_, size, _)| size).sum();
        ensure!(
            unpacked as u64 <= MOST_UNPACKED,
            "the files of the package have {unpacked} bytes, and Lambda allows {MOST_UNPACKED}:\n{}",
            files.iter().map(|(name, size, _)| format!("{size:>12} {name}\n")).collect::<String>()
        );
        // The program has the words that it reads keys by.
        let keys = entries.iter().filter(|entry| entry.name != PROGRAM && has_private_key(&entry.data));
        let mut warnings: Vec<_> = keys
            .map(|key| {
                format!(
                    "the package contains a private key, `{}`: protect the archive, and allow `lambda:GetFunction` and the \
                     deployment's bucket only to those who may have the key",
                    key.name
                )
            })
            .collect();
        let zip = archive::write(&entries)?;
        if zip.len() > MOST_UPLOADED {
            warnings.push("the archive has more than 50 MB: deploy it through S3".to_owned());
        }
        let hash = digest(&SHA256, &zip);
        let sha256 = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Package { files, program: read, code_sha256: code_sha256(&zip), sha256, warnings, zip })
    }
}

/// The SHA-256 of an archive in base64, as Lambda's `CodeSha256`.
#[must_use]
pub fn code_sha256(zip: &[u8]) -> String {
    STANDARD.encode_to_string(digest(&SHA256, zip))
}
