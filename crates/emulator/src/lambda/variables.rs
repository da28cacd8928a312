//! The environment variables of a function and its extensions (Lambda developer guide, "Working with Lambda environment
//! variables", "Defined runtime environment variables").

use std::io;
use std::net::SocketAddr;
use std::time::SystemTime;

use super::ports::Ports;
use super::process::Role;
use crate::{Function, random};

/// The most bytes of all variables of a function, names included ("Lambda quotas").
const MOST_BYTES: usize = 4096;

/// Variables that only the runtime gets ("Lambda Extensions API", "Permissions and configuration").
const NOT_FOR_EXTENSIONS: [&str; 7] = [
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
];

/// Returns the environment variables of a process. `Function::env` wins, and `Function::local_env` over that, except over
/// the address of the Runtime API.
///
/// # Errors
///
/// If no port is free for a placeholder.
///
/// `PATH` and `HOME` are those of this machine, as the programs are. Left out are:
/// - the AWS credentials: local code must not act with made-up keys; `Function::env` may bring real ones
/// - `LD_LIBRARY_PATH`: its folders are those of Lambda's image, and libraries there need not fit this machine
/// - `_X_AMZN_TRACE_ID`: a runtime sets it from the invocation
/// - `AWS_LAMBDA_METADATA_API` with its token, `AWS_XRAY_DAEMON_ADDRESS`: there are no such services here
pub(super) fn variables(
    function: &Function,
    role: Role,
    runtime_api: SocketAddr,
    ports: &mut Ports,
) -> io::Result<Vec<(String, String)>> {
    let region = function.region();
    let initialization = if function.is_managed() { "lambda-managed-instances" } else { "on-demand" };
    let log_stream = format!("{}/[$LATEST]{}", date(), random::hex(32));
    let mut variables = vec![
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mib.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", initialization.to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream),
        ("AWS_REGION", region.clone()),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("_HANDLER", function.handler.clone()),
    ];
    if function.is_managed() {
        variables.push(("AWS_LAMBDA_MAX_CONCURRENCY", function.invocations_per_environment.to_string()));
    }
    // Not defined for OS-only runtimes, whose names are `provided` and `provided.*`.
    if let Some(runtime) = function.runtime.as_ref().filter(|runtime| !runtime.starts_with("provided")) {
        variables.push(("AWS_EXECUTION_ENV", format!("AWS_Lambda_{runtime}")));
    }
    let directory = function.directory.as_ref().and_then(|directory| std::path::absolute(directory).ok());
    if let Some(directory) = directory.or_else(|| std::env::current_dir().ok()) {
        variables.push(("LAMBDA_TASK_ROOT", directory.to_string_lossy().into_owned()));
    }
    for name in ["PATH", "HOME"] {
        if let Ok(value) = std::env::var(name) {
            variables.push((name, value));
        }
    }
    if role != Role::Runtime {
        variables.retain(|(name, _)| !NOT_FOR_EXTENSIONS.contains(name));
    }
    let mut variables: Vec<_> = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // Later entries win.
    variables.extend(function.env.iter().cloned());
    for (name, template) in &function.local_env {
        variables.push((name.clone(), ports.fill(template)?));
    }
    variables.push(("AWS_LAMBDA_RUNTIME_API".to_owned(), runtime_api.to_string()));
    Ok(variables)
}

/// Returns a warning if Lambda would reject that many bytes. Variables with their values from this machine do not
/// count: they are for a local configuration, and is not deployed.
pub(super) fn too_many(function: &Function) -> Option<String> {
    let all = function.env.iter().chain(&function.local_env);
    let own = all.filter(|(name, value)| std::env::var(name).as_ref() != Ok(value));
    let bytes: usize = own.map(|(name, value)| name.len() + value.len()).sum();
    (bytes > MOST_BYTES).then(|| {
        format!("the environment variables are {bytes} bytes long, names included; Lambda's limit is {MOST_BYTES}")
    })
}

/// The day in UTC, as in the names of log streams: `2026/01/31`.
fn date() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().replace('-', "/")
}
