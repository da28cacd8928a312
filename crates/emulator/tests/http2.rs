//! HTTP/2 with prior knowledge, by a real client.

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::{self, Alb, multi, single};

fn send(alb: &Alb, requests: Vec<Request<Empty<Bytes>>>) -> Vec<(u16, Bytes)> {
    let responses = responses(alb, requests).into_iter();
    responses.map(|response| (response.status().as_u16(), response.into_body())).collect()
}

/// Sends all requests on one connection, each without waiting for the others.
fn responses(alb: &Alb, requests: Vec<Request<Empty<Bytes>>>) -> Vec<Response<Bytes>> {
    alb.block_on(async {
        let stream = TcpStream::connect(alb.address).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let sent: Vec<_> = requests.into_iter().map(|request| client.send_request(request)).collect();
        let mut answers = Vec::new();
        for response in sent {
            let response = response.await.unwrap();
            assert_eq!(response.version(), Version::HTTP_2);
            assert!(response.headers().contains_key("server"));
            let (parts, body) = response.into_parts();
            answers.push(Response::from_parts(parts, body.collect().await.unwrap().to_bytes()));
        }
        answers
    })
}

fn get(target: &str) -> http::request::Builder {
    Request::get(format!("http://shop.example.com{target}"))
}

fn json(answer: &(u16, Bytes)) -> Value {
    serde_json::from_slice(&answer.1).unwrap()
}

#[test]
fn the_authority_becomes_host_and_split_cookies_stay_apart_in_multi_mode() {
    let request = || {
        get("/a%20b?c=%2B")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("te", "trailers")
            .body(Empty::new())
            .unwrap()
    };
    let event = json(&send(&multi(), vec![request()])[0]);
    assert_eq!(event["path"], "/a%20b");
    assert_eq!(event["multiValueQueryStringParameters"]["c"][0], "%2B");
    assert_eq!(event["multiValueHeaders"]["host"], serde_json::json!(["shop.example.com"]));
    assert_eq!(event["multiValueHeaders"]["cookie"], serde_json::json!(["a=1", "b=2"]));

    // What an ALB loses without multi-value headers is lost here too, but not in silence.
    let mut single = single();
    let event = json(&send(&single, vec![request()])[0]);
    assert_eq!(event["headers"]["cookie"], "b=2");
    let warnings = single.exchange().warnings;
    let warning = "field `cookie` occurs 2 times (HTTP/2 clients may split their cookies); without multi-value headers only the last value is forwarded";
    assert_eq!(warnings, [warning]);
}

#[test]
fn streams_run_side_by_side_in_environments_of_their_own() {
    let mut alb = single();
    let requests = (0..4).map(|_| get("/sleep/300").body(Empty::new()).unwrap()).collect();
    assert!(send(&alb, requests).iter().all(|(status, _)| *status == 200));
    let mut environments: Vec<_> = (0..4).map(|_| alb.exchange().environment.unwrap()).collect();
    environments.sort_unstable();
    assert_eq!(environments, [1, 2, 3, 4]);
}

#[test]
fn a_page_of_a_hundred_images_loses_none() {
    let alb = single();
    let requests = (0..100).map(|_| get("/sleep/20").body(Empty::new()).unwrap()).collect();
    assert!(send(&alb, requests).iter().all(|(status, _)| *status == 200));
}

#[test]
fn head_has_the_length_of_get_or_none() {
    let replies = [
        (r#"{"statusCode":200,"headers":{"content-length":"1488324"}}"#, Some("1488324")),
        (r#"{"statusCode":200,"body":"hello"}"#, Some("5")),
        (r#"{"statusCode":200}"#, None),
        (r#"{"statusCode":204,"headers":{"content-length":"7"}}"#, None),
        (r#"{"statusCode":304,"headers":{"content-length":"7"}}"#, Some("7")),
    ];
    let request =
        |reply| Request::head("http://shop.example.com/").header("x-reply", reply).body(Empty::new()).unwrap();
    let responses = responses(&single(), replies.iter().map(|(reply, _)| request(*reply)).collect());
    for (response, (reply, length)) in responses.iter().zip(replies) {
        let said = response.headers().get("content-length").map(|length| length.to_str().unwrap());
        assert_eq!((said, response.body().len()), (length, 0), "{reply}");
    }
}

#[test]
fn limits_answer_and_do_not_reset_the_stream() {
    let alb = single();
    let big = get("/").header("x-big", "b".repeat(17_000)).body(Empty::new()).unwrap();
    let trace = Request::trace("http://shop.example.com/").body(Empty::new()).unwrap();
    let long = get(&format!("/{}", "a".repeat(17_000))).body(Empty::new()).unwrap();
    let many = (0..10).fold(get("/"), |request, n| request.header(format!("x-{n}"), "b".repeat(15_000)));
    let many = many.body(Empty::new()).unwrap();
    let statuses: Vec<u16> = send(&alb, vec![big, trace, long, many]).iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [413, 405, 414, 413]);
}

#[test]
fn a_client_that_leaves_is_told_as_460() {
    let mut alb = single();
    let left = tokio::time::Duration::from_millis(200);
    alb.block_on(async {
        let stream = TcpStream::connect(alb.address).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = get("/sleep/600").body(Empty::<Bytes>::new()).unwrap();
        assert!(tokio::time::timeout(left, client.send_request(request)).await.is_err());
        connection.abort();
    });
    let exchange = alb.exchange();
    assert_eq!((exchange.status, exchange.target.as_str()), (460, "/sleep/600"));
}

#[test]
fn an_idle_connection_is_let_go_and_grpc_is_refused() {
    let mut settings = support::settings(crossfade_event::HeaderMode::Single);
    settings.load_balancer.idle_timeout = std::time::Duration::from_millis(200);
    let alb = Alb::start(settings);
    let grpc = get("/").header("content-type", "application/grpc").body(Empty::new()).unwrap();
    assert_eq!(send(&alb, vec![grpc])[0].0, 464);
    alb.block_on(async {
        let stream = TcpStream::connect(alb.address).await.unwrap();
        let (_client, connection) =
            hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), connection).await;
        assert!(ended.is_ok(), "the connection stays open");
    });
}
