//! Names of back ends that resolve in every way: a name server of ours, a network and an `/etc` of our own (Linux namespaces),
//! the system's resolver and the real function in them. What is common to all faults is in `main.rs`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossfade_testkit::origin::{Door, Origin, Tls};
use crossfade_testkit::tools::{Absent, Tool};
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};

use crate::compare_page;
use crate::support::{Folder, Function, event};

/// The mark before each row that the inner test prints.
const MARK: &str = "row: ";
/// Runs the words after it with a network whose only name server is ours. Nothing of the system is changed.
const COMMAND: &str = "ip link set lo up && mount -t tmpfs none /etc && echo 'nameserver 127.0.0.1' > /etc/resolv.conf \
                         && echo 'hosts: files dns' > /etc/nsswitch.conf && exec \"$@\"";

/// The response of the name server.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    /// `HOME` and `AWAY` are the two addresses of the back end; any others are not its.
    Addresses(&'static [&'static str]),
    Code(u8),
    NoAddress,
    Late,
    Mute,
    /// To the question for IPv6 addresses; the other one has the right answer.
    MuteForIpv6,
    Garbage,
}

use Answer::*;

const HOME: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhome";
const AWAY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\naway";

struct Case {
    fault: &'static str,
    method: &'static str,
    /// The connection has served a request before, while the name led home.
    kept: bool,
    /// The back end is at its two addresses when the name resolves as `answer` says.
    home: bool,
    away: bool,
    answer: Answer,

    status: u16,
    body: &'static str,
    error: &'static str,
    detail: &'static str,
    next_kept: bool,
}

const CASE: Case = Case {
    fault: "",
    method: "GET",
    kept: false,
    home: true,
    away: true,
    answer: NoAddress,
    status: 502,
    body: "Bad Gateway\n",
    error: "dns_error",
    detail: "no address for `NAME`: ",
    next_kept: false,
};
const TIMEOUT: Case = Case {
    status: 504,
    body: "Gateway Timeout\n",
    error: "dns_timeout",
    detail: "no address for `NAME` in time",
    ..CASE
};
const FINE: Case = Case { status: 200, body: "home", error: "", detail: "", next_kept: true, ..CASE };
const MOVED: Case = Case { kept: true, home: false, answer: Addresses(&["AWAY"]), body: "away", ..FINE };
/// Of TEST-NET-1 (RFC 5737): without a route there.
const NOWHERE: &str = "192.0.2.1";

const CASES: &[Case] = &[
    Case { fault: "the name does not exist (`NXDOMAIN`)", answer: Code(3), ..CASE },
    Case { fault: "the name has no address", answer: NoAddress, ..CASE },
    Case { fault: "the name server fails (`SERVFAIL`)", answer: Code(2), ..CASE },
    Case { fault: "the name server refuses the query (`REFUSED`)", answer: Code(5), ..CASE },
    Case { fault: "the name server is slow, but within `timeouts.connect`", answer: Late, ..FINE },
    Case { fault: "the name server does not respond", answer: Mute, ..TIMEOUT },
    Case { fault: "the name server does not respond to queries for IPv6 addresses", answer: MuteForIpv6, ..TIMEOUT },
    Case { fault: "the name server sends an invalid response", answer: Garbage, ..CASE },
    Case {
        fault: "the name resolves to a link-local address",
        answer: Addresses(&["169.254.169.254"]),
        error: "destination_ip_prohibited",
        detail: "`NAME` has the address 169.254.169.254, which ",
        ..CASE
    },
    Case {
        fault: "the name resolves to an unroutable address",
        answer: Addresses(&[NOWHERE]),
        error: "destination_ip_unroutable",
        detail: "no connection to 192.0.2.1:443",
        ..CASE
    },
    Case { fault: "the first address is unroutable", answer: Addresses(&[NOWHERE, "HOME"]), ..FINE },
    Case { fault: "the first address refuses the connection", answer: Addresses(&["127.9.9.9", "HOME"]), ..FINE },
    Case { fault: "the IPv6 address refuses the connection", answer: Addresses(&["::1", "HOME"]), ..FINE },
    Case { fault: "the back end and its name move, with a connection kept; GET", ..MOVED },
    Case { fault: "the same; POST", method: "POST", ..MOVED },
    Case {
        fault: "the name moves, but the back end keeps running at the old address, with a connection kept",
        kept: true,
        answer: Addresses(&["AWAY"]),
        ..FINE
    },
    Case {
        fault: "the name moves to a link-local address when the connection ends (DNS rebinding)",
        kept: true,
        home: false,
        answer: Addresses(&["169.254.169.254"]),
        error: "destination_ip_prohibited",
        detail: "`NAME` has the address 169.254.169.254, which ",
        ..CASE
    },
];

