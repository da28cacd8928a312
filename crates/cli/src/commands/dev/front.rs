//! Options of the front ends besides the load balancer: which of them listen, and how they are set.
//!
//! Owns the settings that a command line has for them; the emulator owns what they mean.

use anyhow::{Result, bail, ensure};
use crossfade_emulator::{BasePath, Endpoint, EndpointKind, Listener, Settings};

use crate::commands::{ALB, front as kind};

/// Options of the front ends.
#[derive(clap::Args)]
pub(super) struct FrontOptions {
    /// Stand in for this front end instead of a load balancer; can be repeated, each on the next port. With a file, listen only for those of its front ends [possible values: alb, rest-api, http-api, http-api-1.0, function-url, lattice, lattice-1]
    #[arg(long = "front", value_name = "KIND", value_parser = front)]
    fronts: Vec<String>,
    /// Stage of a REST or HTTP API, with which paths begin, as on the API's own domain [default: paths as on a custom domain]
    #[arg(long = "api-stage", value_name = "NAME", requires = "fronts", conflicts_with = "base_path")]
    api_stage: Option<String>,
    /// Base path of a custom domain's mapping to a REST or HTTP API, such as `v1`; `/` for none, also where a file has a stage
    #[arg(long, value_name = "PATH", requires = "fronts")]
    base_path: Option<String>,
    /// Pass the response on as the function writes it: `RESPONSE_STREAM` of a function URL, `STREAM` of a REST API
    #[arg(long, requires = "fronts")]
    stream: bool,
    /// Stream at full speed, without AWS's limit of 2 MB/s beyond the first 6 MB (function URL) or 10 MB (REST API)
    #[arg(long)]
    full_speed: bool,
    /// Media type that a REST API treats as binary, such as `*/*` or `image/png`; can be repeated
    #[arg(long = "binary-media-type", value_name = "TYPE", requires = "fronts")]
    binary_media_types: Vec<String>,
}

fn front(text: &str) -> Result<String, String> {
    kind(text).map(|_| text.to_owned())
}

impl FrontOptions {
    /// Replaces the listeners by those of the options. Settings of a file keep their listeners of these kinds.
    ///
    /// # Errors
    ///
    /// If the file has no front end of a kind, or an option does not belong to any of them.
    pub(super) fn apply(&self, settings: &mut Settings, from_file: bool) -> Result<()> {
        self.choose(settings, from_file)?;
        if self.full_speed {
            let endpoints = settings.listeners.iter_mut().filter_map(|listener| listener.endpoint.as_mut());
            let mut streaming = endpoints.filter(|endpoint| endpoint.kind.streams()).peekable();
            ensure!(
                streaming.peek().is_some(),
                "`--full-speed` has no effect\n  hint: it is for function-url or rest-api"
            );
            streaming.for_each(|endpoint| endpoint.stream_rate = None);
        }
        Ok(())
    }

