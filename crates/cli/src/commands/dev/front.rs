//! The local load balancer's front, as options say: attributes, an HTTPS listener, certificates, client certificates.
//! Owns what a file with rules does not say; applied to the settings that a file, or none, has given.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use crossfade_emulator::{Listener, MutualAuthentication, Settings, Tls};

use crate::certificate::{Authority, LOCAL_NAMES};

/// Where the certificate of this run's authority is put, in the folder of the run.
const CA_FILE: &str = "https-ca.pem";

/// Options of the load balancer's front.
#[derive(clap::Args)]
pub(super) struct Front {
    /// Listen with HTTPS (and HTTP/2) as well, on this port, with the first listener's rules; 0 lets the system choose
    #[arg(long, value_name = "PORT")]
    https_port: Option<u16>,
    /// The certificate of HTTPS listeners, PEM, leaf first; otherwise one is made for this run
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Ask clients of HTTPS listeners for a certificate: `passthrough` takes any, a PEM file is what it is verified by
    #[arg(long, value_name = "passthrough|FILE")]
    client_certificates: Option<String>,
    /// Set an attribute of load balancer or listeners by its ELBv2 key, such as routing.http.xff_client_port.enabled=true
    #[arg(long = "attribute", value_name = "KEY=VALUE")]
    attributes: Vec<String>,
}

/// Applies the options, but for certificates.
///
/// # Errors
///
/// What is wrong with an option or a file that it names.
pub(super) fn apply(options: &Front, settings: &mut Settings) -> Result<()> {
    for attribute in &options.attributes {
        set(settings, attribute)?;
    }
    if let Some(port) = options.https_port {
        let Some(first) = settings.listeners.first() else { bail!("there is no listener") };
        let mut listener: Listener = first.clone();
        listener.name = "https".to_owned();
        listener.port = None;
        listener.listen = free(SocketAddr::new(listener.listen.ip(), port))?;
        listener.tls = Some(Tls::default());
        settings.listeners.push(listener);
    }
    if let Some(wish) = &options.client_certificates {
        let mutual = match wish.as_str() {
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
            "listener `{}` verifies client certificates by a trust store that only AWS has\n  hint: name a local one with \
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
            "`--attribute`: no attribute `{key}` that alters traffic\n  hint: docs/local-alb.md has those that are emulated"
        );
    }
    Ok(())
}

/// Makes a certificate for every HTTPS listener that has none; the file of the authority to trust, if there was one to make.
///
/// # Errors
///
/// If one cannot be made or written.
pub(super) fn certify(settings: &mut Settings, folder: &Path) -> Result<Option<PathBuf>> {
    let bare = without_certificate(settings);
    if bare.is_empty() {
        return Ok(None);
    }
    let authority = Authority::new("Crossfade local load balancer").context("cannot make a certificate")?;
    for tls in bare {
        let names = LOCAL_NAMES.map(String::from).to_vec();
        let (certificate, key) = authority.issue("localhost", names).context("cannot make a certificate")?;
        (tls.certificate_pem, tls.key_pem) = (certificate.pem(), key.serialize_pem());
    }
    let file = folder.join(CA_FILE);
    std::fs::write(&file, authority.pem()).with_context(|| format!("cannot write `{}`", file.display()))?;
    Ok(Some(file))
}

/// Bound and released at once: the emulator binds it for good, but by then the back ends would run.
pub(super) fn free(address: SocketAddr) -> Result<SocketAddr> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(error) => {
            bail!(
                "cannot listen on `{address}`: {error}\n  hint: choose another port with `--port` or `--https-port`, 0 takes any free one"
            )
        }
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))
}
