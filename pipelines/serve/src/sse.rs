//! `GET /v1/feeds` and `GET /v1/feeds/{table}`: live rows as server-sent events.
//!
//! A row is an unnamed event, its id `epoch:offset`. `event: skipped` counts rows left out because
//! the client was slow; `event: gap` says that the row of `Last-Event-ID` is not known any more.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::Value;

use crate::extract::{Names, Parameters};
use crate::failure::Failure;
use crate::feed::{Delivery, EventId, RING_ROWS_MAX, Start};
use crate::feeds::Refusal;
use crate::guard::count;
use crate::state::AppState;

/// Shorter than what proxies close an idle connection after.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long browsers wait before they come back.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// Rows of the past to begin with.
    tail: Option<u64>,
}

pub async fn list(State(state): State<AppState>) -> Json<Value> {
    Json(state.feeds.list())
}

pub async fn get(
    State(state): State<AppState>,
    Names([table]): Names<1>,
    Parameters(from): Parameters<From>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let start = start(from.tail, &headers)?;
    let (subscription, permit) =
        state.feeds.subscribe(&table, start).map_err(|refusal| refused(&table, refusal))?;

    let first = Event::default().retry(RETRY).comment(format!("feed {table:?}"));
    let rows = stream::unfold((subscription, permit), |(mut subscription, permit)| async move {
        let deliveries = subscription.next().await?;
        Some((stream::iter(deliveries), (subscription, permit)))
    });
    let events = stream::once(async { first })
        .chain(rows.flatten().map(move |delivery| event(&table, delivery)))
        .map(Ok::<_, Infallible>);
    // The second asks proxies of the nginx kind to pass events on at once.
    let headers =
        [(header::CACHE_CONTROL, "no-store"), (HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((headers, Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
        .into_response())
}

/// `Last-Event-ID`, which browsers send when they come back, beats `tail`.
fn start(tail: Option<u64>, headers: &HeaderMap) -> Result<Start, Failure> {
    if let Some(id) = headers.get("last-event-id") {
        let text = String::from_utf8_lossy(id.as_bytes());
        return text.parse::<EventId>().map(Start::After).map_err(Failure::bad_request);
    }
    let tail = tail.unwrap_or(0);
    if tail > RING_ROWS_MAX as u64 {
        let message = format!("query: tail is {tail}, at most {RING_ROWS_MAX}");
        return Err(Failure::bad_request(message));
    }
    Ok(Start::Tail(tail))
}

fn refused(table: &str, refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Unknown(known) => {
            Failure::not_found(format!("no feed \"{table}\"; feeds: {}", known.join(", ")))
        }
        Refusal::Full(most) => {
            count("feeds");
            Failure::unavailable(format!("no room for another client: {most} at most"))
        }
    }
}

fn event(table: &str, delivery: Delivery) -> Event {
    match delivery {
        Delivery::Row(row) => Event::default().id(row.id.to_string()).data(&row.json),
        Delivery::Skipped(rows) => {
            metrics::counter!("nowcast_feed_skipped_rows_total", "table" => table.to_owned())
                .increment(rows);
            Event::default().event("skipped").data(format!("{{\"rows\":{rows}}}"))
        }
        Delivery::Gap => Event::default().event("gap").data("{}"),
    }
}
