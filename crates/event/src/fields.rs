//! Names of fields that mean the same to every front end. Owns the names alone; what happens to such fields is decided by those
//! who pass messages on.

/// Fields that belong to one connection and end with it (RFC 9110 section 7.6.1), in requests and responses alike. `Keep-Alive`
/// and `Proxy-Connection` are not in the registry any more, but still sent.
pub const CONNECTION_FIELDS: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Returns whether AWS's services write a field of this name (in lower case) themselves, so that its value is not the client's
/// claim.
#[must_use]
pub fn is_vouched_for(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name.starts_with("x-amzn-")
}
