//! The one shape of errors towards clients: a status and `{"error": "…"}`.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use nowcast_engine::{Error, ErrorKind};
use serde_json::json;

/// Why a request is not answered.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), header: None }
    }

    /// The same with a header that tells the client how to go on.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl From<Error> for Failure {
    /// An unreachable store may come back: 503. All else is ours to repair.
    fn from(error: Error) -> Self {
        tracing::warn!(%error, "request failed");
        match error.kind() {
            ErrorKind::Outside => Self::unavailable(error.to_string()),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let json = Json(json!({ "error": self.message }));
        (self.status, HeaderMap::from_iter(self.header), json).into_response()
    }
}