    fn choose(&self, settings: &mut Settings, from_file: bool) -> Result<()> {
        if self.fronts.is_empty() {
            return Ok(());
        }
        let kind_of = |listener: &Listener| listener.endpoint.as_ref().map_or(ALB, |endpoint| endpoint.kind.name());
        let mut listeners = Vec::new();
        for front in &self.fronts {
            let of_kind: Vec<Listener> = match EndpointKind::of_name(front) {
                Some(kind) if !from_file => vec![Listener::endpoint(Endpoint::new(kind, 0))],
                _ => settings.listeners.iter().filter(|listener| kind_of(listener) == front).cloned().collect(),
            };
            if of_kind.is_empty() {
                let mut kinds: Vec<&str> = settings.listeners.iter().map(kind_of).collect();
                kinds.dedup();
                bail!(
                    "`--front {front}`: the file has no such front end\n  hint: it has {}; without a file, `--front` puts any of \
                     them in front of one function",
                    kinds.join(", ")
                );
            }
            listeners.extend(of_kind);
        }
        settings.listeners = listeners;
        let endpoints = || settings.listeners.iter().filter_map(|listener| listener.endpoint.as_ref());
        let is_api = |kind| matches!(kind, EndpointKind::RestApi | EndpointKind::HttpApi | EndpointKind::HttpApi1);
        type Fits = fn(EndpointKind) -> bool;
        let checks: [(&str, bool, Fits, &str); 4] = [
            ("--api-stage", self.api_stage.is_some(), is_api, "rest-api, http-api or http-api-1.0"),
            ("--base-path", self.base_path.is_some(), is_api, "rest-api, http-api or http-api-1.0"),
            ("--stream", self.stream, EndpointKind::streams, "function-url or rest-api"),
            (
                "--binary-media-type",
                !self.binary_media_types.is_empty(),
                |kind| kind == EndpointKind::RestApi,
                "rest-api",
            ),
        ];
        for (option, is_given, fits, kinds) in checks {
            let fits = !is_given || endpoints().any(|endpoint| fits(endpoint.kind));
            ensure!(fits, "`{option}` has no effect on {}\n  hint: it is for {kinds}", self.fronts.join(", "));
        }
        let base = self.base_path.as_deref().map(|base| base.trim_matches('/').to_owned());
        for endpoint in settings.listeners.iter_mut().filter_map(|listener| listener.endpoint.as_mut()) {
            if let Some(stage) = self.api_stage.clone().filter(|_| is_api(endpoint.kind)) {
                // `$default` is the one stage that is not part of paths.
                endpoint.base = if stage == "$default" { BasePath::Root } else { BasePath::Stage };
                endpoint.stage = stage;
            }
            if let Some(base) = base.clone().filter(|_| is_api(endpoint.kind)) {
                endpoint.base = if base.is_empty() { BasePath::Root } else { BasePath::Mapping(base) };
            }
            let streams = self.stream && endpoint.kind.streams();
            endpoint.routes.iter_mut().for_each(|route| route.streamed |= streams);
            endpoint.binary_media_types.extend_from_slice(&self.binary_media_types);
        }
        Ok(())
    }
}

/// The kind of a listener, its routes' base path and its mode, for the start message.
pub(super) fn facts(endpoint: &Endpoint) -> (String, String) {
    let base = match &endpoint.base {
        BasePath::Root => String::new(),
        BasePath::Stage => format!("/{}", endpoint.stage),
        BasePath::Mapping(base) => format!("/{base}"),
    };
    let streams = endpoint.routes.iter().any(|route| route.streamed);
    let mode = if streams { ", streams responses" } else { "" };
    (base, format!("{}{mode}", endpoint.kind.name()))
}

#[cfg(test)]
mod tests {
    use crossfade_emulator::Function;
    use crossfade_event::HeaderMode;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: FrontOptions,
    }

    /// The front ends, or the error.
    fn applied(words: &[&str]) -> String {
        let line = match <Line as clap::Parser>::try_parse_from([&["dev"], words].concat()) {
            Ok(line) => line,
            Err(error) => return error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        let mut settings = Settings::forward_all(HeaderMode::Multi, Function::new("a", vec!["a".to_owned()]));
        match line.options.apply(&mut settings, false) {
            Ok(()) => {
                let texts = settings.listeners.iter().map(|listener| match &listener.endpoint {
                    Some(endpoint) => {
                        let (base, facts) = facts(endpoint);
                        format!("{base} {facts} {}", endpoint.stage).trim().to_owned()
                    }
                    None => ALB.to_owned(),
                });
                texts.collect::<Vec<_>>().join("; ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn front_ends_are_chosen_and_set() {
        for (words, expected) in [
            (&[][..], "alb"),
            (&["--front", "http-api"], "http-api $default"),
            (&["--front", "alb", "--front", "rest-api"], "alb; rest-api dev"),
            (&["--front", "rest-api", "--api-stage", "prod"], "/prod rest-api prod"),
            (&["--front", "http-api", "--base-path", "/v1/"], "/v1 http-api $default"),
            (&["--front", "function-url", "--stream"], "function-url, streams responses $default"),
            (
                &["--front", "http-api", "--full-speed"],
                "`--full-speed` has no effect\n  hint: it is for function-url or rest-api",
            ),
            (
                &["--front", "http-api", "--stream"],
                "`--stream` has no effect on http-api\n  hint: it is for function-url or rest-api",
            ),
            (
                &["--front", "lattice", "--api-stage", "dev"],
                "`--api-stage` has no effect on lattice\n  hint: it is for rest-api, http-api or http-api-1.0",
            ),
            (
                &["--front", "nlb"],
                "error: invalid value 'nlb' for '--front <KIND>': expected one of alb, rest-api, http-api, http-api-1.0, function-url, lattice, lattice-1",
            ),
        ] {
            assert_eq!(applied(words), expected, "{words:?}");
        }
    }
}
