//! The stores of live state and the reader of a log group, against a file, moto (S3, Systems Manager, CloudWatch Logs) and a
//! stand-in for AppConfig.
//!
//! Two writers that race write 100 times each. `WRITES=500 cargo test -p crossfade --test tools stores::writers -- --nocapture` is
//! the long form, with 1,000 writes to each store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_config::{Region, SdkConfig};
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use crossfade::live::{Store, Stored, WriteError};
use crossfade::{aws, cloudwatch};
use crossfade_journal::AccessRecord;
use crossfade_parity::RecordFinder;
use crossfade_route::{Overlay, RouteChanges};
use crossfade_testkit::appconfig::AppConfig;
use crossfade_testkit::folder::Folder;
use crossfade_testkit::moto::Moto;
use crossfade_testkit::server::{Action, Call, Server, closed_port, response, serve};
use serde_json::json;

const SECRET: &str = "wJalrXUtnFEMI-secret";

async fn config(url: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET, None, None, "test");
    let loader = aws::loader().endpoint_url(url).region(Region::new("eu-central-1"));
    loader.credentials_provider(credentials).load().await
}

async fn open(place: &str, url: &str) -> Store {
    Store::open_with(place, &config(url).await).unwrap()
}

fn at(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A state that one writer wrote.
fn overlay(version: u32, by: &str) -> Overlay {
    let changes = RouteChanges { version, ..RouteChanges::default() };
    Overlay {
        version,
        at: UNIX_EPOCH + Duration::from_secs(1_796_000_000),
        by: by.to_owned(),
        change: "promote `orders` to 25 %, \"{{quoted}}\" \u{7f} é".to_owned(),
        reason: None,
        routes: BTreeMap::from([("orders".to_owned(), changes)]),
    }
}

/// An overlay of more than so many bytes.
fn long_overlay(length: usize) -> Overlay {
    Overlay { reason: Some("x".repeat(length)), ..overlay(9, "anna") }
}

/// Asserts the rules of every store: `damage` puts a text there that is not an overlay.
async fn keeps_the_rules(store: &Store, limit: usize, damage: impl AsyncFn(&str)) {
    let Stored { overlay: None, revision: None } = store.read().await.unwrap() else { panic!("it is not empty") };
    assert!(store.history(9).await.unwrap().is_empty());

    let (first, second) = (overlay(1, "anna"), overlay(2, "anna"));
    store.write(&first, None).await.unwrap();
    assert!(matches!(store.write(&overlay(1, "ben"), None).await, Err(WriteError::Conflict)), "both created it");
    let stored = store.read().await.unwrap();
    assert_eq!(stored.overlay.as_ref(), Some(&first));
    let old = stored.revision.unwrap();
    store.write(&second, Some(&old)).await.unwrap();
    assert!(
        matches!(store.write(&overlay(2, "ben"), Some(&old)).await, Err(WriteError::Conflict)),
        "an update is lost"
    );

    let refused = store.write(&long_overlay(limit), Some(&old)).await;
    let Err(WriteError::Failed(error)) = refused else { panic!("no reader takes {limit} bytes") };
    assert!(error.to_string().contains(&format!(" takes {limit}: ")), "{error}");
    assert_eq!(store.read().await.unwrap().overlay.as_ref(), Some(&second));

    damage("half a document: {").await;
    let error = format!("{:#}", store.read().await.unwrap_err());
    assert!(error.starts_with("the live state is invalid: "), "{error}");
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    store.overwrite(&overlay(1, "abort")).await.unwrap();
    let Stored { overlay: Some(now), revision } = store.read().await.unwrap() else { panic!("nothing is written") };
    assert_eq!((now.by.as_str(), u64::from(now.version) >= before), ("abort", true));
    assert_eq!(now.routes["orders"].version, now.version);
    store.write(&overlay(now.version + 1, "anna"), revision.as_deref()).await.unwrap();

    let history = store.history(9).await.unwrap();
    let shown = history.iter().map(|version| match &version.overlay {
        Ok(overlay) => overlay.by.clone(),
        Err(error) => {
            assert!(!error.is_empty() && !error.contains('\n'), "{error}");
            "unreadable".to_owned()
        }
    });
    let shown: Vec<String> = shown.collect();
    let shown = shown.join(" ");
    assert_eq!(shown, "anna abort unreadable anna anna");
    assert_eq!(store.history(2).await.unwrap().len(), 2);
    let revisions: std::collections::BTreeSet<&String> = history.iter().map(|version| &version.revision).collect();
    assert_eq!(revisions.len(), history.len());
}

pub(crate) async fn a_file_keeps_the_rules_of_all_stores() {
    let folder = Folder::new();
    let file = folder.join("live state.json");
    let store = Store::open(&format!("file:{}", file.display())).await.unwrap();
    keeps_the_rules(&store, 256 * 1024, async |text| std::fs::write(&file, text).unwrap()).await;
    let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["live state.json", "live state.json.history", "live state.json.lock"], "nothing else is left");
}

