//! `crossfade dev --front`: a function behind the front ends besides the load balancer. The function is a shell script that
//! responds with its event, or streams.

use std::path::Path;

use crossfade_testkit::client;
use crossfade_testkit::wait::eventually;

use crate::support::{Dev, word_after};

/// A runtime for shells, as in Lambda's tutorial for custom runtimes.
const BOOTSTRAP: &str = r#"
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while true; do
  curl --silent --dump-header head --output event "$api/next"
  id=$(sed -n 's/^lambda-runtime-aws-request-id: *\([0-9a-f-]*\).*/\1/p' head)
  if grep -q stream event; then
    { printf '{"statusCode":201}\000\000\000\000\000\000\000\000one'; sleep 0.2; printf two; } |
      curl --silent --output sent --request POST --upload-file - --header 'transfer-encoding: chunked' \
        --header 'lambda-runtime-function-response-mode: streaming' \
        --header 'content-type: application/vnd.awslambda.http-integration-response' "$api/$id/response"
  else
    curl --silent --output sent --data-binary @event "$api/$id/response"
  fi
done
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bootstrap.sh"), BOOTSTRAP).unwrap();
    folder
}

fn start(folder: &Path, arguments: &[&str]) -> Dev {
    Dev::start_in(folder, &[arguments, &["--function", "sh bootstrap.sh"]].concat())
}

fn get(address: &str, target: &str) -> client::Response {
    client::send(
        address.trim_start_matches("http://").split('/').next().unwrap(),
        format!("GET {target} HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n"),
    )
}

pub(crate) fn a_function_stands_behind_several_front_ends_at_a_time() {
    let folder = folder();
    let dev = start(
        folder.path(),
        &[
            "--front",
            "http-api",
            "--front",
            "function-url",
            "--front",
            "alb",
            "--api-stage",
            "dev",
            "--multi-value-headers",
        ],
    );
    let lines: Vec<&str> = dev.banner.lines().filter(|line| line.starts_with("  front end")).collect();
    let [api, url] = lines[..] else { panic!("{}", dev.banner) };
    assert!(api.ends_with("/dev  http-api") && url.ends_with("  function-url"), "{}", dev.banner);

    let event = get(&word_after(api, "front end"), "/dev/a%20b?x=%31").json();
    assert_eq!((&event["version"], &event["rawPath"]), (&"2.0".into(), &"/dev/a b".into()));
    assert_eq!(event["requestContext"]["stage"], "dev");
    let line = dev.next_line();
    assert!(line.contains("  [http-api ANY $default]") && line.contains("/dev/a%20b?x="), "{line}");
    let missing = get(&word_after(api, "front end"), "/a");
    assert_eq!((missing.status, missing.text()), (404, r#"{"message":"Not Found"}"#));
    // After a warning about the reply to the request before.
    while !dev.next_line().contains("the path does not begin with the stage") {}

    let event = get(&word_after(url, "front end"), "/a%20b").json();
    assert_eq!(event["rawPath"], "/a%20b");
    assert!(event["requestContext"]["domainName"].as_str().unwrap().ends_with(".lambda-url.us-east-1.on.aws"));
    // The inspector says which front end a request came through, and shows no rules and no line of ALB's log for it.
    let address = dev.inspector.trim_start_matches("http://").trim_end_matches('/').to_owned();
    eventually("the inspector shows the request of each front end", || {
        let page = client::send(&address, format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
        page.text().contains("<small>http-api ") && page.text().contains("<small>function-url ")
    });
}

pub(crate) fn a_function_streams_to_a_function_url() {
    let folder = folder();
    let dev = start(folder.path(), &["--front", "function-url", "--stream"]);
    assert!(dev.banner.contains("  function-url, streams responses\n"), "{}", dev.banner);
    let response = get(&dev.alb, "/stream");
    assert_eq!((response.status, response.text()), (201, "onetwo"));
    assert!(response.head.contains("transfer-encoding: chunked"), "{}", response.head);
}
