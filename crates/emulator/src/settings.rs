//! The emulator's settings, as plain data in ELBv2's and Lambda's terms: a load balancer with listeners, rules and
//! target groups, and the functions behind them. Owns meaning, defaults and ranges; reads no file (`source` does) and
//! starts nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crossfade_event::HeaderMode;
use crossfade_rule::{Condition, Rewrite};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::Endpoint;

/// All settings. Indices of target groups and functions are into its own lists.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The attributes that apply to all listeners.
    pub load_balancer: LoadBalancerAttributes,
    /// At least one.
    pub listeners: Vec<Listener>,
    /// The target groups of all rules.
    pub target_groups: Vec<TargetGroup>,
    /// The targets of target groups.
    pub functions: Vec<Function>,
    /// Keep the messages of each exchange in its [`crate::Notice`] for an inspector.
    pub keep_messages: bool,
}

impl Settings {
    /// One HTTP listener, on a port that the system chooses, that forwards all requests to one function.
    #[must_use]
    pub fn forward_all(mode: HeaderMode, function: Function) -> Self {
        let group = TargetGroup::new(&function.name, mode, Some(0));
        Settings {
            listeners: vec![Listener::http(Action::forward_to(0))],
            target_groups: vec![group],
            functions: vec![function],
            ..Settings::default()
        }
    }
}

/// Load balancer attributes that alter traffic (ELBv2 API, `LoadBalancerAttribute`).
#[derive(Clone, Debug)]
pub struct LoadBalancerAttributes {
    /// `idle_timeout.timeout_seconds`: 1 to 4000 s.
    pub idle_timeout: Duration,
    /// `client_keep_alive.seconds`: 60 to 604800 s.
    pub client_keep_alive: Duration,
    /// `routing.http.preserve_host_header.enabled`
    pub preserve_host_header: bool,
    /// `routing.http.drop_invalid_header_fields.enabled`
    pub drop_invalid_header_fields: bool,
    /// `routing.http.desync_mitigation_mode`
    pub desync_mitigation: DesyncMitigation,
    /// `routing.http.xff_header_processing.mode`
    pub forwarded_for: ForwardedFor,
    /// `routing.http.xff_client_port.enabled`
    pub forwarded_for_port: bool,
    /// `routing.http.x_amzn_tls_version_and_cipher_suite.enabled`
    pub tls_fields: bool,
    /// `routing.http.x_amzn_tls_kx.enabled`
    pub key_exchange_field: bool,
    /// `routing.http2.enabled`
    pub http2: bool,
}

impl Default for LoadBalancerAttributes {
    fn default() -> Self {
        LoadBalancerAttributes {
            idle_timeout: Duration::from_secs(60),
            client_keep_alive: Duration::from_secs(3600),
            preserve_host_header: false,
            drop_invalid_header_fields: false,
            desync_mitigation: DesyncMitigation::Defensive,
            forwarded_for: ForwardedFor::Append,
            forwarded_for_port: false,
            tls_fields: false,
            key_exchange_field: false,
            http2: true,
        }
    }
}

/// The treatment of requests that two servers may read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DesyncMitigation {
    /// Forwards all of them.
    Monitor,
    /// Rejects severe ones, and closes the connection after ambiguous ones.
    Defensive,
    /// Rejects all that are not compliant.
    Strictest,
}

/// The treatment of `X-Forwarded-For`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedFor {
    /// Appends the client's address.
    Append,
    /// Leaves the field unchanged.
    Preserve,
    /// Removes the field.
    Remove,
}

