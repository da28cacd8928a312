//! The emulators as processes: `crossfade dev` and `serverless offline`, each started as its user would. It owns their
//! command lines, their ports and their end.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use crossfade_testkit::process::Process;

/// Longest wait for an emulator to answer its first request.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command that starts `aws-lambda-ric`.
const NODE: &str = "env _HANDLER=handler.handler node node_modules/aws-lambda-ric/index.mjs";

/// The programs and folders of both emulators.
pub(super) struct Kit {
    /// The command `crossfade`.
    pub(super) crossfade: PathBuf,
    /// The function that answers always the same.
    pub(super) floor: PathBuf,
    /// The folder with the Node handler and `aws-lambda-ric`.
    pub(super) node: PathBuf,
    /// The folder with the Node handler, `serverless-offline` and the rules.
    pub(super) offline: PathBuf,
}

/// A running emulator; asked to end when dropped.
pub(super) struct Server {
    child: Process,
    port: u16,
}

impl Kit {
    /// Ours, with the Node handler and the listener rules of the file that `serverless-offline` reads.
    pub(super) fn ours_with_rules(&self) -> anyhow::Result<Server> {
        // Functions run in the folder of the file that describes them.
        std::fs::copy(self.offline.join("serverless.yml"), self.node.join("serverless.yml"))?;
        self.ours(NODE, &["--serverless".as_ref(), "serverless.yml".as_ref()])
    }

    /// Ours, everything to the Node handler.
    pub(super) fn ours_with_node(&self) -> anyhow::Result<Server> {
        self.ours(NODE, &["--single-value-headers".as_ref()])
    }

    /// Ours, everything to a function that costs next to nothing.
    pub(super) fn ours_with_floor(&self) -> anyhow::Result<Server> {
        self.ours(&self.floor.display().to_string(), &["--multi-value-headers".as_ref()])
    }

    fn ours(&self, function: &str, more: &[&std::ffi::OsStr]) -> anyhow::Result<Server> {
        let [port, ..] = free_ports()?;
        let mut command = Command::new(&self.crossfade);
        command.args(["dev", "--port", &port.to_string(), "--function", function]).args(more).current_dir(&self.node);
        Server::start(command, port)
    }

    /// `serverless offline`.
    pub(super) fn offline(&self) -> anyhow::Result<Server> {
        let [port, http, lambda, websocket] = free_ports()?;
        let mut command = Command::new("node");
        command.arg("node_modules/osls/bin/serverless.js").args(["offline", "start"]).current_dir(&self.offline);
        for (option, port) in
            [("--albPort", port), ("--httpPort", http), ("--lambdaPort", lambda), ("--websocketPort", websocket)]
        {
            command.args([option, &port.to_string()]);
        }
        command.env("SLS_TELEMETRY_DISABLED", "1").env("SLS_NOTIFICATIONS_MODE", "off");
        Server::start(command, port)
    }
}

impl Server {
    /// Starts a command. Its output is discarded.
    fn start(mut command: Command, port: u16) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {:?}", command.get_program()))?;
        // Or its function processes are left.
        let mut server = Server { child: Process::from(child).asked_to_end(), port };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let arguments = ["--silent", "--max-time", "10", "--noproxy", "*", "--fail", "--output", "/dev/null"];
            if Command::new("curl").args(arguments).arg(server.url("/echo")).status()?.success() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("{command:?} ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("{command:?} does not answer")
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    /// Returns whether it is still running.
    pub(super) fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }
}

/// All held at once, so that they differ.
fn free_ports() -> anyhow::Result<[u16; 4]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = [bind()?, bind()?, bind()?, bind()?];
    let mut ports = [0; 4];
    for (port, socket) in ports.iter_mut().zip(&held) {
        *port = socket.local_addr()?.port();
    }
    Ok(ports)
}

/// A file in a temporary folder, for tools that want one.
pub(super) fn file(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, content)?;
    Ok(path.display().to_string())
}
