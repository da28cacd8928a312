//! The compiled configuration: names are resolved, and nothing is left to parse at request time. `config` owns the
//! syntax of the file, `select` the choice of a route.

use std::sync::Arc;
use std::time::Duration;

use crossfade_journal::{Metrics, Names};
use crossfade_rule::{Condition, Pattern};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

use crate::backend::Backend;
use crate::error_page::ErrorPage;
use crate::field_edits::FieldEdits;
use crate::migration::Plan;
use crate::mirror::{Mirror, Share};
use crate::policy::Failover;
use crate::redirect::{Captures, Redirect};
use crate::requirement::{All, Requirement};
use crate::select::Index;
use crate::spill::Spill;
use crate::sticky::{OptIn, Sticky};
use crate::streaming::Streaming;
use crate::tracing::Tracing;
use crate::transform::Transforms;

/// The whole configuration, immutable.
#[derive(Clone, Debug)]
pub struct RoutingTable {
    pub(crate) backends: Vec<Arc<Backend>>,
    /// Enabled routes by ascending priority.
    pub(crate) routes: Vec<Route>,
    /// Routes that an overlay may enable.
    pub(crate) disabled: Vec<Route>,
    /// Finds the few routes that a request can match.
    pub(crate) index: Index,
    /// Route without conditions for requests that match no other.
    pub(crate) default: Route,
    /// `timeouts.request`: time limit for the whole exchange, in addition to the invocation's deadline.
    pub request_timeout: Option<Duration>,
    /// `requestId.header`: field that passes the request ID to the back end, unless the client has set it.
    pub request_id_field: HeaderName,
    /// `accessLog`: share of the requests without a failure that the function logs.
    pub access_log: Share,
    /// `metrics`: metrics in the lines of the log.
    pub metrics: Option<Metrics>,
    /// `accessLog.names`: names of the members of its lines.
    pub access_names: Names,
    /// `tracing`.
    pub tracing: Tracing,
    /// `streaming`: front ends whose clients get responses as they arrive.
    pub streaming: Streaming,
    /// `spill`: the place for responses that the front end cannot carry.
    pub spill: Option<Spill>,
    /// `healthCheck.answer`.
    pub health_check: HealthCheck,
    /// `clientIp.trustedHops`: number of proxies, starting with the load balancer, that appended the address they saw
    /// to `X-Forwarded-For`.
    pub trusted_hops: usize,
    /// `errorPages`.
    pub error_pages: Vec<ErrorPage>,
    /// `maintenance.retryAfter`: when a client may ask again while routes are under maintenance.
    pub maintenance_retry_after: Duration,
    /// `migration`.
    pub plan: Option<Plan>,
    /// The version of the overlay that is applied.
    pub live: Option<u32>,
}

impl RoutingTable {
    /// Returns all back ends, in the order of the file.
    #[must_use]
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// Returns the enabled routes by ascending priority, without the default.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Returns all routes, enabled or not, the default included.
    pub fn all_routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().chain(&self.disabled).chain([&self.default])
    }

    /// Returns the route with this name, enabled or not, the default included.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.all_routes().find(|route| route.name == name)
    }

    /// Returns the route for requests that match no other.
    #[must_use]
    pub fn default_route(&self) -> &Route {
        &self.default
    }

    /// Returns this table with the names, conditions and rules of comparison of another one's routes. Nothing else is taken
    /// over: every request follows this table's default route.
    #[must_use]
    pub fn comparing_like(self, other: &RoutingTable) -> RoutingTable {
        let adapt = |route: &Route| Route {
            name: route.name.clone(),
            priority: route.priority,
            requirements: route.requirements.clone(),
            mirror: self.default.mirror.as_ref().map(|mirror| mirror.comparing_like(route.mirror.as_ref())),
            ..self.default.clone()
        };
        let routes: Vec<Route> = other.routes.iter().map(adapt).collect();
        let (index, default) = (Index::new(&routes), adapt(&other.default));
        RoutingTable { routes, index, default, ..self }
    }

    /// Returns the mirrors of all routes.
    pub fn mirrors_mut(&mut self) -> impl Iterator<Item = &mut Mirror> {
        self.routes.iter_mut().chain([&mut self.default]).filter_map(|route| route.mirror.as_mut())
    }
}

