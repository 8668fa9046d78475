//! The HTTP doors of a running job: features, recommendations, nowcasts, live feeds, probes and one page.
//!
//! [`bind`] takes the port, [`serve`] answers on it until its shutdown future ends. What it shows
//! comes from an [`AppState`]: a [`Reader`] of the feature store, the [`Feeds`] that the job publishes
//! into, and the [`JobStatus`] of the job; who may ask is up to its [`Protection`]. Every error is JSON: `{"error": "…"}`.

mod extract;
mod failure;
mod features;
mod feed;
mod feeds;
mod fields;
mod guard;
mod limits;
mod nowcasts;
mod page;
mod pending;
mod probes;
mod reader;
mod recommendations;
mod router;
mod server;
mod sse;
mod state;
mod tls;
mod tokens;

pub use feeds::{FEED_CLIENTS_MAX, Feeds};
pub use guard::Protection;
pub use limits::Limits;
pub use reader::{Fields, Reader};
pub use recommendations::K_MAX;
pub use server::{bind, serve};
pub use state::{AppState, JobStatus};
pub use tls::{Tls, TlsFiles};
pub use tokens::{Scope, Scopes, Tokens, token_line};
