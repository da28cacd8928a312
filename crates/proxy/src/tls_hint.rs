//! For the log: which TLS Crossfade does not support, where a back end's error shows it, and what to do. Owns words only;
//! certificates are verified by `upstream::tls`.

use std::borrow::Cow;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use rustls_pki_types::UnixTime;

/// The end of the year 9999, in seconds since 1970: beyond it no date is written.
const END_OF_DATES: u64 = 253_402_300_799;

const VERSIONS: &str = "; Crossfade supports TLS 1.2 and 1.3 only (`tls.minVersion` may ask for 1.3): TLS 1.0 and 1.1 have to be \
                        replaced on the back end";
const CIPHERS: &str = "; the back end seems to share no cipher suite with Crossfade, which supports ECDHE with AES-GCM or \
                       ChaCha20-Poly1305 only: no CBC, no RSA key exchange, no DHE. Enable one on the back end";
const REFUSED: &str = "; either the back end asks for a client certificate: `tls.clientCert`, or it shares no cipher suite with \
                       Crossfade, which supports ECDHE with AES-GCM or ChaCha20-Poly1305 only (no CBC, no RSA key exchange, no \
                       DHE): enable one on the back end";
const CLIENT: &str = "; the back end asks for a client certificate that it trusts: `tls.clientCert`";
const NO_HTTP2: &str = "; the back end does not offer HTTP/2: remove `http2: always`";
const ISSUER: &str = "; either the back end does not send its intermediate certificates, or its authority is unknown: name that in \
                      `tls.caFile`";
const NO_NAMES: &str =
    "; it has no subjectAltName, and a common name alone does not count: issue one with a subjectAltName";
const AUTHORITY: &str = "; it is a certificate of an authority: to accept exactly this one, name it in `tls.caFile`";
const VERSION_1: &str = "; certificates of X.509 version 1 are unsupported: issue one of version 3";
const SIGNATURE: &str =
    "; its signature algorithm is unsupported (such as SHA-1 or MD5), or its key is too weak: issue another one";

/// The hint to append to the text of a TLS error: empty, or `; ` and a sentence.
pub(crate) fn of(error: &Error) -> Cow<'static, str> {
    if let Error::InvalidCertificate(error) = error
        && let Some((what, time)) = beyond(error)
    {
        let time = UNIX_EPOCH + Duration::from_secs(time.as_secs().min(END_OF_DATES));
        return format!("; {what} {}: the back end needs another one", humantime::format_rfc3339_seconds(time)).into();
    }
    fixed(error).into()
}

/// The end of the time in which a certificate is valid that time has passed, or not reached.
fn beyond(error: &CertificateError) -> Option<(&'static str, UnixTime)> {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => Some(("it ended", *not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => Some(("it begins", *not_before)),
        _ => None,
    }
}

fn fixed(error: &Error) -> &'static str {
    match error {
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon) => {
            CIPHERS
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls12NotOffered,
        ) => VERSIONS,
        Error::InvalidCertificate(error) => of_certificate(error),
        _ => "",
    }
}

/// The same where the error of TLS is in one of input and output.
pub(crate) fn of_io(error: &io::Error) -> Cow<'static, str> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map_or(Cow::Borrowed(""), of)
}

fn of_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::ProtocolVersion => VERSIONS,
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => REFUSED,
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => CLIENT,
        AlertDescription::NoApplicationProtocol => NO_HTTP2,
        _ => "",
    }
}

fn of_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer => ISSUER,
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => NO_NAMES,
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => SIGNATURE,
        // The library has no variants for these.
        CertificateError::Other(other) => match other.to_string().as_str() {
            "CaUsedAsEndEntity" => AUTHORITY,
            "UnsupportedCertVersion" => VERSION_1,
            _ => "",
        },
        _ => "",
    }
}
