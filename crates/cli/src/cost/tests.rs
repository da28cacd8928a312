//! The model against examples that were calculated by hand, those of AWS's pages among them, and its properties for any numbers.

use proptest::prelude::*;

use super::alternative::{BreakEven, alternatives};
use super::estimate::{ADDRESS_GB, Estimate, FUNCTION_GB, capacity_units};
use super::text::{Context, text};
use super::usage::{Architecture, FIELDS, Front, LivePlace, Measured, Network, SECONDS, Usage};
use crate::prices::{HOURS, Region};

#[track_caller]
fn is(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
}

/// The cost of an item, or 0 without such an item.
fn usd(usage: &Usage, name: &str) -> f64 {
    let estimate = Estimate::of(usage);
    estimate.items.iter().chain(&estimate.apart).find(|item| item.name == name).map_or(0.0, |item| item.usd)
}

/// 10 million requests of 60 ms at 128 MB on x86_64 in us-east-1, with 1 KB and 20 KB of content.
fn ten_million() -> Usage {
    Usage::new(10e6, 60.0)
}

#[test]
fn the_default_is_what_one_calculates_by_hand() {
    let usage = ten_million();
    is(usd(&usage, "Lambda requests"), 2.00);
    // 10 M x 0.06 s x 0.125 GB = 75,000 GB-s
    is(usd(&usage, "Lambda duration"), 75_000.0 * 0.0000166667);
    // 50,000 x 0.02 s x 0.125 GB = 125 GB-s
    is(usd(&usage, "Cold starts"), 125.0 * 0.0000166667);
    // 730 h x 120: 87,600 requests of 1 ms
    is(usd(&usage, "Health checks"), 0.0876 * 0.20 + 87.6 * 0.125 * 0.0000166667);
    // 10 M x (21 KB + 1.6 KB of fields) = 226 GB in 730 h, at 0.4 GB per hour and unit
    is(usd(&usage, "Load balancer"), 226.0 / 0.4 * 0.008);
    is(usd(&usage, "Access log"), 3.7 * 0.50);
    is(usd(&usage, "Lambda's log lines"), (10.0876 * 0.260) * 0.50);
    is(usd(&usage, "Load balancer, hours"), 730.0 * 0.0225);
    is(usd(&usage, "Transfer to clients"), 200.0 * 0.09);
    assert_eq!(Estimate::of(&usage).items.len(), 7);
}

/// deploy/serverless/README.md and docs/configuration.md have these figures.
#[test]
fn the_figures_of_other_pages_are_the_same() {
    let million = Usage::new(1e6, 100.0);
    let cents = |usd: f64| (usd * 100.0).round() / 100.0;
    is(cents(usd(&million, "Access log")), 0.19);
    is(cents(usd(&Usage { health_check_seconds: None, ..million.clone() }, "Lambda's log lines")), 0.13);
    is(cents(usd(&million, "Lambda requests") + usd(&million, "Lambda duration")), 0.41);
    is(cents(usd(&million, "Health checks")), 0.02);
    let tenth = Usage { logged: 0.1, ..million.clone() };
    is(cents(usd(&million, "Access log") - usd(&tenth, "Access log")), 0.17);
    let live = Usage { live: Some(LivePlace::S3), environments: Some(50.0), ..Usage::new(1e9, 100.0) };
    is(cents(usd(&live, "Live state in S3") / 730.0 * 720.0), 5.18);
    let received = Usage { live: Some(LivePlace::AppConfig), ..Usage::new(10e6, 100.0) };
    is(usd(&received, "AppConfig, received"), 40.0);
    let nat = Usage { network: Network::Nat, ..million.clone() };
    is(cents(usd(&nat, "NAT gateway, hours") / 2.0), 32.85);
    let alarms = Usage { alarms: 2.0, metrics: 2.0, ..million };
    is(usd(&alarms, "Alarms") + usd(&alarms, "Custom metrics"), 0.80);
    // docs/large-responses.md: one PUT request, one GET and a day of storage for each.
    let stored = Usage { spilled: 1.0, spilled_bytes: 1e6, ..Usage::new(1e6, 100.0) };
    is(usd(&stored, "Stored responses, writes") / 1e6, 0.000_005);
    is(usd(&stored, "Stored responses, reads") / 1e6, 0.000_000_4);
    is(((usd(&stored, "Stored responses, for a day") / 1e3) * 1e4).round() / 1e4, 0.0008);
    let parts = Usage { spilled: 1.0, spilled_bytes: 20e6, ..Usage::new(1e6, 100.0) };
    is(usd(&parts, "Stored responses, writes") / 1e6, 5.0 * 0.000_005);
}

