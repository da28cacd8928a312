//! Characters that look like others: tabs, quotes and spaces of word processors.

use super::Repair;
use super::line::indent;

/// Characters, the ASCII character that each looks like, and their name.
const LOOK_ALIKES: [(&str, &str, &str); 6] = [
    ("“”„‟«»〝〞＂", "\"", "a typographic quote"),
    ("‘’‚‛‹›＇", "'", "a typographic quote"),
    (
        "\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{202f}\u{205f}\u{3000}",
        " ",
        "a non-breaking or other special space",
    ),
    ("\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}", "", "an invisible character"),
    ("‐‑‒–—−－", "-", "a dash, but not `-`"),
    ("：﹕", ":", "a colon, but not `:`"),
];

/// Tabs in the indentation of this line and of the following ones.
pub(super) fn tabs(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let has_tab = |line: &&str| line.get(..indentation(line)).is_some_and(|start| start.contains('\t'));
    let Some(line) = lines.get(at).filter(|line| has_tab(line)) else { return };
    let byte = line.find('\t').unwrap_or_default();
    for width in [2, 4, 8, 1, 0] {
        let spaces = " ".repeat(width);
        let fixed = |line: &&str| {
            let (start, rest) = line.split_at_checked(indentation(line)).unwrap_or_default();
            start.replace('\t', &spaces) + rest
        };
        let lines: Vec<String> = lines.iter().skip(at).map(fixed).collect();
        repairs.push(Repair {
            first: at,
            lines,
            at: (at, byte),
            message: "a tab in the indentation".into(),
            hint: "indent with spaces: YAML does not allow tabs there".into(),
            shows_line: false,
        });
    }
}

/// Returns a text with ASCII characters for those that look like them, the position of the first one in bytes, and its
/// name with its article; `None` if there are none.
#[must_use]
pub fn to_ascii(text: &str) -> Option<(String, usize, &'static str)> {
    let known = |c: char| LOOK_ALIKES.iter().find(|(alike, ..)| alike.contains(c));
    let (byte, name) = text.char_indices().find_map(|(byte, c)| known(c).map(|(_, _, name)| (byte, *name)))?;
    let mut ascii = String::new();
    for c in text.chars() {
        match known(c) {
            Some((_, plain, _)) => ascii.push_str(plain),
            None => ascii.push(c),
        }
    }
    Some((ascii, byte, name))
}

/// All of them in this line, and in the following lines that begin with one.
pub(super) fn look_alikes(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some((ascii, byte, name)) = lines.get(at).and_then(|line| to_ascii(line)) else { return };
    let c = lines.get(at).and_then(|line| line.get(byte..)?.chars().next()).unwrap_or_default();
    let message = if c.is_whitespace() || super::super::diagnostic::misleads(c) {
        format!("U+{:04X} is {name}", u32::from(c))
    } else {
        format!("`{c}` is {name}")
    };
    let one = Repair::line(lines, at, byte, ascii, message, "");
    let further =
        lines.iter().skip(at + 1).map_while(|line| to_ascii(line).filter(|(_, byte, _)| *byte <= indent(line)));
    let all: Vec<String> = one.lines.iter().cloned().chain(further.map(|(ascii, ..)| ascii)).collect();
    if all.len() > 1 {
        repairs.push(Repair { lines: all, message: one.message.clone(), hint: one.hint.clone(), ..one });
    }
    repairs.push(one);
}
