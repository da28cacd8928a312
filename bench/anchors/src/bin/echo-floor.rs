//! The anchor `echo-floor`: the official runtime crate and a constant response.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(|_event: LambdaEvent<IgnoredAny>| async {
        Ok::<Value, Error>(json!({
            "statusCode": 200,
            "statusDescription": "200 OK",
            "multiValueHeaders": { "content-type": ["text/plain"] },
            "body": "ok",
            "isBase64Encoded": false,
        }))
    }))
    .await
}
