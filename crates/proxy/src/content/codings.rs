//! `Accept-Encoding`: whether a client takes gzip (RFC 9110 section 12.5.3).

use http::header::HeaderValue;

/// A client's wish. Without a field, any coding would be acceptable in theory; clients that do not ask cannot decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gzip {
    /// At least as good as none.
    Preferred,
    /// Acceptable, but content that is not encoded is better.
    Acceptable,
    /// The client may be unable to decode it.
    Refused,
}

/// Reads all lines of the field.
pub(crate) fn gzip<'v>(lines: impl IntoIterator<Item = &'v HeaderValue>) -> Gzip {
    let (mut gzip, mut identity, mut other) = (None, None, None);
    for member in lines.into_iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let mut parameters = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parameters.next().unwrap_or_default();
        let known = if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
            &mut gzip
        } else if name.eq_ignore_ascii_case(b"identity") {
            &mut identity
        } else if name == b"*" {
            &mut other
        } else {
            continue;
        };
        // One that is invalid accepts nothing.
        *known = Some(parameters.next().map_or(1000, |weight| thousandths(weight).unwrap_or(0)));
    }
    match gzip.or(other).unwrap_or(0) {
        0 => Gzip::Refused,
        weight if identity.is_some_and(|identity| identity > weight) => Gzip::Acceptable,
        _ => Gzip::Preferred,
    }
}

/// `q=0.5`: 500. At most three decimals (RFC 9110 section 12.4.2).
fn thousandths(weight: &[u8]) -> Option<u16> {
    let (name, value) = std::str::from_utf8(weight).ok()?.split_once('=')?;
    let (whole, decimals) = value.trim_start().split_once('.').unwrap_or((value.trim_start(), ""));
    let is_weight = name.trim_end().eq_ignore_ascii_case("q")
        && matches!(whole, "0" | "1")
        && decimals.len() <= 3
        && decimals.bytes().all(|digit| digit.is_ascii_digit());
    let number = format!("{whole}{decimals:0<3}").parse().ok()?;
    Some(number).filter(|number| is_weight && *number <= 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide() {
        for (lines, expected) in [
            (&[][..], Gzip::Refused),
            (&[""], Gzip::Refused),
            (&["gzip"], Gzip::Preferred),
            (&["gzip, deflate, br, zstd"], Gzip::Preferred),
            (&["br", "X-GZIP"], Gzip::Preferred),
            (&["br"], Gzip::Refused),
            (&["gzipped"], Gzip::Refused),
            (&["gzip;q=0"], Gzip::Refused),
            (&["gzip ; Q = 0.000"], Gzip::Refused),
            (&["gzip;q=0.001"], Gzip::Preferred),
            (&["gzip;q=1.000"], Gzip::Preferred),
            (&["gzip;q=2"], Gzip::Refused),
            (&["gzip;q=0.1234"], Gzip::Refused),
            (&["gzip;q="], Gzip::Refused),
            (&["gzip;level=1"], Gzip::Refused),
            (&["*"], Gzip::Preferred),
            (&["*;q=0"], Gzip::Refused),
            (&["gzip, *;q=0"], Gzip::Preferred),
            (&["gzip;q=0, *"], Gzip::Refused),
            (&["identity"], Gzip::Refused),
            (&["identity;q=0"], Gzip::Refused),
            (&["identity;q=0, *"], Gzip::Preferred),
            (&["gzip;q=0.5, identity"], Gzip::Acceptable),
            (&["gzip;q=0.5, identity;q=0.5"], Gzip::Preferred),
            (&["*;q=0.2, identity;q=0.3"], Gzip::Acceptable),
        ] {
            let lines: Vec<HeaderValue> = lines.iter().map(|line| HeaderValue::from_static(line)).collect();
            assert_eq!(gzip(&lines), expected, "{lines:?}");
        }
    }
}
