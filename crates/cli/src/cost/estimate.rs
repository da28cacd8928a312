//! The items of a month's bill: quantity, price and cost of each. Their sum is the total.
//!
//! Owns AWS's formulas: what is billed and how. NGINX is in `alternative`.

use serde::Serialize;

use super::usage::{Architecture, FREE_RULES, Front, LivePlace, Network, SECONDS, Usage};
use crate::prices::{self, Basis, HOURS, Price, Region};

/// Lambda's free tier.
const FREE_REQUESTS: f64 = 1e6;
const FREE_GB_SECONDS: f64 = 400_000.0;

/// An HTTP API counts a request for each part of so many bytes.
const HTTP_API_PART: f64 = 524_288.0;

/// Requests per hour that VPC Lattice does not charge.
const FREE_LATTICE_REQUESTS: f64 = 300_000.0;

/// Availability Zones of a NAT gateway or of an interface endpoint.
const ZONES: f64 = 2.0;

/// Seconds for which a client's connection stays open after its last request: the load balancer's default.
const IDLE_SECONDS: f64 = 60.0;

/// Days that a stored response is kept, and days of a month.
const KEPT_DAYS: f64 = 1.0;
const DAYS: f64 = HOURS / 24.0;

/// Interval at which AppConfig's extension asks for a change.
const APPCONFIG_SECONDS: f64 = 45.0;

/// A line of the bill.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Item {
    pub(crate) name: &'static str,
    /// In `unit`.
    pub(crate) quantity: f64,
    pub(crate) unit: &'static str,
    /// The average price for one `per`.
    pub(crate) price: f64,
    pub(crate) per: &'static str,
    /// The cost of a month.
    pub(crate) usd: f64,
    pub(crate) source: &'static str,
    /// `published`, `quoted` or `unchecked`.
    pub(crate) basis: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// The cost of a month.
#[derive(Debug, Serialize)]
pub(crate) struct Estimate {
    pub(crate) items: Vec<Item>,
    /// The sum of the items.
    pub(crate) usd: f64,
    /// Costs that exist without Crossfade as well, and are not in the sum.
    pub(crate) apart: Vec<Item>,
}

impl Item {
    /// So many single things at a price.
    pub(crate) fn new(name: &'static str, region: Region, price: &Price, quantity: f64, unit: &'static str) -> Self {
        Item::at(name, region, price, quantity, unit, price.of(region, quantity))
    }

    /// So many single things for which this is due.
    fn at(name: &'static str, region: Region, price: &Price, quantity: f64, unit: &'static str, usd: f64) -> Self {
        let units = quantity / price.size;
        Item {
            name,
            quantity,
            unit,
            price: if units > 0.0 && usd.is_finite() { usd / units } else { price.first(region) },
            per: price.unit,
            usd,
            source: price.source,
            basis: price.basis(region).as_str(),
            detail: None,
        }
    }

    pub(crate) fn because(self, detail: impl Into<String>) -> Self {
        Item { detail: Some(detail.into()), ..self }
    }

    /// Returns true if the price was not verified.
    pub(crate) fn is_unchecked(&self) -> bool {
        self.basis == Basis::Unchecked.as_str()
    }
}

impl Estimate {
    /// The bill for a month.
    pub(crate) fn of(usage: &Usage) -> Self {
        let items: Vec<Item> =
            [lambda(usage), front(usage), network(usage), live(usage), spill(usage), logs(usage), monitoring(usage)]
                .concat();
        Estimate { usd: sum(&items), apart: apart(usage), items }
    }
}

pub(crate) fn sum(items: &[Item]) -> f64 {
    items.iter().map(|item| item.usd).sum()
}

/// A price with tiers or a free part, of which several items take their shares in turn.
struct Meter<'u> {
    usage: &'u Usage,
    price: &'static Price,
    free: f64,
    used: f64,
}

impl<'u> Meter<'u> {
    fn new(usage: &'u Usage, price: &'static Price, free: f64) -> Self {
        Meter { usage, price, free: if usage.free_tier { free } else { 0.0 }, used: 0.0 }
    }

    fn due(&self, quantity: f64) -> f64 {
        self.price.of(self.usage.region, (quantity - self.free).max(0.0))
    }

    /// The cost of so many more.
    fn add(&mut self, quantity: f64) -> f64 {
        let before = self.due(self.used);
        self.used += quantity;
        (self.due(self.used) - before).max(0.0)
    }

    fn item(&mut self, name: &'static str, quantity: f64, unit: &'static str) -> Item {
        let usd = self.add(quantity);
        Item::at(name, self.usage.region, self.price, quantity, unit, usd)
    }
}