/// The argument that makes this binary the inner test.
pub(crate) const INSIDE: &str = "--inside-a-namespace";

/// A network and an `/etc` of our own.
pub(crate) static NAMESPACE: Tool = Tool::new(|| match inside_of_one("true", &[]) {
    Ok(tried) if tried.status.success() => Ok(()),
    tried => {
        let why = match tried {
            Ok(tried) => String::from_utf8_lossy(&tried.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let install = "install util-linux and iproute2, and allow user namespaces";
        Err(Absent::Missing(format!("`unshare` with `ip` does not work ({why}): {install}")))
    }
});

fn inside_of_one(program: &str, arguments: &[&str]) -> io::Result<Output> {
    let own = ["--user", "--map-root-user", "--mount", "--net", "sh", "-c", COMMAND, "sh", program];
    Command::new("unshare").args(own).args(arguments).output()
}

pub(crate) fn every_fault_of_a_name_server_has_its_answer() {
    let this = std::env::current_exe().unwrap();
    let output = inside_of_one(this.to_str().unwrap(), &[INSIDE]).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let rows: String = said.lines().filter_map(|line| Some(format!("{}\n", line.split_once(MARK)?.1))).collect();
    compare_page(None, Some(&rows));
}

/// The inner test: prints the rows of the page.
pub(crate) fn inside() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let zone = runtime.block_on(serve());
    let rows: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = (CASES.iter().enumerate())
            .map(|(index, case)| {
                scope.spawn({
                    let (runtime, zone) = (&runtime, &zone);
                    move || run(index, case, runtime, zone)
                })
            })
            .collect();
        running.into_iter().map(|case| case.join().unwrap()).collect()
    });
    for row in rows {
        println!("{MARK}{row}");
    }
}

fn run(index: usize, case: &'static Case, runtime: &tokio::runtime::Runtime, zone: &Zone) -> String {
    let name = format!("case-{index}.test");
    let [home, away] = [1, 2].map(|last| Ipv4Addr::new(127, 1, index as u8, last));
    let lead = |answer| zone.lock().unwrap().push((name.clone(), home, away, answer));
    let mut at_home = Origin::new(Tls::Good, |door| answer_all(door, HOME));
    let mut elsewhere = Origin::new(Tls::Good, |door| answer_all(door, AWAY));
    let listen = |origin: &mut Origin, address| {
        runtime.block_on(async { origin.listen(TcpListener::bind(SocketAddr::from((address, 443))).await.unwrap()) });
    };
    listen(&mut at_home, home);
    listen(&mut elsewhere, away);

    let folder = Folder::new();
    let certificates = folder.write("ca.pem", [at_home.ca_pem.as_slice(), &elsewhere.ca_pem].concat());
    let config = format!(
        "version: 1\nbackends:\n  legacy: {{ url: 'https://{name}', tls: {{ serverName: localhost }}, timeouts: {{ connect: 2s }} }}\n\
         default: {{ forward: legacy }}\n"
    );
    let config = folder.write("crossfade.yaml", config);
    let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("SSL_CERT_FILE", &certificates)]);
    let ask = |method| {
        let mut event = event(method, "/orders/7");
        event["body"] = json!("canary-body");
        function.invoke(&event).json()
    };

    lead(Addresses(&["HOME"]));
    if case.kept {
        assert_eq!(ask("GET")["body"], "home", "{}", case.fault);
    }
    lead(case.answer);
    for (origin, stays) in [(&mut at_home, case.home), (&mut elsewhere, case.away)] {
        if !stays {
            runtime.block_on(origin.stop());
        }
    }
    // The end of the connection has arrived.
    thread::sleep(Duration::from_millis(100));

    let begun = Instant::now();
    let reply = ask(case.method);
    assert!(begun.elapsed() < Duration::from_secs(10), "{}: {:?}", case.fault, begun.elapsed());
    let lines = function.log(1 + usize::from(case.kept));
    let line = &lines[usize::from(case.kept)];
    let proxy_status = reply["headers"]["proxy-status"].as_str().unwrap_or("");
    let error = proxy_status.strip_prefix("crossfade; error=").unwrap_or(proxy_status);
    let got = (reply["statusCode"].as_u64(), reply["body"].as_str(), error);
    assert_eq!(got, (Some(case.status.into()), Some(case.body), case.error), "{}: {reply} {line}", case.fault);
    assert!(
        line["detail"].as_str().unwrap_or("").starts_with(&case.detail.replace("NAME", &name)),
        "{}: {line}",
        case.fault
    );
    assert_eq!(line["attempts"], u64::from(case.status == 200), "{}: {line}", case.fault);
    assert!(!line.to_string().contains("canary"), "{}: {line}", case.fault);

    let connections = |at_home: &Origin, elsewhere: &Origin| at_home.connections() + elsewhere.connections();
    let before = connections(&at_home, &elsewhere);
    if case.status != 200 {
        if !case.home {
            listen(&mut at_home, home);
        }
        lead(Addresses(&["HOME"]));
    }
    for _ in 0..3 {
        let reply = ask("GET");
        let good = if case.status == 200 { case.body } else { "home" };
        assert_eq!(
            (&reply["statusCode"], &reply["body"]),
            (&json!(200), &json!(good)),
            "{}: the next request",
            case.fault
        );
    }
    let added = connections(&at_home, &elsewhere) - before;
    assert_eq!(added, usize::from(!case.next_kept), "{}: connections of the next requests", case.fault);
    super::row(case.fault, case.status, proxy_status, false, case.next_kept)
}

