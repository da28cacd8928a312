//! Values as records show them: truncated and without secrets. `crossfade-journal` detects secrets; `findings` applies the
//! configuration's `redact`.

pub(crate) use crossfade_journal::redaction::{HIDDEN, is_secret_name};
use crossfade_journal::redaction::{hide_secrets, is_secret_parameter};

use http::header::SET_COOKIE;

use crate::spot::{PathStep, Spot};

/// Characters of a value that are shown.
const MAX_SHOWN: usize = 100;
/// Characters of a value that are searched for secrets: enough to see the end of a secret that begins in the shown
/// part.
const MAX_READ: usize = 4 * MAX_SHOWN;

/// Returns a value as records show it: [`HIDDEN`] if `is_secret`, otherwise without secrets and truncated.
pub(crate) fn value(value: &str, is_secret: bool) -> String {
    if is_secret {
        return HIDDEN.to_owned();
    }
    let read = head(value);
    let shown = hide_secrets(read);
    match shown.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", shown.get(..end).unwrap_or_default()),
        None if read.len() < value.len() => format!("{shown}…"),
        None => shown,
    }
}

/// Returns the part of a value that has to be searched before it is shown.
pub(crate) fn head(value: &str) -> &str {
    match value.char_indices().nth(MAX_READ) {
        Some((end, _)) => value.get(..end).unwrap_or_default(),
        None => value,
    }
}

/// Returns `true` if the name of a field, or of a member on the path, looks like that of a secret.
pub(crate) fn is_secret_spot(spot: &Spot<'_>) -> bool {
    match spot {
        Spot::Status | Spot::Body => false,
        Spot::Other(inner) | Spot::Exact(inner, ..) | Spot::Element(inner, ..) => is_secret_name(inner.pointer),
        // Values of cookies are not parts, and their attributes are no secrets.
        Spot::Part(name, _) if **name == SET_COOKIE => false,
        Spot::Part(name, part) => {
            let last = part.rsplit('/').next().unwrap_or_default();
            is_secret_parameter(name.as_str()) || is_secret_parameter(last) || last == "userinfo"
        }
        Spot::Field(name) => is_secret_parameter(name.as_str()),
        Spot::Json(path) => path.iter().any(|step| match step {
            PathStep::Name { name, .. } => is_secret_name(name),
            PathStep::Keyed { key, .. } => is_secret_name(key),
            PathStep::Index { .. } | PathStep::Loose { .. } => false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        assert_eq!(value("write to jane.doe@example.com, please", false), "write to ***, please");
        assert_eq!(value("x", true), "***");
    }

    #[test]
    fn long_values_are_cut_and_no_secret_is_cut_open() {
        assert_eq!(value(&"ä".repeat(100), false), "ä".repeat(100));
        assert_eq!(value(&"ä".repeat(101), false), format!("{}…", "ä".repeat(100)));
        let address = format!("{}@example.com {}", "a".repeat(90), "b".repeat(1000));
        assert!(!value(&address, false).contains("aaa"));
        let token = format!("eyJ{}", "a".repeat(100_000));
        assert_eq!(value(&token, false), "***…");
    }
}
