//! The Extensions API of one environment: `register`, `event/next`, `init/error`, `exit/error` (Lambda developer guide, "Using
//! the Lambda Extensions API to create extensions"), and subscriptions to telemetry, of which none comes. Error types are
//! those of aws-lambda-runtime-interface-emulator.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;

use super::api::{Content, Rejection, accepted, describe_error, json};
use super::desk::{Desk, Signal};
use super::failure::Failure;
use super::shutdown::Reason;
use super::state::{Phase, State, milliseconds};
use crate::{Function, random};

/// Extensions of one function ("Lambda Extensions API", init phase).
const MOST_EXTENSIONS: usize = 10;
/// The account of local functions, as in their ARN.
const ACCOUNT: &str = "000000000000";

const NAME: &str = "lambda-extension-name";
const FEATURES: &str = "lambda-extension-accept-feature";
const IDENTIFIER: &str = "lambda-extension-identifier";
const EVENT_IDENTIFIER: &str = "lambda-extension-event-identifier";
const ERROR_TYPE: &str = "lambda-extension-function-error-type";

pub(super) struct Extension {
    id: String,
    name: String,
    pub(super) external: bool,
    pub(super) invoke: bool,
    shutdown: bool,
    /// It has called `next` and not got an event since.
    pub(super) asking: bool,
    failed: bool,
    pub(super) pending: VecDeque<String>,
}

/// The names of a function's external extensions: the file names of their programs.
pub(super) fn names(function: &Function) -> Vec<String> {
    let programs = function.extensions.iter().map(|command| command.first().map(String::as_str).unwrap_or_default());
    let name =
        |program| Path::new(program).file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
    programs.map(name).collect()
}

/// Says so if two of them have one name.
pub(super) fn same_name(function: &Function) -> Option<String> {
    let mut names = names(function);
    names.sort_unstable();
    let (twice, _) = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next)?;
    Some(format!(
        "two external extensions are called `{twice}`, and only one can register: start them by scripts with names of their \
         own"
    ))
}

/// Which extensions there are: this decides how an environment is shut down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extensions {
    None,
    Internal,
    External,
}

impl Desk {
    fn register(&self, name: &str, events: &[String]) -> Result<String, Rejection> {
        let external = self.externals.iter().any(|external| external == name);
        for event in events {
            let problem = match event.as_str() {
                "INVOKE" if self.is_managed() => "not supported on Lambda Managed Instances",
                "SHUTDOWN" if !external => "not supported for internal extensions",
                "INVOKE" | "SHUTDOWN" => continue,
                _ => "no such event",
            };
            return Err(Rejection::forbidden("Extension.InvalidEventType", format!("{event}: {problem}")));
        }
        let mut state = self.lock();
        if state.extensions.iter().any(|extension| extension.name == name) {
            let message = "Extension with this name already registered";
            return Err(Rejection::forbidden("Extension.InvalidExtensionState", message));
        }
        if state.has_asked || state.phase != Phase::Init {
            let message = "Extension registration closed already";
            return Err(Rejection::forbidden("Extension.RegistrationClosed", message));
        }
        // Places are kept for the external ones.
        let internal = state.extensions.iter().filter(|extension| !extension.external).count();
        if internal + self.externals.len() + usize::from(!external) > MOST_EXTENSIONS {
            let message = format!("Extension limit ({MOST_EXTENSIONS}) reached");
            return Err(Rejection::forbidden("Extension.TooManyExtensions", message));
        }
        let id = random::uuid();
        let wants = |event: &str| events.iter().any(|wanted| wanted == event);
        state.extensions.push(Extension {
            id: id.clone(),
            name: name.to_owned(),
            external,
            invoke: wants("INVOKE"),
            shutdown: wants("SHUTDOWN"),
            asking: false,
            failed: false,
            pending: VecDeque::new(),
        });
        if external && state.extensions.iter().filter(|extension| extension.external).count() == self.externals.len() {
            self.signal(Signal::Registered);
        }
        Ok(id)
    }

    /// An extension's long poll.
    async fn next_event(&self, id: &str) -> Result<String, Rejection> {
        {
            let mut state = self.lock();
            state.extension(id)?.asking = true;
            self.settle(state);
        }
        loop {
            let changed = self.events.notified();
            tokio::pin!(changed);
            // From here on no event is missed.
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                let extension = state.extension(id)?;
                if let Some(event) = extension.pending.pop_front() {
                    extension.asking = false;
                    return Ok(event);
                }
            }
            changed.await;
        }
    }

    /// An extension gives up: no further call of it succeeds.
    fn extension_failed(&self, id: &str, error: String) -> Result<(), Rejection> {
        let name = {
            let mut state = self.lock();
            let extension = state.extension(id)?;
            extension.failed = true;
            extension.name.clone()
        };
        self.signal(Signal::Failed(Failure::ExtensionError { name, error }));
        Ok(())
    }

    /// Of an external extension, by its place in [`Function::extensions`].
    pub(super) fn external(&self, index: usize) -> &str {
        self.externals.get(index).map_or("", String::as_str)
    }

    pub(super) fn extensions(&self) -> Extensions {
        match (self.externals.is_empty(), self.lock().extensions.is_empty()) {
            (false, _) => Extensions::External,
            (true, false) => Extensions::Internal,
            (true, true) => Extensions::None,
        }
    }

    /// Sends the SHUTDOWN event, and says which external extensions get none.
    pub(super) fn tell_shutdown(&self, reason: Reason, deadline: SystemTime) -> Vec<usize> {
        let event = json!({
            "eventType": "SHUTDOWN",
            "shutdownReason": reason.as_str(),
            "deadlineMs": milliseconds(deadline),
        });
        let mut state = self.lock();
        for extension in state.extensions.iter_mut().filter(|extension| extension.external && extension.shutdown) {
            extension.pending.push_back(event.to_string());
        }
        let told = |name: &String| state.extensions.iter().any(|it| it.name == *name && it.shutdown && !it.failed);
        let untold = self.externals.iter().enumerate().filter(|(_, name)| !told(name)).map(|(index, _)| index);
        let untold = untold.collect();
        drop(state);
        self.events.notify_waiters();
        untold
    }

    /// Told once for each function.
    fn warn_of_telemetry(&self, name: &str) {
        let Some(pool) = self.pool.upgrade() else { return };
        if !pool.telemetry_told.swap(true, Ordering::Relaxed) {
            self.warn(format!("the extension `{name}` subscribed to telemetry or logs; none is sent here"));
        }
    }
}

