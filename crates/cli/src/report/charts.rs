//! The charts of the page, as SVG without scripts.
//!
//! Owns scales and shapes; `axis` owns the times of a time axis. Shapes stretch to the available width; labels are separate HTML, so that they stay readable on a phone.
//! Numbers are the only content of a log in a chart.

mod axis;

use std::fmt::Write;

use crossfade_parity::number::{grouped, milliseconds, percent};
use crossfade_parity::{Bucket, Latency, Percentiles, Timeline, share, wilson};
use maud::{Markup, html};

/// Size of a plot in SVG units, whatever its size on the screen.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 300.0;
/// Maximum number of points of parity over time, and the desired number of comparisons per point.
const POINTS: u64 = 40;
const SAMPLES_OF_POINT: u64 = 50;
/// Width in pixels of a plot on a phone, and of the narrowest one elsewhere.
const PHONE: f64 = 200.0;
const COLUMN: f64 = 320.0;
/// Widths in pixels of a character of a label, of the gap to the next label, of the room beside a plot, and of that for its scale.
const CHARACTER: f64 = 7.0;
const GAP: f64 = 8.0;
const BESIDE: f64 = 28.0;
const SCALE: f64 = 50.0;
/// Points of a distribution.
const BINS: usize = 64;

/// Parity over time with its interval, and the threshold as a dashed line. `None` if nothing was compared.
pub(crate) fn parity(timeline: &Timeline, threshold: f64) -> Option<Markup> {
    let (width, buckets) = merged(timeline);
    let (begin, end) = (buckets.first()?.begin, buckets.last()?.begin + width);
    let points = || buckets.iter().map(|bucket| (bucket.same, bucket.compared));
    // Includes the intervals, except for points with only two or three comparisons.
    let typical = wilson_of_typical(points());
    let lowest = points().map(|(same, compared)| share(same, compared)).fold(threshold.min(typical), f64::min);
    let floor = [0.998, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5].into_iter().find(|floor| *floor < lowest).unwrap_or(0.0);
    let x = |time: u64| share(time - begin, end - begin) * WIDTH;
    let y = |value: f64| (1.0 - (value.max(floor) - floor) / (1.0 - floor)) * HEIGHT;
    let middle = |bucket: &Bucket| x(bucket.begin) + x(begin + width) / 2.0;
    let digits = if floor >= 0.99 { 2 } else { 1 };
    let steps = [0.0, 0.25, 0.5, 0.75, 1.0].map(|step| floor + (1.0 - floor) * step);
    let shapes = html! {
        @for value in steps { (horizontal("grid", y(value))) }
        @for run in buckets.chunk_by(|a, b| a.begin + width == b.begin) {
            @let upper = run.iter().map(|bucket| (middle(bucket), y(wilson(bucket.same, bucket.compared).1)));
            @let lower = run.iter().rev().map(|bucket| (middle(bucket), y(wilson(bucket.same, bucket.compared).0)));
            @let line = || run.iter().map(|bucket| (middle(bucket), y(share(bucket.same, bucket.compared))));
            // A line from a point to itself is a dot.
            @let dot = line().take(if run.len() == 1 { 1 } else { 0 });
            polygon.band points=(coordinates(upper.chain(lower))) {}
            polyline.line points=(coordinates(line().chain(dot))) {}
        }
        (horizontal("threshold", y(threshold)))
        @for bucket in &buckets {
            rect.touch x=(tenths(x(bucket.begin))) y="0" width=(tenths(x(begin + width))) height=(HEIGHT) {
                title {
                    (axis::moment(bucket.begin)) " UTC: " (percent(share(bucket.same, bucket.compared)))
                    " of " (grouped(bucket.compared)) " compared"
                }
            }
        }
    };
    let ticks = html! {
        @for value in steps {
            span style=(offset("top", y(value) / HEIGHT)) { (format_args!("{:.digits$} %", value * 100.0)) }
        }
    };
    let times = axis::times(begin, end);
    let labels = times.labels.into_iter().map(|(time, label)| (x(time), label)).collect();
    let caption = times.day.map_or("Time, UTC".to_owned(), |day| format!("{day}, UTC"));
    Some(plot(Some(ticks), svg("parity-chart", "Parity over time", shapes), labels, &caption))
}

