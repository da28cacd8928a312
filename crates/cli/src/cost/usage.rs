//! The traffic and the settings that a cost is calculated from, with the values that are assumed if nobody says otherwise. It reads no
//! option and no file.

use crate::prices::{HOURS, Region};

/// Seconds of a month.
pub(crate) const SECONDS: f64 = HOURS * 3_600.0;

/// The most requests of a month: more than AWS serves.
pub(crate) const MAX_REQUESTS: f64 = 1e18;

/// The longest time of an invocation, in milliseconds (`Function::MAX_TIMEOUT` of the emulator).
pub(crate) const MAX_INVOCATION: f64 = 1_800_000.0;

/// Bytes of an access line without a failure (deploy/serverless/README.md).
pub(crate) const ACCESS_LINE: f64 = 370.0;

/// Bytes that metrics add to an access line (`docs/metrics.md`).
pub(crate) const METRICS_OF_A_LINE: f64 = 345.0;
/// Bytes of Lambda's own `START`, `END` and `REPORT` lines of an invocation (the same page).
pub(crate) const LAMBDA_LINES: f64 = 260.0;
/// Bytes of a comparison line without a difference (docs/comparison-log.md).
pub(crate) const COMPARISON_LINE: f64 = 370.0;
/// Bytes of a request and a response in addition to their content: the fields.
pub(crate) const FIELDS: f64 = 800.0;

/// Rules of a listener that cost nothing.
pub(crate) const FREE_RULES: f64 = 10.0;

/// Lambda's processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// x86_64.
    X86,
    /// arm64.
    Arm,
}

/// The service in front of the function, as far as its price differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// Application Load Balancer.
    Alb,
    /// API Gateway, REST API.
    RestApi,
    /// API Gateway, HTTP API.
    HttpApi,
    /// Function URL.
    FunctionUrl,
    /// VPC Lattice.
    Lattice,
}

/// The place of the live state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LivePlace {
    /// An object in S3.
    S3,
    /// A standard parameter of Systems Manager.
    Ssm,
    /// AppConfig, through its extension.
    AppConfig,
}

/// The way from the function to the back ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Outside of a VPC.
    Internet,
    /// In a VPC, through a NAT gateway.
    Nat,
    /// In a VPC, to private addresses.
    Private,
}

/// Invocations as the `REPORT` lines of a log have them. They contain cold starts and shadow requests, but no
/// health checks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// Invocations for each request of a client.
    pub(crate) invocations_per_request: f64,
    /// Average billed time, in milliseconds.
    pub(crate) billed_ms: f64,
}

/// A month of traffic. Sizes are bytes, shares are from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Usage {
    pub(crate) region: Region,
    pub(crate) architecture: Architecture,
    pub(crate) front: Front,
    /// Requests of clients in a month.
    pub(crate) requests: f64,
    /// Average billed time of a request without a cold start and shadow requests, in milliseconds. It contains retries.
    pub(crate) duration_ms: f64,
    pub(crate) memory_mb: f64,
    /// Share of the requests that start an environment.
    pub(crate) cold_starts: f64,
    /// Time of a start, which is billed.
    pub(crate) init_ms: f64,
    /// Replaces duration, cold starts and the time of shadow requests.
    pub(crate) measured: Option<Measured>,
    /// Copies for each request.
    pub(crate) copies: f64,
    /// Time that a copy adds to an invocation.
    pub(crate) copy_ms: f64,
    /// Comparison lines for each request; `None` for one of each copy.
    pub(crate) comparisons: Option<f64>,
    pub(crate) comparison_line: f64,
    /// Seconds between health checks of a load balancer; `None` without any.
    pub(crate) health_check_seconds: Option<f64>,
    pub(crate) request_bytes: f64,
    pub(crate) response_bytes: f64,
    pub(crate) requests_per_connection: f64,
    /// Rules that the load balancer evaluates for a request.
    pub(crate) rules: f64,
    pub(crate) network: Network,
    pub(crate) live: Option<LivePlace>,
    /// Seconds between two reads of an environment.
    pub(crate) live_seconds: f64,
    /// Busy environments on average; `None` calculates them.
    pub(crate) environments: Option<f64>,
    pub(crate) metrics: f64,
    pub(crate) alarms: f64,
    pub(crate) dashboards: f64,
    /// Share of the requests with an access line.
    pub(crate) logged: f64,
    pub(crate) access_line: f64,
    /// Bytes of Lambda's lines of an invocation.
    pub(crate) lambda_lines: f64,
    /// Share of the responses that are stored in S3.
    pub(crate) spilled: f64,
    /// Average size of these.
    pub(crate) spilled_bytes: f64,
    pub(crate) free_tier: bool,
}

impl Usage {
    /// The usual settings, and nothing that costs extra.
    pub(crate) fn new(requests: f64, duration_ms: f64) -> Self {
        Usage {
            region: Region::UsEast1,
            architecture: Architecture::X86,
            front: Front::Alb,
            requests,
            duration_ms,
            memory_mb: 128.0,
            cold_starts: 0.005,
            init_ms: 20.0,
            measured: None,
            copies: 0.0,
            copy_ms: duration_ms,
            comparisons: None,
            comparison_line: COMPARISON_LINE,
            health_check_seconds: Some(30.0),
            request_bytes: 1e3,
            response_bytes: 20e3,
            requests_per_connection: 5.0,
            rules: FREE_RULES,
            network: Network::Internet,
            live: None,
            live_seconds: 10.0,
            environments: None,
            metrics: 0.0,
            alarms: 0.0,
            dashboards: 0.0,
            logged: 1.0,
            access_line: ACCESS_LINE,
            lambda_lines: LAMBDA_LINES,
            spilled: 0.0,
            spilled_bytes: 5e6,
            free_tier: false,
        }
    }

    /// The same with another number of requests.
    pub(crate) fn with_requests(&self, requests: f64) -> Self {
        Usage { requests, ..self.clone() }
    }

    /// Invocations by requests of clients.
    pub(crate) fn invocations(&self) -> f64 {
        self.requests * self.measured.map_or(1.0, |measured| measured.invocations_per_request)
    }

    /// Health checks in addition to these. They do not depend on the traffic.
    pub(crate) fn health_checks(&self) -> f64 {
        let has_checks = self.front == Front::Alb;
        self.health_check_seconds
            .filter(|seconds| has_checks && *seconds > 0.0)
            .map_or(0.0, |seconds| SECONDS / seconds)
    }

    /// Billed milliseconds of an invocation.
    pub(crate) fn billed_ms(&self) -> f64 {
        self.measured.map_or(self.duration_ms, |measured| measured.billed_ms)
    }

    /// GB-seconds of so many milliseconds.
    pub(crate) fn gb_seconds(&self, milliseconds: f64) -> f64 {
        milliseconds / 1e3 * self.memory_mb / 1024.0
    }

    /// Environments that are busy: by default twice the average concurrency, since traffic has hours, and one at least.
    pub(crate) fn busy_environments(&self) -> f64 {
        self.environments.unwrap_or_else(|| {
            let ms = self.billed_ms() + if self.measured.is_some() { 0.0 } else { self.copies * self.copy_ms };
            (2.0 * self.invocations() * ms / 1e3 / SECONDS).ceil().max(1.0)
        })
    }

    /// Bytes through the load balancer.
    pub(crate) fn processed_bytes(&self) -> f64 {
        self.requests * (self.request_bytes + self.response_bytes + 2.0 * FIELDS)
    }
}
