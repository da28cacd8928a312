//! The meaning of unquoted scalars and of duplicate keys in the files of each program. Owns the texts that booleans and
//! numbers become where a string is needed; quoted scalars keep theirs.
//!
//! CloudFormation reads YAML 1.1 as SnakeYAML 1 does and writes numbers as Java does (observed: `0300` becomes `192`,
//! `012345678901` becomes `1.2345678901E10`, `YES` becomes `true`); dates stay texts. The Serverless Framework reads
//! the core schema as js-yaml 4.3 does, without dates, and writes numbers as JavaScript does (compared with osls 4.3).

use crossfade_document::{Piece, Scalar};

use super::node::{Node, Value};

/// The rules of the program that a file is written for.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Returns the text of an unquoted scalar where that is not the text in the file.
    text: fn(&str) -> Option<String>,
    /// The program that accepts duplicate keys and uses the last one, if it does.
    pub(super) last_duplicate_wins: Option<&'static str>,
    /// The texts, quoted or not, that are booleans where one is needed.
    pub(super) booleans: [&'static [&'static str]; 2],
}

/// A template in YAML.
pub(super) const TEMPLATE: Dialect = Dialect { text: yaml_1_1, ..JSON_TEMPLATE };

/// A template in JSON.
pub(super) const JSON_TEMPLATE: Dialect = Dialect {
    text: as_written,
    last_duplicate_wins: Some("CloudFormation"),
    booleans: [&["true", "True", "TRUE"], &["false", "False", "FALSE"]],
};

/// A file of the Serverless Framework.
pub(super) const FRAMEWORK: Dialect = Dialect { text: core_schema, ..OUTPUT };

/// Output of the AWS command line.
pub(super) const OUTPUT: Dialect =
    Dialect { text: as_written, last_duplicate_wins: None, booleans: [&["true"], &["false"]] };

impl Dialect {
    /// Returns the dialect of a template.
    pub(super) fn of_template(text: &str) -> &'static Dialect {
        let text = text.trim_start_matches('\u{feff}');
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if is_json { &JSON_TEMPLATE } else { &TEMPLATE }
    }

    /// Gives each unquoted scalar of a tree the text that it has where a string is needed. The text in the file stays
    /// its source form.
    pub(super) fn apply(&self, node: &mut Node) {
        match &mut node.value {
            Value::Scalar(scalar) if scalar.is_plain && !scalar.is_null() => {
                if let Some(text) = (self.text)(&scalar.text).filter(|text| **text != *scalar.text) {
                    *scalar = Scalar::expanded(&scalar.text, vec![Piece::OfFile(text)]);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Map(members) => members.iter_mut().for_each(|(_, member)| self.apply(member)),
            Value::Scalar(_) | Value::Unknown(_) => {}
        }
    }
}

fn as_written(_: &str) -> Option<String> {
    None
}

fn yaml_1_1(text: &str) -> Option<String> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some("true".to_owned()),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some("false".to_owned()),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let (sign, digits) = signed(text);
    // Of any length.
    if digits.starts_with(|c: char| matches!(c, '1'..='9')) && is_made_of(digits, |c| c == '_' || c.is_ascii_digit()) {
        return Some(format!("{sign}{}", digits.replace('_', "")));
    }
    if let Some(integer) = yaml_1_1_integer(digits) {
        return Some(if integer == 0 { "0".to_owned() } else { format!("{sign}{integer}") });
    }
    yaml_1_1_float(digits).map(|float| format!("{sign}{}", of_java(float)))
}

