//! The `redis` connector: the latest row of each PRIMARY KEY as a hash, in Redis or in the embedded
//! store.

mod fences;
mod lookup;
mod pending;
mod reconcile;
mod sink;

use std::sync::Arc;
use std::time::Duration;

use nowcast_engine::{Error, LookupOptions, Result, TableDefinition};

pub use fences::Fences;
pub use lookup::lookup;
pub use reconcile::{Reconciled, reconcile};
pub use sink::RedisSinkFactory;

use crate::format::{Cells, JsonOptions};
use crate::options::Options;
use crate::registry::Environment;
use crate::store::{EmbeddedStore, Patience, RedisAddress, RedisStore, Store, VERSION_FIELD};

/// Keys that wait for one pipeline, unless `sink.buffer-flush.max-rows` says otherwise.
const BUFFER_ROWS: usize = 1_000;

/// How long a deleted row's version is kept: longer than a request may hang about in a stalled
/// server.
const TOMBSTONE_TTL: Duration = Duration::from_mins(10);

/// How long a Redis may be away before its job ends: longer than a restart or a failover takes.
const RETRY_TIMEOUT: Duration = Duration::from_mins(5);

/// A table's place in a store: the row with the key `a, b` is the hash `prefix:a:b` with all columns
/// as fields, also those of the key. A NULL has no field; arrays, maps and rows are JSON.
#[derive(Clone)]
pub struct RedisTable {
    pub table: TableDefinition,
    place: Place,
    pub key_prefix: String,
    ttl: Option<Duration>,
    /// By column.
    column_ttls: Vec<Option<Duration>>,
    buffer_rows: usize,
    /// How long deletes are remembered; `None`: writes are not fenced.
    fenced: Option<Duration>,
    patience: Patience,
    /// Whether checkpoints keep the rows.
    reconciled: bool,
    lookup: LookupOptions,
}

#[derive(Clone)]
enum Place {
    Embedded(Arc<EmbeddedStore>),
    Redis(RedisAddress),
}

impl RedisTable {
    pub fn read(table: &TableDefinition, environment: &Environment) -> Result<Self> {
        let options = Options::new(table);
        let place = place(&options, environment)?;
        let buffer_rows = options.parsed("sink.buffer-flush.max-rows", "a number of rows")?;
        let fencing = options.flag("sink.fencing", true)?;
        let remembered = options.duration("sink.fencing.tombstone-ttl")?.unwrap_or(TOMBSTONE_TTL);
        let reconciled = options.flag("sink.reconcile", false)?;
        let patience = Patience {
            timeout: options.duration("sink.retry-timeout")?.unwrap_or(RETRY_TIMEOUT),
            retries: options.parsed("sink.max-retries", "a number")?,
        };
        let read = Self {
            table: table.clone(),
            fenced: (fencing && matches!(place, Place::Redis(_))).then_some(remembered),
            column_ttls: column_ttls(table, &options, &place)?,
            place,
            key_prefix: options.text("key-prefix").unwrap_or(&table.name).to_owned(),
            ttl: options.duration("ttl")?,
            buffer_rows: buffer_rows.unwrap_or(BUFFER_ROWS).max(1),
            patience,
            reconciled,
            lookup: crate::lookup::read(&options)?,
        };
        options.finish()?;
        let refuse = |why: String| Err(Error::user(format!("table \"{}\": {why}", table.name)));
        if table.primary_key.is_empty() {
            return refuse("the redis connector needs a PRIMARY KEY (…) NOT ENFORCED".into());
        }
        if read.reconciled && read.fenced.is_none() {
            return refuse("option \"sink.reconcile\" needs a Redis and \"sink.fencing\"".into());
        }
        if remembered.is_zero() {
            return refuse("option \"sink.fencing.tombstone-ttl\" is longer than nothing".into());
        }
        if table.schema.column_with_name(VERSION_FIELD).is_some() {
            return refuse(format!("\"{VERSION_FIELD}\" is where the version of a row is kept"));
        }
        if let Some(metadata) = table.metadata.first() {
            return Err(crate::registry::no_metadata(table, metadata, "redis"));
        }
        Ok(read)
    }