fn lambda(usage: &Usage) -> Vec<Item> {
    let price = match usage.architecture {
        Architecture::X86 => &prices::LAMBDA_X86,
        Architecture::Arm => &prices::LAMBDA_ARM,
    };
    let mut requests = Meter::new(usage, &prices::LAMBDA_REQUESTS, FREE_REQUESTS);
    let mut time = Meter::new(usage, price, FREE_GB_SECONDS);
    let invocations = usage.invocations();
    let mut items = vec![
        requests.item("Lambda requests", invocations, ""),
        time.item("Lambda duration", invocations * usage.gb_seconds(usage.billed_ms()), "GB-s"),
    ];
    if usage.measured.is_some() {
        items = items.into_iter().map(|item| item.because("measured, with cold starts and shadow requests")).collect();
    } else {
        let cold = usage.requests * usage.cold_starts * usage.gb_seconds(usage.init_ms);
        items.push(time.item("Cold starts", cold, "GB-s"));
    }
    let checks = usage.health_checks();
    if checks > 0.0 {
        // Each is a request of 1 ms.
        let usd = requests.add(checks) + time.add(checks * usage.gb_seconds(1.0));
        items.push(Item::at("Health checks", usage.region, &prices::LAMBDA_REQUESTS, checks, "", usd));
    }
    if usage.copies > 0.0 && usage.measured.is_none() {
        let copies = usage.requests * usage.copies * usage.gb_seconds(usage.copy_ms);
        items.push(time.item("Shadow requests", copies, "GB-s").because("time after the response"));
    }
    items
}

/// Capacity units that a load balancer needs on average in an hour, and the reason: the largest of four dimensions. `gb` is how many GB per
/// hour one unit has.
pub(crate) fn capacity_units(usage: &Usage, gb: f64) -> (f64, &'static str) {
    let per_second = usage.requests / SECONDS;
    let connections =
        if usage.requests_per_connection > 0.0 { per_second / usage.requests_per_connection } else { 0.0 };
    let dimensions = [
        (connections / 25.0, "new connections"),
        ((connections * IDLE_SECONDS + per_second * usage.duration_ms / 1e3) / 3_000.0, "active connections"),
        (usage.processed_bytes() / 1e9 / HOURS / gb, "processed bytes"),
        (per_second * (usage.rules - FREE_RULES).max(0.0) / 1_000.0, "rule evaluations"),
    ];
    dimensions.into_iter().max_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or_default()
}

/// GB per hour of a capacity unit for functions, and for other targets.
pub(crate) const FUNCTION_GB: f64 = 0.4;
pub(crate) const ADDRESS_GB: f64 = 1.0;

pub(crate) fn load_balancer(usage: &Usage, gb: f64) -> Item {
    let (units, dimension) = capacity_units(usage, gb);
    Item::new("Load balancer", usage.region, &prices::ALB_LCU_HOUR, units * HOURS, "LCU-hours")
        .because(format!("by {dimension}"))
}

fn front(usage: &Usage) -> Vec<Item> {
    let (region, gb) = (usage.region, usage.processed_bytes() / 1e9);
    match usage.front {
        Front::Alb => vec![load_balancer(usage, FUNCTION_GB)],
        Front::RestApi => vec![Item::new("REST API", region, &prices::REST_API, usage.requests, "")],
        Front::HttpApi => {
            let parts = (usage.request_bytes.max(usage.response_bytes) / HTTP_API_PART).ceil().max(1.0);
            vec![Item::new("HTTP API", region, &prices::HTTP_API, usage.requests * parts, "")]
        }
        Front::FunctionUrl => Vec::new(),
        Front::Lattice => {
            let charged = HOURS * (usage.requests / HOURS - FREE_LATTICE_REQUESTS).max(0.0);
            let requests = Item::new("VPC Lattice, requests", region, &prices::LATTICE_REQUESTS, charged, "");
            vec![
                Item::new("VPC Lattice, service", region, &prices::LATTICE_HOUR, HOURS, "hours"),
                Item::new("VPC Lattice, data", region, &prices::LATTICE_DATA, gb, "GB"),
                requests.because("beyond 300,000 per hour"),
            ]
        }
    }
}