/// A rule: conditions and what happens to matching requests.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in the file; `default` for the last route.
    pub name: String,
    /// Lower numbers are evaluated first; `None` for the default.
    pub priority: Option<u32>,
    /// Conditions, all of which must hold.
    pub(crate) requirements: Vec<Requirement>,
    /// Applied before the request goes to a back end.
    pub transforms: Transforms,
    /// The action.
    pub action: Action,
    /// `requestHeaders`: changes to the fields sent to a back end.
    pub request_fields: FieldEdits,
    /// `responseHeaders`: changes to the fields sent to the client.
    pub response_fields: FieldEdits,
    /// `compress`: `true` for all text, `false` for none, `None` for text that the front end could not carry otherwise.
    pub compress: Option<bool>,
    /// `spill` of the route: `false` for responses that are not to be stored.
    pub spills: bool,
    /// `mirror`: copies for another back end.
    pub mirror: Option<Mirror>,
    /// `true` if any of this uses groups of the path's regex.
    pub(crate) uses_groups: bool,
}

impl Route {
    /// Describes the conditions; empty if there are none.
    #[must_use]
    pub fn conditions(&self) -> String {
        All(&self.requirements).to_string()
    }

    /// Returns the conditions that ALB has as well, and `true` if these are all.
    #[must_use]
    pub fn alb_conditions(&self) -> (Vec<&Condition>, bool) {
        let conditions: Vec<_> = self.requirements.iter().filter_map(Requirement::as_alb).collect();
        let are_all = conditions.len() == self.requirements.len();
        (conditions, are_all)
    }

    /// Returns the groups of the first regex in the route's `path` condition that matches the normalised path, which the
    /// route was selected by.
    #[must_use]
    pub fn captures(&self, path: &[u8]) -> Captures {
        if !self.uses_groups {
            return Captures::default();
        }
        // No regex matches anything else.
        let Ok(path) = std::str::from_utf8(path) else { return Captures::default() };
        let regexes = self.path_patterns().iter().filter_map(Pattern::as_regex);
        regexes.into_iter().find_map(|regex| Captures::of(regex, path)).unwrap_or_default()
    }

    /// Returns the values of the `path` condition, whose regexes define the groups such as `${1}`; empty if there is
    /// none.
    pub(crate) fn path_patterns(&self) -> &[Pattern] {
        self.requirements.iter().find_map(Requirement::path_patterns).unwrap_or_default()
    }
}

/// The action of a route.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends the request to a back end.
    Forward(Forward),
    /// Redirects the client.
    Redirect(Redirect),
    /// Responds without a back end.
    FixedResponse(FixedResponse),
}

/// `forward`: the back ends that share a route's requests.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Never empty; the weights do not sum to zero.
    pub targets: Vec<Target>,
    /// Ties users to targets.
    pub sticky: Option<Sticky>,
    /// Lets requests choose a target.
    pub opt_in: Option<OptIn>,
    /// Used when a target fails.
    pub failover: Option<Failover>,
}

impl Forward {
    /// Returns the transforms of the target with this back end, if there is one.
    #[must_use]
    pub fn transforms_for(&self, backend: usize) -> Option<&Transforms> {
        self.targets.iter().find(|target| target.backend == backend).map(|target| &target.transforms)
    }
}

/// One of the back ends of a route.
#[derive(Clone, Debug)]
pub struct Target {
    /// Index into [`RoutingTable::backends`].
    pub backend: usize,
    /// The back end's name, which is hashed with users.
    pub name: String,
    /// Share relative to the other targets: 0 to 999.
    pub weight: u32,
    /// Applied after those of the route.
    pub transforms: Transforms,
}

/// `fixedResponse`.
#[derive(Clone, Debug)]
pub struct FixedResponse {
    /// 200 to 599.
    pub status: StatusCode,
    /// `contentType`.
    pub content_type: Option<HeaderValue>,
    /// `body`, or the content of `bodyFile`.
    pub body: bytes::Bytes,
    /// Used instead of the body where the client accepts one of them.
    pub pages: Vec<ErrorPage>,
    /// `maintenance` of the overlay, in place of the route's own action.
    pub is_maintenance: bool,
}

/// `healthCheck.answer`: selects what responds to the load balancer's health checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthCheck {
    /// The function itself, with 200: a broken back end must not take the proxy out of service.
    #[default]
    Function,
    /// The back end that the request is routed to.
    Backend,
}
