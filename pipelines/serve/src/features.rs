//! `GET /v1/features/{table}/{key}`: the newest features of one key.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::extract::Names;
use crate::failure::Failure;
use crate::fields::AsJson;
use crate::reader;
use crate::state::AppState;

pub async fn get(
    State(state): State<AppState>,
    Names([table, key]): Names<2>,
) -> Result<Response, Failure> {
    if let Some(tables) = &state.tables
        && !tables.contains(&table)
    {
        let known: Vec<&str> = tables.iter().map(String::as_str).collect();
        let message = format!("no table \"{table}\"; tables: {}", known.join(", "));
        return Err(Failure::not_found(message));
    }
    match reader::get(&*state.reader, format!("{table}:{key}")).await? {
        Some(fields) => Ok(Json(AsJson(&fields)).into_response()),
        None => Err(Failure::not_found(format!("no features in \"{table}\" for key \"{key}\""))),
    }
}
