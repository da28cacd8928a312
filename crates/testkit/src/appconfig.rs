//! A stand-in for the part of AppConfig's API that changes a hosted configuration, which moto has not: lists in pages, versions
//! that are created if the latest one has a given number, deployments of which one at a time is in progress (API reference).
//! It checks no signature.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::server::{Call, response, serve};

/// Items on each page of a list.
const PAGE: usize = 2;

/// All that it has: the environment `prod` of the application `shop` with the profiles `live` and `flags`, and others.
#[derive(Debug, Default)]
pub struct State {
    /// The content of each version of the profile `live`.
    pub versions: BTreeMap<u32, Vec<u8>>,
    /// The deployments to `prod`, the oldest first: profile, version and state.
    pub deployments: Vec<(String, String, &'static str)>,
    /// Requests to create a version that take effect and are answered with status 500.
    pub lost: usize,
    /// Looking for names is denied.
    pub has_hidden_names: bool,
}

/// A running AppConfig.
#[derive(Debug)]
pub struct AppConfig {
    address: SocketAddr,
    /// Seen and changed by the test.
    pub state: Arc<Mutex<State>>,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self::start()
    }
}

impl AppConfig {
    /// Starts one without versions.
    #[must_use]
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let served = state.clone();
        let address = serve(move |call| respond(&mut served.lock().unwrap(), &call));
        Self { address, state }
    }

    /// For `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn respond(state: &mut State, call: &Call) -> Vec<u8> {
    let method = call.line.split(' ').next().unwrap_or_default();
    let (path, query) = call.target().split_once('?').unwrap_or((call.target(), ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let named = |names: &[(&str, &str)]| names.iter().map(|(id, name)| json!({ "Id": id, "Name": name })).collect();
    match (method, parts.as_slice()) {
        ("GET", ["applications"]) if state.has_hidden_names => {
            failed("403 Forbidden", "AccessDeniedException", "not authorized")
        }
        ("GET", ["applications"]) => page(query, named(&[("other1", "a"), ("other2", "b"), ("app1234", "shop")])),
        ("GET", ["applications", "app1234", "environments"]) => {
            page(query, named(&[("other3", "test"), ("env1234", "prod")]))
        }
        ("GET", ["applications", "app1234", "configurationprofiles"]) => {
            page(query, named(&[("prof222", "flags"), ("other4", "x"), ("prof111", "live")]))
        }
        ("GET", ["applications", "app1234", "configurationprofiles", "prof111", "hostedconfigurationversions"]) => {
            page(query, state.versions.keys().rev().map(|number| json!({ "VersionNumber": number })).collect())
        }
        ("POST", ["applications", "app1234", "configurationprofiles", "prof111", "hostedconfigurationversions"]) => {
            let latest = state.versions.keys().last().copied().unwrap_or_default();
            if call.field("latest-version-number").is_some_and(|number| number != latest.to_string()) {
                return conflict("the latest version has another number");
            }
            state.versions.insert(latest + 1, call.body.clone());
            if state.lost > 0 {
                state.lost -= 1;
                return response("500 Internal Server Error", &[], b"{}");
            }
            response("201 Created", &[("version-number", &(latest + 1).to_string())], &call.body)
        }
        (
            "GET",
            ["applications", "app1234", "configurationprofiles", "prof111", "hostedconfigurationversions", number],
        ) => match number.parse().ok().and_then(|number| state.versions.get(&number)) {
            Some(content) => response("200 OK", &[("version-number", number)], content),
            None => failed("404 Not Found", "ResourceNotFoundException", "no such version"),
        },
        (
            "DELETE",
            ["applications", "app1234", "configurationprofiles", "prof111", "hostedconfigurationversions", number],
        ) => {
            state.versions.retain(|known, _| known.to_string() != *number);
            response("204 No Content", &[], b"")
        }
        ("GET", ["applications", "app1234", "environments", "env1234", "deployments"]) => {
            let summary = |(index, (profile, version, state)): (usize, &(String, String, &str))| {
                json!({
                    "DeploymentNumber": index + 1,
                    "ConfigurationProfileId": profile,
                    "ConfigurationName": if profile == "prof111" { "live" } else { "flags" },
                    "ConfigurationVersion": version,
                    "State": state,
                })
            };
            page(query, state.deployments.iter().enumerate().rev().map(summary).collect())
        }
        ("POST", ["applications", "app1234", "environments", "env1234", "deployments"]) => {
            if let Some((.., state)) = state.deployments.last_mut() {
                match *state {
                    "BAKING" | "DEPLOYING" => return conflict("a deployment is in progress"),
                    // It takes a moment.
                    "ROLLING_BACK" => {
                        *state = "ROLLED_BACK";
                        return conflict("a deployment is in progress");
                    }
                    _ => {}
                }
            }
            let asked = call.json();
            assert_eq!(asked["DeploymentStrategyId"], "AppConfig.AllAtOnce");
            let text = |name: &str| asked[name].as_str().unwrap().to_owned();
            state.deployments.push((text("ConfigurationProfileId"), text("ConfigurationVersion"), "BAKING"));
            response("201 Created", &[], json!({ "DeploymentNumber": state.deployments.len() }).to_string().as_bytes())
        }
        ("DELETE", ["applications", "app1234", "environments", "env1234", "deployments", number]) => {
            assert_eq!(call.field("allow-revert"), Some("true"), "a deployment that bakes is stopped in no other way");
            let index: usize = number.parse().unwrap();
            state.deployments[index - 1].2 = "ROLLING_BACK";
            response("202 Accepted", &[], b"{}")
        }
        _ => failed("404 Not Found", "ResourceNotFoundException", &call.line),
    }
}

/// A page of a list. The token is the index of its first item.
fn page(query: &str, items: Vec<Value>) -> Vec<u8> {
    let token = query.split('&').find_map(|pair| pair.strip_prefix("next_token="));
    let first: usize = token.map_or(0, |token| token.parse().unwrap());
    let next = first + PAGE;
    let mut list = json!({ "Items": items.iter().skip(first).take(PAGE).collect::<Vec<_>>() });
    if next < items.len() {
        list["NextToken"] = next.to_string().into();
    }
    response("200 OK", &[("content-type", "application/json")], list.to_string().as_bytes())
}

fn conflict(message: &str) -> Vec<u8> {
    failed("409 Conflict", "ConflictException", message)
}

fn failed(status: &str, code: &str, message: &str) -> Vec<u8> {
    let body = json!({ "Message": message }).to_string();
    response(status, &[("content-type", "application/json"), ("x-amzn-errortype", code)], body.as_bytes())
}
