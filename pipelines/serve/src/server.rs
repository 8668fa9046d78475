//! Taking the port and answering on it.

use std::io::ErrorKind as Io;
use std::time::Duration;

use axum::serve::ListenerExt;
use nowcast_engine::{Error, Result};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::router::router;
use crate::state::AppState;

/// What open requests get to end in after a shutdown. A client that reads nothing would otherwise
/// hold the process.
const GRACE: Duration = Duration::from_secs(3);

/// Takes a port; `address` is `host:port`, and port 0 is any free one. Requests wait from here on,
/// [`serve`] answers them.
pub async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            Io::AddrInUse => {
                "address in use by another process; stop it or choose another port".to_owned()
            }
            Io::PermissionDenied => "no permission to listen there".to_owned(),
            Io::AddrNotAvailable => "this machine does not have that address".to_owned(),
            _ => error.to_string().to_lowercase(),
        };
        Error::user(format!("http {address}: {why}"))
    })
}

/// Answers until `shutdown` ends, then closes the feeds, lets open requests end and returns. After a
/// grace period it returns even if some have not.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    // Small answers to waiting clients: Nagle's delay would be most of their latency.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "nodelay refused");
        }
    });
    let feeds = state.feeds.clone();
    let (stopping, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router(state)).with_graceful_shutdown(async move {
        shutdown.await;
        feeds.close();
        drop(stopping);
    });
    let grace = async {
        let _ = stopped.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = server => served.map_err(|error| Error::outside(format!("http: {error}"))),
        () = grace => Ok(()),
    }
}