async fn bucket(url: &str, is_versioned: bool) -> aws_sdk_s3::Client {
    let builder = aws_sdk_s3::config::Builder::from(&config(url).await);
    let client = aws_sdk_s3::Client::from_conf(builder.force_path_style(true).build());
    let place = aws_sdk_s3::types::BucketLocationConstraint::EuCentral1;
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(place).build();
    client.create_bucket().bucket("shop").create_bucket_configuration(place).send().await.unwrap();
    if is_versioned {
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        client.put_bucket_versioning().bucket("shop").versioning_configuration(enabled).send().await.unwrap();
    }
    client
}

async fn put(client: &aws_sdk_s3::Client, key: &str, text: &str) {
    let body = ByteStream::from(text.as_bytes().to_vec());
    client.put_object().bucket("shop").key(key).body(body).send().await.unwrap();
}

pub(crate) async fn an_object_keeps_the_rules_of_all_stores() {
    let moto = Moto::start(&[]);
    let client = bucket(&moto.url, true).await;
    for key in ["live.json", "a folder/live état+1%.json"] {
        let store = open(&format!("s3://shop/{key}"), &moto.url).await;
        keeps_the_rules(&store, 256 * 1024, async |text| put(&client, key, text).await).await;
    }
}

pub(crate) async fn a_parameter_keeps_the_rules_of_all_stores() {
    let moto = Moto::start(&[]);
    let client = aws_sdk_ssm::Client::new(&config(&moto.url).await);
    let store = open("ssm:/shop/live", &moto.url).await;
    let damage = async |text: &str| {
        client.put_parameter().name("/shop/live").value(text).overwrite(true).send().await.unwrap();
    };
    keeps_the_rules(&store, 8192, damage).await;
    let left = client.describe_parameters().send().await.unwrap();
    assert_eq!(left.parameters().len(), 1, "a claim is left: {left:?}");
}

