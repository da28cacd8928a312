//! NGINX behind the same load balancer, instead of Crossfade, and the number of requests from which it is cheaper.
//!
//! Its instances are two in all sizes, for two Availability Zones, and do not grow with the traffic. People's time is not counted.

use serde::Serialize;

use super::estimate::{ADDRESS_GB, Estimate, Item, load_balancer, sum};
use super::usage::{Architecture, Front, Network, Usage};
use crate::prices::{self, HOURS, Price};

/// Instances, in two zones.
const INSTANCES: f64 = 2.0;
/// Bytes of a line of NGINX's access log, in its format `combined`.
const NGINX_LINE: f64 = 250.0;

/// The largest number of requests for which a break-even point is sought.
const MOST: f64 = 1e13;

/// A way to run NGINX.
#[derive(Debug, Serialize)]
pub(crate) struct Alternative {
    pub(crate) name: String,
    pub(crate) items: Vec<Item>,
    /// The sum of the items.
    pub(crate) usd: f64,
    pub(crate) break_even: BreakEven,
}

/// The numbers of requests per month at which Crossfade is cheaper, all else being equal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "requests_per_month")]
pub(crate) enum BreakEven {
    /// Crossfade costs more at any number.
    Never,
    /// Crossfade costs less below this number.
    At(f64),
    /// Crossfade costs less from this number on.
    Above(f64),
    /// Crossfade costs less from the first number to the second.
    Between(f64, f64),
    /// Crossfade costs less at any number.
    Always,
}

#[derive(Clone, Copy)]
enum Size {
    /// Just what runs.
    Smallest,
    /// With room, a public address for each and its access log in CloudWatch.
    Usual,
}

#[derive(Clone, Copy)]
enum Host {
    Fargate,
    Instance,
}

/// NGINX on Fargate and on instances, each in the smallest and in a usual size.
pub(crate) fn alternatives(usage: &Usage) -> Vec<Alternative> {
    [
        (Host::Fargate, Size::Smallest),
        (Host::Fargate, Size::Usual),
        (Host::Instance, Size::Smallest),
        (Host::Instance, Size::Usual),
    ]
    .map(|(host, size)| {
        let items = items(usage, host, size);
        Alternative {
            name: name(host, size).to_owned(),
            usd: sum(&items),
            items,
            break_even: break_even(usage, |usage| sum(&self::items(usage, host, size))),
        }
    })
    .into()
}

fn name(host: Host, size: Size) -> &'static str {
    match (host, size) {
        (Host::Fargate, Size::Smallest) => "Fargate, 2 x 0.25 vCPU and 0.5 GB",
        (Host::Fargate, Size::Usual) => "Fargate, 2 x 0.5 vCPU and 1 GB, addresses, log",
        (Host::Instance, Size::Smallest) => "2 x t4g.micro, 8 GB",
        (Host::Instance, Size::Usual) => "2 x t4g.small, 20 GB, addresses, log",
    }
}

fn items(usage: &Usage, host: Host, size: Size) -> Vec<Item> {
    let region = usage.region;
    let is_usual = matches!(size, Size::Usual);
    let hours = INSTANCES * HOURS;
    let item = |name, price: &Price, quantity, unit| Item::new(name, region, price, quantity, unit);
    let mut items = match host {
        Host::Fargate => {
            let (vcpu, gb) = match usage.architecture {
                Architecture::X86 => (&prices::FARGATE_X86_VCPU, &prices::FARGATE_X86_GB),
                Architecture::Arm => (&prices::FARGATE_ARM_VCPU, &prices::FARGATE_ARM_GB),
            };
            let share = if is_usual { 0.5 } else { 0.25 };
            vec![
                item("Processors", vcpu, hours * share, "vCPU-hours"),
                item("Memory", gb, hours * share * 2.0, "GB-hours"),
            ]
        }
        Host::Instance => {
            let (price, disk) = if is_usual { (&prices::T4G_SMALL, 20.0) } else { (&prices::T4G_MICRO, 8.0) };
            vec![
                item("Instances", price, hours, "hours"),
                item("Disks", &prices::EBS_GP3, INSTANCES * disk, "GB-months"),
            ]
        }
    };
    if is_usual {
        items.push(item("Public addresses", &prices::PUBLIC_ADDRESS, hours, "hours"));
        items.push(item("Access log", &prices::LOG_INGESTION, usage.requests * NGINX_LINE / 1e9, "GB"));
    }
    items.push(load_balancer(usage, ADDRESS_GB));
    // With public addresses there is another way to the back ends.
    if usage.network == Network::Nat && !is_usual {
        items.push(item("NAT gateway, data", &prices::NAT_DATA, usage.processed_bytes() / 1e9, "GB"));
    }
    if usage.front != Front::Alb {
        items.push(item("Load balancer, hours", &prices::ALB_HOUR, HOURS, "hours"));
    }
    items
}

/// The number of requests at which Crossfade becomes dearer, or first cheaper and then perhaps dearer.
fn break_even(usage: &Usage, other: impl Fn(&Usage) -> f64) -> BreakEven {
    let is_dearer = |requests: f64| {
        let usage = usage.with_requests(requests);
        Estimate::of(&usage).usd > other(&usage)
    };
    if !is_dearer(0.0) {
        return first(0.0, is_dearer).map_or(BreakEven::Always, BreakEven::At);
    }
    let Some(cheaper) = first(0.0, |requests| !is_dearer(requests)) else { return BreakEven::Never };
    match first(cheaper, is_dearer) {
        Some(dearer) => BreakEven::Between(cheaper, dearer),
        None => BreakEven::Above(cheaper),
    }
}

/// The first number above `low` for which this is true, found by doubling and then by halving.
fn first(mut low: f64, is_it: impl Fn(f64) -> bool) -> Option<f64> {
    let mut high = (2.0 * low).max(1_000.0);
    while !is_it(high) {
        if high > MOST {
            return None;
        }
        low = high;
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if is_it(middle) { high = middle } else { low = middle }
    }
    Some(high)
}
