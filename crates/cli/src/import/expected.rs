//! Requests for the tests of an imported file, and the responses of the proxy that it comes from. Owns the form that all formats
//! share; each finds out by itself what its proxy does.

use std::collections::BTreeSet;

/// The key of a query that no condition knows.
pub(crate) const ARGUMENT: &str = "q";

/// A request, with a path in normal form and without a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    pub(crate) is_https: bool,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) method: String,
    /// Fields, without cookies.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) cookies: Vec<(String, String)>,
    pub(crate) arguments: Vec<(String, String)>,
}

/// The response of the proxy whose file is imported.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// From one of these servers, as `scheme://host:port`, at this path.
    From {
        servers: BTreeSet<String>,
        path: String,
    },
    Redirect {
        status: u16,
        url: String,
    },
    Status(u16),
    /// Something that Crossfade lacks.
    Foreign,
}

impl Request {
    pub(crate) fn query(&self) -> String {
        self.arguments.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
    }

    /// Returns true for a GET without fields, cookies and a query that conditions may depend on.
    pub(crate) fn is_plain(&self) -> bool {
        let is_ours = |(key, _): &(String, String)| key == ARGUMENT;
        self.method == "GET" && self.fields.is_empty() && self.cookies.is_empty() && self.arguments.iter().all(is_ours)
    }

    /// The request without them.
    pub(crate) fn plain(&self) -> Request {
        let Request { is_https, host, path, .. } = self.clone();
        Request { is_https, host, path, method: "GET".to_owned(), ..Request::default() }
    }

    /// Path and query.
    pub(crate) fn target(&self) -> String {
        match self.arguments.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, self.query()),
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }
}
