//! Text of others on a terminal or in a page: what is shown of it and what is not.
//!
//! Owns making foreign text harmless to read. It escapes nothing for HTML or a shell.

use std::fmt::Write;

/// Text of clients and back ends without what would steer the terminal or make text look like another.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if misleads(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// The same for a JSON document, in JSON's own way (RFC 8259 section 7): what misleads can only stand within a string.
pub(crate) fn printable_json(document: &str) -> String {
    let mut printable = String::with_capacity(document.len());
    for character in document.chars() {
        if character == '\n' || !misleads(character) {
            printable.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(printable, "\\u{unit:04x}");
        }
    }
    printable
}

/// Control characters, line separators, marks of writing direction, characters without width.
fn misleads(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