/// The latency of both systems: two densities over a logarithmic axis, with the percentiles of each. Empty if all values are
/// equal.
pub(crate) fn latency(id: &str, latency: &Latency) -> Markup {
    let (old, new) = &latency.histograms;
    let ends = [old, new].map(|histogram| (histogram.percentile(0.002), histogram.percentile(0.998)));
    let low = ends.iter().filter_map(|(low, _)| *low).fold(f64::INFINITY, f64::min) / 1.25;
    let high = ends.iter().filter_map(|(_, high)| *high).fold(0.0, f64::max) * 1.25;
    if !(low > 0.0 && low < high && high.is_finite()) {
        return html! {};
    }
    let x = |value: f64| ((value / low).ln() / (high / low).ln()).clamp(0.0, 1.0) * WIDTH;
    let curves = [old, new].map(|histogram| density(histogram.buckets().map(|(value, count)| (x(value), count))));
    let peak = curves.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    let point = |(at, value): (u32, &f64)| (step(at), HEIGHT * (1.0 - 0.92 * value / peak));
    let sides = [("old", &latency.primary), ("new", &latency.mirror)];
    let decades = decades(low, high);
    let shapes = html! {
        @for value in &decades { (vertical("grid", x(*value), None)) }
        @for (side, curve) in ["old", "new"].iter().zip(&curves) {
            @let outline = [(0.0, HEIGHT)].into_iter().chain((0..).zip(curve).map(point)).chain([(WIDTH, HEIGHT)]);
            polygon class={ "area " (side) } points=(coordinates(outline)) {}
        }
        @for (side, percentiles) in sides {
            @for (label, value) in marks(percentiles) {
                @let title = format!("{side} {label}: {}", milliseconds(value));
                (vertical(&format!("mark {side}"), x(value), Some(title)))
            }
        }
    };
    let labels = decades.iter().map(|value| (x(*value), short(*value))).collect();
    html! {
        @for (side, percentiles) in sides {
            p class={ "marks " (side) } {
                b { (side) }
                @let labels = marks(percentiles).map(|(label, value)| (x(value), label.to_owned())).to_vec();
                (spans(labels, side.len() as f64 * CHARACTER))
            }
        }
        (plot(None, svg(id, "Distribution of the latency of both systems", shapes), labels, "Milliseconds, logarithmic"))
    }
}

/// The class, the name, and the requests in each part of the time: its own, and those of all systems.
pub(crate) type System<'s> = (&'s str, String, Vec<(u64, u64)>);

/// The shares of several systems over time, stacked. `None` without any.
pub(crate) fn shares(systems: &[System<'_>], (begin, end): (u64, u64)) -> Option<Markup> {
    let cells = systems.first()?.2.len();
    let width = WIDTH / cells.max(1) as f64;
    let moment_of = |at: usize| begin + (end - begin) * at as u64 / cells.max(1) as u64;
    let steps = [0.0, 0.25, 0.5, 0.75, 1.0];
    let shapes = html! {
        @for value in steps { (horizontal("grid", (1.0 - value) * HEIGHT)) }
        @for at in 0..cells {
            @for (class, name, below, own, all) in stacked(systems, at) {
                @let (low, high) = (share(below, all), share(below + own, all));
                @let title = format!(
                    "{} UTC: {name} {} of {}", axis::moment(moment_of(at)), percent(share(own, all)), grouped(all)
                );
                rect.part.(class) x=(tenths(width * at as f64)) width=(tenths(width * 0.94))
                    y=(tenths((1.0 - high) * HEIGHT)) height=(tenths((high - low) * HEIGHT)) { title { (title) } }
            }
        }
    };
    let ticks = html! {
        @for value in steps {
            span style=(offset("top", 1.0 - value)) { (format_args!("{:.0} %", value * 100.0)) }
        }
    };
    let times = axis::times(begin, end);
    let x = |time: u64| share(time - begin, (end - begin).max(1)) * WIDTH;
    let labels = times.labels.into_iter().map(|(time, label)| (x(time), label)).collect();
    let caption = times.day.map_or("Time, UTC".to_owned(), |day| format!("{day}, UTC"));
    Some(plot(Some(ticks), svg("shares-chart", "Share of each back end over time", shapes), labels, &caption))
}

/// The systems with requests in a part of the time: class, name, requests of those below, its own, and those of all.
fn stacked<'s>(systems: &'s [System<'s>], at: usize) -> Vec<(&'s str, &'s str, u64, u64, u64)> {
    let mut below = 0;
    let parts = systems.iter().filter_map(|(class, name, cells)| {
        let (own, all) = *cells.get(at)?;
        below += own;
        Some((*class, name.as_str(), below - own, own, all))
    });
    parts.filter(|(_, _, _, own, _)| *own > 0).collect()
}

/// Shares over time in the height of a line: for each part of the time the requests of a system, and those of all.
pub(crate) fn spark(class: &str, cells: &[(u64, u64)]) -> Markup {
    html! {
        svg class={ "spark " (class) } viewBox={ "0 0 " (cells.len() * 10) " 24" } preserveAspectRatio="none" aria-hidden="true" {
            @for (at, (own, all)) in cells.iter().enumerate().filter(|(_, (_, all))| *all > 0) {
                @let height = if *own > 0 { (share(*own, *all) * 24.0).max(2.0) } else { 0.6 };
                rect x=(at * 10) width="9" y=(tenths(24.0 - height)) height=(tenths(height)) {}
            }
        }
    }
}

/// A bar relative to the largest value. Every value above zero is visible.
pub(crate) fn bar(class: &str, value: f64, largest: f64) -> Markup {
    let width = if value > 0.0 { (value / largest * 100.0).clamp(0.6, 100.0) } else { 0.0 };
    html! {
        svg class={ "bar " (class) } viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(tenths(width)) height="8" {}
        }
    }
}

