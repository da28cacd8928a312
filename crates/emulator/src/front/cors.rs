//! Cross-origin settings of an HTTP API: its own response to preflight requests, and the fields that it adds to other responses in
//! place of the function's. Source: API Gateway developer guide, "Configure CORS for HTTP APIs".

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

/// The settings, each as in the API's `CorsConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins such as `https://shop.example.com`, `https://*` or `*`.
    pub allow_origins: Vec<String>,
    /// For preflight requests.
    pub allow_methods: Vec<String>,
    /// For preflight requests.
    pub allow_headers: Vec<String>,
    /// For other requests.
    pub expose_headers: Vec<String>,
    /// In seconds.
    pub max_age: Option<u32>,
    /// Cookies and the like are allowed.
    pub allow_credentials: bool,
}

impl Cors {
    /// The response to a preflight request; `None` for another request, which goes to the function.
    pub(super) fn preflight(&self, method: &str, request: &HeaderMap) -> Option<Response<Bytes>> {
        let is_preflight = method == Method::OPTIONS.as_str()
            && request.contains_key(header::ORIGIN)
            && request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let fields = response.headers_mut();
        if is_preflight && self.allow(request, fields) {
            add(fields, header::ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods.join(","));
            add(fields, header::ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers.join(","));
            add(fields, header::ACCESS_CONTROL_MAX_AGE, &self.max_age.map(|age| age.to_string()).unwrap_or_default());
        }
        is_preflight.then_some(response)
    }

    /// Replaces the function's fields for a request from another origin.
    pub(super) fn apply(&self, request: &HeaderMap, response: &mut HeaderMap) {
        let own: Vec<HeaderName> =
            response.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
        for name in own {
            response.remove(name);
        }
        if self.allow(request, response) {
            add(response, header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose_headers.join(","));
        }
    }

    /// Adds the fields that say that the request's origin is allowed, if it is.
    fn allow(&self, request: &HeaderMap, response: &mut HeaderMap) -> bool {
        let Some(origin) = request.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else { return false };
        let is_any = self.allow_origins.iter().any(|allowed| allowed == "*");
        let allows = |allowed: &String| match allowed.strip_suffix('*') {
            Some(start) => origin.starts_with(start),
            None => allowed == origin,
        };
        if !is_any && !self.allow_origins.iter().any(allows) {
            return false;
        }
        add(response, header::ACCESS_CONTROL_ALLOW_ORIGIN, if is_any { "*" } else { origin });
        if self.allow_credentials {
            add(response, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        true
    }
}

fn add(fields: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Some(value) = HeaderValue::from_str(value).ok().filter(|value| !value.is_empty()) {
        fields.insert(name, value);
    }
}
