//! The AWS Lambda Web Adapter in front of nginx, as a user would run them for streaming: response streaming on, nginx without
//! buffers and with kept connections to the back end. It owns their configuration and processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use crossfade_event::HeaderMode;
use crossfade_testkit::process::Process as Child;
use crossfade_testkit::server::closed_port;
use crossfade_testkit::tools;

use crate::function::{self, Backend, Function, Process, install};
use crate::process;

const PACKAGE: &str = "lambda_web_adapter";
const VERSION: &str = "1.0.0-rc1";

/// The two programs.
#[derive(Debug)]
pub(super) struct Programs {
    nginx: PathBuf,
    adapter: PathBuf,
}

impl Programs {
    /// Looks for nginx and builds the adapter.
    ///
    /// # Errors
    /// Says what is missing.
    pub(super) fn find() -> anyhow::Result<Self> {
        let nginx = tools::nginx().context("nginx is missing: install it (Debian: nginx-light)")?;
        Ok(Self { nginx, adapter: install(PACKAGE, VERSION, "lambda-adapter")? })
    }

    /// One line with their versions.
    pub(super) fn versions(&self) -> anyhow::Result<String> {
        let output = Command::new(&self.nginx).arg("-v").output()?;
        Ok(format!("{PACKAGE} {VERSION}, {}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// Starts both.
    pub(super) fn start(&self, api: &str, backend: &Backend, folder: &Path) -> anyhow::Result<Running> {
        let (prefix, port) = (folder.join("nginx"), closed_port());
        fs::create_dir_all(prefix.join("tmp"))?;
        let file = prefix.join("nginx.conf");
        fs::write(&file, configuration(port, backend))?;
        let nginx = Command::new(&self.nginx)
            .arg("-p")
            .arg(&prefix)
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        // Otherwise the worker would outlive it.
        let nginx = Child::from(nginx).asked_to_end();
        let adapter = Function {
            name: "lambda-web-adapter",
            mode: HeaderMode::Multi,
            command: [
                "env".into(),
                format!("AWS_LWA_PORT={port}").into(),
                "AWS_LWA_INVOKE_MODE=response_stream".into(),
                "AWS_LWA_READINESS_CHECK_PROTOCOL=tcp".into(),
                self.adapter.clone().into(),
            ]
            .into(),
        };
        Ok(Running { adapter: adapter.start(api, backend, folder, &[])?, nginx })
    }
}

/// Both while they run.
#[derive(Debug)]
pub(super) struct Running {
    adapter: function::Process,
    nginx: Child,
}

impl Running {
    /// All processes: the adapter, nginx, and its worker.
    pub(super) fn pids(&self) -> anyhow::Result<Vec<u32>> {
        let workers = process::children(self.nginx.id())?;
        ensure!(!workers.is_empty(), "nginx has no worker");
        Ok([self.adapter.pid(), self.nginx.id()].into_iter().chain(workers).collect())
    }

    pub(super) fn adapter(&self) -> &Process {
        &self.adapter
    }
}

fn configuration(port: u16, backend: &Backend) -> String {
    let authority = backend.url.trim_start_matches("https://");
    let ca_file = backend.ca_file.display();
    format!(
        "daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;

events {{}}

http {{
    access_log /dev/null;
    client_body_temp_path tmp;
    proxy_temp_path tmp;
    fastcgi_temp_path tmp;
    uwsgi_temp_path tmp;
    scgi_temp_path tmp;

    upstream back_end {{
        server {authority};
        keepalive 8;
    }}

    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://back_end;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host localhost;
            proxy_buffering off;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {ca_file};
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
        }}
    }}
}}
"
    )
}
