//! Secrets: the names that announce one, the texts that look like one, and the marker that replaces one. The function's log,
//! messages about the configuration, the terminal and the inspector all ask here.
//!
//! Does not know which parts of a message to search; the callers do.

use std::borrow::Cow;

/// Replaces a secret wherever one is hidden.
pub const HIDDEN: &str = "***";
/// Digits of the number of a card (ISO/IEC 7812).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// A JWT is at least this long.
const MIN_JWT: usize = 20;
/// A name with one of these anywhere in it is that of a secret: `userPassword`, `x-api-key`.
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
/// A name with one of these as a whole word is that of a secret: `card`, but not `discard`.
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

/// Whole names of secrets in the fields, queries and forms of HTTP. In JSON they are too common for other things: OAuth's
/// authorization code, the signature of a signed URL, a client's certificate.
const SECRET_PARAMETERS: [&str; 3] = ["code", "sig", "x-forwarded-client-cert"];
/// Parts of a name without its separators that identify a client, besides those of [`is_secret_name`].
const CREDENTIAL_PARTS: [&str; 14] = [
    "clientcert",
    "sslcert",
    "sslclient",
    "clientdn",
    "authenti",
    "oauth",
    "basicauth",
    "userauth",
    "accesskey",
    "appkey",
    "licensekey",
    "principal",
    "remoteuser",
    "remotegroup",
];
/// The same for words between two hyphens.
const CREDENTIAL_WORDS: [&str; 22] = [
    "key",
    "pass",
    "sid",
    "sso",
    "mfa",
    "2fa",
    "totp",
    "wsse",
    "sig",
    "signed",
    "authn",
    "authz",
    "cert",
    "clientcert",
    "creds",
    "kerberos",
    "ntlm",
    "webauth",
    "vouch",
    "oam",
    "iv",
    "sm",
];
/// Beginnings of the names of fields in which a proxy in front of us vouches for an identity.
const IDENTITY_PREFIXES: [&str; 5] =
    ["x-amzn-mtls-", "x-forwarded-user", "x-forwarded-preferred-username", "x-forwarded-groups", "tailscale-user-"];

/// Returns true if a name looks like that of a secret, or a text mentions one.
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

/// Returns true if a name looks like that of a secret in a field, a query or a form. It includes all of [`is_secret_name`].
#[must_use]
pub fn is_secret_parameter(name: &str) -> bool {
    SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) || is_secret_name(name)
}

/// Returns true if a field identifies the client: such fields go to the system that the client talks to, and to another
/// only if the configuration says so. `name` is in lower case and has a hyphen for everything but letters and digits.
#[must_use]
pub fn is_credential(name: &str) -> bool {
    // It identifies the request.
    if name == "idempotency-key" {
        return false;
    }
    let joined = name.replace('-', "");
    is_secret_name(name)
        || CREDENTIAL_PARTS.iter().any(|part| joined.contains(part))
        || name.split('-').any(|word| CREDENTIAL_WORDS.contains(&word))
        || IDENTITY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns a query for a log. Its keys say what the client asked for and stay; its values are the client's and are hidden,
/// unless `keep_values` is true and they do not look like secrets.
#[must_use]
pub fn shown_query(query: &str, keep_values: bool) -> String {
    let is_shown = |text: &str| keep_values && hide_secrets(text) == text;
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, value)) if is_shown(value) && !is_secret_parameter(key) => pair.into(),
        Some((key, _)) => format!("{key}={HIDDEN}").into(),
        None if is_shown(pair) => pair.into(),
        None => Cow::Borrowed(HIDDEN),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Returns a text of any length in which [`HIDDEN`] replaces each JWT, mail address and number of a card, and what follows
