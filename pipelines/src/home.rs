//! What every running command shares: the data folder, the embedded broker and store, the models.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use nowcast_broker::{Broker, Config};
use nowcast_connectors::{EmbeddedStore, Environment, Registry};
use nowcast_onnx::OnnxProvider;
use nowcast_planner::Planner;
use nowcast_udf_host::Libraries;

use crate::secrets::Secrets;

/// Partitions of topics that the embedded broker makes by itself.
const PARTITIONS: i32 = 4;

/// The value of `properties.bootstrap.servers` that means the broker in this process.
pub const EMBEDDED: &str = "embedded";

pub struct Home {
    pub data: PathBuf,
    pub broker: Option<Broker>,
    pub store: Arc<EmbeddedStore>,
    pub models: Arc<OnnxProvider>,
}

impl Home {
    /// Opens the data folder, and the embedded broker if it is needed.
    pub async fn open(data: &Path, broker: bool) -> Result<Self> {
        std::fs::create_dir_all(data)
            .with_context(|| format!("data folder {}: cannot be made", data.display()))?;
        let broker = match broker {
            true => Some(start_broker(&data.join("broker"), "127.0.0.1:0").await?),
            false => None,
        };
        let store = Arc::new(EmbeddedStore::open(&data.join("store"))?);
        Ok(Self { data: data.to_owned(), broker, store, models: Arc::new(OnnxProvider::default()) })
    }

    /// The address behind `embedded`.
    pub fn bootstrap(&self) -> Option<String> {
        self.broker.as_ref().map(|broker| broker.address().to_string())
    }

    /// Messages in a topic of the embedded broker.
    pub fn messages(&self, topic: &str) -> u64 {
        let Some(broker) = &self.broker else { return 0 };
        let topics = broker.topics();
        let found = topics.iter().find(|status| status.name == topic);
        found.map_or(0, |status| {
            status
                .partitions
                .iter()
                .map(|partition| (partition.end_offset - partition.start_offset) as u64)
                .sum()
        })
    }

    pub fn connectors(&self) -> Arc<Secrets> {
        let store = Arc::clone(&self.store);
        let connectors = Registry::new(Environment {
            embedded_bootstrap: self.bootstrap(),
            store,
            ..Environment::default()
        });
        Arc::new(Secrets { connectors, may_lack: false })
    }

    /// A planner over all of it.
    pub fn planner(&self) -> Planner {
        let mut planner = Planner::new(self.connectors(), self.models.clone(), Default::default());
        planner.set_functions(Arc::new(Libraries));
        planner
    }
}

pub async fn start_broker(dir: &Path, listen: &str) -> Result<Broker> {
    let config = Config {
        dir: dir.to_owned(),
        listen: listen.to_owned(),
        default_partitions: PARTITIONS,
        ..Config::default()
    };
    Ok(Broker::start(config).await?)
}