pub(crate) async fn a_hosted_configuration_keeps_the_rules_of_all_stores() {
    for (place, has_hidden_names) in [
        ("appconfig:shop/prod/live", false),
        ("appconfig:app1234/prod/prof111", false),
        ("appconfig:app1234/env1234/prof111", true),
    ] {
        let service = AppConfig::start();
        service.state.lock().unwrap().has_hidden_names = has_hidden_names;
        let store = open(place, &service.url()).await;
        let damage = async |text: &str| {
            let versions = &mut service.state.lock().unwrap().versions;
            let next = versions.keys().last().unwrap() + 1;
            versions.insert(next, text.as_bytes().to_vec());
        };
        keeps_the_rules(&store, 256 * 1024, damage).await;
    }
    let service = AppConfig::start();
    for (place, expected) in [
        ("appconfig:shpo/prod/live", "AppConfig has no application `shpo` in this region: did you mean `shop`?"),
        (
            "appconfig:shop/production/live",
            "AppConfig has no environment `production` in this region: there are test, prod",
        ),
    ] {
        let error = open(place, &service.url()).await.read().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

pub(crate) async fn the_history_of_an_object_has_pages_neighbours_and_deletions() {
    let moto = Moto::start(&[("MOTO_S3_DEFAULT_MAX_KEYS", "3")]);
    let client = bucket(&moto.url, true).await;
    let store = open("s3://shop/live.json", &moto.url).await;
    let mut revision = None;
    for version in 1..=10 {
        store.write(&overlay(version, "anna"), revision.as_deref()).await.unwrap();
        revision = store.read().await.unwrap().revision;
        put(&client, "live.json.old", "{}").await;
    }
    // S3 lists times in seconds, and deletions apart.
    let next_second = async || tokio::time::sleep(Duration::from_millis(1100)).await;
    next_second().await;
    client.delete_object().bucket("shop").key("live.json").send().await.unwrap();
    next_second().await;
    assert!(store.read().await.unwrap().overlay.is_none());
    let stale = store.write(&overlay(11, "anna"), revision.as_deref()).await;
    assert!(matches!(stale, Err(WriteError::Conflict)), "it was deleted since: {stale:?}");
    store.write(&overlay(11, "anna"), None).await.unwrap();
    let shown = |most| {
        let store = &store;
        async move {
            let versions = store.history(most).await.unwrap().into_iter();
            versions.map(|it| it.overlay.map(|overlay| overlay.version)).collect::<Vec<_>>()
        }
    };
    let deleted = || Err("it was deleted".to_owned());
    assert_eq!(shown(4).await, [Ok(11), deleted(), Ok(10), Ok(9)]);
    let all: Vec<_> = [Ok(11), deleted()].into_iter().chain((1..=10).rev().map(Ok)).collect();
    assert_eq!(shown(100).await, all);
}

pub(crate) async fn a_bucket_without_versions_says_so() {
    let moto = Moto::start(&[]);
    let _client = bucket(&moto.url, false).await;
    let store = open("s3://shop/live.json", &moto.url).await;
    store.write(&overlay(1, "anna"), None).await.unwrap();
    let error = store.history(9).await.unwrap_err().to_string();
    assert!(
        error.starts_with("the bucket `shop` keeps no earlier versions: enable its versioning, with `aws s3api"),
        "{error}"
    );
}

/// The first PUT takes effect, and its connection breaks. The SDK sends it again.
pub(crate) async fn a_write_whose_response_was_lost_is_no_conflict() {
    for by_another in [false, true] {
        let (object, puts) = (Arc::new(Mutex::new(None::<Vec<u8>>)), Arc::new(AtomicUsize::new(0)));
        let (served, counted) = (object.clone(), puts.clone());
        let server = Server::start(None, move |at, message| {
            let call = Call::of(at, message);
            let mut object = served.lock().unwrap();
            let answer = |status: &str, body: &[u8]| Action::Send(response(status, &[("etag", "\"1\"")], body).into());
            match (call.line.split(' ').next().unwrap(), object.clone()) {
                ("PUT", None) => {
                    *object = Some(if by_another { overlay(1, "ben").to_text().into_bytes() } else { call.body });
                    counted.fetch_add(1, Ordering::Relaxed);
                    Action::Drop
                }
                ("PUT", Some(_)) => {
                    counted.fetch_add(1, Ordering::Relaxed);
                    answer("412 Precondition Failed", b"<Error><Code>PreconditionFailed</Code></Error>")
                }
                (_, Some(text)) => answer("200 OK", &text),
                (_, None) => answer("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>"),
            }
        });
        let server = server.unwrap();
        let store = open("s3://shop/live.json", &server.url()).await;
        let result = store.write(&overlay(1, "anna"), None).await;
        match by_another {
            false => drop(result.unwrap()),
            true => assert!(matches!(result, Err(WriteError::Conflict)), "{result:?}"),
        }
        assert_eq!(puts.load(Ordering::Relaxed), 2);
    }
    let service = AppConfig::start();
    service.state.lock().unwrap().lost = 1;
    let store = open("appconfig:shop/prod/live", &service.url()).await;
    store.write(&overlay(1, "anna"), None).await.unwrap();
    let state = service.state.lock().unwrap();
    assert_eq!((state.versions.len(), state.deployments.len()), (1, 1));
}

pub(crate) async fn a_bucket_in_another_region_is_found() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let address = serve(move |call| {
        counted.fetch_add(1, Ordering::Relaxed);
        let is_right = call.field("authorization").unwrap_or_default().contains("/us-west-2/s3/");
        match is_right {
            true => response("200 OK", &[("etag", "\"1\"")], overlay(1, "anna").to_text().as_bytes()),
            false => response(
                "301 Moved Permanently",
                &[("x-amz-bucket-region", "us-west-2")],
                b"<Error><Code>PermanentRedirect</Code><Message>use the specified endpoint</Message></Error>",
            ),
        }
    });
    let store = open("s3://shop/live.json", &at(address)).await;
    for requests in [2, 3] {
        assert_eq!(store.read().await.unwrap().overlay, Some(overlay(1, "anna")));
        assert_eq!(asked.load(Ordering::Relaxed), requests, "the region is remembered");
    }
}

pub(crate) async fn errors_say_in_one_line_what_to_do() {
    let xml = |code: &str| format!("<Error><Code>{code}</Code><Message>Said\nby AWS</Message></Error>");
    let typed = |code: &str| format!("{{\"__type\":\"com.amazonaws#{code}\",\"message\":\"Said\\nby AWS\"}}");
    let cases = [
        (
            "s3://shop/live.json",
            "403 Forbidden",
            xml("AccessDenied"),
            "cannot read s3://shop/live.json: the credentials do not allow it; it needs `s3:GetObject` on the object, and \
             `s3:ListBucket` on the bucket while there is no object (AccessDenied: Said by AWS)",
        ),
        (
            "s3://shop/live.json",
            "404 Not Found",
            xml("NoSuchBucket"),
            "cannot read s3://shop/live.json: NoSuchBucket: Said by AWS",
        ),
        (
            "s3://shop/live.json",
            "400 Bad Request",
            xml("ExpiredToken"),
            "cannot read s3://shop/live.json: the credentials have expired: log in again, such as with `aws sso login` \
             (ExpiredToken: Said by AWS)",
        ),
        (
            "ssm:/shop/live",
            "400 Bad Request",
            typed("AccessDeniedException"),
            "cannot read ssm:/shop/live: the credentials do not allow it; it needs `ssm:GetParameter` on the parameter \
             (AccessDeniedException: Said by AWS)",
        ),
        (
            "ssm:/shop/live",
            "400 Bad Request",
            typed("UnrecognizedClientException"),
            "cannot read ssm:/shop/live: the credentials are invalid: check `AWS_PROFILE`, or the keys in the environment \
             (UnrecognizedClientException: Said by AWS)",
        ),
        (
            "appconfig:shop/prod/live",
            "403 Forbidden",
            typed("AccessDeniedException"),
            "cannot find appconfig:shop/prod/live: the credentials do not allow it; it needs `appconfig:ListApplications`, \
             `appconfig:ListEnvironments` and `appconfig:ListConfigurationProfiles`, or IDs instead of names \
             (AccessDeniedException: Said by AWS)",
        ),
    ];
    for (place, status, body, expected) in cases {
        let address = serve(move |_| response(status, &[], body.as_bytes()));
        let error = format!("{:#}", open(place, &at(address)).await.read().await.unwrap_err());
        assert_eq!(error, expected);
    }
    let denied =
        serve(|_| response("400 Bad Request", &[], b"{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"));
    let (from, until) = (UNIX_EPOCH, SystemTime::now());
    let error = cloudwatch::read_with(&config(&at(denied)).await, "/aws/lambda/shop", from, until, |_| {}).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "cannot read the log group `/aws/lambda/shop`: the credentials do not allow it; it needs `logs:FilterLogEvents` on \
         this log group (AccessDeniedException: no)"
    );
    let nobody = format!("http://127.0.0.1:{}", closed_port());
    let error = format!("{:#}", open("s3://shop/live.json", &nobody).await.read().await.unwrap_err());
    assert_eq!(
        error,
        "cannot read s3://shop/live.json: the service cannot be reached (Connection refused (os error 111)): check the network, \
         the region, and `AWS_ENDPOINT_URL` if it is set"
    );
    assert!(!error.contains(SECRET), "{error}");
}

