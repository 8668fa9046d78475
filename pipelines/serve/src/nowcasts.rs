//! `GET /v1/nowcasts/{series}`: the running estimate of a series and the forecast after it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::extract::Names;
use crate::failure::Failure;
use crate::fields::AsJson;
use crate::state::AppState;

/// Keyed by series: nowcast, bounds and completion of the open period.
const NOWCASTS: &str = "nowcasts";
/// Keyed by series: times, values and bounds of the periods to come.
const FORECASTS: &str = "forecasts";
/// Keyed by series: the same by the LSTM.
const LSTM_FORECASTS: &str = "lstm_forecasts";

#[derive(Serialize)]
struct Answer<'a> {
    series: &'a str,
    nowcast: Option<AsJson<'a>>,
    forecast: Option<AsJson<'a>>,
    lstm_forecast: Option<AsJson<'a>>,
}

pub async fn get(
    State(state): State<AppState>,
    Names([series]): Names<1>,
) -> Result<Response, Failure> {
    let tables = [NOWCASTS, FORECASTS, LSTM_FORECASTS];
    let keys = tables.map(|table| format!("{table}:{series}"));
    let found = state.reader.multi_get(&keys).await?;
    if found.iter().all(Option::is_none) {
        let message = format!("no nowcast or forecast of series \"{series}\"");
        return Err(Failure::not_found(message));
    }
    let from = |table: usize| found.get(table).and_then(Option::as_ref).map(AsJson);
    let answer =
        Answer { series: &series, nowcast: from(0), forecast: from(1), lstm_forecast: from(2) };
    Ok(Json(answer).into_response())
}
