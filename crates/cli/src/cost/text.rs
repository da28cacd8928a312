//! A cost as a table that is read in ten seconds, and the figures in words.

use std::fmt::Write as _;

use crossfade_parity::number::grouped;

use super::alternative::{Alternative, BreakEven};
use super::estimate::{Estimate, Item};
use crate::prices::{DATE, Region};

const BOLD: &str = "1";
const DIM: &str = "2";

/// Columns of a text that is filled.
const WIDTH: usize = 100;

/// Further parts of the text. All texts are printable.
pub(crate) struct Context<'c> {
    pub(crate) region: Region,
    pub(crate) requests: f64,
    /// Assumptions, each with its option.
    pub(crate) assumed: &'c [(String, &'static str)],
    pub(crate) not_included: &'c [&'static str],
    pub(crate) has_colours: bool,
}

impl Context<'_> {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.has_colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The whole text.
pub(crate) fn text(estimate: &Estimate, alternatives: &[Alternative], context: &Context<'_>) -> String {
    let heading = format!("{} requests per month in {}", amount(context.requests), context.region.name());
    let note = context.paint(DIM, &format!("USD per month at the prices of {DATE}"));
    let mut text = format!("{}\n{note}\n\n", context.paint(BOLD, &heading));
    for item in &estimate.items {
        text.push_str(&row(item, context));
    }
    text.push_str(&context.paint(BOLD, &format!("{:<75} {:>12}", "Crossfade", usd(estimate.usd))));
    text.push_str("\n\n");
    let _ = writeln!(text, "{:<63}   Crossfade is cheaper", "NGINX behind the load balancer instead, in two zones");
    for Alternative { name, usd: cost, break_even, .. } in alternatives {
        let until = match break_even {
            BreakEven::Never => "at no number of requests".to_owned(),
            BreakEven::At(requests) => format!("below {} requests per month", rounded(*requests)),
            BreakEven::Above(requests) => format!("above {} requests per month", rounded(*requests)),
            BreakEven::Between(from, to) => format!("from {} to {} requests per month", rounded(*from), rounded(*to)),
            BreakEven::Always => "at any number of requests".to_owned(),
        };
        let _ = writeln!(text, "  {name:<48} {:>12}   {until}", usd(*cost));
    }
    text.push_str("\nDue either way, and not in the sums:\n");
    for item in &estimate.apart {
        text.push_str(&row(item, context));
    }
    if !context.assumed.is_empty() {
        text.push_str("\nAssumed, unless an option says otherwise:\n");
        for (value, option) in context.assumed {
            let _ = writeln!(text, "  {value:<68} {}", context.paint(DIM, option));
        }
    }
    text.push('\n');
    text.push_str(&filled(&format!("Not included: {}.", context.not_included.join("; "))));
    if let Some(note) = unchecked(estimate, alternatives, context.region) {
        text.push_str(&filled(&note));
    }
    text
}

fn row(item: &Item, context: &Context<'_>) -> String {
    let quantity = format!("{} {}", amount(item.quantity), item.unit);
    let price = format!("{} per {}", price(item.price), item.per);
    let detail = item.detail.as_ref().map(|detail| format!("   {}", context.paint(DIM, detail))).unwrap_or_default();
    format!("  {:<26} {:>18} x {:<25} {:>12}{detail}\n", item.name, quantity.trim_end(), price, usd(item.usd))
}

/// Names the prices that were not verified.
fn unchecked(estimate: &Estimate, alternatives: &[Alternative], region: Region) -> Option<String> {
    let others = alternatives.iter().flat_map(|alternative| &alternative.items);
    let mut items = estimate.items.iter().chain(&estimate.apart).chain(others).filter(|item| item.is_unchecked());
    let first = items.next()?;
    if region != Region::UsEast1 {
        return Some(format!(
            "Check the prices of {} against AWS's price list: only those of us-east-1 were verified in 2026.",
            region.name()
        ));
    }
    let mut names = vec![first.name];
    names.extend(items.map(|item| item.name));
    names.sort_unstable();
    names.dedup();
    Some(format!("Not verified in 2026; check these prices against AWS's price list: {}.", names.join(", ")))
}