/// The claim of a version is a parameter of its own. One that was left behind blocks others for a minute, by the clock of the
/// service: the response to the second request has a date long after it.
pub(crate) async fn claims_of_a_dead_writer_are_void_after_a_while() {
    for (date, is_void) in [("Sun, 29 Nov 2026 02:00:30 GMT", false), ("Sun, 29 Nov 2026 02:01:30 GMT", true)] {
        let address = serve(move |call| {
            let asked = call.json();
            let name = asked["Name"].as_str().unwrap_or_default();
            let error = |code: &str| {
                let body = format!("{{\"__type\":\"{code}\",\"message\":\"\"}}");
                response("400 Bad Request", &[("date", date)], body.as_bytes())
            };
            match (call.field("x-amz-target").unwrap(), name) {
                ("AmazonSSM.PutParameter", "/shop/live.claim-0-1") => error("ParameterAlreadyExists"),
                ("AmazonSSM.GetParameter", "/shop/live.claim-0-1") => {
                    // 2026-11-29T02:00:00Z
                    let body =
                        "{\"Parameter\":{\"Value\":\"another\",\"LastModifiedDate\":1795917600.0,\"Version\":1}}";
                    response("200 OK", &[], body.as_bytes())
                }
                ("AmazonSSM.GetParameter", _) => error("ParameterNotFound"),
                _ => response("200 OK", &[], b"{\"Version\":1}"),
            }
        });
        let result = open("ssm:/shop/live", &at(address)).await.write(&overlay(1, "anna"), None).await;
        match is_void {
            true => drop(result.unwrap()),
            false => assert!(matches!(result, Err(WriteError::Conflict)), "{result:?}"),
        }
    }
}