fn network(usage: &Usage) -> Vec<Item> {
    let mut items = Vec::new();
    if usage.network == Network::Nat {
        let gb = usage.processed_bytes() * (1.0 + usage.copies) / 1e9;
        items.push(Item::new("NAT gateway, data", usage.region, &prices::NAT_DATA, gb, "GB"));
    }
    if usage.network == Network::Private && matches!(usage.live, Some(LivePlace::Ssm | LivePlace::AppConfig)) {
        let hours = HOURS * ZONES;
        let item = Item::new("Interface endpoint", usage.region, &prices::ENDPOINT_HOUR, hours, "hours");
        items.push(item.because("live state, in two zones"));
    }
    items
}

fn live(usage: &Usage) -> Vec<Item> {
    let environments = usage.busy_environments();
    // An environment reads only when it is invoked.
    let reads = |seconds: f64| (environments * SECONDS / seconds.max(1.0)).min(usage.invocations());
    let detail = format!("busy environments: {environments}");
    match usage.live {
        None => Vec::new(),
        Some(LivePlace::S3) => {
            vec![
                Item::new("Live state in S3", usage.region, &prices::S3_GET, reads(usage.live_seconds), "reads")
                    .because(detail),
            ]
        }
        // Standard throughput costs nothing.
        Some(LivePlace::Ssm) => Vec::new(),
        Some(LivePlace::AppConfig) => {
            let received = usage.requests * usage.cold_starts;
            let received = Item::new("AppConfig, received", usage.region, &prices::APPCONFIG_RECEIVED, received, "");
            let polls = reads(usage.live_seconds.max(APPCONFIG_SECONDS));
            vec![
                Item::new("AppConfig, polls", usage.region, &prices::APPCONFIG_POLLS, polls, "").because(detail),
                received.because("one for each cold start"),
            ]
        }
    }
}

fn spill(usage: &Usage) -> Vec<Item> {
    let stored = usage.requests * usage.spilled;
    if stored <= 0.0 {
        return Vec::new();
    }
    // Above 8 MB a response is stored in parts of that size, with two more requests (docs/large-responses.md).
    let parts = (usage.spilled_bytes / 8e6).ceil().max(1.0);
    let puts = if parts > 1.0 { parts + 2.0 } else { 1.0 };
    let gb_months = stored * usage.spilled_bytes / 1e9 * KEPT_DAYS / DAYS;
    vec![
        Item::new("Stored responses, writes", usage.region, &prices::S3_PUT, stored * puts, ""),
        Item::new("Stored responses, reads", usage.region, &prices::S3_GET, stored, ""),
        Item::new("Stored responses, for a day", usage.region, &prices::S3_STORAGE, gb_months, "GB-months"),
    ]
}

fn logs(usage: &Usage) -> Vec<Item> {
    let mut ingested = Meter::new(usage, &prices::LOG_INGESTION, 0.0);
    let all = [
        ("Access log", usage.requests * usage.logged * usage.access_line),
        ("Lambda's log lines", (usage.invocations() + usage.health_checks()) * usage.lambda_lines),
        ("Comparison log", usage.requests * usage.comparisons.unwrap_or(usage.copies) * usage.comparison_line),
    ];
    let items = all.into_iter().filter(|(_, bytes)| *bytes > 0.0);
    items.map(|(name, bytes)| ingested.item(name, bytes / 1e9, "GB")).collect()
}

fn monitoring(usage: &Usage) -> Vec<Item> {
    let all = [
        ("Custom metrics", &prices::CUSTOM_METRIC, usage.metrics),
        ("Alarms", &prices::ALARM_METRIC, usage.alarms),
        ("Dashboards", &prices::DASHBOARD, usage.dashboards),
    ];
    let items = all.into_iter().filter(|(.., count)| *count > 0.0);
    items.map(|(name, price, count)| Item::new(name, usage.region, price, count, "")).collect()
}

fn apart(usage: &Usage) -> Vec<Item> {
    let region = usage.region;
    let mut items = Vec::new();
    if usage.front == Front::Alb {
        items.push(Item::new("Load balancer, hours", region, &prices::ALB_HOUR, HOURS, "hours"));
    }
    if usage.network == Network::Nat {
        let hours = Item::new("NAT gateway, hours", region, &prices::NAT_HOUR, HOURS * ZONES, "hours");
        items.push(hours.because("in two zones, if the VPC has none yet"));
    }
    if usage.network != Network::Private {
        let gb = usage.requests * (1.0 + usage.copies) * usage.request_bytes / 1e9;
        items.push(
            Item::new("Transfer to back ends", region, &prices::TRANSFER_OUT, gb, "GB")
                .because("if they are outside AWS"),
        );
    }
    let gb = usage.requests * usage.response_bytes / 1e9;
    items.push(Item::new("Transfer to clients", region, &prices::TRANSFER_OUT, gb, "GB").because("over the internet"));
    items
}
