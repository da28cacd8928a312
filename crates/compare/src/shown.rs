//! Values as records show them: truncated and without secrets. Owns the detection of secrets; `findings` applies the
//! configuration's `redact`.

use std::borrow::Cow;

use crate::spot::{PathStep, Spot};
use crate::treat_equal;

/// The most of a value that is shown, in characters.
const MAX_SHOWN: usize = 100;
/// Characters of a value that are searched for secrets: enough to see the end of a secret that starts in the part that
/// is shown.
const MAX_READ: usize = 4 * MAX_SHOWN;
/// Instead of a secret.
pub(crate) const HIDDEN: &str = "***";
/// As many digits in a row may be the number of a card or an account.
const MIN_SECRET_DIGITS: usize = 13;
/// In a name, these make a secret of the value wherever they stand: `userPassword`, `x-api-key`.
const SECRET_PARTS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "authorization",
    "cookie",
    "session",
    "apikey",
    "credential",
    "privatekey",
    "signature",
    "creditcard",
    "cardnumber",
    "accountnumber",
    "iban",
    "email",
    "nonce",
    "saml",
];
/// These only as a word of their own: `discard` is no card.
const SECRET_WORDS: &[&str] = &[
    "pwd",
    "auth",
    "private",
    "card",
    "cvv",
    "cvc",
    "pin",
    "ssn",
    "jwt",
    "otp",
    "mail",
    "phone",
    "csrf",
    "xsrf",
    "oidc",
    "dpop",
    "saml",
    "assertion",
    "bearer",
    "hmac",
    "ticket",
];

/// A value as a record has it.
pub(crate) fn value(value: &str, is_secret: bool) -> String {
    if is_secret {
        return HIDDEN.to_owned();
    }
    let read = head(value);
    let shown = without_secrets(read);
    match shown.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", shown.get(..end).unwrap_or_default()),
        None if read.len() < value.len() => format!("{shown}…"),
        None => shown,
    }
}

/// The query of a request as records show it: keys stay, values become `REDACTED` unless `keep_values` is set and they
/// do not look like secrets.
#[must_use]
pub fn shown_query(query: &str, keep_values: bool) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, value)) if keep_values && !is_secret_name(key) && without_secrets(value) == value => pair.into(),
        Some((key, _)) => format!("{key}=REDACTED").into(),
        None if keep_values && without_secrets(pair) == pair => pair.into(),
        None => Cow::Borrowed("REDACTED"),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// As much of a value as may be shown, and what must be seen of it for that.
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
        Spot::Field(name) => is_secret_name(name.as_str()),
        Spot::Json(path) => path.iter().any(|step| match step {
            PathStep::Name { name, .. } => is_secret_name(name),
            PathStep::Index(_) => false,
        }),
    }
}

/// Returns `true` if a name looks like that of a secret, or a text mentions one.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    // All words in a row, and where the last one begins.
    let (mut joined, mut begin) = (String::new(), 0);
    let mut was_lower = false;
    let is_word = |joined: &str, begin| joined.get(begin..).is_some_and(|word| SECRET_WORDS.contains(&word));
    for character in name.chars() {
        if !character.is_alphanumeric() || (was_lower && character.is_uppercase()) {
            if is_word(&joined, begin) {
                return true;
            }
            begin = joined.len();
        }
        was_lower = character.is_lowercase();
        if character.is_alphanumeric() {
            joined.extend(character.to_lowercase());
        }
    }
    is_word(&joined, begin) || SECRET_PARTS.iter().any(|part| joined.contains(part))
}

/// A text with what looks like a JWT, credentials, a mail address or the number of a card hidden, and what a name like that
/// of a secret announces.
fn without_secrets(text: &str) -> String {
    hide_secrets(text, HIDDEN)
}

