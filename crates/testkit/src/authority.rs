//! A certificate authority for one run, and the certificates that it issues. Which of them is right or wrong for a test is the
//! test's affair: it changes the parameters.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority that nobody knows who was not given its certificate.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Identity {
    certificate: Certificate,
    key: Arc<KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// One with an ordinary certificate of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// One whose own certificate is changed before it is signed.
    pub fn with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = params(&[], "Crossfade test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate.
    #[must_use]
    pub fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Its certificate as a PEM text.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these host names or addresses.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    /// The same, changed before it is signed.
    pub fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        self.issue_for(&new_key(), names, change)
    }

    /// The same for a key that is there already.
    pub fn issue_for(
        &self,
        key: &Arc<KeyPair>,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let certificate = leaf(names, change).signed_by(&**key, &self.0).unwrap();
        Identity { certificate, key: key.clone() }
    }
}

impl Identity {
    /// A certificate for these names that no authority has signed.
    #[must_use]
    pub fn self_signed(names: &[&str]) -> Self {
        Self::self_signed_for(&new_key(), names, |_| {})
    }

    /// The same, changed before it is signed, for a key that is there already.
    pub fn self_signed_for(key: &Arc<KeyPair>, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let certificate = leaf(names, change).self_signed(&**key).unwrap();
        Self { certificate, key: key.clone() }
    }

    /// The certificate.
    #[must_use]
    pub fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// The certificate as a PEM text.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key.
    #[must_use]
    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        key_der(&self.key)
    }

    /// The key as a PEM text.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// A key that nothing is made for yet.
#[must_use]
pub fn new_key() -> Arc<KeyPair> {
    Arc::new(KeyPair::generate().unwrap())
}

/// A key as rustls takes it.
#[must_use]
pub fn key_der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

fn leaf(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = params(names, names.first().copied().unwrap_or("nobody"));
    change(&mut params);
    params
}

/// The common names of an authority and of what it issues must differ: OpenSSL takes a certificate whose issuer is its own
/// name for self-signed.
fn params(names: &[&str], common_name: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