impl LoadBalancerAttributes {
    /// Sets an attribute by its key in the ELBv2 API. Returns `false` for a key that this emulator does not know.
    ///
    /// # Errors
    ///
    /// The requirement that the value violates, as "it must be …".
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "idle_timeout.timeout_seconds" => self.idle_timeout = seconds(value, 1, 4000)?,
            "client_keep_alive.seconds" => self.client_keep_alive = seconds(value, 60, 604_800)?,
            "routing.http.preserve_host_header.enabled" => self.preserve_host_header = boolean(value)?,
            "routing.http.drop_invalid_header_fields.enabled" => self.drop_invalid_header_fields = boolean(value)?,
            "routing.http.desync_mitigation_mode" => {
                self.desync_mitigation = match value {
                    "monitor" => DesyncMitigation::Monitor,
                    "defensive" => DesyncMitigation::Defensive,
                    "strictest" => DesyncMitigation::Strictest,
                    _ => return Err("it must be `monitor`, `defensive` or `strictest`".to_owned()),
                }
            }
            "routing.http.xff_header_processing.mode" => {
                self.forwarded_for = match value {
                    "append" => ForwardedFor::Append,
                    "preserve" => ForwardedFor::Preserve,
                    "remove" => ForwardedFor::Remove,
                    _ => return Err("it must be `append`, `preserve` or `remove`".to_owned()),
                }
            }
            "routing.http.xff_client_port.enabled" => self.forwarded_for_port = boolean(value)?,
            "routing.http.x_amzn_tls_version_and_cipher_suite.enabled" => self.tls_fields = boolean(value)?,
            "routing.http.x_amzn_tls_kx.enabled" => self.key_exchange_field = boolean(value)?,
            "routing.http2.enabled" => self.http2 = boolean(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// One listener: a port, its rules, its attributes.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The name in messages: a logical ID, or the last part of an ARN.
    pub name: String,
    /// The port in AWS, if known; it decides the port in `Host`.
    pub port: Option<u16>,
    /// The local address; port 0 lets the operating system choose. Meant for loopback: there is no access control of
    /// any kind.
    pub listen: SocketAddr,
    /// Further local addresses, with the same port. Those that cannot be used are in [`crate::Emulator::unavailable`].
    pub also: Vec<IpAddr>,
    /// HTTPS with this certificate, or plain HTTP.
    pub tls: Option<Tls>,
    /// Listener attributes.
    pub attributes: ListenerAttributes,
    /// The rules, in any order; priorities must differ.
    pub rules: Vec<Rule>,
    /// The action for requests that no rule matches.
    pub default_action: Action,
    /// The front end that this listener stands in for instead of the load balancer: then it has no rules.
    pub endpoint: Option<Endpoint>,
}

impl Listener {
    /// An HTTP listener that stands in for another front end, on a port that the system chooses.
    #[must_use]
    pub fn endpoint(endpoint: Endpoint) -> Self {
        let name = endpoint.kind.name().to_owned();
        Listener { name, endpoint: Some(endpoint), ..Listener::http(Action::status(StatusCode::NOT_FOUND)) }
    }

    /// An HTTP listener without rules, on a port that the system chooses.
    #[must_use]
    pub fn http(default_action: Action) -> Self {
        Listener {
            name: "http".to_owned(),
            port: None,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            also: Vec::new(),
            tls: None,
            attributes: ListenerAttributes::default(),
            rules: Vec::new(),
            default_action,
            endpoint: None,
        }
    }
}

/// The TLS settings of an HTTPS listener.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The certificate chain, leaf first, PEM. Required when the emulator starts.
    pub certificate_pem: String,
    /// Its private key, PEM.
    pub key_pem: String,
    /// The authentication of clients by certificates.
    pub mutual: MutualAuthentication,
}

/// Mutual TLS of a listener (user guide, "Mutual authentication with TLS").
#[derive(Clone, Debug, Default)]
pub enum MutualAuthentication {
    /// Requests no client certificate.
    #[default]
    Off,
    /// Accepts any certificate unverified, and passes it to the target as `X-Amzn-Mtls-Clientcert`.
    Passthrough,
    /// Requires a certificate of these authorities (PEM), and passes its content to the target.
    Verify {
        /// The trust store.
        ca_pem: String,
    },
}

