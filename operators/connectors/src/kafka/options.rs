//! The options of a `kafka` table, for either end.

use std::collections::BTreeMap;
use std::time::Duration;

use nowcast_engine::{Error, Result, TableDefinition};

use crate::format::Format;
use crate::nearest::did_you_mean;
use crate::options::Options;
use crate::registry::Environment;

pub struct KafkaOptions {
    pub table: String,
    pub topics: Vec<String>,
    pub bootstrap: String,
    /// Properties for librdkafka, without the bootstrap servers and the group.
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
}

/// The key or the value of messages: its format and the table's columns that it carries.
pub struct Part {
    pub format: Format,
    pub columns: Vec<usize>,
    /// What the columns' names begin with and the fields' names do not.
    pub prefix: String,
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

#[derive(Clone, Copy)]
enum Mode {
    Earliest,
    Latest,
    Group,
    Timestamp,
    Specific,
    Unbounded,
}

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
    pub fn read(table: &TableDefinition, environment: &Environment) -> Result<Self> {
        let options = Options::new(table);
        options.required("topic")?;
        let topics = options.list("topic").unwrap_or_default();
        let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
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
        let (value, key) = parts(table, &options)?;
        let read = Self {
            table: table.name.clone(),
            topics,
            bootstrap,
            group,
            reset,
            value,
            key,
            startup: startup(&options)?,
            bounded: bounded(&options)?,
            idle_timeout: options.duration("scan.watermark.idle-timeout")?,
            partitioner: options.choice(
                "sink.partitioner",
                &[
                    ("default", Partitioner::Default),
                    ("fixed", Partitioner::Fixed),
                    ("round-robin", Partitioner::RoundRobin),
                ],
            )?,
            properties: properties(&options),
        };
        options.choice("sink.delivery-guarantee", &[("at-least-once", ()), ("none", ())])?;
        let discovery = "scan.topic-partition-discovery.interval";
        if options.duration(discovery)?.is_some_and(|interval| !interval.is_zero()) {
            tracing::warn!(
                "table \"{}\": \"{discovery}\" has no effect: new partitions are found at a restart",
                table.name
            );
        }
        options.finish()?;
        if read.topics.is_empty() {
            return Err(Error::user(format!("table \"{}\": no topic is named", table.name)));
        }
        Ok(read)
    }

    /// The name that messages begin with: `kafka topic "clicks"`.
    pub fn name(&self) -> String {
        format!("kafka topic \"{}\"", self.topics.join(";"))
    }
}

fn properties(options: &Options<'_>) -> Vec<(String, String)> {
    let own = ["bootstrap.servers", "group.id", "auto.offset.reset"];
    let mut properties = vec![];
    for (key, value) in options.prefixed("properties.") {
        match key {
            key if own.contains(&key) => {}
            key if JAVA_ONLY.contains(&key) => {
                tracing::debug!(
                    "table \"{}\": \"properties.{key}\" is of Java's clients alone",
                    options.table()
                );
            }
            "fetch.max.wait.ms" => properties.push(("fetch.wait.max.ms".into(), value.into())),
            _ => properties.push((key.to_owned(), value.to_owned())),
        }
    }
    properties
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
    let offsets =
        options.text(specific).map(|text| offsets(options, specific, text)).transpose()?;
    Ok(match mode {
        Mode::Earliest => Startup::Earliest,
        Mode::Latest => Startup::Latest,
        Mode::Timestamp => Startup::Timestamp(given(options, timestamp, millis)?),
        Mode::Specific => Startup::Specific(given(options, specific, offsets)?),
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
    let offsets =
        options.text(specific).map(|text| offsets(options, specific, text)).transpose()?;
    Ok(match mode {
        Mode::Unbounded | Mode::Earliest => None,
        Mode::Latest => Some(Bound::Latest),
        Mode::Group => Some(Bound::Group),
        Mode::Timestamp => Some(Bound::Timestamp(given(options, timestamp, millis)?)),
        Mode::Specific => Some(Bound::Specific(given(options, specific, offsets)?)),
    })
}

fn given<T>(options: &Options<'_>, key: &str, value: Option<T>) -> Result<T> {
    match value {
        Some(value) => Ok(value),
        None => {
            Err(options.required(key).err().unwrap_or_else(|| Error::bug("an option read twice")))
        }
    }
}

/// `partition:0,offset:42;partition:1,offset:300`
fn offsets(options: &Options<'_>, key: &str, text: &str) -> Result<BTreeMap<i32, i64>> {
    let one = |part: &str| {
        let (partition, offset) = part.trim().split_once(',')?;
        let partition = partition.trim().strip_prefix("partition:")?.trim().parse().ok()?;
        Some((partition, offset.trim().strip_prefix("offset:")?.trim().parse().ok()?))
    };
    let parts = text.split(';').filter(|part| !part.trim().is_empty());
    let read: Option<BTreeMap<i32, i64>> = parts.map(one).collect();
    read.ok_or_else(|| {
        options.refuse(key, text, "written as partition:0,offset:42;partition:1,offset:300")
    })
}

/// The value's and the key's part.
fn parts(table: &TableDefinition, options: &Options<'_>) -> Result<(Part, Option<Part>)> {
    let refuse = |text: String| Error::user(format!("table \"{}\": {text}", table.name));
    let physical: Vec<usize> = (0..table.schema.fields().len())
        .filter(|at| table.metadata.iter().all(|metadata| metadata.column != *at))
        .collect();
    let value_format = match (options.text("format"), options.text("value.format")) {
        (Some(name), None) => Format::read(options, "format", name, "")?,
        (None, Some(name)) => Format::read(options, "value.format", name, "value.")?,
        (Some(_), Some(_)) => {
            return Err(refuse("\"format\" and \"value.format\" are the same option".into()));
        }
        (None, None) => return Err(refuse("option \"format\" is missing".into())),
    };
    let key_format = match options.text("key.format") {
        Some(name) => Some(Format::read(options, "key.format", name, "key.")?),
        None => None,
    };
    let prefix = options.text("key.fields-prefix").unwrap_or_default().to_owned();
    let key_columns = match options.list("key.fields") {
        Some(names) => {
            if key_format.is_none() {
                return Err(refuse("\"key.fields\" needs \"key.format\"".into()));
            }
            let mut columns = vec![];
            for name in names {
                let found = physical.iter().find(|at| table.schema.field(**at).name() == name);
                columns.push(*found.ok_or_else(|| {
                    let names = physical.iter().map(|at| table.schema.field(*at).name().as_str());
                    refuse(format!(
                        "\"key.fields\" names the unknown column \"{name}\"{}",
                        did_you_mean(name, names)
                    ))
                })?);
                if !name.starts_with(&prefix) {
                    return Err(refuse(format!(
                        "the key column \"{name}\" does not begin with \"{prefix}\""
                    )));
                }
            }
            columns
        }
        None => table.primary_key.clone(),
    };
    let except = options.choice("value.fields-include", &[("ALL", false), ("EXCEPT_KEY", true)])?;
    let in_value = |at: &usize| !(except && key_columns.contains(at));
    let columns = physical.iter().copied().filter(in_value).collect();
    let key_format = key_format.unwrap_or_else(|| value_format.clone());
    let key = (!key_columns.is_empty()).then_some(Part {
        format: key_format,
        columns: key_columns,
        prefix,
    });
    Ok((Part { format: value_format, columns, prefix: String::new() }, key))
}
