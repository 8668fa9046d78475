//! Path and query of a request, refused in our own words.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The longest table, key, profile or series name taken, in bytes after percent-decoding: a key
/// holds a few identifiers, and a longer one is a mistake or an attack on the store.
const NAME_BYTES_MAX: usize = 512;

/// The decoded names in the path, each within its bound.
pub struct Names<const N: usize>(pub [String; N]);

impl<S: Send + Sync, const N: usize> FromRequestParts<S> for Names<N> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(names) = Path::<Vec<String>>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Failure::bad_request(rejection.body_text().to_lowercase()))?;
        for name in &names {
            if name.len() > NAME_BYTES_MAX {
                let message =
                    format!("name in the path: {} bytes, at most {NAME_BYTES_MAX}", name.len());
                return Err(Failure::bad_request(message));
            }
            if name.chars().any(char::is_control) {
                return Err(Failure::bad_request("name in the path: control character"));
            }
        }
        let count = names.len();
        let names = names.try_into().map_err(|_| {
            Failure::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                format!("route with {count} names where its handler takes {N}"),
            )
        })?;
        Ok(Self(names))
    }
}

/// The query, decoded into `T`; unknown parameters are refused if `T` refuses them.
pub struct Parameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text.split_once(": ").map_or(text.as_str(), |(_, reason)| reason);
                Err(Failure::bad_request(format!("query: {reason}")))
            }
        }
    }
}
