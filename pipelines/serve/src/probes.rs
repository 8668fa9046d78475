//! `/livez`, `/readyz`, `/status` and `/metrics`: the server and its job, for machines.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::state::AppState;

/// 200 as long as the process answers at all.
pub async fn livez() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// 200 when look-ups may be sent here, 503 with the reason when not.
pub async fn readyz(State(state): State<AppState>) -> Result<Json<Value>, Failure> {
    match state.job.ready() {
        Ok(()) => Ok(Json(json!({ "status": "ready" }))),
        Err(reason) => Err(Failure::unavailable(reason)),
    }
}

pub async fn status(State(state): State<AppState>) -> Json<Value> {
    Json(state.job.status())
}

/// The text format of Prometheus.
pub async fn metrics(State(state): State<AppState>) -> Result<Response, Failure> {
    match &state.metrics {
        Some(metrics) => {
            let text = metrics.render();
            Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
        }
        None => Err(Failure::not_found("this process records no metrics")),
    }
}