/// Binary, octal, hexadecimal, sexagesimal, or zero.
fn yaml_1_1_integer(digits: &str) -> Option<u128> {
    let value = |digits: &str, radix| u128::from_str_radix(&digits.replace('_', ""), radix).ok();
    let is = |digits: &str, radix| is_made_of(digits, |c| c == '_' || c.is_digit(radix));
    if let Some(digits) = digits.strip_prefix("0b").filter(|digits| is(digits, 2)) {
        return value(digits, 2);
    }
    if let Some(digits) = digits.strip_prefix("0x").filter(|digits| is(digits, 16)) {
        return value(digits, 16);
    }
    if let Some(digits) = digits.strip_prefix('0').filter(|digits| is(digits, 8)) {
        return value(digits, 8);
    }
    if digits == "0" {
        return Some(0);
    }
    let (first, sixtieths) = digits.split_once(':')?;
    let first = Some(first).filter(|first| is(first, 10) && !first.starts_with(['0', '_']))?;
    sixtieths
        .split(':')
        .try_fold(value(first, 10)?, |sum, digits| sum.checked_mul(60)?.checked_add(sixtieth(digits)?.into()))
}

/// `[0-5]?[0-9]`
fn sixtieth(digits: &str) -> Option<u8> {
    let is_one = is_made_of(digits, |c| c.is_ascii_digit()) && digits.len() <= 2;
    digits.parse().ok().filter(|number| is_one && *number < 60)
}

fn yaml_1_1_float(digits: &str) -> Option<f64> {
    let is = |digits: &str| is_made_of(digits, |c| c == '_' || c.is_ascii_digit());
    if let Some((whole, fraction)) = digits.split_once('.').filter(|(whole, _)| whole.contains(':')) {
        let mut parts = whole.split(':');
        let first = parts.next().filter(|first| is(first) && first.starts_with(|c: char| c.is_ascii_digit()))?;
        let seconds = parts.try_fold(first.replace('_', "").parse::<f64>().ok()?, |sum, digits| {
            Some(sum * 60.0 + f64::from(sixtieth(digits)?))
        })?;
        let fraction = Some(fraction).filter(|fraction| fraction.is_empty() || is(fraction))?.replace('_', "");
        return Some(seconds + format!("0.{fraction}").parse::<f64>().ok()?);
    }
    decimal(digits, is).and_then(|()| digits.replace('_', "").parse().ok())
}

/// YAML 1.2 section 10.3, without infinity and NaN.
fn core_schema(text: &str) -> Option<String> {
    match text {
        "True" | "TRUE" => return Some("true".to_owned()),
        "False" | "FALSE" => return Some("false".to_owned()),
        _ => {}
    }
    let (sign, digits) = signed(text);
    let with = |radix: u32| {
        move |digits: &str| {
            let value = |sum: f64, c: char| Some(sum * f64::from(radix) + f64::from(c.to_digit(radix)?));
            digits.chars().try_fold(0.0, value).filter(|_| !digits.is_empty())
        }
    };
    let number = match digits.get(..2) {
        Some("0b") => digits.get(2..).and_then(with(2)),
        Some("0o") => digits.get(2..).and_then(with(8)),
        Some("0x") => digits.get(2..).and_then(with(16)),
        // `-.5` is a text.
        _ if digits.starts_with('.') && digits.len() < text.len() => None,
        _ => decimal(digits, |digits| is_made_of(digits, |c| c.is_ascii_digit())).and_then(|()| digits.parse().ok()),
    };
    let number = number.filter(|number: &f64| number.is_finite())?;
    Some(if number == 0.0 { "0".to_owned() } else { format!("{sign}{}", of_javascript(number)) })
}

/// Returns the sign if it is `-`, and the text behind the sign.
fn signed(text: &str) -> (&str, &str) {
    match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Checks for `1`, `1.`, `1.5` or `.5`, with or without an exponent.
fn decimal(text: &str, are_digits: impl Fn(&str) -> bool) -> Option<()> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(signed(exponent).1)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_mantissa = match (whole, fraction) {
        ("", fraction) => is_made_of(fraction, |c| c.is_ascii_digit()),
        (whole, fraction) => are_digits(whole) && (fraction.is_empty() || are_digits(fraction)),
    };
    let is_exponent = exponent.is_none_or(|exponent| is_made_of(exponent, |c| c.is_ascii_digit()));
    (is_mantissa && is_exponent).then_some(())
}

