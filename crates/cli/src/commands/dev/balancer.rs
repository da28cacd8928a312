//! Options of the local load balancer: attributes, an HTTPS listener, certificates, client certificates.
//!
//! Owns the settings that a file with rules cannot contain, and applies them to the settings of the file.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use crossfade_emulator::{Listener, MutualAuthentication, Settings, Tls};
use crossfade_route::decode;

use crate::certificate::Authority;

/// Name of the file with the certificate of this run's authority, in the folder of the run.
const CA_FILE: &str = "https-ca.pem";

/// Options of the load balancer.
#[derive(clap::Args)]
pub(super) struct BalancerOptions {
    /// Also listen for HTTPS and HTTP/2 on this port, with the first listener's rules; 0 picks a free one
    #[arg(long, value_name = "PORT")]
    https_port: Option<u16>,
    /// Certificate of HTTPS listeners, PEM, leaf first [default: one generated for this run]
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Request client certificates on HTTPS listeners: accept any (`passthrough`), or verify against a PEM file
    #[arg(long, value_name = "passthrough|FILE")]
    client_certificates: Option<String>,
    /// Set an attribute of the load balancer or its listeners, such as routing.http.xff_client_port.enabled=true
    #[arg(long = "attribute", value_name = "KEY=VALUE")]
    attributes: Vec<String>,
}

/// Applies the options, except for generating certificates.
///
/// # Errors
///
/// If an option, or a file that it names, is invalid.
pub(super) fn apply(options: &BalancerOptions, settings: &mut Settings) -> Result<()> {
    for attribute in &options.attributes {
        set(settings, attribute)?;
    }
    if let Some(port) = options.https_port {
        let Some(first) = settings.listeners.first() else { bail!("there is no listener") };
        let mut listener: Listener = first.clone();
        listener.name = "https".to_owned();
        listener.port = None;
        listener.listen = SocketAddr::new(listener.listen.ip(), port);
        listener.tls = Some(Tls::default());
        settings.listeners.push(listener);
    }
    if let Some(mode) = &options.client_certificates {
        let mutual = match mode.as_str() {
            "passthrough" => MutualAuthentication::Passthrough,
            file => MutualAuthentication::Verify { ca_pem: read(Path::new(file))? },
        };
        let mut https = settings.listeners.iter_mut().filter_map(|listener| listener.tls.as_mut()).peekable();
        ensure!(
            https.peek().is_some(),
            "`--client-certificates`: there is no HTTPS listener\n  hint: `--https-port` adds one"
        );
        https.for_each(|tls| tls.mutual = mutual.clone());
    }
    for listener in &settings.listeners {
        let lacks_store =
            |tls: &Tls| matches!(&tls.mutual, MutualAuthentication::Verify { ca_pem } if ca_pem.is_empty());
        ensure!(
            !listener.tls.as_ref().is_some_and(lacks_store),
            "listener `{}` verifies client certificates with a trust store in AWS\n  hint: name a local one with \
             `--client-certificates FILE`",
            listener.name
        );
    }
    if let (Some(certificate), Some(key)) = (&options.certificate, &options.key) {
        let mut bare = without_certificate(settings);
        ensure!(!bare.is_empty(), "`--certificate`: there is no HTTPS listener\n  hint: `--https-port` adds one");
        let (certificate, key) = (read(certificate)?, read(key)?);
        for tls in &mut bare {
            (tls.certificate_pem, tls.key_pem) = (certificate.clone(), key.clone());
        }
    }
    Ok(())
}

fn without_certificate(settings: &mut Settings) -> Vec<&mut Tls> {
    let https = settings.listeners.iter_mut().filter_map(|listener| listener.tls.as_mut());
    https.filter(|tls| tls.certificate_pem.is_empty()).collect()
}

fn set(settings: &mut Settings, attribute: &str) -> Result<()> {
    let Some((key, value)) = attribute.split_once('=') else {
        bail!("`--attribute {attribute}`: expected KEY=VALUE");
    };
    let wrong = |problem: String| anyhow::anyhow!("`--attribute {key}`: `{value}`: {problem}");
    if settings.load_balancer.set(key, value).map_err(wrong)? {
        return Ok(());
    }
    for listener in &mut settings.listeners {
        ensure!(
            listener.attributes.set(key, value).map_err(wrong)?,
            "`--attribute`: unsupported attribute `{key}`\n  hint: docs/local-alb.md lists the supported attributes"
        );
    }
    Ok(())
}

/// Gives HTTPS listeners without a certificate that of the settings which these replace.
///
/// # Errors
///
/// A new HTTPS listener without a former certificate.
pub(super) fn keep_certificate(settings: &mut Settings, former: &Settings) -> Result<()> {
    let bare = without_certificate(settings);
    let tls = former.listeners.iter().find_map(|listener| listener.tls.as_ref());
    ensure!(
        bare.is_empty() || tls.is_some(),
        "a listener is now HTTPS\n  hint: restart `crossfade dev`, which then generates a certificate"
    );
    for (bare, tls) in bare.into_iter().zip(tls.into_iter().cycle()) {
        (bare.certificate_pem, bare.key_pem) = (tls.certificate_pem.clone(), tls.key_pem.clone());
    }
    Ok(())
}

/// Generates a certificate with these names for every HTTPS listener without one. Returns the file of the authority to trust,
/// if it generated
/// any.
///
/// # Errors
///
/// If a certificate cannot be generated or written.
pub(super) fn certify(settings: &mut Settings, names: Vec<String>, folder: &Path) -> Result<Option<PathBuf>> {
    let bare = without_certificate(settings);
    if bare.is_empty() {
        return Ok(None);
    }
    let authority = Authority::new("Crossfade local load balancer").context("cannot generate a certificate")?;
    for tls in bare {
        let (certificate, key) =
            authority.issue("localhost", names.clone()).context("cannot generate a certificate")?;
        (tls.certificate_pem, tls.key_pem) = (certificate.pem(), key.serialize_pem());
    }
    let file = folder.join(CA_FILE);
    std::fs::write(&file, authority.pem()).with_context(|| format!("cannot write `{}`", file.display()))?;
    Ok(Some(file))
}

/// Returns an address after checking that it can be bound, before the back ends start. The emulator binds it later.
pub(super) fn free(address: SocketAddr) -> Result<SocketAddr> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(error) => {
            let hint = match error.kind() {
                ErrorKind::AddrNotAvailable => "`--host` must be an address or a name of this machine",
                _ => "choose another port with `--port` or `--https-port`, 0 picks a free one",
            };
            bail!("cannot listen on `{address}`: {error}\n  hint: {hint}")
        }
    }
}

fn read(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    decode(bytes).with_context(|| format!("`{}` is neither UTF-8 nor UTF-16", file.display()))
}
