//! The `filesystem` connector: files of JSON lines, CSV or Parquet, read and written.

mod commit;
mod lookup;
mod part;
mod partition;
mod path;
mod reader;
mod sink;
mod source;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use nowcast_engine::{ChangelogMode, Lookup, Result, SinkFactory, SourceFactory, TableDefinition};
use tokio::sync::OnceCell;

use self::commit::PartitionCommit;
use self::partition::Partitions;
use crate::blank::Blanks;
use crate::format::{CsvOptions, Format};
use crate::options::Options;
use crate::registry::Environment;

/// Rolling by time and size as Flink's options say; the time is shorter than Flink's 30 min, as
/// here a file is no checkpoint.
const ROLLOVER: Duration = Duration::from_secs(60);
const FILE_BYTES: u64 = 128 << 20;

#[derive(Clone)]
struct FileTable {
    table: TableDefinition,
    path: String,
    format: FileFormat,
    rollover: Duration,
    file_bytes: u64,
    partitions: Partitions,
    /// Of the files: without the partition columns.
    stored: SchemaRef,
    /// Positions of the columns among them that are read.
    read: Vec<usize>,
    commit: Option<PartitionCommit>,
}

#[derive(Clone)]
enum FileFormat {
    /// One message a line: JSON or raw.
    Lines(Format, &'static str),
    Csv(CsvOptions),
    Parquet,
}

impl FileFormat {
    fn changelog_mode(&self) -> ChangelogMode {
        match self {
            Self::Lines(format, _) => format.changelog_mode(),
            Self::Csv(_) | Self::Parquet => ChangelogMode::Append,
        }
    }
}

impl FileTable {
    fn read(table: &TableDefinition) -> Result<Self> {
        let options = Options::new(table);
        let path = options.required("path")?;
        let path = path.strip_prefix("file://").unwrap_or(path).to_owned();
        let format = match options.required("format")? {
            "parquet" => FileFormat::Parquet,
            "csv" => FileFormat::Csv(CsvOptions::read(&options, "")?),
            "json" => FileFormat::Lines(Format::read(&options, "format", "json", "")?, "json"),
            "raw" => FileFormat::Lines(Format::read(&options, "format", "raw", "")?, "txt"),
            name => {
                let names = "one of json, csv, parquet, raw, debezium-json, canal-json, maxwell-json, ogg-json";
                if !name.ends_with("-json") {
                    return Err(options.refuse("format", name, names));
                }
                FileFormat::Lines(Format::read(&options, "format", name, "")?, "json")
            }
        };
        let rollover = options.duration("sink.rolling-policy.rollover-interval")?;
        let file_bytes = options.memory("sink.rolling-policy.file-size")?;
        // Here a flush looks at all parts in progress, and partitions need no shuffle to be written.
        for known in ["check-interval", "inactivity-interval"] {
            options.duration(&format!("sink.rolling-policy.{known}"))?;
        }
        options.flag("sink.shuffle-by-partition.enable", false)?;
        options.choice("auto-compaction", &[("false", ())])?;
        let partitions = Partitions::read(table, &options)?;
        let commit = PartitionCommit::read(&options, &partitions)?;
        crate::lookup::read_full(&options)?;
        options.finish()?;
        if let Some(metadata) = table.metadata.first() {
            return Err(crate::registry::no_metadata(table, metadata, "filesystem"));
        }
        Ok(Self {
            table: table.clone(),
            path,
            format,
            rollover: rollover.unwrap_or(ROLLOVER),
            file_bytes: file_bytes.unwrap_or(FILE_BYTES),
            stored: partitions.stored_schema(&table.schema),
            read: (0..partitions.stored().len())
                .filter(|at| !table.unread.contains(&partitions.stored()[*at]))
                .collect(),
            partitions,
            commit,
        })
    }

    /// Of the columns that are not read, by their positions in the table.
    fn blanks(&self) -> Result<Vec<(usize, Blanks)>> {
        let stored = self.partitions.stored().iter().enumerate();
        let unread = stored.filter(|(at, _)| !self.read.contains(at));
        let fields = self.table.schema.fields();
        unread.map(|(_, column)| Ok((*column, Blanks::new(&fields[*column])?))).collect()
    }

    /// The columns that are read of the files.
    fn read_schema(&self) -> Result<SchemaRef> {
        Ok(Arc::new(self.stored.project(&self.read)?))
    }

    fn failed(
        &self,
        path: &std::path::Path,
        error: impl std::fmt::Display,
    ) -> nowcast_engine::Error {
        let (table, path) = (&self.table.name, path.display());
        nowcast_engine::Error::outside(format!("table \"{table}\": {path}: {error}"))
    }
}

pub fn source(table: &TableDefinition, _: &Environment) -> Result<Arc<dyn SourceFactory>> {
    Ok(Arc::new(source::FileSourceFactory(FileTable::read(table)?)))
}

pub fn lookup(table: &TableDefinition, _: &Environment, keys: &[usize]) -> Result<Arc<dyn Lookup>> {
    let table = FileTable::read(table)?;
    Ok(Arc::new(lookup::FileLookup { table, keys: keys.to_vec(), loaded: OnceCell::new() }))
}

pub fn sink(table: &TableDefinition, _: &Environment) -> Result<Arc<dyn SinkFactory>> {
    Ok(Arc::new(sink::FileSinkFactory::new(FileTable::read(table)?)?))
}
