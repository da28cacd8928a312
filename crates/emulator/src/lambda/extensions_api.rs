//! The Extensions API of one environment: `register`, `event/next`, `init/error`, `exit/error` (Lambda developer guide,
//! "Using the Lambda Extensions API to create extensions"), and subscriptions to telemetry, of which none is sent.
//! Error types are those of aws-lambda-runtime-interface-emulator.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;

use super::call::{Content, Rejection, accepted, describe_error, json};
use super::coordinator::{Coordinator, Signal};
use super::extension::{Extension, Extensions};
use super::failure::Failure;
use super::shutdown::Reason;
use super::state::{Phase, State, milliseconds};
use crate::random;

/// The most extensions of one function ("Lambda Extensions API", init phase).
const MOST_EXTENSIONS: usize = 10;
/// The account of local functions, as in their ARN.
const ACCOUNT: &str = "000000000000";

const NAME: &str = "lambda-extension-name";
const FEATURES: &str = "lambda-extension-accept-feature";
const IDENTIFIER: &str = "lambda-extension-identifier";
const EVENT_IDENTIFIER: &str = "lambda-extension-event-identifier";
const ERROR_TYPE: &str = "lambda-extension-function-error-type";

impl Coordinator {
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

    /// Waits for the next event of an extension.
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

    /// Notes that an extension has failed: all its further calls are rejected.
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

    /// Returns the name of an external extension, by its index in [`crate::Function::extensions`].
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

    /// Sends the SHUTDOWN event. Returns the indices of the external extensions that do not get it.
    pub(super) fn send_shutdown(&self, reason: Reason, deadline: SystemTime) -> Vec<usize> {
        let event = json!({
            "eventType": "SHUTDOWN",
            "shutdownReason": reason.as_str(),
            "deadlineMs": milliseconds(deadline),
        });
        let mut state = self.lock();
        for extension in state.extensions.iter_mut().filter(|extension| extension.external && extension.shutdown) {
            extension.pending.push_back(event.to_string());
        }
        let is_sent = |name: &String| state.extensions.iter().any(|it| it.name == *name && it.shutdown && !it.failed);
        let others = self.externals.iter().enumerate().filter(|(_, name)| !is_sent(name)).map(|(index, _)| index);
        let others = others.collect();
        drop(state);
        self.events.notify_waiters();
        others
    }

    /// Warns once per function.
    fn warn_of_telemetry(&self, name: &str) {
        let Some(pool) = self.pool.upgrade() else { return };
        if !pool.telemetry_warned.swap(true, Ordering::Relaxed) {
            self.warn(format!("the extension `{name}` subscribed to telemetry or logs, which are not emulated"));
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

/// Serves the long poll, without a time limit, as the extension may be frozen during the call.
pub(super) async fn next(coordinator: &Coordinator, headers: &HeaderMap) -> Result<Response<Full<Bytes>>, Rejection> {
    let event = coordinator.next_event(&identifier(headers)?).await?;
    let mut response = json(StatusCode::OK, event.into());
    if let Ok(id) = HeaderValue::try_from(random::uuid()) {
        response.headers_mut().insert(EVENT_IDENTIFIER, id);
    }
    Ok(response)
}

pub(super) fn post(
    coordinator: &Coordinator,
    call: &str,
    headers: &HeaderMap,
    content: Content,
) -> Result<Response<Full<Bytes>>, Rejection> {
    match call {
        "register" => register(coordinator, headers, content),
        "init/error" | "exit/error" => {
            let id = identifier(headers)?;
            if !headers.contains_key(ERROR_TYPE) {
                let message = "Lambda-Extension-Function-Error-Type not found";
                return Err(Rejection::forbidden("Extension.MissingHeader", message));
            }
            coordinator.extension_failed(&id, describe_error(headers, ERROR_TYPE, content))?;
            Ok(accepted())
        }
        _ => Err(Rejection::no_such_call()),
    }
}

fn register(
    coordinator: &Coordinator,
    headers: &HeaderMap,
    content: Content,
) -> Result<Response<Full<Bytes>>, Rejection> {
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
    let id = coordinator.register(&name, &sent.events)?;
    let (name, handler) = (&coordinator.function.name, &coordinator.function.handler);
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

/// Serves a subscription to the Telemetry API or Logs API. Like AWS's own emulator it responds 202, so that extensions
/// start.
pub(super) fn subscribe(
    coordinator: &Coordinator,
    headers: &HeaderMap,
    path: &str,
) -> Result<Response<Full<Bytes>>, Rejection> {
    let name = coordinator.lock().extension(&identifier(headers)?)?.name.clone();
    coordinator.warn_of_telemetry(&name);
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
