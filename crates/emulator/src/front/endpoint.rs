//! The settings of a listener that stands in for API Gateway, a function URL or VPC Lattice: plain data, and the choice of a
//! route. Owns meaning, names and limits; builds no event.

use std::time::Duration;

use super::cors::Cors;

/// The speed of a streamed response beyond its first megabytes, in bytes per second: 2 MB/s.
const STREAM_RATE: u32 = 2 * 1024 * 1024;

/// A front end other than a load balancer.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The service, and with it the event format.
    pub kind: EndpointKind,
    /// The ID in `requestContext` and in the domain name: ten characters for an API, 32 for a function URL.
    pub id: String,
    /// The name of the stage; `$default` for an HTTP API without another one.
    pub stage: String,
    /// The part of the path before that of the routes.
    pub base: BasePath,
    /// The routes, in any order.
    pub routes: Vec<Route>,
    /// `binaryMediaTypes` of a REST API.
    pub binary_media_types: Vec<String>,
    /// The speed of a streamed response beyond its first megabytes, in bytes per second; `None` for no limit.
    pub stream_rate: Option<u32>,
    /// Cross-origin settings of an HTTP API.
    pub cors: Option<Cors>,
}

/// The services that invoke a function with an HTTP request, besides Application Load Balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// API Gateway REST API.
    RestApi,
    /// API Gateway HTTP API with payload format 2.0.
    HttpApi,
    /// API Gateway HTTP API with payload format 1.0.
    HttpApi1,
    /// Lambda function URL.
    FunctionUrl,
    /// VPC Lattice with version 2 of its events.
    Lattice,
    /// VPC Lattice with version 1 of its events.
    Lattice1,
}

impl EndpointKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::RestApi, Self::HttpApi, Self::HttpApi1, Self::FunctionUrl, Self::Lattice, Self::Lattice1];

    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RestApi => "rest-api",
            Self::HttpApi => "http-api",
            Self::HttpApi1 => "http-api-1.0",
            Self::FunctionUrl => "function-url",
            Self::Lattice => "lattice",
            Self::Lattice1 => "lattice-1",
        }
    }

    /// The service in prose.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::RestApi => "API Gateway (REST API)",
            Self::HttpApi | Self::HttpApi1 => "API Gateway (HTTP API)",
            Self::FunctionUrl => "the function URL",
            Self::Lattice | Self::Lattice1 => "VPC Lattice",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns whether the service has a mode in which it streams responses.
    #[must_use]
    pub fn streams(self) -> bool {
        matches!(self, Self::RestApi | Self::FunctionUrl)
    }

    /// Returns whether it is VPC Lattice.
    pub(super) fn is_lattice(self) -> bool {
        matches!(self, Self::Lattice | Self::Lattice1)
    }

    /// The bytes of a streamed response that are sent at full speed ("Response streaming for Lambda functions"; "Stream the
    /// integration response for your proxy integrations in API Gateway").
    pub(super) fn burst(self) -> usize {
        match self {
            Self::RestApi => 10 * 1024 * 1024,
            _ => 6 * 1024 * 1024,
        }
    }

    /// The longest body of a request, in bytes ("API Gateway quotas"; "Lambda quotas"; VPC Lattice, "Lambda functions as
    /// targets").
    pub(super) fn max_body(self) -> usize {
        match self {
            Self::RestApi | Self::HttpApi | Self::HttpApi1 => 10 * 1024 * 1024,
            Self::FunctionUrl | Self::Lattice | Self::Lattice1 => 6 * 1024 * 1024,
        }
    }

    /// The most bytes of the request line and all fields ("API Gateway quotas"; "Lambda quotas").
    pub(super) fn max_head(self) -> usize {
        match self {
            Self::RestApi | Self::HttpApi | Self::HttpApi1 => 10_240,
            Self::FunctionUrl | Self::Lattice | Self::Lattice1 => 1024 * 1024,
        }
    }

    /// The time after which the service gives up waiting for the function; `None` if only the function's own timeout ends it.
    #[must_use]
    pub fn timeout(self) -> Option<Duration> {
        match self {
            Self::RestApi => Some(Duration::from_secs(29)),
            Self::HttpApi | Self::HttpApi1 => Some(Duration::from_secs(30)),
            Self::FunctionUrl | Self::Lattice | Self::Lattice1 => None,
        }
    }
}

