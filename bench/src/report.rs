//! The tables in Markdown. It owns the format of figures and the ratios between series, and measures nothing.

use crate::cold::Cold;
use crate::counts::Instructions;
use crate::function::{ECHO_FLOOR, RAW_FLOOR, RAW_PROXY};
use crate::warm::{DIRECT, Sample, Series, median};

/// The counts for one function; those that could not be taken are empty.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// System calls a small GET.
    pub system_calls: Option<f64>,
    /// System calls a GET of 700 KiB.
    pub system_calls_large: Option<f64>,
    /// Instructions at start and a small GET.
    pub instructions: Option<Instructions>,
    /// Size of the package in bytes.
    pub zip: Option<u64>,
}

/// The table of the small GET.
#[must_use]
pub fn warm_table(series: &[Series], counts: &[(&'static str, Counts)]) -> String {
    let mut table = String::from(
        "| function | p50 µs | cycle µs | CPU µs | requests/s | x latency | x CPU | / (raw-floor + direct) | peak RSS MiB | instructions | system calls |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for one in series {
        let samples = match &one.samples {
            Ok(samples) => samples,
            Err(problem) => {
                table.push_str(&format!("| {} | wrong answer: {problem} | | | | | | | | | |\n", one.name));
                continue;
            }
        };
        let over = |pick: fn(&Sample) -> f64| median(samples.iter().map(pick).collect());
        let counted =
            counts.iter().find(|(name, _)| *name == one.name).map_or(Counts::default(), |(_, counts)| *counts);
        let cells = [
            figure(over(|s| s.latency), 1),
            figure(over(|s| s.cycle), 1),
            figure(over(|s| s.cpu), 1),
            figure(1e6 / over(|s| s.cycle), 0),
            figure(ratio(samples, series, &[RAW_PROXY], |s| s.latency), 2),
            figure(ratio(samples, series, &[RAW_PROXY], |s| s.cpu), 2),
            figure(ratio(samples, series, &[RAW_FLOOR, DIRECT], |s| s.latency), 2),
            figure(one.peak_kib.map_or(f64::NAN, |kib| kib as f64 / 1024.0), 1),
            figure(counted.instructions.map_or(f64::NAN, |i| i.per_request as f64 / 1e3), 1) + " k",
            figure(counted.system_calls.unwrap_or(f64::NAN), 1),
        ];
        table.push_str(&format!("| {} | {} |\n", one.name, cells.join(" | ").replace("- k", "-")));
    }
    table
}

/// The table of larger bodies: for each exchange p50 with the ratios to `raw-proxy` of latency and CPU.
#[must_use]
pub fn bodies_table(exchanges: &[(&'static str, Vec<Series>)], counts: &[(&'static str, Counts)]) -> String {
    let names: Vec<&str> = exchanges.iter().map(|(name, _)| *name).collect();
    let mut table = format!(
        "| function | {} | peak RSS MiB | system calls, 700 KiB |\n|---|{}--:|--:|\n",
        names.join(" | "),
        "--:|".repeat(names.len())
    );
    let Some((_, last)) = exchanges.last() else { return table };
    for (at, row) in last.iter().enumerate() {
        // They answer a constant, whatever they are asked.
        if [RAW_FLOOR, ECHO_FLOOR].contains(&row.name) {
            continue;
        }
        let mut cells = vec![row.name.to_owned()];
        for (_, series) in exchanges {
            cells.push(match &series[at].samples {
                Err(_) => "wrong answer".to_owned(),
                Ok(samples) => format!(
                    "{} ({}/{})",
                    figure(median(samples.iter().map(|s| s.latency).collect()), 0),
                    figure(ratio(samples, series, &[RAW_PROXY], |s| s.latency), 2),
                    figure(ratio(samples, series, &[RAW_PROXY], |s| s.cpu), 2)
                ),
            });
        }
        cells.push(figure(row.peak_kib.map_or(f64::NAN, |kib| kib as f64 / 1024.0), 1));
        let counted = counts.iter().find(|(name, _)| *name == row.name);
        cells.push(figure(counted.and_then(|(_, counts)| counts.system_calls_large).unwrap_or(f64::NAN), 1));
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

/// The table of cold starts, with ratios to `echo-floor`.
#[must_use]
pub fn cold_table(cold: &[(&'static str, Cold)], counts: &[(&'static str, Counts)]) -> String {
    let mut table = String::from(
        "| function | init ms | start to 1st answer ms | x init | x 1st answer | instructions to 1st answer | zip -9 KiB |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    let floor = cold.iter().find(|(name, _)| *name == ECHO_FLOOR).map(|(_, cold)| *cold);
    for (name, one) in cold {
        let counted = counts.iter().find(|(known, _)| known == name).map_or(Counts::default(), |(_, counts)| *counts);
        let cells = [
            figure(one.init, 2),
            figure(one.first_answer, 2),
            figure(floor.map_or(f64::NAN, |floor| one.init / floor.init), 2),
            figure(floor.map_or(f64::NAN, |floor| one.first_answer / floor.first_answer), 2),
            figure(counted.instructions.map_or(f64::NAN, |i| i.to_first_answer as f64 / 1e6), 2) + " M",
            figure(counted.zip.map_or(f64::NAN, |bytes| bytes as f64 / 1024.0), 0),
        ];
        table.push_str(&format!("| {name} | {} |\n", cells.join(" | ").replace("- M", "-")));
    }
    table
}

/// The median over rounds of this function's figure divided by the sum of the others' in the same round.
fn ratio(samples: &[Sample], series: &[Series], others: &[&str], pick: fn(&Sample) -> f64) -> f64 {
    let bases: Option<Vec<&Vec<Sample>>> =
        others.iter().map(|name| series.iter().find(|one| one.name == *name)?.samples.as_ref().ok()).collect();
    let Some(bases) = bases else { return f64::NAN };
    let per_round = samples.iter().enumerate().map(|(round, sample)| {
        let base: f64 = bases.iter().map(|base| base.get(round).map_or(f64::NAN, pick)).sum();
        pick(sample) / base
    });
    median(per_round.collect())
}

/// A figure with so many decimal places; a dash for a missing one.
#[must_use]
pub fn figure(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &'static str, latencies: &[f64]) -> Series {
        let samples = latencies.iter().map(|&latency| Sample { latency, cycle: latency, cpu: f64::NAN });
        Series { name, samples: Ok(samples.collect()), peak_kib: None }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was ten times slower in the second round; the function is twice the proxy in each.
        let all = [series(RAW_PROXY, &[10.0, 100.0, 10.0]), series("x", &[20.0, 200.0, 20.0])];
        let samples = all[1].samples.as_ref().unwrap();
        assert_eq!(ratio(samples, &all, &[RAW_PROXY], |s| s.latency), 2.0);
        assert!(ratio(samples, &all, &["absent"], |s| s.latency).is_nan());
    }

    #[test]
    fn a_wrong_answer_has_no_figure() {
        let wrong = Series { samples: Err("status 500".to_owned()), ..series("article", &[]) };
        let table = warm_table(&[wrong], &[]);
        assert!(table.ends_with("| article | wrong answer: status 500 | | | | | | | | | |\n"), "{table}");
    }
}
