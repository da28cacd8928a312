//! Everything that is known about a deployed function before it is judged, as plain data. Owns no request and no judgement.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crossfade_emulator::Settings;
use crossfade_package::Program;
use crossfade_route::{Overlay, RoutingTable};

/// A fact, or the reason why it is not known.
pub(crate) type Known<T> = Result<T, Unknown>;

/// The reason why something is not known, such as a missing permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown(pub(crate) String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All facts.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) region: String,
    pub(crate) deployed: Deployed,
    pub(crate) configuration: Known<Configuration>,
    /// The file with listener rules.
    pub(crate) file: Option<RuleFile>,
    /// The local package.
    pub(crate) zip: Option<Zip>,
}

/// Those that AWS has.
#[derive(Debug)]
pub(crate) struct Deployed {
    /// The function's name, without a version or an alias.
    pub(crate) name: String,
    pub(crate) function: Known<Function>,
    /// Reserved concurrency; `None` if the function has none.
    pub(crate) reserved: Known<Option<u32>>,
    /// Concurrent executions that the account allows in this region.
    pub(crate) account_concurrency: Known<u32>,
    /// Its Lambda target groups.
    pub(crate) groups: Known<Vec<Group>>,
    /// Listeners with a rule or a default action that forwards to one of these groups, or the one that the user names.
    pub(crate) listeners: Known<Vec<Listener>>,
    /// The resource-based policy for each version or alias that is a target; the function's own has the key "".
    pub(crate) policies: Known<BTreeMap<String, Vec<Statement>>>,
    /// `None` if there is no such log group.
    pub(crate) log_group: Known<Option<LogGroup>>,
    /// All of the region.
    pub(crate) alarms: Known<Vec<Alarm>>,
    /// `None` if the function has no `CROSSFADE_LIVE`.
    pub(crate) live: Known<Option<Live>>,
}

/// The function's configuration (Lambda API, `GetFunctionConfiguration`).
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// `None` for a container image.
    pub(crate) runtime: Option<String>,
    pub(crate) architecture: String,
    pub(crate) memory_mb: u32,
    pub(crate) timeout: Duration,
    pub(crate) code_sha256: String,
    /// The variables, or the reason why Lambda could not decrypt them.
    pub(crate) environment: Result<BTreeMap<String, String>, String>,
    pub(crate) is_json_log: bool,
    pub(crate) application_level: Option<String>,
    pub(crate) system_level: Option<String>,
    pub(crate) log_group: String,
    pub(crate) is_traced: bool,
    pub(crate) subnets: usize,
    pub(crate) security_groups: usize,
    pub(crate) layers: Vec<String>,
    /// `Active`, `Pending`, `Inactive` or `Failed`, with a reason.
    pub(crate) state: (String, Option<String>),
    /// `Successful`, `Failed` or `InProgress`, with a reason.
    pub(crate) last_update: (String, Option<String>),
}

/// A Lambda target group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) arn: String,
    pub(crate) name: String,
    /// `lambda.multi_value_headers.enabled`
    pub(crate) has_multi_value_headers: Known<bool>,
    pub(crate) health_check: Option<HealthCheck>,
    /// The version or alias of the function that is its target; empty for the function itself.
    pub(crate) qualifier: String,
    pub(crate) health: String,
    pub(crate) health_reason: Option<String>,
}

/// Its health check, if that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HealthCheck {
    pub(crate) path: String,
    pub(crate) interval: u32,
    pub(crate) timeout: u32,
    pub(crate) healthy: u32,
    pub(crate) unhealthy: u32,
    pub(crate) matcher: String,
}

/// A listener with all its rules.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) arn: String,
    /// Such as `HTTPS 443`.
    pub(crate) name: String,
    /// One listener, and the target groups of its rules, as the emulator reads them; or what it cannot read.
    pub(crate) settings: Known<Settings>,
}

/// A statement of a resource-based policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sid: String,
    pub(crate) is_allow: bool,
    pub(crate) principals: Vec<String>,
    pub(crate) actions: Vec<String>,
    /// Values of `aws:SourceArn`.
    pub(crate) source_arns: Vec<String>,
    /// Values of `aws:SourceAccount`.
    pub(crate) source_accounts: Vec<String>,
    /// Keys of other conditions.
    pub(crate) other_conditions: Vec<String>,
}

/// A log group.
#[derive(Clone, Debug)]
pub(crate) struct LogGroup {
    /// `None`: lines are never deleted.
    pub(crate) retention_days: Option<u32>,
}

/// An alarm of CloudWatch, of any type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alarm {
    pub(crate) name: String,
    pub(crate) arn: String,
    /// It watches the function, its target groups or its log.
    pub(crate) is_own: bool,
    pub(crate) are_actions_enabled: bool,
    /// Those for `ALARM`, of the alarm itself and of composite alarms that contain it.
    pub(crate) has_actions: bool,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`, with the reason.
    pub(crate) state: String,
    pub(crate) reason: String,
}

/// The live state that the function reads.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) place: String,
    /// `None` before the first change.
    pub(crate) overlay: Result<Option<Overlay>, LiveError>,
}

/// A live state that was not read.
#[derive(Debug)]
pub(crate) enum LiveError {
    /// These credentials may not, which says nothing about the function's.
    NotAllowed(String),
    /// It is not there, or invalid.
    Broken(String),
}

/// The configuration that the function is meant to have.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// A file, or `CROSSFADE_BACKEND`.
    pub(crate) source: String,
    pub(crate) is_file: bool,
    /// Compiled with the function's environment; or all errors.
    pub(crate) table: Result<RoutingTable, Vec<String>>,
    /// `true` if the configuration in the local package has the same meaning; `None` without one.
    pub(crate) is_packaged: Option<bool>,
}

/// A file with listener rules.
#[derive(Debug)]
pub(crate) struct RuleFile {
    pub(crate) name: String,
    pub(crate) settings: Settings,
    /// The names of each function, as the reader of the file knows them.
    pub(crate) names: Vec<Vec<String>>,
}

/// A local package.
#[derive(Debug)]
pub(crate) struct Zip {
    pub(crate) name: String,
    /// As Lambda's `CodeSha256`.
    pub(crate) code_sha256: String,
    pub(crate) program: Known<Program>,
    /// The files beside the program, by their names.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}
