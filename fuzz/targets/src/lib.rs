//! The fuzz targets: each calls a reader of outside input with arbitrary bytes, and checks properties that the result
//! must have for any input. Used by libFuzzer (`fuzz/fuzz_targets`) and by a test over the corpora (`tests/corpus.rs`).
//! Owns no input.

mod compare;
mod config;
mod content;
mod event;
mod http1;
mod reply;
mod rule;
mod source;

pub use compare::compare;
pub use config::config;
pub use content::content;
pub use event::event;
pub use http1::http1;
pub use reply::reply;
pub use rule::rule;
pub use source::source;

/// A target.
pub type Target = fn(&[u8]);

/// All of them, by the names of their folders and archives in `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 8] = [
    ("compare", compare),
    ("config", config),
    ("content", content),
    ("event", event),
    ("http1", http1),
    ("reply", reply),
    ("rule", rule),
    ("source", source),
];

/// As much of it as is text.
fn text(data: &[u8]) -> &str {
    match std::str::from_utf8(data) {
        Ok(text) => text,
        Err(error) => {
            data.get(..error.valid_up_to()).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
        }
    }
}
