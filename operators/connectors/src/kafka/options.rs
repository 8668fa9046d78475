//! The options of a `kafka` table, for either end.

use std::collections::BTreeMap;
use std::time::Duration;

use nowcast_engine::{Error, Result, TableDefinition};
use regex::Regex;

use super::message::KEYS;
use super::security;
use super::transaction::PREFIX_KEY;
use crate::messages::Rows;
use crate::options::Options;
use crate::parts::{Part, TopicMode, parts, upsert_parts};
use crate::registry::Environment;

pub struct KafkaOptions {
    pub table: String,
    pub topics: Topics,
    pub bootstrap: String,
    /// Who reads and writes; `None`: our own client where it can.
    pub client: Option<Client>,
    /// Properties as librdkafka names them, without the bootstrap servers and the group.
    pub properties: Vec<(String, String)>,
    /// The consumer group whose offsets are committed; none without `properties.group.id`.
    pub group: Option<String>,
    pub reset: Reset,
    pub value: Part,
    pub key: Option<Part>,
    pub startup: Startup,
    pub bounded: Option<Bound>,
    pub idle_timeout: Option<Duration>,
    pub partitioner: Partitioner,
    pub mode: TopicMode,
    /// How long a partition may hold back messages that are there; `None`: forever.
    pub stall_timeout: Option<Duration>,
    /// How often to look for new partitions; `None`: never.
    pub discovery: Option<Duration>,
    /// Changes that wait for a flush, at most one a key.
    pub buffer_rows: usize,
    /// Bytes of key and value that a message may have.
    pub message_bytes_max: usize,
    /// Exactly once: what the transactional id begins with.
    pub transactional: Option<String>,
}

/// A client of the brokers (`client`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Our own.
    Native,
    Librdkafka,
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Librdkafka => "librdkafka",
        })
    }
}

/// What to do where an offset is not there (`properties.auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    Earliest,
    Latest,
    Fail,
    /// Nothing was said.
    Unset,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Startup {
    Earliest,
    Latest,
    Group,
    Timestamp(i64),
    Specific(BTreeMap<i32, i64>),
}