/// <https://aws.amazon.com/lambda/pricing/>: 3 million requests of 120 ms with 1.5 GB cost 2.73 USD after the free tier.
#[test]
fn lambda_costs_what_awss_example_says() {
    let usage = Usage {
        memory_mb: 1536.0,
        free_tier: true,
        cold_starts: 0.0,
        health_check_seconds: None,
        ..Usage::new(3e6, 120.0)
    };
    is(usd(&usage, "Lambda requests"), 0.40);
    is(usd(&usage, "Lambda duration"), (540_000.0 - 400_000.0) * 0.0000166667);
    is(((usd(&usage, "Lambda requests") + usd(&usage, "Lambda duration")) * 100.0).round(), 273.0);
    // The free tier is used up once, whatever the items.
    let small = Usage { free_tier: true, ..Usage::new(900_000.0, 10.0) };
    is(usd(&small, "Lambda requests") + usd(&small, "Lambda duration") + usd(&small, "Health checks"), 0.0);
    let more = Usage { free_tier: true, ..Usage::new(1e6, 10.0) };
    is(usd(&more, "Health checks"), 0.0876 * 0.20);
    // 8 billion GB-s on arm64: 7.5 at the first price, the rest at the second.
    let arm = Usage { architecture: Architecture::Arm, memory_mb: 1024.0, ..Usage::new(8e9, 1_000.0) };
    is(usd(&arm, "Lambda duration"), 7.5e9 * 0.0000133334 + 0.5e9 * 0.0000120001);
}

/// <https://aws.amazon.com/elasticloadbalancing/pricing/>: one connection per second, five requests per second, 300 KB per second and 60 rules
/// are 1.08 units because of the bytes; 250 rule evaluations per second would be 0.25.
#[test]
fn the_load_balancer_needs_the_units_of_awss_example() {
    let example = Usage {
        rules: 60.0,
        request_bytes: 0.0,
        response_bytes: 60e3 - 2.0 * FIELDS,
        ..Usage::new(5.0 * SECONDS, 0.0)
    };
    let (units, reason) = capacity_units(&example, ADDRESS_GB);
    is(units, 1.08);
    assert_eq!(reason, "processed bytes");
    is(capacity_units(&example, FUNCTION_GB).0, 2.7);
    let small = |usage: Usage| capacity_units(&Usage { response_bytes: 0.0, request_bytes: 0.0, ..usage }, 1e9);
    assert_eq!(small(example.clone()), (0.25, "rule evaluations"));
    is(small(Usage { rules: 5.0, ..example.clone() }).0, 0.04);
    // 100 requests per second that take 60 s are 6,000 active connections, and more.
    let slow = Usage { duration_ms: 60_000.0, requests_per_connection: 1e9, ..Usage::new(100.0 * SECONDS, 60_000.0) };
    let (units, reason) = small(slow);
    is((units * 1e3).round(), 2_000.0);
    assert_eq!(reason, "active connections");
}

/// <https://aws.amazon.com/vpc/lattice/pricing/>: 730 hours at 0.025 USD, 100 GB at 0.025 USD, and 200,000 requests per hour free.
#[test]
fn the_other_fronts_cost_what_awss_examples_say() {
    let requests = 200_000.0 * HOURS;
    let bytes = 100e9 / requests - 2.0 * FIELDS;
    let lattice = |requests: f64| Usage {
        front: Front::Lattice,
        request_bytes: 0.0,
        response_bytes: bytes,
        ..Usage::new(requests, 10.0)
    };
    is(usd(&lattice(requests), "VPC Lattice, service"), 18.25);
    is(usd(&lattice(requests), "VPC Lattice, data"), 2.50);
    is(usd(&lattice(requests), "VPC Lattice, requests"), 0.0);
    // 100,000 per hour beyond the free ones.
    is(usd(&lattice(400_000.0 * HOURS), "VPC Lattice, requests"), 73.0 * 0.10);
    let http = |bytes: f64| Usage { front: Front::HttpApi, response_bytes: bytes, ..Usage::new(10e6, 10.0) };
    is(usd(&http(20e3), "HTTP API"), 10.0);
    // Metered in parts of 512 KB: 600 KB are two.
    is(usd(&http(600e3), "HTTP API"), 20.0);
    is(usd(&Usage { front: Front::RestApi, ..Usage::new(10e6, 10.0) }, "REST API"), 35.0);
    let url = Estimate::of(&Usage { front: Front::FunctionUrl, ..Usage::new(10e6, 10.0) });
    assert!(
        url.items.iter().all(|item| !item.name.contains("Load") && item.name != "Health checks"),
        "{:?}",
        url.items
    );
}