/// Lines of at most [`WIDTH`] columns.
fn filled(text: &str) -> String {
    let mut lines = String::new();
    let mut length = 0_usize;
    for word in text.split(' ') {
        let width = word.chars().count();
        if length > 0 && length.saturating_add(width) >= WIDTH {
            lines.push('\n');
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length = length.saturating_add(1);
        }
        lines.push_str(word);
        length = length.saturating_add(width);
    }
    lines + "\n"
}

/// Dollars: cents, and no fewer than two digits of something small.
pub(crate) fn usd(dollars: f64) -> String {
    if dollars > 0.0 && dollars < 0.005 {
        return "< 0.01".to_owned();
    }
    if dollars >= 1e10 {
        return format!("{dollars:.2e}");
    }
    let cents = format!("{dollars:.2}");
    let (whole, rest) = cents.split_once('.').unwrap_or((&cents, "00"));
    format!("{}.{rest}", whole.parse().map_or_else(|_| whole.to_owned(), grouped))
}

/// A price with all its digits, but no fewer than two decimals.
fn price(dollars: f64) -> String {
    let text = if dollars < 0.01 { format!("{dollars:.10}") } else { format!("{dollars:.6}") };
    let text = text.trim_end_matches('0');
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    format!("{text}{}", "0".repeat(2_usize.saturating_sub(decimals)))
}

/// A quantity with three digits at least.
pub(crate) fn amount(number: f64) -> String {
    match number {
        _ if !number.is_finite() || number >= 1e11 => format!("{number:.2e}"),
        _ if number >= 100.0 || number == number.trunc() => grouped(number.round() as u64),
        _ if number >= 1.0 => format!("{number:.2}"),
        _ if number >= 0.001 => format!("{number:.4}"),
        _ => format!("{number:.1e}"),
    }
}

/// A number of requests as a person says it: `31 million`.
pub(crate) fn rounded(number: f64) -> String {
    let units = [(1.0, ""), (1e3, ",000"), (1e6, " million"), (1e9, " billion")];
    let text = |unit: f64| {
        let number = number / unit;
        if number < 9.95 && unit > 1e3 { format!("{number:.1}") } else { format!("{number:.0}") }
    };
    // A number of which the printed digits are 1,000 needs the next unit.
    let fits = |(unit, _): &&(f64, &str)| number / unit < 999.5;
    let (unit, name) = units.iter().find(fits).copied().unwrap_or((1e9, " billion"));
    format!("{}{name}", text(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_not_wrong() {
        let found = [0.0, 0.004, 0.005, 1.0, 1.256, 1234.5, 1e15].map(usd);
        assert_eq!(found, ["0.00", "< 0.01", "0.01", "1.00", "1.26", "1,234.50", "1.00e15"]);
        assert_eq!(
            [0.2, 0.000_016_666_7, 0.0225, 3.5, 0.0].map(price),
            ["0.20", "0.0000166667", "0.0225", "3.50", "0.00"]
        );
        let found = [0.0, 12.0, 0.151, 3.7, 87_600.0, 1234.6, 1e-5, 1e18, f64::NAN].map(amount);
        assert_eq!(found, ["0", "12", "0.1510", "3.70", "87,600", "1,235", "1.0e-5", "1.00e18", "NaN"]);
        assert_eq!(
            [31.4e6, 2.26e6, 999.0, 12_345.0, 1.5e9].map(rounded),
            ["31 million", "2.3 million", "999", "12,000", "1.5 billion"]
        );
        assert_eq!(
            [999.4, 999.5, 999_499.0, 999_500.0, 9.96e6, 999.6e6, 4e12, 0.0].map(rounded),
            ["999", "1,000", "999,000", "1.0 million", "10 million", "1.0 billion", "4000 billion", "0"]
        );
    }
}
