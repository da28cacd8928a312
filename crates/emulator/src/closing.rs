//! The signal that everything is to end. Owns waiting for it, not sending it.

use tokio::sync::watch;

/// Runs a future until it ends or the signal comes, whichever is first.
pub(crate) async fn until(mut closing: watch::Receiver<bool>, future: impl Future<Output = ()>) {
    tokio::select! {
        () = future => {}
        () = closed(&mut closing) => {}
    }
}

/// Waits for the signal. A sender that is gone is one.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}
