//! A declared table, as connectors see it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::lookup::Lookup;
use crate::secret;
use crate::sink::SinkFactory;
use crate::source::SourceFactory;

/// `CREATE TABLE name (…) WITH (…)`, without computed columns and watermark, which the planner adds
/// around the source.
#[derive(Clone)]
pub struct TableDefinition {
    pub name: String,
    /// Physical and metadata columns in the declared order. `STRING` is `Utf8`, `TIMESTAMP(p)` and
    /// `TIMESTAMP_LTZ(p)` are `Timestamp` without and with the zone "UTC" in the unit that holds
    /// `p` digits, `ARRAY` is `List`, `ROW` is `Struct`, `BYTES` is `Binary`.
    pub schema: SchemaRef,
    /// The metadata columns among them: position and key (`timestamp`, `partition`, `headers`, …).
    pub metadata: Vec<MetadataColumn>,
    /// Positions of the PRIMARY KEY columns; empty without one.
    pub primary_key: Vec<usize>,
    /// Positions of the `PARTITIONED BY` columns; empty without them.
    pub partition_keys: Vec<usize>,
    /// Positions of the columns that nobody reads: a source need not look at them, and rows may have
    /// anything of their type in them. A sink is written all columns.
    pub unread: Vec<usize>,
    /// The fields that nobody reads within columns of rows that are read, by names from outside to inside.
    /// A source may pass over them in the same way.
    pub unread_fields: Vec<Vec<String>>,
    /// `WITH` options, keys as written.
    pub options: BTreeMap<String, String>,
}

/// Without the secrets among the options.
impl fmt::Debug for TableDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options.iter().map(|(key, value)| (key, secret::shown(key, value)));
        f.debug_struct("TableDefinition")
            .field("name", &self.name)
            .field("schema", &self.schema)
            .field("metadata", &self.metadata)
            .field("primary_key", &self.primary_key)
            .field("options", &options.collect::<BTreeMap<_, _>>())
            .finish()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataColumn {
    pub column: usize,
    pub key: String,
    /// `VIRTUAL`: read, never written.
    pub is_virtual: bool,
}

/// All connectors of a build, by the option `connector`.
pub trait Connectors: Send + Sync {
    /// Checks all options at once; an unknown one is an error that names the nearest known.
    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceFactory>>;

    /// As [`Connectors::source`], for writing.
    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkFactory>>;

    /// As [`Connectors::source`], for asking by the columns at `keys`.
    fn lookup(&self, table: &TableDefinition, keys: &[usize]) -> Result<Arc<dyn Lookup>> {
        let _ = keys;
        let name = &table.name;
        Err(Error::user(format!("table \"{name}\": its connector takes no look-ups")))
    }
}
