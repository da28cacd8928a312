//! Desync mitigation: ALB's own classifier of HTTP/1 requests, and the consequence in each mode (user guide,
//! "Desync mitigation mode"; crate `http_desync_guardian`, which AWS publishes).

use http::StatusCode;
use http_desync_guardian::request_analyzer::HttpRequestData;
use http_desync_guardian::{ClassificationReason, RequestSafetyTier};

use super::error_page::Refusal;
use crate::{Classification, DesyncMitigation};

/// The classification of a request, and its consequence.
pub(super) struct Verdict {
    pub(super) classification: Classification,
    /// Close the connection after this request: the bytes that follow may be a smuggled request.
    pub(super) close: bool,
    pub(super) refusal: Option<Refusal>,
}

pub(super) fn classify(head: &[u8], mode: DesyncMitigation) -> Verdict {
    let result = HttpRequestData::analyze_raw_request(head);
    let reason = (result.reason != ClassificationReason::Compliant).then(|| format!("{:?}", result.reason));
    let tier = match result.tier {
        RequestSafetyTier::Compliant => "Compliant",
        RequestSafetyTier::Acceptable => "Acceptable",
        RequestSafetyTier::Ambiguous => "Ambiguous",
        RequestSafetyTier::Severe => "Severe",
    };
    let (refuses, close) = match (mode, result.tier) {
        (_, RequestSafetyTier::Compliant) => (false, false),
        (DesyncMitigation::Monitor, _) | (DesyncMitigation::Defensive, RequestSafetyTier::Acceptable) => (false, false),
        (DesyncMitigation::Defensive, RequestSafetyTier::Ambiguous) => (false, true),
        (DesyncMitigation::Defensive, RequestSafetyTier::Severe) | (DesyncMitigation::Strictest, _) => (true, true),
    };
    let refusal = refuses.then(|| {
        let reason = reason.as_deref().unwrap_or_default();
        let problem = format!("desync mitigation rejects the request as {tier}: {reason}");
        Refusal::new(StatusCode::BAD_REQUEST, problem)
    });
    Verdict { classification: Classification { tier, reason }, close, refusal }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tier, reason, and whether the modes monitor, defensive and strictest let it pass (`p`), pass it and close (`c`),
    /// or refuse it (`r`).
    #[track_caller]
    fn is(request: &str, tier: &str, reason: &str, outcomes: &str) {
        let modes = [DesyncMitigation::Monitor, DesyncMitigation::Defensive, DesyncMitigation::Strictest];
        let mut told = String::new();
        for mode in modes {
            let verdict = classify(request.as_bytes(), mode);
            assert_eq!(verdict.classification.tier, tier, "{:?}", verdict.classification);
            assert_eq!(verdict.classification.reason.as_deref().unwrap_or_default(), reason);
            told.push(match (verdict.refusal.is_some(), verdict.close) {
                (true, _) => 'r',
                (false, true) => 'c',
                (false, false) => 'p',
            });
        }
        assert_eq!(told, outcomes, "{request:?}");
    }

    #[test] // request smuggling
    fn the_classifier_decides_with_the_mode() {
        is("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "Compliant", "", "ppp");
        is("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "Acceptable", "SpaceInUri", "ppr");
        is("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "Acceptable", "GetHeadZeroContentLength", "ppr");
        let both = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        is(both, "Ambiguous", "BothTeClPresent", "pcr");
        let twice = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n";
        is(twice, "Severe", "MultipleContentLength", "prr");
    }
    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_classifier_panic(
            head in "(GET |POST |/a| HTTP/1\\.[01]|\r\n|\n|: |Host: a\r\n|Content-Length: [0-9]{1,3}\r\n|[\\PC]){0,30}",
            noise in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            let _ = classify(head.as_bytes(), DesyncMitigation::Defensive);
            let _ = classify(&noise, DesyncMitigation::Strictest);
        }
    }
}