/// Listener attributes that alter traffic (user guide, "HTTP header modification").
#[derive(Clone, Debug)]
pub struct ListenerAttributes {
    /// `routing.http.response.server.enabled`: whether answers carry `Server: awselb/2.0`.
    pub server_field: bool,
    /// `routing.http.response.*.header_value`: set in every answer, over what is there.
    pub response_fields: Vec<(HeaderName, HeaderValue)>,
    /// `routing.http.request.*.header_name`: own and new name of TLS and mTLS fields.
    pub request_names: Vec<(HeaderName, HeaderName)>,
}

impl Default for ListenerAttributes {
    fn default() -> Self {
        ListenerAttributes { server_field: true, response_fields: Vec::new(), request_names: Vec::new() }
    }
}

/// Request fields that a listener can rename, by the part of the attribute's key.
const RENAMED: [(&str, &str); 8] = [
    ("x_amzn_mtls_clientcert_serial_number", "x-amzn-mtls-clientcert-serial-number"),
    ("x_amzn_mtls_clientcert_issuer", "x-amzn-mtls-clientcert-issuer"),
    ("x_amzn_mtls_clientcert_subject", "x-amzn-mtls-clientcert-subject"),
    ("x_amzn_mtls_clientcert_validity", "x-amzn-mtls-clientcert-validity"),
    ("x_amzn_mtls_clientcert_leaf", "x-amzn-mtls-clientcert-leaf"),
    ("x_amzn_mtls_clientcert", "x-amzn-mtls-clientcert"),
    ("x_amzn_tls_version", "x-amzn-tls-version"),
    ("x_amzn_tls_cipher_suite", "x-amzn-tls-cipher-suite"),
];

/// Response fields that a listener can insert.
const INSERTED: [&str; 10] = [
    "strict_transport_security",
    "access_control_allow_origin",
    "access_control_allow_methods",
    "access_control_allow_headers",
    "access_control_allow_credentials",
    "access_control_expose_headers",
    "access_control_max_age",
    "content_security_policy",
    "x_content_type_options",
    "x_frame_options",
];

/// The longest value of an inserted field, in bytes.
const MAX_INSERTED: usize = 1024;

impl ListenerAttributes {
    /// Sets an attribute by its key in the ELBv2 API. Returns `false` for a key that this emulator does not know.
    ///
    /// # Errors
    ///
    /// The requirement that the value violates, as "it must be …".
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        if key == "routing.http.response.server.enabled" {
            self.server_field = boolean(value)?;
            return Ok(true);
        }
        let part = |prefix, suffix| key.strip_prefix(prefix).and_then(|rest: &str| rest.strip_suffix(suffix));
        if let Some(name) = part("routing.http.response.", ".header_value")
            && INSERTED.contains(&name)
        {
            if value.len() > MAX_INSERTED {
                return Err(format!("it must have at most {MAX_INSERTED} bytes, and has {}", value.len()));
            }
            let name = HeaderName::try_from(name.replace('_', "-")).map_err(|_| "it must name a field".to_owned())?;
            let value = HeaderValue::from_str(value).map_err(|_| "it must be visible ASCII".to_owned())?;
            self.response_fields.retain(|(other, _)| *other != name);
            self.response_fields.push((name, value));
            return Ok(true);
        }
        if let Some(name) = part("routing.http.request.", ".header_name")
            && let Some((_, own)) = RENAMED.iter().find(|(part, _)| *part == name)
        {
            let new = HeaderName::try_from(value).map_err(|_| "it must be a field name".to_owned())?;
            self.request_names.push((HeaderName::from_static(own), new));
            return Ok(true);
        }
        Ok(false)
    }

    /// Returns the name of one of the load balancer's own fields on this listener.
    pub(crate) fn name_of(&self, own: &'static str) -> HeaderName {
        let own = HeaderName::from_static(own);
        let new = self.request_names.iter().rev().find(|(name, _)| *name == own);
        new.map_or(own, |(_, new)| new.clone())
    }
}