/// an authentication scheme or the name of a secret.
#[must_use]
pub fn hide_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_announced = false;
    for piece in text.split_inclusive(is_delimiter) {
        let word = piece.trim_end_matches(is_delimiter);
        let behind = piece.get(word.len()..).unwrap_or_default();
        if !word.is_empty() {
            let is_secret = is_announced || is_jwt(word) || is_address(word);
            out.push_str(if is_secret { HIDDEN } else { word });
            is_announced = ["bearer", "basic"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
                || (behind.starts_with(['=', ':']) && is_secret_name(word));
        }
        out.push_str(behind);
    }
    without_card_numbers(&out)
}

/// Returns true for two or three parts in base64url, of which the first is an object (RFC 7519 section 3), even if the text
/// was cut.
#[must_use]
pub fn is_jwt(text: &str) -> bool {
    text.len() >= MIN_JWT
        && text.starts_with("eyJ")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'='))
}

fn is_delimiter(character: char) -> bool {
    character.is_whitespace() || "\"'`<>()[]{},;:&?|=/\\".contains(character)
}

/// Returns true if a word looks like a mail address, as it is or percent-encoded.
fn is_address(word: &str) -> bool {
    let parts = word.split_once('@').or_else(|| word.split_once("%40"));
    parts.is_some_and(|(before, behind)| !before.is_empty() && !behind.is_empty())
}

/// A text with the numbers of cards hidden, also those in groups with a space or a dash between. Other long numbers, such as
/// times and totals, are no secrets unless their name says so.
fn without_card_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // A number, with what may stand between its groups.
    let mut number = String::new();
    let end = |number: &mut String, out: &mut String| {
        let trimmed = number.trim_end_matches([' ', '-']).len();
        let (head, tail) = number.split_at(trimmed);
        out.push_str(if is_card_number(head) { HIDDEN } else { head });
        out.push_str(tail);
        number.clear();
    };
    for character in text.chars() {
        let is_between = matches!(character, ' ' | '-') && number.ends_with(|last: char| last.is_ascii_digit());
        if character.is_ascii_digit() || is_between {
            number.push(character);
        } else {
            end(&mut number, &mut out);
            out.push(character);
        }
    }
    end(&mut number, &mut out);
    out
}

/// Returns true if a number has the length, the first digit and the check digit (Luhn) of a payment card.
fn is_card_number(number: &str) -> bool {
    // The digit sum of twice each digit.
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let digits = || number.chars().filter_map(|character| character.to_digit(10));
    let doubled = |digit: u32| DOUBLED.get(digit as usize).copied().unwrap_or_default();
    let weighed = digits().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(digit) } else { digit });
    let sum: u32 = weighed.sum();
    CARD_DIGITS.contains(&digits().count()) && matches!(digits().next(), Some(2..=6)) && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_keep_their_keys_and_no_secret() {
        let query = "page=2&access_token=abc&mail=a%40example.com&card=4111111111111111&flag&x=eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln";
        assert_eq!(shown_query(query, true), "page=2&access_token=***&mail=***&card=***&flag&x=***");
        let keys = "page=***&access_token=***&mail=***&card=***&***&x=***";
        assert_eq!(shown_query(query, false), keys);
        assert_eq!(shown_query("code=4f2a&sig=9c&zip=1", true), "code=***&sig=***&zip=1");
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
            assert_eq!(hide_secrets(text), shown);
        }
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

    #[test]
    fn parameters_and_fields_of_http_have_more_names_of_secrets() {
        for name in ["code", "Sig", "X-Forwarded-Client-Cert", "x-amzn-oidc-data", "X-Amzn-Oidc-Identity", "password"] {
            assert!(is_secret_parameter(name), "{name}");
        }
        for name in ["codec", "signal", "errorCode", "page"] {
            assert!(!is_secret_parameter(name), "{name}");
        }
        assert!(!is_secret_name("code"));
    }

    #[test]
    fn fields_that_identify_a_client() {
        for name in [
            "authorization",
            "cookie",
            "x-api-key",
            "x-remote-user",
            "x-amzn-mtls-clientcert",
            "ssl-client-s-dn",
            "sm-user",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in ["idempotency-key", "accept", "x-request-id", "monkey", "content-type"] {
            assert!(!is_credential(name), "{name}");
        }
    }
}
