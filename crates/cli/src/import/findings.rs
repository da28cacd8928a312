//! The parts of a foreign file that an import leaves out or changes, each with its place and the reason: nothing is dropped
//! silently. Owns their kinds, order and text, in the terminal and as comments of the file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The fate of a part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// It has an effect on requests that the routes lack.
    NotImported,
    /// The routes do nearly the same.
    Differs,
    /// The load balancer, Lambda or Crossfade does it anyway, or it has no meaning there.
    NotNeeded,
}

/// One part of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    /// Index of the file, line and column from 1.
    pub(crate) place: (usize, usize, usize),
    /// The part as its author wrote it.
    pub(crate) subject: String,
    pub(crate) reason: String,
}

/// All findings of an import.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Names of the files.
    pub(crate) files: Vec<String>,
    list: Vec<Finding>,
}

impl Findings {
    pub(crate) fn new(files: Vec<String>) -> Findings {
        Findings { files, list: Vec::new() }
    }

    /// Adds a finding, once.
    pub(crate) fn add(&mut self, kind: Kind, place: (usize, usize, usize), subject: &str, reason: &str) {
        let finding = Finding { kind, place, subject: subject.to_owned(), reason: reason.to_owned() };
        if !self.list.contains(&finding) {
            self.list.push(finding);
        }
    }

    /// Returns true if a part was not imported.
    pub(crate) fn has_omissions(&self) -> bool {
        self.list.iter().any(|finding| finding.kind == Kind::NotImported)
    }

    /// The findings as lines, in the order of the files: one for each part that was not imported, one for each other reason,
    /// with its parts.
    pub(crate) fn text(&self) -> String {
        let mut sorted: Vec<&Finding> = self.list.iter().collect();
        sorted.sort_by_key(|finding| (finding.kind, finding.place));
        let of = |kind: Kind| sorted.iter().filter(move |finding| finding.kind == kind);
        let mut text = String::new();
        for finding in of(Kind::NotImported) {
            let (place, subject) = (self.place(finding), shortened(&finding.subject));
            let _ = writeln!(text, "{place}: not imported: `{subject}`: {}", finding.reason);
        }
        for (kind, title) in [(Kind::Differs, "differs"), (Kind::NotNeeded, "not needed")] {
            let mut groups: Vec<(&str, Vec<&Finding>)> = Vec::new();
            let mut known: BTreeMap<&str, usize> = BTreeMap::new();
            for finding in of(kind) {
                let index = *known.entry(&finding.reason).or_insert(groups.len());
                match groups.get_mut(index) {
                    Some((_, group)) => group.push(finding),
                    None => groups.push((&finding.reason, vec![finding])),
                }
            }
            for (reason, group) in groups {
                let _ = writeln!(text, "{title}: {reason}: {}", self.grouped(&group));
            }
        }
        text
    }

    fn place(&self, finding: &Finding) -> String {
        let (file, line, column) = finding.place;
        format!("{}:{line}:{column}", self.files.get(file).map_or("", String::as_str))
    }

    /// The parts by their first word, with their lines.
    fn grouped(&self, findings: &[&Finding]) -> String {
        let mut words: Vec<(&str, Vec<String>)> = Vec::new();
        for finding in findings {
            let word = finding.subject.split(' ').next().unwrap_or_default();
            let (file, line, _) = finding.place;
            let name = self.files.get(file).map_or("", String::as_str);
            let line = if file == 0 { line.to_string() } else { format!("{name}:{line}") };
            match words.iter_mut().find(|(known, _)| *known == word) {
                Some((_, lines)) if lines.last() == Some(&line) => {}
                Some((_, lines)) => lines.push(line),
                None => words.push((word, vec![line])),
            }
        }
        let texts = words.iter().map(|(word, lines)| {
            let title = if lines.len() == 1 { "line" } else { "lines" };
            format!("`{word}` ({title} {})", lines.join(", "))
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}

fn shortened(subject: &str) -> String {
    const LONGEST: usize = 80;
    match subject.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject.to_owned(),
    }
}