pub(crate) async fn deployments_that_bake_are_replaced_and_those_of_others_are_not() {
    let service = AppConfig::start();
    let store = open("appconfig:shop/prod/live", &service.url()).await;
    store.write(&overlay(1, "anna"), None).await.unwrap();
    store.write(&overlay(2, "anna"), Some("1")).await.unwrap();
    let deployments = || service.state.lock().unwrap().deployments.clone();
    let ours = |version: &str, state| ("prof111".to_owned(), version.to_owned(), state);
    assert_eq!(deployments(), [ours("1", "ROLLED_BACK"), ours("2", "BAKING")]);
    {
        let mut state = service.state.lock().unwrap();
        state.deployments[1].2 = "COMPLETE";
        state.deployments.push(("prof222".to_owned(), "7".to_owned(), "DEPLOYING"));
    }
    let refused = store.write(&overlay(3, "anna"), Some("2")).await;
    let Err(WriteError::Failed(error)) = refused else { panic!("it stopped what others deploy") };
    assert!(error.to_string().starts_with("`flags` is being deployed to the environment: wait for it"), "{error}");
    assert_eq!(store.read().await.unwrap().revision.as_deref(), Some("2"), "what is not deployed is not the state");
    assert_eq!(deployments().len(), 3);
}

fn writes() -> u32 {
    std::env::var("WRITES").ok().map_or(100, |writes| writes.parse().unwrap())
}

/// Two writers write as often as they can, each on top of what it has read.
async fn lose_no_update(name: &str, writes: u32, stores: [Store; 2]) {
    let start = Instant::now();
    let mut names = ["anna", "ben"].into_iter();
    let writers = stores.map(|store| {
        // The same text from both would be no conflict, but one write of which the response was lost.
        let own = names.next().unwrap();
        tokio::spawn(async move {
            let mut conflicts = 0;
            for _ in 0..writes {
                loop {
                    let Stored { overlay: before, revision } = store.read().await.unwrap();
                    let next = overlay(before.map_or(1, |it| it.version + 1), own);
                    match store.write(&next, revision.as_deref()).await {
                        Ok(_) => break,
                        Err(WriteError::Conflict) => conflicts += 1,
                        Err(WriteError::Failed(error)) => panic!("{error:#}"),
                    }
                }
            }
            (store, conflicts)
        })
    });
    let (mut conflicts, mut version) = (0, 0);
    for writer in writers {
        let (store, own) = writer.await.unwrap();
        conflicts += own;
        version = store.read().await.unwrap().overlay.unwrap().version;
    }
    println!("{name}: {} writes of two writers, {conflicts} conflicts, {:.1?}", 2 * writes, start.elapsed());
    assert_eq!(version, 2 * writes, "{name}: an update was lost");
}

pub(crate) async fn writers_of_a_file_lose_no_update() {
    let folder = Folder::new();
    let place = format!("file:{}", folder.join("live.json").display());
    lose_no_update("file", writes(), [Store::open(&place).await.unwrap(), Store::open(&place).await.unwrap()]).await;
}

pub(crate) async fn writers_of_an_object_lose_no_update() {
    let moto = Moto::start(&[]);
    let _client = bucket(&moto.url, true).await;
    let place = "s3://shop/live.json";
    lose_no_update("S3", writes(), [open(place, &moto.url).await, open(place, &moto.url).await]).await;
}

pub(crate) async fn writers_of_a_parameter_lose_no_update() {
    let moto = Moto::start(&[]);
    let place = "ssm:/shop/live";
    lose_no_update("Systems Manager", writes(), [open(place, &moto.url).await, open(place, &moto.url).await]).await;
}

pub(crate) async fn writers_of_a_hosted_configuration_lose_no_update() {
    let service = AppConfig::start();
    let place = "appconfig:app1234/env1234/prof111";
    // Each waits for a deployment to be rolled back.
    let writes = writes() / 10;
    lose_no_update("AppConfig", writes, [open(place, &service.url()).await, open(place, &service.url()).await]).await;
    let state = service.state.lock().unwrap();
    let (_, version, _) = state.deployments.last().unwrap();
    assert_eq!(*version, (2 * writes).to_string(), "an older version is deployed");
}

