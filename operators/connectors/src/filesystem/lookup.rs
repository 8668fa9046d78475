//! The `filesystem` connector as a look-up: all files, read once and kept by key.

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use async_trait::async_trait;
use nowcast_engine::keys::Keys;
use nowcast_engine::{
    Error, Lookup, LookupOptions, Result, SourceContext, SourceEvent, SourceFactory,
};
use tokio::sync::OnceCell;

use super::FileTable;
use super::source::FileSourceFactory;

const ROWS_MAX: usize = 8_192;

/// The rows are those of the time of the first question: `lookup.cache` is always `FULL`.
pub struct FileLookup {
    pub table: FileTable,
    /// Key columns of the table.
    pub keys: Vec<usize>,
    pub loaded: OnceCell<Loaded>,
}

pub struct Loaded {
    rows: RecordBatch,
    keys: Keys,
    /// By slot of the key.
    of_key: Vec<Vec<u32>>,
}

impl FileLookup {
    async fn load(&self) -> Result<Loaded> {
        let schema = &self.table.table.schema;
        let name = &self.table.table.name;
        let context = SourceContext {
            worker: 0,
            workers: 1,
            positions: vec![],
            rows_max: ROWS_MAX,
            idle_timeout: None,
        };
        let mut source = FileSourceFactory(self.table.clone()).open(context).await?;
        let mut parts = vec![];
        loop {
            match source.next().await? {
                SourceEvent::Rows { rejected, .. } if !rejected.is_empty() => {
                    let error = &rejected[0].error;
                    return Err(Error::user(format!(
                        "table \"{name}\": a row to look up: {error}"
                    )));
                }
                SourceEvent::Rows { rows, .. } => parts.push(rows),
                SourceEvent::End => break,
                SourceEvent::Idle { .. } | SourceEvent::Finished { .. } => {}
            }
        }
        let rows = concat_batches(schema, &parts)?;
        let types: Vec<_> =
            self.keys.iter().map(|key| schema.field(*key).data_type().clone()).collect();
        let mut keys = Keys::new(&types)?;
        let columns: Vec<ArrayRef> =
            self.keys.iter().map(|key| rows.column(*key).clone()).collect();
        let mut of_key = vec![];
        for (row, slot) in keys.intern(&columns, rows.num_rows())?.into_iter().enumerate() {
            of_key.resize_with(keys.slots_len(), Vec::new);
            of_key[slot as usize].push(row as u32);
        }
        Ok(Loaded { rows, keys, of_key })
    }
}

#[async_trait]
impl Lookup for FileLookup {
    async fn lookup(&self, keys: Vec<ArrayRef>) -> Result<RecordBatch> {
        let loaded = self.loaded.get_or_try_init(|| self.load()).await?;
        let asked = loaded.keys.encode(&keys)?;
        let slots = asked.iter().filter_map(|key| loaded.keys.find(key.as_ref()));
        let rows = slots.flat_map(|slot| loaded.of_key[slot as usize].iter().copied());
        Ok(take_record_batch(&loaded.rows, &UInt32Array::from_iter_values(rows))?)
    }

    fn options(&self) -> LookupOptions {
        LookupOptions::default()
    }
}
