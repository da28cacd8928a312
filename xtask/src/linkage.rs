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
pub(crate) const NEWEST_GLIBC: GlibcVersion = GlibcVersion(2, 34);

/// The libraries of the base image that a Rust binary may need.
const LIBRARIES: [&str; 5] =
    ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GlibcVersion(u32, u32);

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

/// The requirements that the loader resolves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Linkage {
    /// As Lambda names it: `x86_64` or `arm64`.
    pub(crate) architecture: &'static str,
    /// The `NEEDED` entries in their order.
    pub(crate) libraries: Vec<String>,
    /// The newest version of the C library that a symbol asks for; none in a static binary.
    pub(crate) glibc: Option<GlibcVersion>,
}

impl Linkage {
    /// Reads an ELF executable.
    pub(crate) fn read(file: &[u8]) -> Result<Linkage> {
        let elf = ElfFile64::<Endianness>::parse(file).context(
            "not a 64-bit ELF executable: build on Linux, or cross-compile and pass the result with `--binary`",
        )?;
        let endian = elf.endian();
        let architecture = match elf.elf_header().e_machine(endian) {
            elf::EM_X86_64 => "x86_64",
            elf::EM_AARCH64 => "arm64",
            other => bail!("machine type {other:?} of the ELF header is none that Lambda runs"),
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
        Ok(Linkage { architecture, libraries, glibc })
    }

    /// The reasons why Amazon Linux 2023 cannot load it; empty if it can.
    pub(crate) fn problems(&self) -> Vec<String> {
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
        let linkage = Linkage {
            architecture: "x86_64",
            libraries: vec!["libc.so.6".into(), "libssl.so.3".into()],
            glibc: Some(GlibcVersion(2, 38)),
        };
        assert_eq!(
            linkage.problems(),
            ["needs `libssl.so.3`, which is not in the base image", "needs glibc 2.38, Amazon Linux 2023 has 2.34"]
        );
        let fine = Linkage { libraries: vec!["libm.so.6".into()], glibc: Some(NEWEST_GLIBC), ..linkage };
        assert_eq!(fine.problems(), [""; 0]);
    }

    /// The test's own executable serves as the Rust binary.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_rust_binary_is_read() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let linkage = Linkage::read(&own).unwrap();
        assert!(linkage.libraries.iter().any(|library| library == "libc.so.6"), "{linkage:?}");
        assert!(linkage.glibc >= Some(GlibcVersion(2, 2)), "{linkage:?}");
        assert!(Linkage::read(b"#!/bin/sh\n").is_err());
    }
}