/// Where a bounded read ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    Latest,
    Group,
    Timestamp(i64),
    Specific(BTreeMap<i32, i64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioner {
    /// By the key as Java clients do it; any partition without a key.
    Default,
    /// One partition a worker.
    Fixed,
    RoundRobin,
}

/// The topics of a table; a pattern is of the whole name.
#[derive(Debug, Clone)]
pub enum Topics {
    Named(Vec<String>),
    Pattern(Regex),
}

#[derive(Clone, Copy)]
enum Mode {
    Earliest,
    Latest,
    Group,
    Timestamp,
    Specific,
    Unbounded,
}

/// librdkafka's `message.max.bytes` where nothing else is said.
const MESSAGE_BYTES: usize = 1_000_000;

/// Unless `scan.stall-timeout` says otherwise.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// How often Flink looks for new partitions.
const DISCOVERY: Duration = Duration::from_mins(5);

/// Keys that wait for a flush, unless `sink.buffer-flush.max-rows` says otherwise.
const BUFFER_ROWS: usize = 10_000;

/// Properties of Java's clients that librdkafka lacks and that change nothing here: they stand in
/// files that also run on Flink.
const JAVA_ONLY: [&str; 9] = [
    "buffer.memory",
    "default.api.timeout.ms",
    "key.deserializer",
    "key.serializer",
    "max.block.ms",
    "max.poll.records",
    "partition.discovery.interval.ms",
    "value.deserializer",
    "value.serializer",
];

impl KafkaOptions {
    pub fn read(
        table: &TableDefinition,
        environment: &Environment,
        mode: TopicMode,
    ) -> Result<Self> {
        let options = Options::new(table);
        let topics = topics(&options)?;
        let bootstrap = options.required("properties.bootstrap.servers")?;
        let bootstrap = match (bootstrap, &environment.embedded_bootstrap) {
            ("embedded" | "embedded://", Some(embedded)) => embedded.clone(),
            ("embedded" | "embedded://", None) => {
                return Err(Error::user(format!(
                    "table \"{}\": there is no embedded broker in this process; set \
                     \"properties.bootstrap.servers\" to host:port",
                    table.name
                )));
            }
            (given, _) => given.to_owned(),
        };
        let group = options.text("properties.group.id").map(str::to_owned);
        let reset = match options.text("properties.auto.offset.reset") {
            None => Reset::Unset,
            Some("earliest" | "smallest" | "beginning") => Reset::Earliest,
            Some("latest" | "largest" | "end") => Reset::Latest,
            Some("none" | "error") => Reset::Fail,
            Some(other) => {
                let key = "properties.auto.offset.reset";
                return Err(options.refuse(key, other, "one of earliest, latest, none"));
            }
        };
        let (value, key) = match mode {
            TopicMode::Log => parts(table, &options)?,
            TopicMode::Upsert => upsert_parts(table, &options)?,
        };
        let buffer_rows = match mode {
            TopicMode::Log => None,
            TopicMode::Upsert => {
                // A sink flushes whenever nothing more waits to be written, so sooner than this.
                options.duration("sink.buffer-flush.interval")?;
                options.parsed("sink.buffer-flush.max-rows", "a number of rows")?
            }
        };
        let clients = [
            ("auto", None),
            ("native", Some(Client::Native)),
            ("librdkafka", Some(Client::Librdkafka)),
        ];
        let read = Self {
            table: table.name.clone(),
            client: options.choice("client", &clients)?,
            topics,
            bootstrap,
            group,
            reset,
            value,
            key,
            startup: match mode {
                TopicMode::Log => startup(&options)?,
                TopicMode::Upsert => Startup::Earliest,
            },
            bounded: bounded(&options)?,
            idle_timeout: options.duration("scan.watermark.idle-timeout")?,
            partitioner: match mode {
                TopicMode::Log => partitioner(&options)?,
                TopicMode::Upsert => Partitioner::Default,
            },
            mode,
            stall_timeout: stall_timeout(&options)?,
            discovery: discovery(&options)?,
            buffer_rows: buffer_rows.filter(|rows| *rows > 0).unwrap_or(BUFFER_ROWS),
            message_bytes_max: options
                .parsed("properties.message.max.bytes", "a number of bytes")?
                .unwrap_or(MESSAGE_BYTES),
            properties: properties(&options)?,
            transactional: transactional(&options)?,
        };
        // Every worker has its instance; known for portability.
        options.parsed::<usize>("scan.parallelism", "a number")?;
        options.parsed::<usize>("sink.parallelism", "a number")?;
        options.finish()?;
        Ok(read)
    }

    /// Collects the rows of the table's messages.
    ///
    /// # Errors
    /// For columns that messages cannot fill.
    pub fn rows(&self, table: &TableDefinition) -> Result<Rows> {
        Rows::new(table, &self.value, self.key.as_ref(), self.mode, &KEYS)
    }

    /// The name that messages begin with: `kafka topic "clicks"`.
    pub fn name(&self) -> String {
        match &self.topics {
            Topics::Named(names) => format!("kafka topic \"{}\"", names.join(";")),
            Topics::Pattern(pattern) => format!("kafka topics \"{pattern}\""),
        }
    }
}

/// The prefix of the transactional id, where rows are written exactly once.
fn transactional(options: &Options<'_>) -> Result<Option<String>> {
    let guarantees = [("at-least-once", false), ("none", false), ("exactly-once", true)];
    let exactly_once = options.choice("sink.delivery-guarantee", &guarantees)?;
    let prefix = options.text(PREFIX_KEY).map(str::to_owned);
    match exactly_once {
        true => Ok(Some(options.given(PREFIX_KEY, prefix)?)),
        false => Ok(None),
    }
}

fn topics(options: &Options<'_>) -> Result<Topics> {
    let named = options.list("topic").map(|names| names.into_iter().map(str::to_owned).collect());
    let pattern = options.text("topic-pattern");
    match (named, pattern) {
        (Some(names), None) => match names {
            names if Vec::is_empty(&names) => Err(options.refuse("topic", "", "a topic's name")),
            names => Ok(Topics::Named(names)),
        },
        (None, Some(text)) => {
            // The whole name, as `Matcher.matches` of Java.
            let whole = Regex::new(&format!("^(?:{text})$"));
            let refuse = |_| options.refuse("topic-pattern", text, "a regular expression");
            whole.map(Topics::Pattern).map_err(refuse)
        }
        (Some(_), Some(text)) => {
            Err(options.refuse("topic-pattern", text, "given without \"topic\""))
        }
        (None, None) => options.required("topic").map(|_| Topics::Named(vec![])),
    }
}

fn stall_timeout(options: &Options<'_>) -> Result<Option<Duration>> {
    let timeout = options.duration("scan.stall-timeout")?.unwrap_or(STALL_TIMEOUT);
    Ok(Some(timeout).filter(|timeout| !timeout.is_zero()))
}

fn discovery(options: &Options<'_>) -> Result<Option<Duration>> {
    let interval = options.duration("scan.topic-partition-discovery.interval")?;
    Ok(Some(interval.unwrap_or(DISCOVERY)).filter(|interval| !interval.is_zero()))
}

fn properties(options: &Options<'_>) -> Result<Vec<(String, String)>> {
    let own = ["bootstrap.servers", "group.id", "auto.offset.reset"];
    let mut properties = BTreeMap::new();
    for (key, value) in options.prefixed("properties.") {
        match key {
            key if own.contains(&key) => {}
            key if JAVA_ONLY.contains(&key) => {
                tracing::debug!(
                    "table \"{}\": \"properties.{key}\" is of Java's clients alone",
                    options.table()
                );
            }
            "fetch.max.wait.ms" => {
                drop(properties.insert("fetch.wait.max.ms".into(), value.into()))
            }
            _ => drop(properties.insert(key.to_owned(), value.to_owned())),
        }
    }
    Ok(security::translated(options.table(), properties)?.into_iter().collect())
}

fn startup(options: &Options<'_>) -> Result<Startup> {
    let modes = [
        ("group-offsets", Mode::Group),
        ("earliest-offset", Mode::Earliest),
        ("latest-offset", Mode::Latest),
        ("timestamp", Mode::Timestamp),
        ("specific-offsets", Mode::Specific),
    ];
    let mode = options.choice("scan.startup.mode", &modes)?;
    let (timestamp, specific) = ("scan.startup.timestamp-millis", "scan.startup.specific-offsets");
    let millis = options.parsed(timestamp, "milliseconds since the epoch")?;
    let offsets = options.offsets(specific)?;
    Ok(match mode {
        Mode::Earliest => Startup::Earliest,
        Mode::Latest => Startup::Latest,
        Mode::Timestamp => Startup::Timestamp(options.given(timestamp, millis)?),
        Mode::Specific => Startup::Specific(options.given(specific, offsets)?),
        Mode::Group | Mode::Unbounded => Startup::Group,
    })
}

fn bounded(options: &Options<'_>) -> Result<Option<Bound>> {
    let modes = [
        ("unbounded", Mode::Unbounded),
        ("latest-offset", Mode::Latest),
        ("group-offsets", Mode::Group),
        ("timestamp", Mode::Timestamp),
        ("specific-offsets", Mode::Specific),
    ];
    let mode = options.choice("scan.bounded.mode", &modes)?;
    let (timestamp, specific) = ("scan.bounded.timestamp-millis", "scan.bounded.specific-offsets");
    let millis = options.parsed(timestamp, "milliseconds since the epoch")?;
    let offsets = options.offsets(specific)?;
    Ok(match mode {
        Mode::Unbounded | Mode::Earliest => None,
        Mode::Latest => Some(Bound::Latest),
        Mode::Group => Some(Bound::Group),
        Mode::Timestamp => Some(Bound::Timestamp(options.given(timestamp, millis)?)),
        Mode::Specific => Some(Bound::Specific(options.given(specific, offsets)?)),
    })
}

fn partitioner(options: &Options<'_>) -> Result<Partitioner> {
    let names = [
        ("default", Partitioner::Default),
        ("fixed", Partitioner::Fixed),
        ("round-robin", Partitioner::RoundRobin),
    ];
    options.choice("sink.partitioner", &names)
}