/// The part of the path before that of the routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BasePath {
    /// None: a custom domain, or the stage `$default`.
    Root,
    /// The stage: the API's own domain.
    Stage,
    /// A custom domain's mapping, such as `v1`, without slashes around it.
    Mapping(String),
}

/// The values of the parameters in a route's path.
type Parameters = Vec<(String, String)>;

/// A route of an API, or the only one of a function URL.
#[derive(Clone, Debug)]
pub struct Route {
    /// Such as `GET`, or `ANY`.
    pub method: String,
    /// Such as `/orders/{id}` or `/{proxy+}`; `$default` for everything that no other route matches.
    pub path: String,
    /// Index into [`crate::Settings::functions`].
    pub function: usize,
    /// The function's response is passed on as it arrives: `RESPONSE_STREAM` of a function URL, `STREAM` of a REST API.
    pub streamed: bool,
    /// The time that a REST or HTTP API waits for the function, if it is not the default.
    pub timeout: Option<Duration>,
    /// The file and line of the route, for messages; may be empty.
    pub origin: String,
}

impl Route {
    /// A route for every method and path.
    #[must_use]
    pub fn all(function: usize) -> Self {
        Route {
            method: "ANY".to_owned(),
            path: "$default".to_owned(),
            function,
            streamed: false,
            timeout: None,
            origin: String::new(),
        }
    }
}

impl Endpoint {
    /// A front end with one function behind it, for every method and path, at the root.
    #[must_use]
    pub fn new(kind: EndpointKind, function: usize) -> Self {
        let route = |path: &str| Route { path: path.to_owned(), ..Route::all(function) };
        let (id, stage, routes) = match kind {
            EndpointKind::RestApi => ("a1b2c3d4e5", "dev", vec![route("/"), route("/{proxy+}")]),
            EndpointKind::HttpApi | EndpointKind::HttpApi1 => ("b1c2d3e4f5", "$default", vec![route("$default")]),
            EndpointKind::FunctionUrl => ("a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4", "$default", vec![route("$default")]),
            EndpointKind::Lattice | EndpointKind::Lattice1 => {
                ("svc-0123456789abcdef0", "$default", vec![route("$default")])
            }
        };
        Endpoint {
            kind,
            id: id.to_owned(),
            stage: stage.to_owned(),
            base: BasePath::Root,
            routes,
            binary_media_types: Vec::new(),
            stream_rate: Some(STREAM_RATE),
            cors: None,
        }
    }

    /// Returns whether clients come through a custom domain rather than through that of the API.
    pub(super) fn has_custom_domain(&self) -> bool {
        let is_api = matches!(self.kind, EndpointKind::RestApi | EndpointKind::HttpApi | EndpointKind::HttpApi1);
        match self.base {
            BasePath::Stage => false,
            BasePath::Mapping(_) => true,
            BasePath::Root => is_api && self.stage != "$default",
        }
    }

    /// Splits the base path off. Returns `None` if the path does not begin with it.
    pub(super) fn behind_base<'p>(&self, path: &'p str) -> Option<&'p str> {
        let base = match &self.base {
            BasePath::Root => return Some(path),
            BasePath::Stage => &self.stage,
            BasePath::Mapping(base) => base,
        };
        match path.strip_prefix('/')?.strip_prefix(base.as_str())? {
            "" => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }

    /// Returns the route for a method and a path, with the values of the parameters in its path. A segment as such goes before
    /// `{parameter}`, that before `{parameter+}`, and all before `$default`; a method goes before `ANY`.
    pub(super) fn route(&self, method: &str, path: &str) -> Option<(&Route, Parameters)> {
        let mut best: Option<(Vec<u8>, &Route, Parameters)> = None;
        for route in &self.routes {
            let own = route.method == method;
            if !own && !is_any(&route.method) {
                continue;
            }
            let Some((mut rank, parameters)) = matched(&route.path, path, self.kind) else { continue };
            rank.push(u8::from(!own));
            if best.as_ref().is_none_or(|(other, ..)| rank < *other) {
                best = Some((rank, route, parameters));
            }
        }
        best.map(|(_, route, parameters)| (route, parameters))
    }
}

fn is_any(method: &str) -> bool {
    method == "ANY" || method == "*"
}

