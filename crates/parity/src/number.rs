//! Formats numbers for people. Reports, gates and the inspector share this, so that the same figure looks the same
//! everywhere.

/// Formats a share between 0 and 1 as a percentage with two digits: `99.62 %`. Only 1 is `100 %` and only 0 is `0 %`;
/// other values are rounded to at most `99.99 %` and at least `0.01 %`.
pub fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    match text.as_str() {
        "100.00" if share < 1.0 => "99.99 %".to_owned(),
        "0.00" if share > 0.0 => "0.01 %".to_owned(),
        "100.00" => "100 %".to_owned(),
        "0.00" => "0 %".to_owned(),
        _ => text + " %",
    }
}

/// Formats milliseconds with two or three digits and a suitable unit: `8.2 ms`, `412 ms`, `1.25 s`.
pub fn milliseconds(number: f64) -> String {
    match number {
        _ if number < 9.95 => format!("{number:.1} ms"),
        _ if number < 999.5 => format!("{number:.0} ms"),
        _ => format!("{:.2} s", number / 1000.0),
    }
}

/// Formats a count with its digits in groups of three: `5,120`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [1.0, 0.999_99, 0.995, 0.000_01, 0.0].map(percent),
            ["100 %", "99.99 %", "99.50 %", "0.01 %", "0 %"]
        );
        assert_eq!([0.25, 41.4, 999.6].map(milliseconds), ["0.2 ms", "41 ms", "1.00 s"]);
    }
}
