//! Taking the port and answering on it.

use std::convert::Infallible;
use std::io::ErrorKind as Io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nowcast_engine::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::guard::{Peer, Protection, count, refuse};
use crate::router::router;
use crate::state::AppState;

/// What open requests get to end in after a shutdown. A client that reads nothing would otherwise
/// hold the process.
const GRACE: Duration = Duration::from_secs(3);

/// Connections above the limit that are told so at a time; more are closed without a word.
const REFUSALS_MAX: usize = 64;

/// Between two tries to accept where the system has no room for more files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Headers of this many times their limit are read, to be answered in words; above, hyper's 431 has
/// none.
const HEADERS_READ: usize = 4;

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
    protection: Protection,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let feeds = state.feeds.clone();
    let most = protection.limits.connections_max;
    let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let (closing, closed) = watch::channel(());
    let doors = Doors { router: router(state, protection.clone()), protection, closed };
    let mut open = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let place = Arc::clone(&places).try_acquire_owned().ok();
                    if place.is_none() && open.len() >= most + REFUSALS_MAX {
                        count("connections");
                        continue;
                    }
                    open.spawn(doors.clone().admit(stream, peer.ip(), place));
                    metrics::gauge!("nowcast_http_connections").set(open.len() as f64);
                }
                Err(error) => {
                    tracing::warn!(%error, "http: a connection was not accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(_) = open.join_next() => {
                metrics::gauge!("nowcast_http_connections").set(open.len() as f64);
            }
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    feeds.close();
    drop(closing);
    let ended = async { while open.join_next().await.is_some() {} };
    // What has not ended is dropped.
    let _ = tokio::time::timeout(GRACE, ended).await;
    Ok(())
}

/// What each connection is served with.
#[derive(Clone)]
struct Doors {
    router: Router,
    protection: Protection,
    closed: watch::Receiver<()>,
}

impl Doors {
    /// Serves a connection; without a place it is told that there is none.
    async fn admit(self, stream: TcpStream, peer: IpAddr, place: Option<OwnedSemaphorePermit>) {
        // Small answers to waiting clients: Nagle's delay would be most of their latency.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "nodelay refused");
        }
        let Some(tls) = &self.protection.tls else {
            return self.talk(stream, peer, place).await;
        };
        let handshake = tls.acceptor().accept(stream);
        match tokio::time::timeout(self.protection.limits.timeout, handshake).await {
            Ok(Ok(stream)) => self.talk(stream, peer, place).await,
            Ok(Err(error)) => {
                count("tls");
                tracing::debug!(%peer, %error, "no TLS");
            }
            Err(_) => count("tls"),
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Send + Unpin>(
        mut self,
        stream: S,
        peer: IpAddr,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let limits = &self.protection.limits;
        let most = limits.connections_max;
        let (router, full) = (self.router.clone(), place.is_none());
        let answer = service_fn(move |mut request: Request<Incoming>| {
            let mut router = router.clone();
            async move {
                if full {
                    return Ok(no_room(most));
                }
                request.extensions_mut().insert(Peer(peer));
                let answered: Result<Response<Body>, Infallible> = router.call(request).await;
                answered
            }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits.timeout);
        builder.max_buf_size((limits.header_bytes_max * HEADERS_READ).max(8_192));
        let connection = builder.serve_connection(TokioIo::new(stream), answer);
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            // The sender goes when the server ends.
            _ = self.closed.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

fn no_room(most: usize) -> Response<Body> {
    let words = format!("no room for another connection: {most} at most");
    let refused = refuse("connections", StatusCode::SERVICE_UNAVAILABLE, words);
    refused.with_header(CONNECTION, HeaderValue::from_static("close")).into_response()
}