    /// Where a row is, by the cells of its primary key.
    fn key<'a>(
        &self,
        cells: impl Iterator<Item = &'a Cells<'a>>,
        row: usize,
    ) -> Result<String, String> {
        let mut key = vec![];
        self.write_key(cells, row, &mut key)?;
        String::from_utf8(key).map_err(|error| error.to_string())
    }

    /// Appends where a row is, by the cells of its primary key.
    fn write_key<'a>(
        &self,
        cells: impl Iterator<Item = &'a Cells<'a>>,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        out.extend_from_slice(self.key_prefix.as_bytes());
        for (cells, at) in cells.zip(&self.table.primary_key) {
            if cells.is_null(row) {
                let name = self.table.schema.field(*at).name();
                return Err(format!("the key column \"{name}\" is null"));
            }
            out.push(b':');
            cells.write_text(row, &JsonOptions::default(), out);
        }
        Ok(())
    }

    /// The same for tables whose rows lie in one store.
    pub fn place(&self) -> String {
        match &self.place {
            Place::Embedded(_) => "embedded".to_owned(),
            Place::Redis(address) => address.place(),
        }
    }

    /// Connects, if there is something to connect to.
    pub async fn store(&self) -> Result<Arc<dyn Store>> {
        match &self.place {
            Place::Embedded(store) => Ok(Arc::clone(store) as Arc<dyn Store>),
            Place::Redis(address) => {
                Ok(Arc::new(self.connect(address, Patience::default()).await?))
            }
        }
    }

    async fn connect(&self, address: &RedisAddress, patience: Patience) -> Result<RedisStore> {
        RedisStore::open(address, patience).await.map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        error.context(format_args!("table \"{}\"", self.table.name))
    }
}

fn place(options: &Options<'_>, environment: &Environment) -> Result<Place> {
    let url = options.required("url")?;
    let nodes = options.list("nodes");
    let cluster = options.flag("cluster", nodes.is_some())?;
    let (user, password) = (options.text("username"), options.text("password"));
    let authorities = options.text("tls.ca-file");
    let own = match (options.text("tls.certificate-file"), options.text("tls.key-file")) {
        (None, None) => None,
        (certificate, key) => Some((
            options.given("tls.certificate-file", certificate)?,
            options.given("tls.key-file", key)?,
        )),
    };
    let named = |error: Error| error.context(format_args!("table \"{}\"", options.table()));
    if matches!(url, "embedded" | "embedded://") {
        return Ok(Place::Embedded(Arc::clone(&environment.store)));
    }
    if !url.starts_with("redis://") && !url.starts_with("rediss://") {
        let expected = "redis://host:port/db, rediss://host:port/db or embedded://";
        return Err(options.refuse("url", &without_credentials(url), expected));
    }
    let mut address = RedisAddress::parse(url).map_err(named)?.with_credentials(user, password);
    if authorities.is_some() || own.is_some() {
        if !address.is_encrypted() {
            let expected = "rediss://… where there are certificates";
            return Err(options.refuse("url", &without_credentials(url), expected));
        }
        address = address.with_certificates(authorities, own).map_err(named)?;
    }
    if cluster {
        let nodes = nodes.unwrap_or_default();
        address = address
            .in_cluster(&nodes)
            .map_err(|node| options.refuse("nodes", &node, "host:port;host:port"))?;
    } else if let Some(nodes) = nodes {
        return Err(options.refuse("nodes", &nodes.join(";"), "of a cluster alone"));
    }
    Ok(Place::Redis(address))
}

/// A URL as it may be shown.
fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

fn column_ttls(
    table: &TableDefinition,
    options: &Options<'_>,
    place: &Place,
) -> Result<Vec<Option<Duration>>> {
    let mut ttls = Vec::with_capacity(table.schema.fields().len());
    for (at, field) in table.schema.fields().iter().enumerate() {
        let key = format!("fields.{}.ttl", field.name());
        let ttl = options.duration(&key)?;
        let refuse = |why: &str| {
            let name = &table.name;
            Err(Error::user(format!("table \"{name}\": option \"{key}\": {why}")))
        };
        if ttl.is_some() && table.primary_key.contains(&at) {
            return refuse("a column of the key lives as long as its row");
        }
        if ttl.is_some() && matches!(place, Place::Embedded(_)) {
            return refuse("the embedded store has a time to live of rows alone, \"ttl\"");
        }
        ttls.push(ttl);
    }
    Ok(ttls)
}

#[cfg(test)]
mod tests;