fn svg(id: &str, title: &str, shapes: Markup) -> Markup {
    html! {
        svg id=(id) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(title) {
            title { (title) }
            (shapes)
        }
    }
}

fn plot(y: Option<Markup>, svg: Markup, x: Vec<(f64, String)>, axis: &str) -> Markup {
    html! {
        div.plot.scaled[y.is_some()] {
            div.y aria-hidden="true" { @if let Some(y) = &y { (y) } }
            (svg)
            div.x aria-hidden="true" { (spans(x, if y.is_some() { -SCALE } else { -BESIDE })) }
        }
        p.axis { (axis) }
    }
}

fn horizontal(class: &str, y: f64) -> Markup {
    html! { line class=(class) x1="0" x2=(WIDTH) y1=(tenths(y)) y2=(tenths(y)) {} }
}

fn vertical(class: &str, x: f64, title: Option<String>) -> Markup {
    html! {
        line class=(class) x1=(tenths(x)) x2=(tenths(x)) y1="0" y2=(HEIGHT) {
            @if let Some(title) = title { title { (title) } }
        }
    }
}

fn tenths(number: f64) -> String {
    format!("{number:.1}")
}

/// A share of the width or height as a style.
fn offset(side: &str, share: f64) -> String {
    format!("{side}:{:.2}%", share * 100.0)
}

/// Formats points for SVG's `points` attribute.
fn coordinates(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut list = String::new();
    for (x, y) in points {
        let _ = write!(list, "{x:.1},{y:.1} ");
    }
    list.truncate(list.trim_end().len());
    list
}

/// Labels at places of the width, as many as there is room for from this pixel on.
fn spans(labels: Vec<(f64, String)>, from: f64) -> Markup {
    let labels = fitting(labels, COLUMN, from);
    let on_phone = fitting(labels.clone(), PHONE, from);
    html! {
        @for label in &labels {
            span.wide[!on_phone.contains(label)] style=(offset("left", label.0 / WIDTH)) { (label.1) }
        }
    }
}

/// Returns the labels that overlap no other one if the plot is so many pixels wide.
fn fitting(labels: Vec<(f64, String)>, width: f64, from: f64) -> Vec<(f64, String)> {
    let mut end = from;
    let has_room = |(at, label): &(f64, String)| {
        let (middle, half) = (at / WIDTH * width, label.chars().count() as f64 * CHARACTER / 2.0);
        let is_free = middle - half >= end && middle + half <= width + BESIDE;
        end = if is_free { middle + half + GAP } else { end };
        is_free
    };
    labels.into_iter().filter(has_room).collect()
}

/// Returns buckets with enough comparisons each, and their width.
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

/// The lower end of an interval for the overall parity and the average number of comparisons of a point.
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
