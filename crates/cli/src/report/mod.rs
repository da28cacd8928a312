//! From lines of a log to what they say about the new system: `crossfade report` without its command line.
//!
//! Reading order: `lines` (finds the records), `tally` (counts them), `judge` (says what the counts mean, as a
//! `model`), `gate`; then the outputs, `text` and `html`.

mod charts;
pub(crate) mod gate;
pub(crate) mod html;
pub(crate) mod judge;
mod latency;
pub(crate) mod lines;
pub(crate) mod model;
mod repeat;
pub(crate) mod tally;
pub(crate) mod text;

/// The word for a class of differences in the log and in the outputs.
pub(crate) fn class_name(class: crossfade_compare::Class) -> &'static str {
    use crossfade_compare::Class;
    match class {
        Class::Status => "status",
        Class::Header => "header",
        Class::Missing => "missing",
        Class::Extra => "extra",
        Class::Type => "type",
        Class::Value => "value",
        Class::Order => "order",
        Class::Length => "length",
        Class::Text => "text",
        Class::Bytes => "bytes",
    }
}