/// A listener rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// 1 to 50000; the lowest is evaluated first.
    pub priority: u32,
    /// All must match.
    pub conditions: Vec<Condition>,
    /// The changes to a request that is forwarded.
    pub transforms: Transforms,
    /// The action for a request that matches.
    pub action: Action,
    /// The file and line of the rule, for messages; may be empty.
    pub origin: String,
}

/// Transforms of a rule: at most one of each (user guide, "Transforms for listener rules").
#[derive(Clone, Debug, Default)]
pub struct Transforms {
    /// `url-rewrite`: of path and query as one text, `/path?query`.
    pub url: Option<Rewrite>,
    /// `host-header-rewrite`
    pub host: Option<Rewrite>,
}

/// The action of a rule.
#[derive(Clone, Debug)]
pub enum Action {
    /// Forwards to one of the target groups.
    Forward(Forward),
    /// Redirects to a location made from the request.
    Redirect(Redirect),
    /// Always returns the same response.
    FixedResponse(FixedResponse),
}

impl Action {
    /// Returns the action that forwards to one target group.
    #[must_use]
    pub fn forward_to(group: usize) -> Self {
        Action::Forward(Forward { targets: vec![WeightedGroup { group, weight: 1 }], stickiness: None })
    }

    /// Returns a fixed response without content.
    #[must_use]
    pub fn status(status: StatusCode) -> Self {
        Action::FixedResponse(FixedResponse { status, content_type: None, body: String::new() })
    }
}

/// `forward`
#[derive(Clone, Debug)]
pub struct Forward {
    /// The target groups: at least one, at most five.
    pub targets: Vec<WeightedGroup>,
    /// The time for which a client stays with its target group, 1 s to 7 days; `None` without stickiness.
    pub stickiness: Option<Duration>,
}

/// One target group of a `forward`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightedGroup {
    /// Index into [`Settings::target_groups`].
    pub group: usize,
    /// 0 to 999, relative to the others.
    pub weight: u16,
}

/// `redirect`: parts with the keywords `#{protocol} #{host} #{port} #{path} #{query}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    pub protocol: String,
    /// By default `#{host}`.
    pub host: String,
    /// By default `#{port}`.
    pub port: String,
    /// By default `/#{path}`.
    pub path: String,
    /// By default `#{query}`.
    pub query: String,
    /// 301 or 302.
    pub status: StatusCode,
}

impl Redirect {
    /// Returns a redirect with each part as in the request.
    #[must_use]
    pub fn to_itself(status: StatusCode) -> Self {
        Redirect {
            protocol: "#{protocol}".to_owned(),
            host: "#{host}".to_owned(),
            port: "#{port}".to_owned(),
            path: "/#{path}".to_owned(),
            query: "#{query}".to_owned(),
            status,
        }
    }
}

/// `fixed-response`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// 2xx, 4xx or 5xx.
    pub status: StatusCode,
    /// The content type: one of the five that ALB allows.
    pub content_type: Option<String>,
    /// The content: at most 1024 characters.
    pub body: String,
}

/// A Lambda target group.
#[derive(Clone, Debug)]
pub struct TargetGroup {
    /// The name in messages: its name or logical ID.
    pub name: String,
    /// The ARN in events and in the access log.
    pub arn: String,
    /// `lambda.multi_value_headers.enabled`
    pub mode: HeaderMode,
    /// Index into [`Settings::functions`]; `None` if no target is registered, which is a 503.
    pub function: Option<usize>,
    /// Off by default, as in AWS for Lambda targets.
    pub health_check: Option<HealthCheck>,
}

impl TargetGroup {
    /// Returns a target group without health checks, with an ARN made from its name.
    #[must_use]
    pub fn new(name: &str, mode: HeaderMode, function: Option<usize>) -> Self {
        let id = match mode {
            HeaderMode::Single => "0000000000000001",
            HeaderMode::Multi => "0000000000000002",
        };
        let arn = format!("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/{name}/{id}");
        TargetGroup { name: name.to_owned(), arn, mode, function, health_check: None }
    }
}

