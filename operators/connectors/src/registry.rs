//! The list of connectors, and what they share.

use std::io;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use nowcast_engine::aside::rows_as_json;
use nowcast_engine::{
    Batch, Connectors, DeadLetter, Epoch, Error, Lookup, MetadataColumn, Result, SinkFactory,
    SourceFactory, TableDefinition,
};

use crate::nearest::did_you_mean;
use crate::redis::{Reconciled, RedisSinkFactory, RedisTable};
use crate::store::{EmbeddedStore, Store};
use crate::{blackhole, datagen, filesystem, jdbc, kafka, nexmark, print, redis};

/// What connectors find around them in the process.
#[derive(Clone)]
pub struct Environment {
    /// Address of the embedded broker: what `embedded://` means in
    /// `properties.bootstrap.servers`.
    pub embedded_bootstrap: Option<String>,
    /// What `embedded://` means as the `url` of the `redis` connector.
    pub store: Arc<EmbeddedStore>,
    /// Those of the `kafka` connector, shared by the tables of a job.
    pub transactions: Arc<kafka::Transactions>,
    /// Those of the `redis` connector, shared by the writers of a table.
    pub fences: Arc<redis::Fences>,
    /// Where the `print` connector writes, and with `standard-error`.
    pub out: Output,
    pub err: Output,
}

/// A place for lines of text.
pub type Output = Arc<Mutex<dyn io::Write + Send>>;

impl Environment {
    /// No embedded broker, a store in memory, the process's own output.
    pub fn new() -> Self {
        Self {
            embedded_bootstrap: None,
            store: Arc::new(EmbeddedStore::in_memory()),
            transactions: Arc::default(),
            fences: Arc::default(),
            out: Arc::new(Mutex::new(io::stdout())),
            err: Arc::new(Mutex::new(io::stderr())),
        }
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::new()
    }
}

/// All connectors of this build.
pub struct Registry(Environment);

struct Connector {
    name: &'static str,
    source: Option<Make<dyn SourceFactory>>,
    sink: Option<Make<dyn SinkFactory>>,
}

type Make<T> = fn(&TableDefinition, &Environment) -> Result<Arc<T>>;

const CONNECTORS: &[Connector] = &[
    Connector { name: "blackhole", source: None, sink: Some(blackhole::sink) },
    Connector { name: "datagen", source: Some(datagen::source), sink: None },
    Connector {
        name: "filesystem",
        source: Some(filesystem::source),
        sink: Some(filesystem::sink),
    },
    #[cfg(feature = "fluvio")]
    Connector {
        name: "fluvio",
        source: Some(crate::fluvio::source),
        sink: Some(crate::fluvio::sink),
    },
    Connector { name: "jdbc", source: Some(jdbc::source), sink: Some(jdbc::sink) },
    Connector { name: "kafka", source: Some(kafka::source), sink: Some(kafka::sink) },
    Connector { name: "nexmark", source: Some(nexmark::source), sink: None },
    Connector { name: "print", source: None, sink: Some(print::sink) },
    Connector {
        name: "redis",
        source: None,
        sink: Some(|table, environment| Ok(Arc::new(RedisSinkFactory::new(table, environment)?))),
    },
    Connector {
        name: "upsert-kafka",
        source: Some(kafka::upsert_source),
        sink: Some(kafka::upsert_sink),
    },
];

type MakeLookup = fn(&TableDefinition, &Environment, &[usize]) -> Result<Arc<dyn Lookup>>;

/// The connectors among them that are looked up.
const LOOKUPS: [(&str, MakeLookup); 3] =
    [("filesystem", filesystem::lookup), ("jdbc", jdbc::lookup), ("redis", crate::redis::lookup)];

/// The connectors that can write tables with PARTITIONED BY.
const PARTITIONED: [&str; 3] = ["blackhole", "filesystem", "print"];

