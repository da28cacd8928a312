//! For the log: which TLS Crossfade does not support, where a back end's error shows it, and what to do. Owns words only;
//! certificates are verified by `upstream::tls`.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

const VERSIONS: &str = "; Crossfade supports TLS 1.2 and 1.3 only (`tls.minVersion` may ask for 1.3): TLS 1.0 and 1.1 have to be \
                        replaced on the back end";
const CIPHERS: &str = "; the back end seems to share no cipher suite with Crossfade, which supports ECDHE with AES-GCM or \
                       ChaCha20-Poly1305 only: no CBC, no RSA key exchange, no DHE. Enable one on the back end";
const NO_HTTP2: &str = "; the back end does not offer HTTP/2: remove `http2: always`";
const ISSUER: &str = "; either the back end does not send its intermediate certificates, or its authority is unknown: name that in \
                      `tls.caFile`";
const NO_NAMES: &str =
    "; it has no subjectAltName, and a common name alone does not count: issue one with a subjectAltName";
const AUTHORITY: &str = "; it is a certificate of an authority: to accept exactly this one, name it in `tls.caFile`";
const VERSION_1: &str = "; certificates of X.509 version 1 are unsupported: issue one of version 3";
const SIGNATURE: &str =
    "; its signature algorithm is unsupported (such as SHA-1 or MD5), or its key is too weak: issue another one";

/// What to add to the text of an error of TLS: empty, or `; ` and a hint.
pub(crate) fn of(error: &Error) -> &'static str {
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
pub(crate) fn of_io(error: &io::Error) -> &'static str {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map_or("", of)
}

fn of_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::ProtocolVersion => VERSIONS,
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => CIPHERS,
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