/// Returns the parameters of a template that matches a path, and the rank of the match: the lowest is the most specific.
fn matched(template: &str, path: &str, kind: EndpointKind) -> Option<(Vec<u8>, Parameters)> {
    if template == "$default" {
        return Some((vec![3], Vec::new()));
    }
    let trimmed = |path: &'_ str| path.strip_prefix('/').unwrap_or(path).to_owned();
    let (template, mut path) = (trimmed(template), trimmed(path));
    // A REST API does not distinguish a path from the one with a slash behind it, unless the rest is `{parameter+}`.
    if kind == EndpointKind::RestApi && !template.ends_with("+}") && path.ends_with('/') {
        path.pop();
    }
    let (mut rank, mut parameters) = (Vec::new(), Vec::new());
    let mut rest = Some(path.as_str());
    let mut segments = template.split('/').peekable();
    while let Some(segment) = segments.next() {
        let here = rest?;
        if let Some(name) = segment.strip_prefix('{').and_then(|name| name.strip_suffix("+}")) {
            if here.is_empty() || segments.peek().is_some() {
                return None;
            }
            rank.push(2);
            parameters.push((name.to_owned(), here.to_owned()));
            return Some((rank, parameters));
        }
        let (own, after) = match here.split_once('/') {
            Some((own, after)) => (own, Some(after)),
            None => (here, None),
        };
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !own.is_empty() => {
                rank.push(1);
                parameters.push((name.to_owned(), own.to_owned()));
            }
            None if own == segment => rank.push(0),
            _ => return None,
        }
        rest = after;
    }
    rest.is_none().then_some((rank, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_route_is_chosen() {
        let mut endpoint = Endpoint::new(EndpointKind::HttpApi, 0);
        let routes = [
            ("GET", "/"),
            ("GET", "/orders"),
            ("ANY", "/orders/{id}"),
            ("GET", "/orders/{id}"),
            ("ANY", "/orders/new"),
            ("GET", "/orders/{id}/lines/{line}"),
            ("ANY", "/files/{path+}"),
            ("ANY", "$default"),
        ];
        endpoint.routes = routes
            .iter()
            .map(|(method, path)| Route { method: (*method).to_owned(), path: (*path).to_owned(), ..Route::all(0) })
            .collect();
        let chosen = |method, path| {
            let (route, parameters) = endpoint.route(method, path).unwrap();
            let parameters: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {} {}", route.method, route.path, parameters.join(" ")).trim_end().to_owned()
        };
        for (method, path, expected) in [
            ("GET", "/", "GET /"),
            ("POST", "/", "ANY $default"),
            ("GET", "/orders", "GET /orders"),
            ("GET", "/orders/", "ANY $default"),
            ("GET", "/orders/7", "GET /orders/{id} id=7"),
            ("PUT", "/orders/7", "ANY /orders/{id} id=7"),
            ("PUT", "/orders/new", "ANY /orders/new"),
            ("GET", "/orders/new", "ANY /orders/new"),
            ("GET", "/orders/7/lines/8", "GET /orders/{id}/lines/{line} id=7 line=8"),
            ("GET", "/files/a/b//c", "ANY /files/{path+} path=a/b//c"),
            ("GET", "/files/", "ANY $default"),
            ("GET", "/other", "ANY $default"),
        ] {
            assert_eq!(chosen(method, path), expected, "{method} {path}");
        }
        let mut rest = Endpoint::new(EndpointKind::RestApi, 0);
        rest.routes = vec![Route { path: "/orders".to_owned(), ..Route::all(0) }];
        assert!(rest.route("GET", "/orders/").is_some());
        assert!(rest.route("GET", "/orders/7").is_none());
    }

    #[test]
    fn a_base_path_is_whole_segments() {
        let mut endpoint = Endpoint::new(EndpointKind::RestApi, 0);
        assert_eq!(endpoint.behind_base("/a"), Some("/a"));
        endpoint.base = BasePath::Stage;
        for (path, expected) in
            [("/dev/a", Some("/a")), ("/dev", Some("/")), ("/dev/", Some("/")), ("/device", None), ("/a", None)]
        {
            assert_eq!(endpoint.behind_base(path), expected, "{path}");
        }
        endpoint.base = BasePath::Mapping("v1/shop".to_owned());
        assert_eq!(endpoint.behind_base("/v1/shop/a"), Some("/a"));
    }
}