#[test]
fn a_mirror_costs_its_time_its_lines_and_its_transfer() {
    let without = ten_million();
    let with = Usage { copies: 0.05, copy_ms: 80.0, network: Network::Nat, ..ten_million() };
    // 500,000 x 0.08 s x 0.125 GB = 5,000 GB-s
    is(usd(&with, "Shadow requests"), 5_000.0 * 0.0000166667);
    is(usd(&with, "Comparison log"), 0.5 * 0.370 * 0.50);
    is(usd(&with, "NAT gateway, data"), 226.0 * 1.05 * 0.045);
    is(usd(&with, "Lambda requests"), usd(&without, "Lambda requests"));
}

#[test]
fn reports_of_lambda_replace_what_they_contain() {
    let measured = Some(Measured { invocations_per_request: 1.01, billed_ms: 70.0 });
    let usage = Usage { measured, copies: 0.1, ..ten_million() };
    is(usd(&usage, "Lambda requests"), 10.1 * 0.20);
    is(usd(&usage, "Lambda duration"), 10.1e6 * 0.07 * 0.125 * 0.0000166667);
    for name in ["Cold starts", "Shadow requests"] {
        is(usd(&usage, name), 0.0);
    }
    // They do not grow with the traffic, and are not measured.
    is(usd(&usage, "Health checks"), usd(&ten_million(), "Health checks"));
    is(usd(&usage.with_requests(1.0), "Health checks"), usd(&usage, "Health checks"));
    is(usd(&usage, "Lambda's log lines"), 10.1876 * 0.260 * 0.50);
    // Copies that were not sent have a line as well.
    let unsent = Usage { comparisons: Some(0.3), ..usage.clone() };
    is(usd(&unsent, "Comparison log"), 3.0 * usd(&usage, "Comparison log"));
    assert!(usd(&usage, "Comparison log") > 0.0);
}

#[test]
fn an_environment_reads_the_live_state_only_when_it_is_invoked() {
    // 100 requests in a month: no more reads than these.
    let few = Usage { live: Some(LivePlace::S3), ..Usage::new(100.0, 60.0) };
    is(usd(&few, "Live state in S3"), 100.0 * 0.4e-6);
    // 40 per second of 0.2 s: 8 at once, 16 busy environments.
    let many = Usage { live: Some(LivePlace::S3), ..Usage::new(40.0 * SECONDS, 200.0) };
    is(many.busy_environments(), 16.0);
    is(usd(&many, "Live state in S3"), 16.0 * SECONDS / 10.0 * 0.4e-6);
    is(
        Estimate::of(&Usage { live: Some(LivePlace::Ssm), ..many.clone() }).usd,
        Estimate::of(&Usage { live: None, ..many }).usd,
    );
}

/// 2 x 730 h of 0.25 vCPU and 0.5 GB: 365 vCPU-hours and 730 GB-hours.
#[test]
fn nginx_costs_what_one_calculates_by_hand() {
    let usage = ten_million();
    let [fargate, usual, micro, small] = <[_; 4]>::try_from(alternatives(&usage)).unwrap();
    let units = 226.0 * 0.008;
    is(fargate.usd, 365.0 * 0.04048 + 730.0 * 0.004445 + units);
    is(usual.usd, 730.0 * 0.04048 + 1_460.0 * 0.004445 + 1_460.0 * 0.005 + 2.5 * 0.50 + units);
    is(micro.usd, 1_460.0 * 0.0084 + 16.0 * 0.08 + units);
    is(small.usd, 1_460.0 * 0.0168 + 40.0 * 0.08 + 1_460.0 * 0.005 + 2.5 * 0.50 + units);
    // Through a NAT gateway goes what has no public address.
    let [way, public, ..] =
        <[_; 4]>::try_from(alternatives(&Usage { network: Network::Nat, ..usage.clone() })).unwrap();
    is(way.usd, fargate.usd + 226.0 * 0.045);
    is(public.usd, usual.usd);
    // Without a load balancer, NGINX needs one.
    let url = Usage { front: Front::FunctionUrl, ..usage };
    is(alternatives(&url)[0].usd, fargate.usd + 730.0 * 0.0225);
}

