//! The HTTP doors of a running job: features, recommendations, nowcasts, live feeds, probes and one page.
//!
//! [`bind`] takes the port, [`serve`] answers on it until its shutdown future ends. What it shows
//! comes from an [`AppState`]: a [`Reader`] of the feature store, the [`Feeds`] that the job publishes
//! into, and the [`JobStatus`] of the job. Every error is JSON: `{"error": "…"}`.

mod extract;
mod failure;
mod features;
mod feed;
mod feeds;
mod fields;
mod nowcasts;
mod page;
mod probes;
mod reader;
mod recommendations;
mod router;
mod server;
mod sse;
mod state;

pub use feeds::{FEED_CLIENTS_MAX, Feeds};
pub use reader::{Fields, Reader};
pub use recommendations::K_MAX;
pub use server::{bind, serve};
pub use state::{AppState, JobStatus};