/// Health checks of a target group; the defaults are those of Lambda targets (user guide, "Lambda functions as
/// targets").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The path; it may have a query.
    pub path: String,
    /// 5 to 300 s.
    pub interval: Duration,
    /// 2 to 120 s.
    pub timeout: Duration,
    /// 2 to 10.
    pub healthy_threshold: u32,
    /// 2 to 10.
    pub unhealthy_threshold: u32,
    /// Statuses from 200 to 499, such as `200`, `200,202` or `200-299`.
    pub matcher: Matcher,
}

impl Default for HealthCheck {
    fn default() -> Self {
        HealthCheck {
            path: "/".to_owned(),
            interval: Duration::from_secs(35),
            timeout: Duration::from_secs(30),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: Matcher(vec![(200, 200)]),
        }
    }
}

/// The status codes of healthy responses: ranges, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher(Vec<(u16, u16)>);

impl Matcher {
    /// Parses status codes such as `200`, `200,202` or `200-299`.
    ///
    /// # Errors
    ///
    /// A message with the expected form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let status = |text: &str| text.trim().parse().ok().filter(|status: &u16| (200..=499).contains(status));
        let range = |part: &str| match part.split_once('-') {
            Some((from, to)) => Some((status(from)?, status(to)?)),
            None => status(part).map(|status| (status, status)),
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(Matcher).ok_or_else(|| {
            format!("`{text}` is not a list of status codes from 200 to 499, such as `200`, `200,202` or `200-299`")
        })
    }

    /// Returns `true` for the status of a healthy response.
    #[must_use]
    pub fn matches(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (from, to)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            match from == to {
                true => write!(f, "{separator}{from}")?,
                false => write!(f, "{separator}{from}-{to}")?,
            }
        }
        Ok(())
    }
}

/// The environments of a function without reserved concurrency: few enough for a laptop.
const UNRESERVED: usize = 10;

/// A Lambda function: the command that starts a process of it, and Lambda's limits.
#[derive(Clone, Debug)]
pub struct Function {
    /// The function's name.
    pub name: String,
    /// The program and its arguments. It must speak the Runtime API, as any Lambda runtime does. `{port}` and
    /// `{port:NAME}` stand for free ports of each environment; `{{port}}` for the text `{port}`.
    pub command: Vec<String>,
    /// The working directory, also in `LAMBDA_TASK_ROOT`; the current one if `None`.
    pub directory: Option<PathBuf>,
    /// The value of `_HANDLER`.
    pub handler: String,
    /// Such as `nodejs22.x`; it goes into `AWS_EXECUTION_ENV`, except for OS-only runtimes, as in Lambda.
    pub runtime: Option<String>,
    /// Environment variables besides those that Lambda sets; they win over those.
    pub env: Vec<(String, String)>,
    /// Variables of this machine alone, which win over `env`. Their values have placeholders, as in `command`.
    pub local_env: Vec<(String, String)>,
    /// The time limit of one invocation; then the process is killed.
    pub timeout: Duration,
    /// From the start of a process until it requests the first invocation; Lambda allows 10 s, and on Managed Instances
    /// 130 s or the timeout, if that is longer, which a smaller value here does not change.
    pub init_timeout: Duration,
    /// The most environments at a time. With [`Function::reserved_by`], 0 throttles everything.
    pub max_concurrency: usize,
    /// The setting that `max_concurrency` is from, such as `--max-concurrency`: Lambda throttles further requests, as
    /// for a reserved concurrency. `None`: the number is what this machine can bear, and further requests wait.
    pub reserved_by: Option<&'static str>,
    /// Concurrent invocations in one environment. More than 1 is Lambda Managed Instances: the value of
    /// `AWS_LAMBDA_MAX_CONCURRENCY`, nothing is frozen, and an invocation that takes too long does not end the process.
    pub invocations_per_environment: usize,
    /// MiB. An environment that uses more is ended; Linux only.
    pub memory_mib: u32,
    /// Commands of external extensions, started with each environment, with placeholders as in `command`. Each must
    /// register with the file name of the program.
    pub extensions: Vec<Vec<String>>,
    /// Stop the process between invocations, as Lambda does.
    pub freeze: bool,
}

