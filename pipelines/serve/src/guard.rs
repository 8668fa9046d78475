//! What stands before every handler: limits first, then who asks.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::failure::Failure;
use crate::limits::Limits;
use crate::tls::Tls;
use crate::tokens::{Scope, Tokens};

/// Requests between two looks at which clients have been quiet: they are forgotten.
const FORGET_EVERY: usize = 65_536;

/// Who is let in, and how.
#[derive(Clone, Default)]
pub struct Protection {
    /// Without, HTTP is not encrypted.
    pub tls: Option<Arc<Tls>>,
    /// Without, everybody may ask everything.
    pub tokens: Option<Arc<Tokens>>,
    /// Whether `/metrics` needs no token.
    pub metrics_open: bool,
    pub limits: Limits,
}

/// The address of a client.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub IpAddr);

impl Peer {
    /// One client: of IPv6 a whole network, for that is what one client has.
    fn client(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
            address => address,
        }
    }
}

pub(crate) struct Guard {
    protection: Protection,
    rates: DefaultKeyedRateLimiter<IpAddr>,
    requests: AtomicUsize,
}

impl Guard {
    pub fn new(protection: Protection) -> Self {
        let quota = Quota::per_second(protection.limits.requests_per_second_max);
        Self { protection, rates: RateLimiter::keyed(quota), requests: AtomicUsize::new(0) }
    }

    /// # Errors
    /// With what the client is answered.
    fn admit(&self, request: &Request) -> Result<(), Failure> {
        let path = request.uri().path();
        let limits = &self.protection.limits;
        let headers = request.headers().iter();
        let bytes: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes + request.uri().to_string().len() > limits.header_bytes_max {
            let words = format!("headers of more than {} bytes", limits.header_bytes_max);
            return Err(refuse("headers", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, words));
        }
        if request.body().size_hint().lower() > limits.body_bytes_max as u64 {
            let words = format!("a body of more than {} bytes", limits.body_bytes_max);
            return Err(refuse("body", StatusCode::PAYLOAD_TOO_LARGE, words));
        }
        let Some(scope) = scope_of(path, self.protection.metrics_open) else { return Ok(()) };
        self.within_rate(request)?;
        match scope {
            Some(scope) => self.authorised(request.headers(), scope),
            None => Ok(()),
        }
    }

    fn within_rate(&self, request: &Request) -> Result<(), Failure> {
        let Some(peer) = request.extensions().get::<Peer>() else { return Ok(()) };
        if self.requests.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.rates.retain_recent();
        }
        self.rates.check_key(&peer.client()).map_err(|_| {
            let most = self.protection.limits.requests_per_second_max;
            let words = format!("more than {most} requests a second from one address");
            let refused = refuse("rate", StatusCode::TOO_MANY_REQUESTS, words);
            refused.with_header(RETRY_AFTER, HeaderValue::from_static("1"))
        })
    }

    fn authorised(&self, headers: &HeaderMap, scope: Scope) -> Result<(), Failure> {
        let Some(tokens) = &self.protection.tokens else { return Ok(()) };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| value.split_once(' '));
        let token = token.filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            let words = "a token is needed: Authorization: Bearer …";
            return Err(asked("unauthorised", StatusCode::UNAUTHORIZED, words, "Bearer"));
        };
        match tokens.scopes(token.trim()) {
            None => {
                let challenge = "Bearer error=\"invalid_token\"";
                let words = "the token is not known";
                Err(asked("unauthorised", StatusCode::UNAUTHORIZED, words, challenge))
            }
            Some(scopes) if !scopes.allow(scope) => {
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
                let words = format!("the token has no scope \"{scope}\"");
                Err(asked("forbidden", StatusCode::FORBIDDEN, &words, &challenge))
            }
            Some(_) => Ok(()),
        }
    }
}

/// What a path wants: nothing at all for probes, no token for what is a file in the binary.
fn scope_of(path: &str, metrics_open: bool) -> Option<Option<Scope>> {
    match path {
        "/livez" | "/readyz" => None,
        "/" | "/openapi.json" => Some(None),
        "/metrics" if metrics_open => Some(None),
        path if path.starts_with("/v1/feeds/") => Some(Some(Scope::Feeds)),
        _ => Some(Some(Scope::Read)),
    }
}

pub(crate) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(refused) = guard.admit(&request) {
        return refused.into_response();
    }
    let timeout = guard.protection.limits.timeout;
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let words = format!("no answer within {timeout:?}");
            refuse("timeout", StatusCode::SERVICE_UNAVAILABLE, words).into_response()
        }
    }
}

/// Counts a refusal and says it in words.
pub(crate) fn refuse(
    reason: &'static str,
    status: StatusCode,
    words: impl Into<String>,
) -> Failure {
    count(reason);
    Failure::new(status, words)
}

fn asked(reason: &'static str, status: StatusCode, words: &str, challenge: &str) -> Failure {
    let refused = refuse(reason, status, words);
    match HeaderValue::from_str(challenge) {
        Ok(challenge) => refused.with_header(WWW_AUTHENTICATE, challenge),
        Err(_) => refused,
    }
}

/// Counts what was refused.
pub(crate) fn count(reason: &'static str) {
    metrics::counter!("nowcast_http_refused_total", "reason" => reason).increment(1);
}
