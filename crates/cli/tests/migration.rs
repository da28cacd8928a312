//! A migration from the first day to the last: two HTTPS back ends, the local load balancer and the function as real
//! processes, and one file that is edited seven times while all of it runs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crossfade::demo::Demo;
use crossfade_testkit::client;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::Dev;

const CUSTOMERS: usize = 200;

/// A relay in front of a back end, which can break and recover at the same address.
struct Gate {
    port: u16,
    open: watch::Sender<bool>,
}

impl Gate {
    async fn start(to: std::net::SocketAddr) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut state = state.clone();
                tokio::spawn(async move {
                    if *state.borrow_and_update() {
                        let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                            _ = state.changed() => {}
                        }
                    }
                });
            }
        });
        Gate { port, open }
    }
}

/// The file in which the whole migration happens.
struct File(PathBuf);

impl File {
    fn write(&self, dev: &Dev, text: &str) {
        std::fs::write(&self.0, text).unwrap();
        dev.told("has changed: the next request uses it");
    }
}

/// Both systems, and how much of the customers the new one has.
fn share(legacy: u16, modern: u16, percent: u32) -> String {
    format!(
        "version: 1
backends:
  legacy: {{ url: https://localhost:{legacy}, tls: {{ caFile: ca.pem }} }}
  modern: {{ url: https://localhost:{modern}, tls: {{ caFile: ca.pem }}, outlier: {{ failures: 3, for: 1h }} }}
routes:
  - name: orders
    priority: 10
    conditions: {{ path: [/orders/*] }}
    forward:
      targets: [{{ backend: legacy, weight: {} }}, {{ backend: modern, weight: {percent} }}]
      sticky: {{ by: {{ cookie: customer_id }} }}
      failover: {{ to: legacy }}
default: {{ forward: legacy }}
",
        100 - percent
    )
}

/// The customers that the new system answers. Every request must be answered with 200.
fn on_modern(dev: &Dev) -> BTreeSet<usize> {
    (1..=CUSTOMERS).filter(|customer| answered_by(dev, *customer) == "modern").collect()
}

fn answered_by(dev: &Dev, customer: usize) -> String {
    let request = format!(
        "GET /orders/{customer} HTTP/1.1\r\nhost: shop.example.com\r\ncookie: customer_id={customer}\r\nconnection: close\r\n\r\n"
    );
    let answer = client::send(client::host(&dev.alb), request);
    assert_eq!(answer.status, 200, "customer {customer}: {}", answer.whole());
    answer.field("x-demo-backend").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_customers_move_without_an_error_and_none_moves_back() {
    let (legacy, modern) = (Demo::start().await.unwrap(), Demo::start().await.unwrap());
    let legacy_port = legacy.legacy.port();
    let gate = Gate::start(modern.modern).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), format!("{}{}", legacy.ca_pem, modern.ca_pem)).unwrap();
    let file = File(folder.path().join("crossfade.yaml"));
    let step = |percent| share(legacy_port, gate.port, percent);

    tokio::task::block_in_place(|| {
        // The proxy is in front of the old system, and nothing changes for users.
        std::fs::write(&file.0, step(0)).unwrap();
        let dev = Dev::start_in(folder.path(), &["--config", "crossfade.yaml"]);
        assert_eq!(on_modern(&dev).len(), 0);

        // One in ten, the same ones each time.
        file.write(&dev, &step(10));
        let first = on_modern(&dev);
        assert!((10..=30).contains(&first.len()), "{} of {CUSTOMERS}", first.len());
        assert_eq!(on_modern(&dev), first);

        // The new system breaks: its customers are with the old one, and no request fails.
        gate.open.send(false).unwrap();
        assert_eq!(on_modern(&dev).len(), 0);
        let told: Vec<String> = dev.stdout.try_iter().collect();
        let skipped =
            |how: &str| told.iter().filter(|line| line.contains(&format!("[modern by weight: {how}"))).count();
        // Three failures in a row, then it is not even asked; but for each environment by itself.
        assert!(skipped("open") >= first.len() / 2, "{told:#?}");
        assert_eq!(skipped(""), first.len());

        // It has recovered. An error in the file changes nothing and is reported.
        gate.open.send(true).unwrap();
        std::fs::write(&file.0, step(50).replace("priority: 10", "priorty: 10")).unwrap();
        dev.told("unknown key `priorty`");
        dev.told("has errors: the last valid configuration stays in use");
        assert_eq!(on_modern(&dev).len(), 0);

        // The environments go on passing over a back end that they have seen down, until its own settings change.
        file.write(&dev, &step(50));
        assert_eq!(on_modern(&dev).len(), 0);
        let step = |percent| step(percent).replace("for: 1h", "for: 2h");

        // Half of them: those who were there, and others. Nobody goes back.
        file.write(&dev, &step(50));
        let half = on_modern(&dev);
        assert!((70..=130).contains(&half.len()), "{} of {CUSTOMERS}", half.len());
        assert!(first.is_subset(&half), "{:?} moved back", first.difference(&half));

        file.write(&dev, &step(100));
        assert_eq!(on_modern(&dev).len(), CUSTOMERS);

        // The old system is switched off.
        let only_modern = step(100).lines().filter(|line| !line.contains("legacy:")).collect::<Vec<_>>().join("\n");
        let only_modern = only_modern.replace("{ backend: legacy, weight: 0 }, ", "");
        let only_modern =
            only_modern.replace("      failover: { to: legacy }\n", "").replace("forward: legacy", "forward: modern");
        file.write(&dev, &only_modern);
        drop(legacy);
        assert_eq!(on_modern(&dev).len(), CUSTOMERS);
        assert!(dev.stop("-INT").success());
    });
}
