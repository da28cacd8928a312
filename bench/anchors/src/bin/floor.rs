//! The anchor `floor`: sixty straightforward lines with the official crates, hyper and rustls on tokio. It is a yardstick, not an
//! example: it loses the order of the query, validates nothing and has no timeout.

use std::sync::Arc;

use aws_lambda_events::event::alb::AlbTargetGroupRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let backend: Arc<str> = std::env::var("CROSSFADE_BACKEND")?.into();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(std::env::var("SSL_CERT_FILE")?)? {
        roots.add(certificate?)?;
    }
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(https);
    // One at a time, unless Lambda sets `AWS_LAMBDA_MAX_CONCURRENCY`.
    lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<AlbTargetGroupRequest>| {
        let (client, backend) = (client.clone(), backend.clone());
        async move {
            let event = event.payload;
            let query = event.multi_value_query_string_parameters;
            let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let uri = format!("{backend}{}?{}", event.path.unwrap_or_default(), query.join("&"));
            let body = event.body.unwrap_or_default();
            let body = if event.is_base64_encoded { STANDARD.decode(body)?.into() } else { Bytes::from(body) };
            let mut request = http::Request::builder().method(event.http_method).uri(uri).body(Full::new(body))?;
            for (name, value) in &event.multi_value_headers {
                if name != http::header::HOST && name != http::header::CONTENT_LENGTH {
                    request.headers_mut().append(name, value.clone());
                }
            }
            let (parts, body) = client.request(request).await?.into_parts();
            let bytes = body.collect().await?.to_bytes();
            let mut fields = Map::new();
            for name in parts.headers.keys() {
                let values = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
                fields.insert(name.to_string(), values.collect());
            }
            Ok::<Value, Error>(json!({
                "statusCode": parts.status.as_u16(),
                "statusDescription": parts.status.to_string(),
                "multiValueHeaders": fields,
                "body": STANDARD.encode(&bytes),
                "isBase64Encoded": true,
            }))
        }
    }))
    .await
}
