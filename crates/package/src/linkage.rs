//! Checks from a binary's own headers that Amazon Linux 2023 can load it.
//!
//! Owns reading what `readelf -d` and `objdump -T` would show, without either tool. Runs nothing.

use std::fmt;

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, ElfFile64, FileHeader};

/// The C library of Amazon Linux 2023 and so of `provided.al2023` (AWS, "Comparing Amazon Linux 2 and Amazon Linux
/// 2023").
const NEWEST_GLIBC: GlibcVersion = GlibcVersion(2, 34);

/// The libraries of the base image that a Rust binary may need.
const LIBRARIES: [&str; 5] =
    ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct GlibcVersion(u32, u32);

impl GlibcVersion {
    /// `GLIBC_2.34` or `GLIBC_2.2.5`; the third number never decides.
    fn parse(name: &str) -> Option<GlibcVersion> {
        let mut numbers = name.strip_prefix("GLIBC_")?.split('.').map(str::parse);
        Some(GlibcVersion(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A processor architecture of Lambda.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Intel and AMD.
    X86_64,
    /// Graviton.
    Arm64,
}

impl Architecture {
    /// All of them, Lambda's default first.
    pub const ALL: [Architecture; 2] = [Architecture::X86_64, Architecture::Arm64];

    /// The name that Lambda has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64",
            Architecture::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An executable, and the requirements that the loader resolves.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// The processors that it runs on.
    pub architecture: Architecture,
    /// The `NEEDED` entries in their order.
    pub libraries: Vec<String>,
    /// `true` if it has the debugging information of a development build.
    pub has_debug_info: bool,
    glibc: Option<GlibcVersion>,
}

impl Program {
    /// Reads an ELF executable.
    ///
    /// # Errors
    ///
    /// If it is not a program, or not for a processor that Lambda has.
    pub fn read(file: &[u8]) -> Result<Program> {
        let elf = ElfFile64::<Endianness>::parse(file).context("not a 64-bit ELF executable")?;
        let endian = elf.endian();
        let architecture = match elf.elf_header().e_machine(endian) {
            elf::EM_X86_64 => Architecture::X86_64,
            elf::EM_AARCH64 => Architecture::Arm64,
            other => bail!("an ELF file for machine type {}; Lambda runs x86_64 and arm64", other.0),
        };

        let sections = elf.elf_section_table();
        let mut libraries = Vec::new();
        if let Some((entries, strings)) = sections.dynamic(endian, file)? {
            let strings = sections.strings(endian, file, strings)?;
            for entry in entries {
                if entry.tag(endian) == elf::DT_NEEDED {
                    libraries.push(String::from_utf8_lossy(entry.string(endian, strings)?).into_owned());
                }
            }
        }

        let mut glibc = None;
        if let Some((mut needs, strings)) = sections.gnu_verneed(endian, file)? {
            let strings = sections.strings(endian, file, strings)?;
            while let Some((_, mut versions)) = needs.next()? {
                while let Some(version) = versions.next()? {
                    let name = String::from_utf8_lossy(version.name(endian, strings)?);
                    glibc = glibc.max(GlibcVersion::parse(&name));
                }
            }
        }
        let has_debug_info = sections.section_by_name(endian, b".debug_info").is_some();
        Ok(Program { architecture, libraries, has_debug_info, glibc })
    }

    /// The newest version of the C library that a symbol asks for, such as `glibc 2.34`.
    #[must_use]
    pub fn library(&self) -> String {
        self.glibc.map_or_else(|| "static".to_owned(), |version| format!("glibc {version}"))
    }

    /// The reasons why Amazon Linux 2023 cannot load it; empty if it can.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let strange = self
            .libraries
            .iter()
            .filter(|library| !LIBRARIES.contains(&library.as_str()))
            .map(|library| format!("needs `{library}`, which is not in the base image"));
        let too_new = self
            .glibc
            .filter(|version| *version > NEWEST_GLIBC)
            .map(|version| format!("needs glibc {version}, Amazon Linux 2023 has {NEWEST_GLIBC}"));
        strange.chain(too_new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let version = |name| GlibcVersion::parse(name).unwrap();
        assert!(version("GLIBC_2.4") < version("GLIBC_2.34"));
        assert_eq!(version("GLIBC_2.2.5"), GlibcVersion(2, 2));
        assert_eq!(GlibcVersion::parse("GCC_3.0"), None);
        assert_eq!(GlibcVersion::parse("GLIBC_PRIVATE"), None);
    }

    #[test]
    fn what_the_base_image_lacks_is_told() {
        let linkage = Program {
            architecture: Architecture::X86_64,
            has_debug_info: false,
            libraries: vec!["libc.so.6".into(), "libssl.so.3".into()],
            glibc: Some(GlibcVersion(2, 38)),
        };
        assert_eq!(
            linkage.problems(),
            ["needs `libssl.so.3`, which is not in the base image", "needs glibc 2.38, Amazon Linux 2023 has 2.34"]
        );
        let fine = Program { libraries: vec!["libm.so.6".into()], glibc: Some(NEWEST_GLIBC), ..linkage };
        assert_eq!(fine.problems(), [""; 0]);
    }

    /// The test's own executable serves as the Rust binary.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_rust_binary_is_read() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let linkage = Program::read(&own).unwrap();
        assert!(linkage.libraries.iter().any(|library| library == "libc.so.6"), "{linkage:?}");
        assert!(linkage.glibc >= Some(GlibcVersion(2, 2)), "{linkage:?}");
        assert!(Program::read(b"#!/bin/sh\n").is_err());
    }
}
