//! `spill`: its keys and checks.

use std::time::Duration;

use crossfade_document::Node;

use crate::read::{Collector, Read};
use crate::spill::{Spill, is_bucket, is_prefix};

pub(super) fn read(node: &Node, diagnostics: &mut Collector) -> Option<Spill> {
    let [bucket, prefix, expires] = node.keys(diagnostics, ["bucket", "prefix", "expires"])?;
    if bucket.is_none() {
        node.missing(diagnostics, "bucket", "write the name of a bucket of S3: `bucket: ${env:SPILL_BUCKET}`");
    }
    let prefix = prefix.and_then(|node| {
        let prefix = node.text(diagnostics)?;
        if !is_prefix(prefix) {
            let hint = "write folders of letters, digits, `-`, `_` and `.`, like `responses/`";
            node.error(diagnostics, format!("`{}` is not the beginning of a key", node.shown()), Some(hint.into()));
        }
        Some(format!("{}/", prefix.trim_end_matches('/')))
    });
    let expires = expires.and_then(|node| {
        let expires = node.duration(diagnostics)?;
        if expires < Duration::from_secs(1) || expires > Spill::LONGEST {
            let message = format!("`{}` is not between 1s and 7d", node.shown());
            node.error(diagnostics, message, Some("S3 accepts no link that is valid for longer than a week".into()));
        }
        Some(Duration::from_secs(expires.as_secs()))
    });
    let node = bucket?;
    let bucket = node.text(diagnostics)?;
    if !is_bucket(bucket) {
        let hint = "write its name alone, without `s3://`: 3 to 63 lower-case letters, digits, `.` and `-`";
        node.error(diagnostics, format!("`{}` is not the name of a bucket", node.shown()), Some(hint.into()));
    }
    Some(Spill {
        bucket: bucket.to_owned(),
        prefix: prefix.unwrap_or_else(|| Spill::PREFIX.to_owned()),
        expires: expires.unwrap_or(Spill::EXPIRES),
    })
}