impl Connectors for Registry {
    fn lookup(&self, table: &TableDefinition, keys: &[usize]) -> Result<Arc<dyn Lookup>> {
        let connector = find(table)?;
        let lookup = LOOKUPS.iter().find(|(name, _)| *name == connector.name);
        let (_, lookup) = lookup.ok_or_else(|| one_way(table, connector, "looked up"))?;
        lookup(table, &self.0, keys)
    }

    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceFactory>> {
        let connector = find(table)?;
        let source = connector.source.ok_or_else(|| one_way(table, connector, "read"))?;
        source(table, &self.0)
    }

    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkFactory>> {
        let connector = find(table)?;
        let sink = connector.sink.ok_or_else(|| one_way(table, connector, "written"))?;
        if !table.partition_keys.is_empty() && !PARTITIONED.contains(&connector.name) {
            let (name, connector) = (&table.name, connector.name);
            return Err(Error::user(format!(
                "table \"{name}\": a {connector} table has no partitions to write; leave PARTITIONED BY out"
            )));
        }
        sink(table, &self.0)
    }
}

/// Where the rows of a `redis` table can be looked up: under `key_prefix:key`.
pub struct StoredTable {
    pub store: Arc<dyn Store>,
    pub key_prefix: String,
}

impl Registry {
    pub fn new(environment: Environment) -> Self {
        Self(environment)
    }

    /// Where the rows of a `redis` table are, the same for tables in one store; `None` for other
    /// connectors. No password is in it.
    pub fn store_place(&self, table: &TableDefinition) -> Result<Option<String>> {
        match find(table)?.name {
            "redis" => Ok(Some(RedisTable::read(table, &self.0)?.place())),
            _ => Ok(None),
        }
    }

    /// Whether checkpoints keep the rows of a table, so that [`Registry::reconcile`] can write them.
    pub fn keeps_rows(&self, table: &TableDefinition) -> Result<bool> {
        Ok(find(table)?.name == "redis" && self.sink(table)?.keeps_rows().is_some())
    }

    /// Writes the rows that a checkpoint of a job keeps of a `redis` table anew.
    pub async fn reconcile(
        &self,
        table: &TableDefinition,
        job: &str,
        epoch: Epoch,
        rows: &RecordBatch,
    ) -> Result<Reconciled> {
        redis::reconcile(table, &self.0, job, epoch, rows).await
    }

    /// Connects to the store behind a `redis` table, for reading; `None` for other connectors.
    pub async fn stored_table(&self, table: &TableDefinition) -> Result<Option<StoredTable>> {
        if find(table)?.name != "redis" {
            return Ok(None);
        }
        let redis = RedisTable::read(table, &self.0)?;
        let store = redis.store().await?;
        Ok(Some(StoredTable { store, key_prefix: redis.key_prefix }))
    }
}

fn find(table: &TableDefinition) -> Result<&'static Connector> {
    let name = &table.name;
    let Some(wanted) = table.options.get("connector") else {
        return Err(Error::user(format!("table \"{name}\": option \"connector\" is missing")));
    };
    CONNECTORS.iter().find(|connector| connector.name == wanted).ok_or_else(|| {
        if wanted == "fluvio" {
            return Error::user(format!(
                "table \"{name}\": this build has no fluvio connector; build it with \
                 `cargo build --release --features fluvio`"
            ));
        }
        let names = CONNECTORS.iter().map(|connector| connector.name);
        let hint = did_you_mean(wanted, names.clone());
        let names = names.collect::<Vec<_>>().join(", ");
        Error::user(format!(
            "table \"{name}\": unknown connector \"{wanted}\"{hint} (there are {names})"
        ))
    })
}

fn one_way(table: &TableDefinition, connector: &Connector, what: &str) -> Error {
    let (name, connector) = (&table.name, connector.name);
    Error::user(format!("table \"{name}\": a {connector} table cannot be {what}"))
}

/// An error for a metadata column of a connector that has none of that key.
pub fn no_metadata(table: &TableDefinition, metadata: &MetadataColumn, connector: &str) -> Error {
    let (name, key) = (&table.name, &metadata.key);
    Error::user(format!("table \"{name}\": the {connector} connector has no metadata \"{key}\""))
}

