//! What stands behind the doors: nothing while a run stands by or starts, then its jobs and their store.
//!
//! What it tells is searched for secrets that were read: errors of the outside may name what they were
//! given.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use nowcast_connectors::Store;
use nowcast_engine::world::{Clock, SystemClock};
use nowcast_engine::{Error, ErrorKind, Result};
use nowcast_serve::{Fields, JobStatus, Reader};
use serde_json::{Value, json};

use crate::secrets::hidden;
use crate::status::Jobs;

/// Why a run has no jobs yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    Starts,
    /// Another run has the job.
    StandsBy,
}

impl Waiting {
    fn words(self) -> &'static str {
        match self {
            Self::Starts => "starting",
            Self::StandsBy => "standing by",
        }
    }
}

pub struct Behind {
    waiting: Waiting,
    opened: OnceLock<Opened>,
}

struct Opened {
    jobs: Arc<Jobs>,
    store: Arc<dyn Store>,
}

impl Behind {
    pub fn new(waiting: Waiting) -> Self {
        Self { waiting, opened: OnceLock::new() }
    }

    /// The jobs run from here on.
    pub fn open(&self, store: Arc<dyn Store>, jobs: Arc<Jobs>) {
        // A run opens once.
        let _ = self.opened.set(Opened { jobs, store });
    }

    /// Copies counters into the metrics recorder; called about once a second.
    pub fn publish(&self) {
        let standing_by = self.opened.get().is_none() && self.waiting == Waiting::StandsBy;
        metrics::gauge!("nowcast_standing_by").set(u8::from(standing_by));
        if let Some(opened) = self.opened.get() {
            opened.jobs.publish();
        }
    }
}

impl JobStatus for Behind {
    fn status(&self) -> Value {
        match self.opened.get() {
            Some(opened) => without_secrets(opened.jobs.status()),
            None => json!({
                "version": env!("CARGO_PKG_VERSION"),
                "now": SystemClock.now(),
                "waiting": self.waiting.words(),
                "jobs": [],
            }),
        }
    }

    fn ready(&self) -> Result<(), String> {
        match self.opened.get() {
            Some(opened) => opened.jobs.ready().map_err(|reason| hidden(&reason)),
            None => Err(self.waiting.words().into()),
        }
    }
}

#[async_trait]
impl Reader for Behind {
    async fn multi_get(&self, keys: &[String]) -> Result<Vec<Option<Fields>>> {
        let Some(opened) = self.opened.get() else {
            return Err(Error::outside(self.waiting.words()));
        };
        let got = opened.store.multi_get(keys).await;
        got.map_err(|error| match error.kind() {
            ErrorKind::Outside => Error::outside(hidden(&error.to_string())),
            _ => Error::bug(hidden(&error.to_string())),
        })
    }
}

fn without_secrets(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(hidden(&text)),
        Value::Array(values) => values.into_iter().map(without_secrets).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, without_secrets(value))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_holds_a_secret() {
        crate::secrets::remember("hush-behind");
        let status = json!({
            "jobs": [{ "stages": [{ "trouble": "redis u:hush-behind@h: refused", "rows_in": 1 }] }],
        });
        let expected = json!({
            "jobs": [{ "stages": [{ "trouble": "redis u:…@h: refused", "rows_in": 1 }] }],
        });
        assert_eq!(without_secrets(status), expected);
    }
}