/// The same for texts of any length, with `hidden` instead of each secret.
#[must_use]
pub fn hide_secrets(text: &str, hidden: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_announced = false;
    for piece in text.split_inclusive(is_delimiter) {
        let word = piece.trim_end_matches(is_delimiter);
        let behind = piece.get(word.len()..).unwrap_or_default();
        if !word.is_empty() {
            let is_secret = is_announced || treat_equal::is_jwt(word) || is_address(word);
            out.push_str(if is_secret { hidden } else { word });
            is_announced = ["bearer", "basic"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
                || (behind.starts_with(['=', ':']) && is_secret_name(word));
        }
        out.push_str(behind);
    }
    without_long_numbers(&out, hidden)
}

fn is_delimiter(character: char) -> bool {
    character.is_whitespace() || "\"'`<>()[]{},;:&?|=/\\".contains(character)
}

/// Returns `true` if a word looks like a mail address, plain or percent-encoded.
fn is_address(word: &str) -> bool {
    let parts = word.split_once('@').or_else(|| word.split_once("%40"));
    parts.is_some_and(|(before, behind)| !before.is_empty() && !behind.is_empty())
}

/// A text with long numbers hidden, also those in groups with a space or a dash between.
fn without_long_numbers(text: &str, hidden: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // A number, with what may stand between its groups.
    let (mut number, mut digits) = (String::new(), 0);
    let end = |number: &mut String, digits: &mut usize, out: &mut String| {
        let trimmed = number.trim_end_matches([' ', '-']).len();
        let (head, tail) = number.split_at(trimmed);
        out.push_str(if *digits >= MIN_SECRET_DIGITS { hidden } else { head });
        out.push_str(tail);
        number.clear();
        *digits = 0;
    };
    for character in text.chars() {
        if character.is_ascii_digit() {
            number.push(character);
            digits += 1;
        } else if matches!(character, ' ' | '-') && number.ends_with(|last: char| last.is_ascii_digit()) {
            number.push(character);
        } else {
            end(&mut number, &mut digits, &mut out);
            out.push(character);
        }
    }
    end(&mut number, &mut digits, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_keep_their_keys_and_no_secret() {
        let query = "page=2&access_token=abc&mail=a%40example.com&card=4111111111111111&flag&x=eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln";
        assert_eq!(
            shown_query(query, true),
            "page=2&access_token=REDACTED&mail=REDACTED&card=REDACTED&flag&x=REDACTED"
        );
        let keys = "page=REDACTED&access_token=REDACTED&mail=REDACTED&card=REDACTED&REDACTED&x=REDACTED";
        assert_eq!(shown_query(query, false), keys);
        assert_eq!(shown_query("", true), "");
    }

    #[test]
    fn secrets_are_hidden_in_any_text() {
        for (text, shown) in [
            ("plain text, 12 items: ok", "plain text, 12 items: ok"),
            ("write to jane.doe@example.com, please", "write to ***, please"),
            ("?user=jane%40example.com&x=1", "?user=***&x=1"),
            ("card 4111 1111 1111 1111 expired", "card *** expired"),
            ("4111-1111-1111-1111", "***"),
            ("1234 5678 - 9", "1234 5678 - 9"),
            ("on 2026-05-01 10", "on 2026-05-01 10"),
            ("Bearer abc123", "Bearer ***"),
            ("/login?token=abc&next=/a", "/login?token=***&next=/a"),
            ("user: ann, password:  x1, more", "user: ann, password:  ***, more"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "***"),
            ("jwt=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln;", "jwt=***;"),
            ("@ at", "@ at"),
            ("", ""),
        ] {
            assert_eq!(value(text, false), shown);
        }
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

    #[test]
    fn names_of_secrets() {
        for name in [
            "password",
            "userPassword",
            "X-Api-Key",
            "api_key",
            "apiKey",
            "accessToken",
            "Set-Cookie",
            "authorization",
            "card",
            "cardNumber",
            "creditCard",
            "customerEmail",
            "e-mail",
            "IBAN",
            "sessionId",
            "client_secret",
            "pin",
            "PASSWORD",
            "db-credentials",
            "CSRF",
            "dpop",
            "SAMLResponse",
            "X-Saml-Assertion",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["discard", "cardinality", "pinned", "author", "name", "price", "spin", "", "-", "status", "id"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