#[test]
fn both_cost_the_same_at_the_break_even_point() {
    for usage in
        [ten_million(), Usage { copies: 1.0, metrics: 30.0, live: Some(LivePlace::S3), ..Usage::new(1.0, 800.0) }]
    {
        for (number, other) in alternatives(&usage).iter().enumerate() {
            let BreakEven::At(requests) = other.break_even else { panic!("{other:?}") };
            let cost = |requests: f64| {
                let usage = usage.with_requests(requests);
                (Estimate::of(&usage).usd, alternatives(&usage)[number].usd)
            };
            let ((ours, theirs), (less, more)) = (cost(requests), cost(requests * 0.99));
            assert!((ours - theirs).abs() < 0.01 && less < more, "{ours} {theirs} {less} {more}");
        }
    }
    // Twenty dashboards cost more than NGINX for few requests, and less than its load balancer for many large responses.
    let large = Usage { front: Front::FunctionUrl, dashboards: 20.0, response_bytes: 2e6, ..Usage::new(10e6, 5.0) };
    for (number, other) in alternatives(&large).iter().enumerate() {
        let BreakEven::Above(requests) = other.break_even else { panic!("{other:?}") };
        for (factor, is_cheaper) in [(0.99, false), (1.01, true), (100.0, true)] {
            let usage = large.with_requests(requests * factor);
            assert_eq!(Estimate::of(&usage).usd < alternatives(&usage)[number].usd, is_cheaper, "{requests} {factor}");
        }
    }
    assert!(printed(&large).contains("   above "), "{}", printed(&large));
    // 1,000 metrics cost more than any of them from the first request; a service that only Crossfade saves never does.
    let dear = Usage { metrics: 1_000.0, ..ten_million() };
    assert!(alternatives(&dear).iter().all(|other| other.break_even == BreakEven::Never));
    let free = Usage {
        measured: Some(Measured { invocations_per_request: 0.0, billed_ms: 0.0 }),
        logged: 0.0,
        front: Front::FunctionUrl,
        ..ten_million()
    };
    assert!(alternatives(&free).iter().all(|other| other.break_even == BreakEven::Always));
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(0.0),
        Just(-1.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(1e18),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
    ]
}

fn usages(number: impl Strategy<Value = f64>) -> impl Strategy<Value = Usage> {
    (prop::collection::vec(number, 25), 0..5_usize, 0..4_usize, 0..3_usize, 0..3_usize, any::<[bool; 4]>()).prop_map(
        |(numbers, front, live, network, region, [arm, measured, environments, free_tier])| {
            let mut numbers = numbers.into_iter();
            let mut next = || numbers.next().unwrap_or_default();
            Usage {
                region: Region::ALL[region],
                architecture: if arm { Architecture::Arm } else { Architecture::X86 },
                front: [Front::Alb, Front::RestApi, Front::HttpApi, Front::FunctionUrl, Front::Lattice][front],
                requests: next(),
                duration_ms: next(),
                memory_mb: next(),
                cold_starts: next(),
                init_ms: next(),
                measured: measured.then(|| Measured { invocations_per_request: next(), billed_ms: next() }),
                copies: next(),
                copy_ms: next(),
                comparisons: if live == 1 { None } else { Some(next()) },
                comparison_line: next(),
                health_check_seconds: Some(next()),
                request_bytes: next(),
                response_bytes: next(),
                requests_per_connection: next(),
                rules: next(),
                network: [Network::Internet, Network::Nat, Network::Private][network],
                live: [None, Some(LivePlace::S3), Some(LivePlace::Ssm), Some(LivePlace::AppConfig)][live],
                live_seconds: next(),
                environments: environments.then(&mut next),
                metrics: next(),
                alarms: next(),
                dashboards: next(),
                logged: next(),
                access_line: next(),
                lambda_lines: next(),
                spilled: next(),
                spilled_bytes: next(),
                free_tier,
            }
        },
    )
}

fn printed(usage: &Usage) -> String {
    let context =
        Context { region: usage.region, requests: usage.requests, assumed: &[], not_included: &[], has_colours: true };
    text(&Estimate::of(usage), &alternatives(usage), &context)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_numbers_give_an_estimate(usage in usages(any_number())) {
        prop_assert!(printed(&usage).contains("Crossfade"));
        prop_assert!(serde_json::to_string(&Estimate::of(&usage)).is_ok());
        prop_assert!(serde_json::to_string(&alternatives(&usage)).is_ok());
    }

    #[test]
    fn the_total_is_the_sum_and_more_requests_cost_no_less(
        usage in usages(prop_oneof![0.0..1.0_f64, 1.0..1e4, Just(0.0)]),
        requests in prop_oneof![0.0..1e4_f64, 1e4..1e9, 1e9..1e18],
        factor in 1.0..100.0_f64,
    ) {
        let (usage, more) = (usage.with_requests(requests), usage.with_requests(requests * factor));
        let (estimate, dearer) = (Estimate::of(&usage), Estimate::of(&more));
        let sum: f64 = estimate.items.iter().map(|item| item.usd).sum();
        prop_assert!((estimate.usd - sum).abs() <= 1e-9 * sum && estimate.usd >= 0.0 && estimate.usd.is_finite());
        prop_assert!(estimate.items.iter().all(|item| item.usd >= 0.0 && item.price >= 0.0 && item.quantity >= 0.0));
        // Up to the rounding of sums.
        prop_assert!(dearer.usd >= estimate.usd * (1.0 - 1e-9), "{} {}", estimate.usd, dearer.usd);
        for (item, more) in estimate.items.iter().zip(&dearer.items).filter(|(item, more)| item.name == more.name) {
            prop_assert!(more.quantity >= item.quantity * (1.0 - 1e-9), "{item:?} {more:?}");
        }
    }
}