impl State {
    fn extension(&mut self, id: &str) -> Result<&mut Extension, Rejection> {
        let extension = self.extensions.iter_mut().find(|extension| extension.id == id).ok_or_else(|| {
            Rejection::forbidden("Extension.UnknownExtensionIdentifier", format!("Unknown extension {id}"))
        })?;
        match extension.failed {
            false => Ok(extension),
            true => Err(Rejection::forbidden("Extension.InvalidExtensionState", "the extension has reported an error")),
        }
    }
}

/// The long poll: takes as long as it takes, as the extension may be frozen inside the call.
pub(super) async fn next(desk: &Desk, headers: &HeaderMap) -> Result<Response<Full<Bytes>>, Rejection> {
    let event = desk.next_event(&identifier(headers)?).await?;
    let mut response = json(StatusCode::OK, event.into());
    if let Ok(id) = HeaderValue::try_from(random::uuid()) {
        response.headers_mut().insert(EVENT_IDENTIFIER, id);
    }
    Ok(response)
}

pub(super) fn post(
    desk: &Desk,
    call: &str,
    headers: &HeaderMap,
    content: Content,
) -> Result<Response<Full<Bytes>>, Rejection> {
    match call {
        "register" => register(desk, headers, content),
        "init/error" | "exit/error" => {
            let id = identifier(headers)?;
            if !headers.contains_key(ERROR_TYPE) {
                let message = "Lambda-Extension-Function-Error-Type not found";
                return Err(Rejection::forbidden("Extension.MissingHeader", message));
            }
            desk.extension_failed(&id, describe_error(headers, ERROR_TYPE, content))?;
            Ok(accepted())
        }
        _ => Err(Rejection::no_such_call()),
    }
}

fn register(desk: &Desk, headers: &HeaderMap, content: Content) -> Result<Response<Full<Bytes>>, Rejection> {
    #[derive(Deserialize)]
    struct Sent {
        #[serde(default)]
        events: Vec<String>,
    }
    let name = text(headers, NAME);
    if name.is_empty() {
        return Err(Rejection::forbidden("Extension.InvalidExtensionName", "Empty extension name"));
    }
    let Content::Whole(body) = content else {
        return Err(Rejection::forbidden("InvalidRequestFormat", "the body is cut off or too large"));
    };
    let sent: Sent = serde_json::from_slice(&body)
        .map_err(|error| Rejection::forbidden("InvalidRequestFormat", error.to_string()))?;
    let id = desk.register(&name, &sent.events)?;
    let (name, handler) = (&desk.function.name, &desk.function.handler);
    let wants_account = text(headers, FEATURES).split(',').any(|feature| feature.trim() == "accountId");
    let answer = match wants_account {
        true => json!({ "functionName": name, "functionVersion": "$LATEST", "handler": handler, "accountId": ACCOUNT }),
        false => json!({ "functionName": name, "functionVersion": "$LATEST", "handler": handler }),
    };
    let mut response = json(StatusCode::OK, answer.to_string().into());
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(IDENTIFIER, id);
    }
    Ok(response)
}

/// Telemetry API and Logs API. AWS's own emulator answers 202 with this body, so that extensions start all the same.
pub(super) fn subscribe(desk: &Desk, headers: &HeaderMap, path: &str) -> Result<Response<Full<Bytes>>, Rejection> {
    let name = desk.lock().extension(&identifier(headers)?)?.name.clone();
    desk.warn_of_telemetry(&name);
    let (kind, message) = match path.ends_with("logs") {
        true => ("Logs.NotSupported", "Logs API is not supported"),
        false => ("Telemetry.NotSupported", "Telemetry API is not supported"),
    };
    Ok(json(StatusCode::ACCEPTED, json!({ "errorMessage": message, "errorType": kind }).to_string().into()))
}

fn identifier(headers: &HeaderMap) -> Result<String, Rejection> {
    let id = text(headers, IDENTIFIER);
    if id.is_empty() {
        let message = "Missing Lambda-Extension-Identifier header";
        return Err(Rejection::forbidden("Extension.MissingExtensionIdentifier", message));
    }
    if id.len() != 36 || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        let message = "Invalid Lambda-Extension-Identifier";
        return Err(Rejection::forbidden("Extension.InvalidExtensionIdentifier", message));
    }
    Ok(id.to_ascii_lowercase())
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}
