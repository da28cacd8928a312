//! The charts of the page, as SVG and without a line of script.
//!
//! Owns scales and shapes. Shapes are stretched to the width there is; labels are HTML beside them, so that they stay
//! readable on a phone. Nothing of a log is in a chart but numbers.

use std::fmt::Write;

use crossfade_parity::number::{grouped, milliseconds, percent};
use crossfade_parity::{Bucket, Latency, Percentiles, Timeline, share, wilson};

/// Units of a plot, whatever its size on the screen.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 300.0;
/// Most points of parity over time, and how many comparisons one should stand for.
const POINTS: u64 = 40;
const SAMPLES_OF_POINT: u64 = 50;
/// The width of a label on the narrowest screen.
const LABEL: f64 = 80.0;
/// Points of a distribution.
const BINS: usize = 64;

/// Parity over time with its interval, and the threshold as a dashed line. Empty with nothing to show.
pub(crate) fn parity(timeline: &Timeline, threshold: f64) -> String {
    let (width, buckets) = merged(timeline);
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else { return String::new() };
    let (begin, end) = (first.begin, last.begin + width);
    let points = || buckets.iter().map(|bucket| (bucket.same, bucket.compared));
    // Room for the intervals, too, but not for that of a point that stands for two or three.
    let typical = wilson_of_typical(points());
    let lowest = points().map(|(same, compared)| share(same, compared)).fold(threshold.min(typical), f64::min);
    let floor = [0.998, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5].into_iter().find(|floor| *floor < lowest).unwrap_or(0.0);
    let x = |time: u64| share(time - begin, end - begin) * WIDTH;
    let y = |value: f64| (1.0 - (value.max(floor) - floor) / (1.0 - floor)) * HEIGHT;

    let mut svg = open("parity-chart", "Parity over time");
    let mut ticks = String::new();
    for step in 0..=4 {
        let value = floor + (1.0 - floor) * f64::from(step) / 4.0;
        let _ = write!(svg, r#"<line class="grid" x1="0" x2="{WIDTH}" y1="{0:.1}" y2="{0:.1}"/>"#, y(value));
        let digits = if floor >= 0.99 { 2 } else { 1 };
        let _ =
            write!(ticks, r#"<span style="top:{:.2}%">{:.digits$} %</span>"#, y(value) / HEIGHT * 100.0, value * 100.0);
    }
    for run in buckets.chunk_by(|a, b| a.begin + width == b.begin) {
        let middle = |bucket: &Bucket| x(bucket.begin) + x(begin + width) / 2.0;
        let (mut upper, mut lower, mut line) = (String::new(), Vec::new(), String::new());
        for bucket in run {
            let (low, high) = wilson(bucket.same, bucket.compared);
            let at = middle(bucket);
            let _ = write!(upper, "{at:.1},{:.1} ", y(high));
            lower.push(format!("{at:.1},{:.1}", y(low)));
            let _ = write!(line, "{at:.1},{:.1} ", y(share(bucket.same, bucket.compared)));
        }
        lower.reverse();
        let _ = write!(svg, r#"<polygon class="band" points="{upper}{}"/>"#, lower.join(" "));
        // A line from a point to itself is a dot.
        let dot = if run.len() == 1 { line.clone() } else { String::new() };
        let _ = write!(svg, r#"<polyline class="line" points="{line}{dot}"/>"#);
    }
    let _ = write!(svg, r#"<line class="threshold" x1="0" x2="{WIDTH}" y1="{0:.1}" y2="{0:.1}"/>"#, y(threshold));
    for bucket in &buckets {
        let _ = write!(
            svg,
            r#"<rect class="touch" x="{:.1}" y="0" width="{:.1}" height="{HEIGHT}"><title>{} UTC: {} of {} compared</title></rect>"#,
            x(bucket.begin),
            x(begin + width),
            clock(bucket.begin, end - begin),
            percent(share(bucket.same, bucket.compared)),
            grouped(bucket.compared)
        );
    }
    svg += "</svg>";
    let mut times = String::new();
    for step in 0..=4 {
        let time = begin + (end - begin) * step / 4;
        let _ =
            write!(times, r#"<span style="left:{:.2}%">{}</span>"#, x(time) / WIDTH * 100.0, clock(time, end - begin));
    }
    plot(&ticks, &svg, &times, "Time, UTC")
}

/// How long both systems took: two densities over a logarithmic axis, with the percentiles of each.
pub(crate) fn latency(id: &str, latency: &Latency) -> String {
    let (old, new) = &latency.histograms;
    let ends = [old, new].map(|histogram| (histogram.percentile(0.002), histogram.percentile(0.998)));
    let low = ends.iter().filter_map(|(low, _)| *low).fold(f64::INFINITY, f64::min) / 1.25;
    let high = ends.iter().filter_map(|(_, high)| *high).fold(0.0, f64::max) * 1.25;
    if !(low > 0.0 && low < high && high.is_finite()) {
        return String::new();
    }
    let x = |value: f64| ((value / low).ln() / (high / low).ln()).clamp(0.0, 1.0) * WIDTH;
    let curves = [old, new].map(|histogram| density(histogram.buckets().map(|(value, count)| (x(value), count))));
    let peak = curves.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);

    let mut svg = open(id, "Distribution of the latency of both systems");
    let mut ticks = String::new();
    for value in decades(low, high) {
        let _ = write!(svg, r#"<line class="grid" x1="{0:.1}" x2="{0:.1}" y1="0" y2="{HEIGHT}"/>"#, x(value));
        let _ = write!(ticks, r#"<span style="left:{:.2}%">{}</span>"#, x(value) / WIDTH * 100.0, short(value));
    }
    for (side, curve) in ["old", "new"].iter().zip(&curves) {
        let mut points = format!("0,{HEIGHT} ");
        for (at, value) in (0_u32..).zip(curve) {
            let _ = write!(points, "{:.1},{:.1} ", step(at), HEIGHT * (1.0 - 0.92 * value / peak));
        }
        let _ = write!(svg, r#"<polygon class="area {side}" points="{points}{WIDTH},{HEIGHT}"/>"#);
    }
    let mut labels = String::new();
    for (side, name, percentiles) in [("old", "old", &latency.primary), ("new", "new", &latency.mirror)] {
        let _ = write!(labels, r#"<p class="marks {side}"><b>{name}</b>"#);
        let mut labelled = f64::NEG_INFINITY;
        for (label, value) in marks(percentiles) {
            let at = x(value);
            let _ = write!(
                svg,
                r#"<line class="mark {side}" x1="{at:.1}" x2="{at:.1}" y1="0" y2="{HEIGHT}"><title>{name} {label}: {}</title></line>"#,
                milliseconds(value)
            );
            // One that would stand on another's place is left out; the line has its name.
            if at >= labelled + LABEL {
                let _ = write!(labels, r#"<span style="left:{:.2}%">{label}</span>"#, at / WIDTH * 100.0);
                labelled = at;
            }
        }
        labels += "</p>";
    }
    svg += "</svg>";
    labels + &plot("", &svg, &ticks, "Milliseconds, logarithmic")
}

/// A bar for a share of the largest one.
pub(crate) fn bar(class: &str, value: f64, largest: f64) -> String {
    // What is there is seen.
    let width = if value > 0.0 { (value / largest * 100.0).clamp(0.6, 100.0) } else { 0.0 };
    format!(
        r#"<svg class="bar {class}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="{width:.1}" height="8"/></svg>"#
    )
}

fn open(id: &str, title: &str) -> String {
    format!(
        r#"<svg id="{id}" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{title}"><title>{title}</title>"#
    )
}

fn plot(y: &str, svg: &str, x: &str, axis: &str) -> String {
    let class = if y.is_empty() { "plot" } else { "plot scaled" };
    format!(
        r#"<div class="{class}"><div class="y" aria-hidden="true">{y}</div>{svg}<div class="x" aria-hidden="true">{x}</div></div><p class="axis">{axis}</p>"#
    )
}

/// Buckets wide enough for a line that says something, and their width.
fn merged(timeline: &Timeline) -> (u64, Vec<Bucket>) {
    let (Some(first), Some(last)) = (timeline.buckets.first(), timeline.buckets.last()) else {
        return (timeline.seconds, Vec::new());
    };
    let compared: u64 = timeline.buckets.iter().map(|bucket| bucket.compared).sum();
    let points = (compared / SAMPLES_OF_POINT).clamp(1, POINTS);
    let spanned = (last.begin - first.begin) / timeline.seconds + 1;
    let width = timeline.seconds * spanned.div_ceil(points);
    let mut merged = Vec::<Bucket>::new();
    for bucket in &timeline.buckets {
        let begin = first.begin + (bucket.begin - first.begin) / width * width;
        match merged.last_mut().filter(|last| last.begin == begin) {
            Some(last) => {
                last.compared += bucket.compared;
                last.same += bucket.same;
            }
            None => merged.push(Bucket { begin, compared: bucket.compared, same: bucket.same }),
        }
    }
    (width, merged)
}

/// Shares in bins over the width of a plot, smoothed so that two curves can be compared.
fn density(values: impl Iterator<Item = (f64, u64)>) -> Vec<f64> {
    let mut bins = vec![0.0; BINS];
    let mut sum = 0.0;
    for (at, count) in values {
        let bin = ((at / WIDTH * BINS as f64) as usize).min(BINS - 1);
        if let Some(bin) = bins.get_mut(bin) {
            *bin += count as f64;
        }
        sum += count as f64;
    }
    for _ in 0..3 {
        let before = |at: usize, bins: &[f64]| bins.get(at).copied().unwrap_or_default();
        bins = (0..BINS)
            .map(|at| {
                let left = at.checked_sub(1).map_or(0.0, |at| before(at, &bins));
                (left + 2.0 * before(at, &bins) + before(at + 1, &bins)) / 4.0
            })
            .collect();
    }
    bins.iter().map(|bin| bin / f64::max(sum, 1.0)).collect()
}

fn step(at: u32) -> f64 {
    (f64::from(at) + 0.5) / BINS as f64 * WIDTH
}

/// The lower end of the interval of all points together, had they as many comparisons as one has on average.
fn wilson_of_typical(points: impl Iterator<Item = (u64, u64)>) -> f64 {
    let (same, compared, count) =
        points.fold((0, 0, 0), |(same, compared, count), point| (same + point.0, compared + point.1, count + 1));
    wilson(same / u64::max(count, 1), compared / u64::max(count, 1)).0
}

fn marks(percentiles: &Percentiles) -> [(&'static str, f64); 3] {
    [("p50", percentiles.p50), ("p95", percentiles.p95), ("p99", percentiles.p99)]
}

/// Round numbers on a logarithmic axis: 1, 2, 5, 10, and so on, or only the tens over a wide range.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let steps: &[f64] = if high / low > 300.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let all = (-2..=7).flat_map(|power| steps.iter().map(move |step| step * 10.0_f64.powi(power)));
    all.filter(|value| (low..=high).contains(value)).collect()
}

fn short(value: f64) -> String {
    if value >= 1000.0 { format!("{} s", value / 1000.0) } else { format!("{value}") }
}

/// The last second of the year 9999: later ones have no date (RFC 3339). Seconds since 1970.
const LAST_SECOND: u64 = 253_402_300_799;

/// A time as the span needs it. The end of a bucket can be later than any record.
fn clock(seconds: u64, span: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.min(LAST_SECOND));
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let part = match span {
        0..600 => text.get(11..19),
        600..=86_400 => text.get(11..16),
        _ => text.get(5..10),
    };
    part.unwrap_or_default().to_owned()
}
