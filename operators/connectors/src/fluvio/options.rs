//! The options of a `fluvio` table, for either end.

use std::collections::BTreeMap;
use std::time::Duration;

use fluvio::Compression;
use nowcast_engine::{Result, TableDefinition};

use super::record::KEYS;
use crate::messages::Rows;
use crate::options::Options;
use crate::parts::{Part, TopicMode, parts};

pub struct FluvioOptions {
    pub table: String,
    pub topic: String,
    pub cluster: Cluster,
    pub value: Part,
    pub key: Option<Part>,
    pub startup: Startup,
    pub bounded: Option<Bound>,
    pub idle_timeout: Option<Duration>,
    /// How often to look for new partitions; `None`: never.
    pub discovery: Option<Duration>,
    pub batching: Batching,
    /// How long the sink waits for acknowledgements.
    pub delivery_timeout: Duration,
}

/// Where the cluster's controller (SC) is.
#[derive(Debug, Clone, PartialEq)]
pub enum Cluster {
    /// `host:port`.
    Endpoint(String),
    /// A profile of the user's Fluvio configuration.
    Profile(String),
    /// The current profile of that configuration.
    CurrentProfile,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Startup {
    Earliest,
    Latest,
    Specific(BTreeMap<i32, i64>),
}

/// Where a bounded read ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    Latest,
    Specific(BTreeMap<i32, i64>),
}

/// How the producer puts records together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batching {
    /// Bytes of records after which a batch is sent.
    pub batch_bytes: usize,
    /// Bytes of one request, so of one record, at most.
    pub request_bytes_max: usize,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// `None`: what the topic says.
    pub compression: Option<Compression>,
}

#[derive(Clone, Copy)]
enum Mode {
    Earliest,
    Latest,
    Specific,
    Unbounded,
}

/// How often to look for new partitions, as Flink's Kafka connector does.
const DISCOVERY: Duration = Duration::from_mins(5);

/// The client's own sizes where nothing else is said.
const BATCH_BYTES: usize = 16 << 10;
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The client itself would connect again without end.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

impl FluvioOptions {
    pub fn read(table: &TableDefinition) -> Result<Self> {
        let options = Options::new(table);
        let topic = match options.required("topic")?.trim() {
            "" => return Err(options.refuse("topic", "", "a topic's name")),
            topic => topic.to_owned(),
        };
        let (value, key) = parts(table, &options)?;
        let discovery = options.duration("scan.topic-partition-discovery.interval")?;
        let read = Self {
            table: table.name.clone(),
            topic,
            cluster: cluster(&options)?,
            value,
            key,
            startup: startup(&options)?,
            bounded: bounded(&options)?,
            idle_timeout: options.duration("scan.watermark.idle-timeout")?,
            discovery: Some(discovery.unwrap_or(DISCOVERY)).filter(|every| !every.is_zero()),
            batching: batching(&options)?,
            delivery_timeout: options
                .duration("sink.delivery-timeout")?
                .filter(|timeout| !timeout.is_zero())
                .unwrap_or(DELIVERY_TIMEOUT),
        };
        options.choice("sink.delivery-guarantee", &[("at-least-once", ())])?;
        // Every worker has its instance; known for portability.
        options.parsed::<usize>("scan.parallelism", "a number")?;
        options.parsed::<usize>("sink.parallelism", "a number")?;
        options.finish()?;
        Ok(read)
    }

    /// Collects the rows of the table's records.
    ///
    /// # Errors
    /// For columns that records cannot fill.
    pub fn rows(&self, table: &TableDefinition) -> Result<Rows> {
        Rows::new(table, &self.value, self.key.as_ref(), TopicMode::Log, &KEYS)
    }

    /// The name that messages begin with: `fluvio topic "clicks"`.
    pub fn name(&self) -> String {
        format!("fluvio topic \"{}\"", self.topic)
    }
}

fn cluster(options: &Options<'_>) -> Result<Cluster> {
    match (options.text("endpoint"), options.text("profile")) {
        (Some(endpoint), None) => {
            let port = endpoint.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            match port.map(|(_, port)| port.parse::<u16>()) {
                Some(Ok(_)) => Ok(Cluster::Endpoint(endpoint.to_owned())),
                _ => Err(options.refuse("endpoint", endpoint, "host:port of the SC")),
            }
        }
        (None, Some(profile)) => Ok(Cluster::Profile(profile.to_owned())),
        (None, None) => Ok(Cluster::CurrentProfile),
        (Some(_), Some(profile)) => {
            Err(options.refuse("profile", profile, "given without \"endpoint\""))
        }
    }
}

fn startup(options: &Options<'_>) -> Result<Startup> {
    let modes = [
        ("earliest-offset", Mode::Earliest),
        ("latest-offset", Mode::Latest),
        ("specific-offsets", Mode::Specific),
    ];
    let mode = options.choice("scan.startup.mode", &modes)?;
    let specific = "scan.startup.specific-offsets";
    let offsets = options.offsets(specific)?;
    Ok(match mode {
        Mode::Specific => Startup::Specific(options.given(specific, offsets)?),
        Mode::Latest => Startup::Latest,
        Mode::Earliest | Mode::Unbounded => Startup::Earliest,
    })
}

fn bounded(options: &Options<'_>) -> Result<Option<Bound>> {
    let modes = [
        ("unbounded", Mode::Unbounded),
        ("latest-offset", Mode::Latest),
        ("specific-offsets", Mode::Specific),
    ];
    let mode = options.choice("scan.bounded.mode", &modes)?;
    let specific = "scan.bounded.specific-offsets";
    let offsets = options.offsets(specific)?;
    Ok(match mode {
        Mode::Specific => Some(Bound::Specific(options.given(specific, offsets)?)),
        Mode::Latest => Some(Bound::Latest),
        Mode::Unbounded | Mode::Earliest => None,
    })
}

fn batching(options: &Options<'_>) -> Result<Batching> {
    let compressions = [
        ("topic", None),
        ("none", Some(Compression::None)),
        ("gzip", Some(Compression::Gzip)),
        ("snappy", Some(Compression::Snappy)),
        ("lz4", Some(Compression::Lz4)),
        ("zstd", Some(Compression::Zstd)),
    ];
    let bytes = |key: &str, default: usize| -> Result<usize> {
        let given = options.memory(key)?.and_then(|bytes| usize::try_from(bytes).ok());
        Ok(given.filter(|bytes| *bytes > 0).unwrap_or(default))
    };
    Ok(Batching {
        batch_bytes: bytes("sink.batch-size", BATCH_BYTES)?,
        request_bytes_max: bytes("sink.max-request-size", REQUEST_BYTES_MAX)?,
        linger: options.duration("sink.linger")?.unwrap_or_default(),
        compression: options.choice("sink.compression", &compressions)?,
    })
}