/// The dead letter of a row that a sink cannot write.
pub fn rejected(table: &str, batch: &Batch, row: usize, error: String) -> DeadLetter {
    let raw = rows_as_json(&batch.rows().slice(row, 1)).pop().unwrap_or_default();
    DeadLetter { stage: table.to_owned(), error, raw, ..DeadLetter::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::format;

    /// docs/connectors.md names each connector, each format and each option that one of them reads.
    #[test]
    fn all_options_are_in_the_docs() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectors.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        let descriptor = tempfile::NamedTempFile::new().unwrap();
        // Enough that every reader of options gets to its end.
        let given = [
            ("topic", "t"),
            ("properties.bootstrap.servers", "h:1"),
            ("scan.startup.mode", "earliest-offset"),
            ("path", "p"),
            ("url", "jdbc:postgresql://h/d"),
            ("table-name", "t"),
            ("username", "u"),
            ("avro-confluent.url", "http://h"),
            ("value.avro-confluent.url", "http://h"),
            ("protobuf.descriptor-file", descriptor.path().to_str().unwrap()),
            ("protobuf.message-class-name", "m"),
        ];
        let mut wanted = BTreeSet::new();
        for connector in CONNECTORS {
            wanted.insert(connector.name.to_owned());
            for format in format::FORMATS {
                wanted.insert(format.to_owned());
                let mut all = given.to_vec();
                all.push(("connector", connector.name));
                match connector.name {
                    "upsert-kafka" => {
                        all.extend([("key.format", format), ("value.format", format)])
                    }
                    _ => all.push(("format", format)),
                }
                let table = TableDefinition {
                    name: "t".into(),
                    schema: Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)])),
                    metadata: vec![],
                    primary_key: vec![0],
                    partition_keys: vec![],
                    unread: vec![],
                    unread_fields: vec![],
                    options: all.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
                };
                // An error of another end or of the unknown options comes after they were asked for.
                let registry = Registry::new(Environment::default());
                let _ = registry.source(&table);
                let _ = registry.sink(&table);
            }
        }
        wanted.extend(crate::options::ASKED.take().into_iter().map(|key| {
            let of_part = key.split_once('.').filter(|(part, rest)| {
                matches!(*part, "key" | "value")
                    && format::FORMATS.iter().any(|name| rest.starts_with(&format!("{name}.")))
            });
            of_part.map_or(key.clone(), |(_, rest)| rest.to_owned())
        }));
        assert!(wanted.len() > 100, "{wanted:?}");
        wanted.retain(|name| !docs.contains(&format!("`{name}`")));
        assert!(wanted.is_empty(), "docs/connectors.md lacks {wanted:#?}");
    }

    #[cfg(not(feature = "fluvio"))]
    #[test]
    fn a_connector_that_is_not_built_in_says_how_to_build_it() {
        let table = TableDefinition {
            name: "t".into(),
            schema: Arc::new(Schema::empty()),
            metadata: vec![],
            primary_key: vec![],
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options: [("connector".into(), "fluvio".into())].into(),
        };
        let error = Registry::new(Environment::default()).sink(&table).err().unwrap();
        let expected = "table \"t\": this build has no fluvio connector; build it with ";
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    #[test]
    fn connectors_are_found_by_name_and_direction() {
        let registry = Registry::new(Environment::default());
        let table = |connector: Option<&str>| TableDefinition {
            name: "t".into(),
            schema: Arc::new(Schema::empty()),
            metadata: vec![],
            primary_key: vec![],
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options: connector.map(|name| ("connector".into(), name.into())).into_iter().collect(),
        };
        let source = |connector| registry.source(&table(connector)).err().unwrap().to_string();
        assert_eq!(source(None), "table \"t\": option \"connector\" is missing");
        let unknown = "table \"t\": unknown connector \"kafak\"; did you mean \"kafka\"?";
        assert!(source(Some("kafak")).starts_with(unknown));
        assert_eq!(source(Some("print")), "table \"t\": a print table cannot be read");
        assert!(registry.sink(&table(Some("blackhole"))).is_ok());
        let datagen = registry.sink(&table(Some("datagen"))).err().unwrap().to_string();
        assert_eq!(datagen, "table \"t\": a datagen table cannot be written");
    }
}
