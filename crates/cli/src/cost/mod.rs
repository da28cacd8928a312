//! The cost of Crossfade in a month, next to NGINX: the model of `crossfade cost`.
//!
//! `usage` is what it is calculated from, `estimate` the items of the bill, `alternative` NGINX and the break-even point. These three are pure, and
//! total: any number gives an estimate. `quantity` reads numbers with units, `log` measures a log, `text` prints. Prices are in `crate::prices`.

pub(crate) mod alternative;
pub(crate) mod estimate;
pub(crate) mod log;
pub(crate) mod quantity;
mod report_lines;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod usage;
