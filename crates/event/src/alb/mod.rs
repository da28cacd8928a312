//! Application Load Balancer with a Lambda target group: `request` and `response`, each in both directions.
//!
//! Source: ELB user guide, "Use Lambda functions as targets of an Application Load Balancer"; where the guide is
//! silent, what AWS was seen to do.

mod request;
mod response;

pub(crate) use request::decode_request;
pub use request::{EncodeRequestError, RequestLine, encode_request};
pub(crate) use response::encode_response;
pub use response::{Reply, ReplyError, decode_response};

/// Content of a request, bytes before base64; above it ALB answers 413 (ELB guide, "Lambda functions as targets").
pub const MAX_REQUEST_BODY: usize = 1024 * 1024;

/// The reply's JSON, bytes; above it ALB answers 502 `LambdaResponseTooLarge` (ELB guide, "Lambda functions as targets").
pub const MAX_RESPONSE_JSON: usize = 1024 * 1024;

/// All fields of a response, bytes; above it ALB answers 502 (ELB guide, "Quotas for your Application Load Balancers").
pub const MAX_RESPONSE_FIELDS: usize = 32 * 1024;
