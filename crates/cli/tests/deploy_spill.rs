//! The bucket for large responses in `deploy/serverless/`, packaged by the real tool.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::deploy_live::{of_the_function, shown};
use crate::deploy_serverless::{FOLDER, packaged};

/// The tool takes seconds.
static STACK: OnceLock<Value> = OnceLock::new();

/// The `Resources` of the stack with the lines for the bucket no longer commented out.
fn stack() -> &'static Value {
    STACK.get_or_init(|| {
        let mut file = fs::read_to_string(Path::new(FOLDER).join("serverless.yml")).unwrap();
        for line in ["SPILL_BUCKET: { Ref: SpillBucket }", "- ${file(spill.yml)}"] {
            assert_eq!(file.matches(&format!("# {line}\n")).count(), 1, "{line}");
            file = file.replace(&format!("# {line}\n"), &format!("{line}\n"));
        }
        packaged(&file).unwrap_or_else(|error| panic!("{error}"))
    })
}

pub(crate) fn the_function_may_use_its_prefix_and_nothing_else() {
    let expected = ["AbortMultipartUpload", "GetObject", "PutObject"]
        .map(|action| format!("s3:{action} <SpillBucket.Arn>/responses/*"));
    assert_eq!(of_the_function(stack()), expected);
    let variables = &stack()["ProxyLambdaFunction"]["Properties"]["Environment"]["Variables"];
    assert_eq!(shown(&variables["SPILL_BUCKET"]), "<SpillBucket>");
    // The prefix is the default one.
    let text = "version: 1\nspill: { bucket: abc }\nbackends: { a: https://a.example.com }\ndefault: { forward: a }\n";
    let table = crossfade_route::RoutingTable::from_config(text, "test", &crossfade_route::Nothing).unwrap();
    assert_eq!(table.spill.unwrap().prefix, "responses/");
}

pub(crate) fn the_bucket_is_private_encrypted_and_empties_itself() {
    let bucket = &stack()["SpillBucket"];
    for (pointer, expected) in [
        ("/DeletionPolicy", json!("Retain")),
        (
            "/Properties/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault",
            json!({ "SSEAlgorithm": "AES256" }),
        ),
        (
            "/Properties/PublicAccessBlockConfiguration",
            json!({ "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true }),
        ),
        ("/Properties/OwnershipControls/Rules/0/ObjectOwnership", json!("BucketOwnerEnforced")),
        ("/Properties/LifecycleConfiguration/Rules/0/ExpirationInDays", json!(1)),
        (
            "/Properties/LifecycleConfiguration/Rules/0/AbortIncompleteMultipartUpload",
            json!({ "DaysAfterInitiation": 1 }),
        ),
        // Copies of what expires would stay.
        ("/Properties/VersioningConfiguration", Value::Null),
        ("/Properties/BucketName", Value::Null),
    ] {
        assert_eq!(bucket.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer}");
    }
    let statement = &stack()["SpillBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"];
    assert_eq!(statement.as_array().map(Vec::len), Some(1), "{statement}");
    assert_eq!(
        (&statement[0]["Effect"], &statement[0]["Condition"]),
        (&json!("Deny"), &json!({ "Bool": { "aws:SecureTransport": "false" } }))
    );
}
