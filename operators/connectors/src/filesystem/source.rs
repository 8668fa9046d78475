//! The `filesystem` source: bounded, one split a file, its position the rows read of it.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use nowcast_engine::{
    ChangelogMode, Error, Position, Result, Source, SourceContext, SourceEvent, SourceFactory,
};

use super::FileTable;
use super::path::files;
use super::reader::{Read, open, read};
use crate::handover::{Gone, Handover, Hands};

pub struct FileSourceFactory(pub FileTable);

#[async_trait]
impl SourceFactory for FileSourceFactory {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.table.schema)
    }

    fn bounded(&self) -> bool {
        true
    }

    fn changelog_mode(&self) -> ChangelogMode {
        self.0.format.changelog_mode()
    }

    /// Deals the files out in their order, every `workers`-th to a worker, and opens each of them
    /// once to check it.
    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let table = &self.0;
        let name = &table.table.name;
        let found = files(&table.path)
            .map_err(|error| Error::user(format!("table \"{name}\": {}: {error}", table.path)))?;
        if found.is_empty() {
            return Err(Error::user(format!("table \"{name}\": no file matches {}", table.path)));
        }
        let mine: Vec<(PathBuf, i64)> = found
            .into_iter()
            .skip(context.worker)
            .step_by(context.workers.max(1))
            .map(|path| {
                let split = path.display().to_string();
                let at = context.positions.iter().find(|position| position.split == split);
                (path, at.map_or(0, |position| position.offset))
            })
            .collect();
        for (path, _) in &mine {
            table.partitions.of_file(name, path)?;
            open(table, path)?;
        }
        let splits = mine.iter().map(|(path, at)| (path.display().to_string().into(), *at));
        let (hands, handover) = Handover::new(splits.collect());
        let (table, rows_max) = (table.clone(), context.rows_max.max(1));
        let thread = std::thread::Builder::new().name(format!("files {name}"));
        let spawned = thread.spawn(move || match read_all(&table, &mine, rows_max, &hands) {
            Ok(()) | Err(Stop::Gone) => {}
            Err(Stop::Failed(error)) => hands.fail(error),
        });
        spawned.map_err(|error| Error::outside(format!("table \"{name}\": {error}")))?;
        Ok(Box::new(FileSource(handover)))
    }
}

pub enum Stop {
    Gone,
    Failed(Error),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn read_all(
    table: &FileTable,
    files: &[(PathBuf, i64)],
    rows_max: usize,
    hands: &Hands,
) -> Result<(), Stop> {
    let mut blanks = table.blanks()?;
    for (index, (path, position)) in files.iter().enumerate() {
        let split: Arc<str> = path.display().to_string().into();
        let partition = table.partitions.of_file(&table.table.name, path)?;
        let reading = open(table, path)?;
        read(table, path, reading, *position, rows_max, &mut |read| {
            let split = Arc::clone(&split);
            let Read { rows, weights, rejected, position } = read;
            let schema = &table.table.schema;
            let rows =
                table.partitions.complete(schema, rows, &table.read, &partition, &mut blanks)?;
            let event = SourceEvent::Rows { split, rows, weights, rejected };
            Ok(hands.give(event, Some((index, position)))?)
        })?;
        hands.give(SourceEvent::Finished { split }, None)?;
    }
    Ok(hands.give(SourceEvent::End, None)?)
}

struct FileSource(Handover);

#[async_trait]
impl Source for FileSource {
    fn splits(&self) -> Vec<Arc<str>> {
        self.0.splits()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        self.0.next().await
    }

    fn positions(&self) -> Vec<Position> {
        self.0.positions()
    }
}
