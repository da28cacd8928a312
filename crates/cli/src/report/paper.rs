//! Lines of text for a terminal: 100 columns, colours, wrapping, cells of tables. Owns no words.

use crate::terminal::printable;

/// Columns of a line.
const WIDTH: usize = 100;

/// Text that grows line by line.
pub(super) struct Text {
    pub(super) out: String,
    colour: bool,
}

/// The meaning of a colour.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Good,
    Bad,
    Unsure,
    Dim,
    Strong,
}

impl Text {
    pub(super) fn new(colour: bool) -> Text {
        Text { out: String::new(), colour }
    }

    pub(super) fn line(&mut self, line: &str) {
        self.out += line.trim_end();
        self.out.push('\n');
    }

    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32;1",
            Tone::Bad => "31;1",
            Tone::Unsure => "33;1",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A sentence in lines of at most 100 columns, but for words that are longer.
    pub(super) fn wrapped(&mut self, sentence: &str, first: &str, others: &str) {
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in sentence.split(' ') {
            if !is_empty && line.chars().count() + word.chars().count() >= WIDTH {
                self.line(&line);
                line = others.to_owned();
                is_empty = true;
            }
            line += if is_empty { "" } else { " " };
            line += word;
            is_empty = false;
        }
        self.line(&line);
    }

    pub(super) fn heading(&mut self, text: &str) {
        let heading = self.paint(Tone::Strong, text);
        self.line("");
        self.line(&heading);
    }

    /// Sentences at the end, of our own words: what a log tells must be a [`cell`] of them.
    pub(super) fn notes(&mut self, notes: &[String]) {
        if !notes.is_empty() {
            self.line("");
        }
        for note in notes {
            self.wrapped(&format!("note: {note}"), "", "  ");
        }
    }
}

/// Escapes and truncates foreign text for a table.
pub(super) fn cell(text: &str) -> String {
    printable(text).replace('\t', "\\t")
}

/// Truncates a text to this number of columns. Keeps its end, which distinguishes long texts.
pub(super) fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length + 13 - width).collect();
    format!("{}…{end}", text.chars().take(12).collect::<String>())
}

pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{:<width$}", shortened(text, width))
}