async fn answer_all(door: Door, answer: &'static str) {
    if let Some(conn) = door.open().await {
        conn.answer_all(answer).await;
    }
}

/// Name, its two addresses, and what is said of it; the last entry of a name counts.
type Zone = Arc<Mutex<Vec<(String, Ipv4Addr, Ipv4Addr, Answer)>>>;

/// The name server (RFC 1035).
async fn serve() -> Zone {
    let zone = Zone::default();
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:53").await.unwrap());
    let its = zone.clone();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut packet).await {
            let (zone, socket, question) = (its.clone(), socket.clone(), packet[..length].to_vec());
            tokio::spawn(async move {
                let (message, pause) = answer(&question, &zone);
                tokio::time::sleep(pause).await;
                if !message.is_empty() {
                    let _ = socket.send_to(&message, client).await;
                }
            });
        }
    });
    zone
}

/// The message that answers a question, and when; an empty one is not sent.
fn answer(question: &[u8], zone: &Zone) -> (Vec<u8>, Duration) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
        at = end;
    }
    let name = labels.join(".");
    let is_ipv6 = question[at + 2] == 28;
    let known = zone.lock().unwrap().iter().rev().find(|(known, ..)| *known == name).cloned();
    let Some((_, home, away, said)) = known else { return (Vec::new(), Duration::ZERO) };
    let addresses: Vec<IpAddr> = match said {
        Addresses(addresses) => addresses
            .iter()
            .map(|address| match *address {
                "HOME" => home.into(),
                "AWAY" => away.into(),
                other => other.parse().unwrap(),
            })
            .collect(),
        Late | MuteForIpv6 => vec![home.into()],
        _ => Vec::new(),
    };
    let mut records = Vec::new();
    let mut count = 0;
    for address in addresses.iter().filter(|address| address.is_ipv6() == is_ipv6) {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        // The name of the question, its type, class IN, to be kept for no time.
        records.extend([0xc0, 12, 0, question[at + 2], 0, 1, 0, 0, 0, 0, 0, octets.len() as u8]);
        records.extend(octets);
        count += 1;
    }
    let code = if let Code(code) = said { code } else { 0 };
    let mut message = question[..2].to_vec();
    message.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    message.extend(&question[12..at + 5]);
    message.extend(records);
    match said {
        Mute => message.clear(),
        MuteForIpv6 if is_ipv6 => message.clear(),
        Garbage => message.truncate(7),
        _ => {}
    }
    (message, if said == Late { Duration::from_millis(500) } else { Duration::ZERO })
}