fn is_made_of(text: &str, is: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is)
}

/// Java's `Double.toString` of a number that is not negative.
fn of_java(number: f64) -> String {
    let with_fraction = |text: String| if text.contains('.') { text } else { format!("{text}.0") };
    if number == 0.0 || (1e-3..1e7).contains(&number) {
        return with_fraction(number.to_string());
    }
    match format!("{number:e}").split_once('e') {
        Some((mantissa, exponent)) => format!("{}E{exponent}", with_fraction(mantissa.to_owned())),
        None => number.to_string(),
    }
}

/// JavaScript's `String` of a positive number.
fn of_javascript(number: f64) -> String {
    match format!("{number:e}").split_once('e') {
        Some((mantissa, exponent)) if !(1e-6..1e21).contains(&number) => {
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{mantissa}e{sign}{exponent}")
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: fn(&str) -> Option<String>, written: &str) -> String {
        text(written).unwrap_or_else(|| written.to_owned())
    }

    #[test]
    fn cloudformation_reads_yaml_1_1_and_writes_numbers_as_java_does() {
        for (written, text) in [
            ("yes", "true"),
            ("On", "true"),
            ("TRUE", "true"),
            ("OFF", "false"),
            ("no", "false"),
            ("y", "y"),
            ("N", "N"),
            ("yES", "yES"),
            ("010", "8"),
            ("0300", "192"),
            ("-010", "-8"),
            ("00", "0"),
            ("-0", "0"),
            ("+7", "7"),
            ("08", "8.0"),
            ("012345678901", "1.2345678901E10"),
            ("0x1F", "31"),
            ("0x_", "0x_"),
            ("0b101", "5"),
            ("0o17", "0o17"),
            ("1_000", "1000"),
            ("12:30:45", "45045"),
            ("1:30", "90"),
            ("01:30", "01:30"),
            ("1:60", "1:60"),
            ("1:30.5", "90.5"),
            ("1.10", "1.1"),
            ("1.0", "1.0"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("1e3", "1000.0"),
            ("500000000.0", "5.0E8"),
            ("12345e67", "1.2345E71"),
            ("0.0001", "1.0E-4"),
            ("1_0.5_0", "10.5"),
            ("123456789012", "123456789012"),
            ("2012-10-17", "2012-10-17"),
            ("2012-10-17T01:02:03Z", "2012-10-17T01:02:03Z"),
            ("1.2.3", "1.2.3"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            (".inf", ".inf"),
            (".", "."),
            ("-", "-"),
            ("e3", "e3"),
            ("1e", "1e"),
            ("99999999999999999999999999999999999999999", "99999999999999999999999999999999999999999"),
        ] {
            assert_eq!(read(yaml_1_1, written), text, "{written}");
        }
    }

    #[test]
    fn the_framework_reads_the_core_schema_and_writes_numbers_as_javascript_does() {
        for (written, text) in [
            ("True", "true"),
            ("FALSE", "false"),
            ("yes", "yes"),
            ("off", "off"),
            ("1.0", "1"),
            ("1.10", "1.1"),
            ("1.", "1"),
            (".5", "0.5"),
            ("-.5", "-.5"),
            ("1e3", "1000"),
            ("1e21", "1e+21"),
            ("1.5E-7", "1.5e-7"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("0b11", "3"),
            ("0x", "0x"),
            ("010", "10"),
            ("012345678901", "12345678901"),
            ("12345678901234567890", "12345678901234567000"),
            ("+7", "7"),
            ("-0", "0"),
            ("1_000", "1_000"),
            ("12:30:45", "12:30:45"),
            ("2020-01-02", "2020-01-02"),
            (".inf", ".inf"),
            ("1.2.3", "1.2.3"),
            ("é", "é"),
        ] {
            assert_eq!(read(core_schema, written), text, "{written}");
        }
    }
}
