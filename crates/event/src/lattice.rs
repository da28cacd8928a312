//! VPC Lattice with a target group of type `LAMBDA`, event structure versions 1 and 2.
//!
//! Version 1 joins the values of a field and keeps the last one of a query key, where the path has no query itself; version 2
//! keeps all. Lattice adds `X-Forwarded-For` and no other field, so `X-Forwarded-Proto` and `-Port` are a client's claims:
//! they are removed.
//!
//! Source: VPC Lattice user guide, "Lambda functions as targets in VPC Lattice". It does not say what of a path or query is
//! decoded: what can stand in a request line is left as it is.

use bytes::Bytes;
use http::header::HeaderMap;

use crate::alb::{self, HeaderMode};
use crate::gateway::{Members, Target};
use crate::reply::MAX_LAMBDA_RESPONSE;
use crate::target::{ENCODED_PATH, ENCODED_QUERY, MAYBE_DECODED_PARAMETER};
use crate::{DecodeError, Event, Format, Front, Undecodable};

/// Event structure version 1.
pub static V1: Format = Format {
    name: "lattice-1",
    recognizes: |shape| shape.has("raw_path"),
    decode: |event, text| decode(event, text, &V1),
    ..LATTICE
};

/// Event structure version 2.
pub static V2: Format = Format {
    name: "lattice-2",
    recognizes: |shape| {
        shape.context_has("serviceNetworkArn") || shape.context_has("serviceArn") || shape.context_has("targetGroupArn")
    },
    decode: |event, text| decode(event, text, &V2),
    ..LATTICE
};

const LATTICE: Format = Format {
    name: "",
    service: LIMITS.service,
    prefix: "",
    recognizes: |_| false,
    decode: |event, text| decode(event, text, &V2),
    encode: |response, out| alb::encode(HeaderMode::Single, &LIMITS, response, out),
    prelude: None,
    // Plain text takes at least its own length in the reply.
    max_response_bytes: LIMITS.json,
};

/// No limit of fields is documented.
static LIMITS: alb::Limits =
    alb::Limits { service: "the Lattice service", json: MAX_LAMBDA_RESPONSE, fields: usize::MAX };

fn decode(event: &Bytes, text: &str, format: &'static Format) -> Result<Event, Undecodable> {
    read(event, text, format).map_err(|error| Undecodable { format, error })
}

fn read(event: &Bytes, text: &str, format: &'static Format) -> Result<Event, DecodeError> {
    let mut members = Members::read(event, text)?;
    let path = members.path.take().ok_or(DecodeError::Missing("path"))?.into_bytes(event);
    let (path, query) = match path.iter().position(|&byte| byte == b'?') {
        Some(end) => (path.slice(..end), ENCODED_QUERY.escaped(path.slice(end.saturating_add(1)..))),
        None => (path, members.query(&MAYBE_DECODED_PARAMETER).0.freeze()),
    };
    let event = members.into_event(format, event, Target::new(path, &ENCODED_PATH, query), String::new())?;
    let Event { mut request, front } = event;
    remove_claims(request.headers_mut());
    let front = Front { request_id: front.request_id, ..Front::from_fields(format, request.headers()) };
    Ok(Event { request, front })
}

fn remove_claims(fields: &mut HeaderMap) {
    fields.remove("x-forwarded-proto");
    fields.remove("x-forwarded-port");
}