fn access(id: usize) -> String {
    format!(
        "{{\"type\":\"access\",\"version\":3,\"time\":\"2026-01-01T00:00:00.123Z\",\"request_id\":\"{id}\",\"method\":\"GET\",\
         \"path\":\"/a\",\"status\":200,\"request_bytes\":1,\"response_bytes\":2,\"total_ms\":40.5,\"attempts\":1}}"
    )
}

pub(crate) async fn a_log_group_is_read_to_its_end() {
    const LINES: usize = 12_000;
    let moto = Moto::start(&[]);
    let config = config(&moto.url).await;
    let client = aws_sdk_cloudwatchlogs::Client::new(&config);
    let group = "/aws/lambda/shop";
    client.create_log_group().log_group_name(group).send().await.unwrap();
    let now = SystemTime::now();
    let millis = i64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let event = |at: i64, message: String| InputLogEvent::builder().timestamp(at).message(message).build().unwrap();
    for (stream, first) in [("one", 0), ("two", LINES / 2)] {
        client.create_log_stream().log_group_name(group).log_stream_name(stream).send().await.unwrap();
        let put = || client.put_log_events().log_group_name(group).log_stream_name(stream);
        let lines = (first..first + LINES / 2).map(|id| match id % 3 {
            // As another tool wraps it.
            0 => json!({ "message": access(id) }).to_string(),
            _ => access(id),
        });
        let events = lines.map(|line| event(millis - 1000, line)).collect();
        put().set_log_events(Some(events)).send().await.unwrap();
        let others =
            [(millis - 3_600_000, access(LINES)), (millis - 1000, "START RequestId: 8f5c Version: 1".to_owned())];
        let others = others.map(|(at, message)| event(at, message)).to_vec();
        put().set_log_events(Some(others)).send().await.unwrap();
    }
    let (from, until) = (now - Duration::from_secs(60), now);
    let (mut finder, mut ids) = (RecordFinder::new(), std::collections::BTreeSet::new());
    let mut each = |record: AccessRecord<'static>| {
        assert!(ids.insert(record.request_id.parse::<usize>().unwrap()), "it came twice");
    };
    let read = cloudwatch::read_with(&config, group, from, until, |line| {
        finder.push(line.as_bytes(), &mut each);
        finder.push(b"\n", &mut each);
    });
    let lines = read.await.unwrap();
    assert_eq!(finder.finish(&mut each).count, 0);
    assert_eq!(ids.len(), LINES, "{lines} lines");
    assert!(moto.log().matches("POST / ").count() >= 9, "there are several pages");

    let missing = cloudwatch::read_with(&config, "/aws/lambda/shpo", from, until, |_| {}).await;
    let expected = "there is no log group `/aws/lambda/shpo` in eu-central-1: a function's is `/aws/lambda/NAME`";
    assert_eq!(missing.unwrap_err().to_string(), expected);
}

pub(crate) async fn lines_that_come_twice_count_once_and_throttling_passes() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    let address = serve(move |call| {
        let mut asked = kept.lock().unwrap();
        asked.push(call.json());
        let event = |id: &str| json!({ "eventId": id, "message": format!("{id}\n"), "timestamp": 1 });
        let body = match asked.len() {
            1 | 3 => {
                let body = b"{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}";
                return response("400 Bad Request", &[], body);
            }
            // A page may be empty and not the last one.
            2 => json!({ "events": [], "nextToken": "a" }),
            4 => json!({ "events": [event("1"), event("2")], "nextToken": "b" }),
            _ => json!({ "events": [event("2"), event("3")] }),
        };
        response("200 OK", &[], body.to_string().as_bytes())
    });
    let mut lines = Vec::new();
    let arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/shop";
    let (from, until) = (UNIX_EPOCH + Duration::from_millis(1500), UNIX_EPOCH + Duration::from_secs(9));
    let group = format!("{arn}:*");
    let config = config(&at(address)).await;
    let read = cloudwatch::read_with(&config, &group, from, until, |line| lines.push(line.trim_end().to_owned())).await;
    assert_eq!((read.unwrap(), lines), (3, vec!["1".to_owned(), "2".to_owned(), "3".to_owned()]));
    let first = &asked.lock().unwrap()[0];
    let sent = json!([first["logGroupIdentifier"], first["startTime"], first["endTime"], first["filterPattern"]]);
    assert_eq!(sent, json!([arn, 1500, 9000, "?access ?compare"]));
}