impl Function {
    /// The longest timeout of a function that is invoked synchronously, as by a load balancer (Lambda API, `CreateFunction`).
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(1800);
    /// The longest timeout until November 2026, which AWS's other documents and tools still name.
    pub const FORMER_MAX_TIMEOUT: Duration = Duration::from_secs(900);

    /// Returns a function with Lambda's defaults (developer guide, "Lambda quotas"): 3 s, 128 MiB, nothing reserved.
    #[must_use]
    pub fn new(name: &str, command: Vec<String>) -> Self {
        Function {
            name: name.to_owned(),
            command,
            directory: None,
            handler: "bootstrap".to_owned(),
            runtime: None,
            env: Vec::new(),
            local_env: Vec::new(),
            timeout: Duration::from_secs(3),
            init_timeout: Duration::from_secs(10),
            max_concurrency: UNRESERVED,
            reserved_by: None,
            invocations_per_environment: 1,
            memory_mib: 128,
            extensions: Vec::new(),
            freeze: false,
        }
    }

    /// Lambda Managed Instances.
    pub(crate) fn is_managed(&self) -> bool {
        self.invocations_per_environment > 1
    }

    pub(crate) fn region(&self) -> String {
        let mut all = self.local_env.iter().rev().chain(self.env.iter().rev());
        let own = all.find(|(name, _)| name == "AWS_REGION").map(|(_, value)| value.clone());
        own.or_else(|| std::env::var("AWS_REGION").ok()).unwrap_or_else(|| "us-east-1".to_owned())
    }

    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:000000000000:function:{}", self.region(), self.name)
    }
}

fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be true or false".to_owned()),
    }
}

fn seconds(value: &str, least: u64, most: u64) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|seconds| (least..=most).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| format!("it must be a number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_set_by_their_keys_and_held_to_their_ranges() {
        let mut attributes = LoadBalancerAttributes::default();
        assert_eq!(attributes.set("routing.http.xff_header_processing.mode", "remove"), Ok(true));
        assert_eq!(attributes.forwarded_for, ForwardedFor::Remove);
        assert_eq!(attributes.set("deletion_protection.enabled", "true"), Ok(false));
        assert!(attributes.set("idle_timeout.timeout_seconds", "0").is_err());
        assert!(attributes.set("routing.http2.enabled", "yes").is_err());
        let mut attributes = ListenerAttributes::default();
        let hsts = "routing.http.response.strict_transport_security.header_value";
        assert_eq!(attributes.set(hsts, "max-age=1"), Ok(true));
        assert_eq!(attributes.response_fields[0].0, "strict-transport-security");
        assert!(attributes.set(hsts, &"a".repeat(1025)).is_err());
        assert_eq!(attributes.set("routing.http.request.x_amzn_tls_version.header_name", "x-tls"), Ok(true));
        assert_eq!(attributes.name_of("x-amzn-tls-version"), "x-tls");
        assert_eq!(attributes.name_of("x-amzn-tls-cipher-suite"), "x-amzn-tls-cipher-suite");
    }

    #[test]
    fn matchers_are_lists_of_ranges() {
        let matcher = Matcher::parse("200,300-310").unwrap();
        assert!(matcher.matches(200) && matcher.matches(305) && !matcher.matches(299));
        for bad in ["", "199", "500", "2xx", "200-", "200;201"] {
            assert!(Matcher::parse(bad).is_err(), "{bad}");
        }
    }
}
