//! The back end of a case: it answers well, but for the one time when it does what the case says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade_testkit::authority::{key_der, new_key};
use crossfade_testkit::http2::{self, frame};
use crossfade_testkit::origin::{Conn, Door, Origin, Tls};
use crossfade_testkit::tls::server_showing;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::cases::{Act, Case, Certificate, When};

/// What the runner and the back end share.
pub(crate) struct Stage {
    case: &'static Case,
    /// The next opportunity is the fault's.
    is_armed: AtomicBool,
    /// What it does with an idle connection is done.
    is_done: AtomicBool,
    /// The content of good answers.
    marker: Mutex<String>,
    /// The connection of every request that came.
    served: Mutex<Vec<usize>>,
}

impl Stage {
    pub(crate) fn new(case: &'static Case) -> Arc<Stage> {
        let (is_armed, is_done, marker, served) = Default::default();
        Arc::new(Stage { case, is_armed, is_done, marker, served })
    }

    pub(crate) fn arm(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }

    /// Returns `true` if a request may be sent on the idle connection: what happens to it has happened, or needs that request.
    pub(crate) fn is_set(&self) -> bool {
        self.case.when != When::Idle
            || self.case.acts.iter().any(|act| matches!(act, Act::ReadSome))
            || self.is_done.load(Ordering::SeqCst)
    }

    pub(crate) fn set_marker(&self, marker: &str) {
        marker.clone_into(&mut self.marker.lock().unwrap());
    }

    pub(crate) fn served(&self) -> Vec<usize> {
        self.served.lock().unwrap().clone()
    }

    fn fires(&self, when: When) -> bool {
        self.case.when == when && self.is_armed.swap(false, Ordering::SeqCst)
    }

    fn marker(&self) -> String {
        self.marker.lock().unwrap().clone()
    }
}

pub(crate) fn origin(stage: &Arc<Stage>) -> Origin {
    let stage = stage.clone();
    Origin::new(stage.case.tls, move |door| serve(door, stage.clone()))
}

async fn serve(door: Door, stage: Arc<Stage>) {
    if stage.fires(When::Accepted) {
        perform(stage.case.acts, door.raw(), 0).await;
        return;
    }
    let opened = match stage.case.when {
        When::Shown(certificate) if stage.fires(stage.case.when) => match certificate {
            Certificate::Of(tls) => door.open_as(tls).await,
            Certificate::WeakKey => door.open_with(committed(include_bytes!("certificates/weak-key.pem"))).await,
            Certificate::WeakSignature => {
                door.open_with(committed(include_bytes!("certificates/weak-signature.pem"))).await
            }
        },
        _ => door.open().await,
    };
    let Some(mut conn) = opened else { return };
    if stage.fires(When::Connected) {
        match perform(stage.case.acts, conn, 1).await {
            Some(same) => conn = same,
            None => return,
        }
    }
    match stage.case.tls {
        Tls::Http2 => serve_http2(conn, &stage).await,
        _ => serve_http1(conn, &stage).await,
    };
}

/// Returns when the connection is over.
async fn serve_http1(mut conn: Conn, stage: &Stage) -> Option<()> {
    loop {
        conn.request().await?;
        stage.served.lock().unwrap().push(conn.number);
        if stage.fires(When::Asked) {
            conn = perform(stage.case.acts, conn, 0).await?;
            continue;
        }
        let marker = stage.marker();
        conn.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{marker}", marker.len())).await;
        if stage.fires(When::Idle) {
            let same = perform(stage.case.acts, conn, 0).await;
            stage.is_done.store(true, Ordering::SeqCst);
            conn = same?;
        }
    }
}

async fn serve_http2(mut conn: Conn, stage: &Stage) -> Option<()> {
    http2::greet(&mut conn).await?;
    loop {
        let (stream, _) = http2::request(&mut conn).await?;
        stage.served.lock().unwrap().push(conn.number);
        if stage.fires(When::Asked) {
            conn = perform(stage.case.acts, conn, stream).await?;
            continue;
        }
        http2::answer(&mut conn, stream, stage.marker().as_bytes()).await;
        if stage.fires(When::Idle) {
            let same = perform(stage.case.acts, conn, stream).await;
            stage.is_done.store(true, Ordering::SeqCst);
            conn = same?;
        }
    }
}

/// Gives the connection back if it is to go on.
async fn perform(acts: &[Act], mut conn: Conn, stream: u32) -> Option<Conn> {
    for act in acts {
        match *act {
            Act::Write(bytes) => conn.write(bytes).await,
            Act::WriteLarge(before, count, after) => {
                conn.write(before).await;
                conn.write(vec![b'x'; count]).await;
                conn.write(after).await;
            }
            Act::Frame(kind, flags, payload) => conn.write(frame(kind, flags, stream, payload)).await,
            Act::ConnectionFrame(kind, payload) => conn.write(frame(kind, 0, 0, payload)).await,
            Act::Repeat(bytes) => {
                let many = bytes.repeat(1000);
                while conn.socket.write_all(&many).await.is_ok() {}
            }
            Act::RepeatFrame(kind, flags, payload) => {
                let many = frame(kind, flags, stream, payload).repeat(1000);
                while conn.socket.write_all(&many).await.is_ok() {}
            }
            Act::RepeatSlowly(bytes) => {
                while conn.socket.write_all(bytes).await.is_ok() {
                    sleep(Duration::from_millis(50)).await;
                }
            }
            Act::ReadSome => {
                conn.socket.read_exact(&mut [0; 64]).await.ok()?;
            }
            Act::Trickle(bytes) => {
                for byte in bytes.iter().cycle() {
                    conn.socket.write_all(&[*byte]).await.ok()?;
                    conn.socket.flush().await.ok()?;
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Act::Pause => sleep(Duration::from_millis(300)).await,
            Act::Stall => std::future::pending().await,
            Act::Close => {
                let _ = conn.socket.shutdown().await;
                return None;
            }
            Act::Break => return None,
            Act::Reset => {
                conn.reset();
                return None;
            }
        }
    }
    Some(conn)
}

/// The authorities of the committed certificates, which the function trusts.
pub(crate) const WEAK_AUTHORITIES: [&[u8]; 2] =
    [include_bytes!("certificates/weak-key-ca.pem"), include_bytes!("certificates/weak-signature-ca.pem")];

/// A certificate that `rcgen` does not make: by an RSA key of 1024 bits, or signed with SHA-1. Its key is nobody's: what is
/// signed with the one that is made here is not looked at, since the certificate is rejected before.
fn committed(pem: &[u8]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(pem).unwrap();
    TlsAcceptor::from(server_showing(certificate, key_der(&new_key())))
}
