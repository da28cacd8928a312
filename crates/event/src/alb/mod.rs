//! Application Load Balancer with a Lambda target group: `request` and `response`, each in both directions.
//!
//! Source: ELB user guide, "Use Lambda functions as targets of an Application Load Balancer"; where the guide is
//! silent, what AWS was seen to do.

mod request;
mod response;

use crate::front::Format;

pub(crate) use request::format_of;
pub use request::{EncodeRequestError, RequestLine, encode_request};
pub(crate) use response::{Limits, encode};
pub use response::{Reply, ReplyError, decode_response};

/// ALB with `headers`; see [`HeaderMode::Single`]. It recognizes and reads the events of both modes.
pub static SINGLE: Format = ALB;

/// ALB with `multiValueHeaders`; see [`HeaderMode::Multi`].
pub static MULTI: Format =
    Format { name: "alb-multi", encode: |response, out| encode(HeaderMode::Multi, &LIMITS, response, out), ..ALB };

const ALB: Format = Format {
    name: "alb-single",
    service: LIMITS.service,
    prefix: r#"{"requestContext":{"elb":{"#,
    recognizes: |shape| shape.context_has("elb"),
    decode: request::decode,
    encode: |response, out| encode(HeaderMode::Single, &LIMITS, response, out),
    prelude: None,
    // Plain text takes at least its own length in the reply.
    max_response_bytes: MAX_RESPONSE_JSON,
};

static LIMITS: Limits = Limits { service: "the load balancer", json: MAX_RESPONSE_JSON, fields: MAX_RESPONSE_FIELDS };

/// The target group attribute `lambda.multi_value_headers.enabled`: the shape of header fields (and, in requests, of
/// query parameters). It holds for the request and its reply alike (ELB guide, "Lambda functions as targets").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderMode {
    /// `headers`: one string for each name; the default of a target group.
    Single,
    /// `multiValueHeaders`: an array of strings for each name.
    Multi,
}

impl HeaderMode {
    /// The event format of target groups in this mode.
    #[must_use]
    pub fn format(self) -> &'static Format {
        match self {
            HeaderMode::Single => &SINGLE,
            HeaderMode::Multi => &MULTI,
        }
    }
}

/// Content of a request, bytes before base64; above it ALB answers 413 (ELB guide, "Lambda functions as targets").
pub const MAX_REQUEST_BODY: usize = 1024 * 1024;

/// The reply's JSON, bytes; above it ALB answers 502 `LambdaResponseTooLarge` (ELB guide, "Lambda functions as targets").
pub const MAX_RESPONSE_JSON: usize = 1024 * 1024;

/// All fields of a response, bytes; above it ALB answers 502 (ELB guide, "Quotas for your Application Load Balancers").
pub const MAX_RESPONSE_FIELDS: usize = 32 * 1024;
