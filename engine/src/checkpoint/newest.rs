//! The rows of a table as they stand, of all its rows once and the changes since.
//!
//! Files are read from the newest to the oldest: of a key the first file counts that names it, and
//! only the keys of changes are held meanwhile, never the table.

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::row::Rows;
use hashbrown::HashSet;

use super::Checkpoints;
use super::files::Reading;
use super::manifest::TableFile;
use crate::error::{Error, Result};
use crate::keys::KeyCodec;

/// Keys that newer files name.
#[derive(Default)]
pub(super) struct Newest {
    /// The columns of the key.
    key: Vec<String>,
    codec: Option<KeyCodec>,
    named: HashSet<Box<[u8]>>,
    /// Named by the file at hand, of which all rows count.
    naming: HashSet<Box<[u8]>>,
}

impl Newest {
    pub fn by(key: &[String]) -> Self {
        Self { key: key.to_vec(), ..Self::default() }
    }

    /// What follows is older.
    pub fn older(&mut self) {
        match self.named.is_empty() {
            true => std::mem::swap(&mut self.named, &mut self.naming),
            false => self.named.extend(self.naming.drain()),
        }
    }

    /// Takes in which keys the file at hand names.
    pub fn name(&mut self, rows: &RecordBatch) -> Result<()> {
        match self.keys(rows)? {
            Some(keys) => self.naming.extend(keys.iter().map(|key| key.as_ref().into())),
            None if rows.num_rows() > 0 => {
                self.naming.insert(Box::default());
            }
            None => {}
        }
        Ok(())
    }

    /// The rows whose keys no newer file names.
    pub fn standing(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        if self.named.is_empty() {
            return Ok(rows.clone());
        }
        let stands: BooleanArray = match self.keys(rows)? {
            Some(keys) => keys.iter().map(|key| Some(!self.named.contains(key.as_ref()))).collect(),
            // The one key without columns is named.
            None => return Ok(rows.slice(0, 0)),
        };
        match stands.true_count() == stands.len() {
            true => Ok(rows.clone()),
            false => Ok(filter_record_batch(rows, &stands)?),
        }
    }

    /// The keys of rows; `None` where they have no columns, and all are one.
    fn keys(&mut self, rows: &RecordBatch) -> Result<Option<Rows>> {
        let column = |name: &String| {
            let column = rows.column_by_name(name);
            column.cloned().ok_or_else(|| Error::data(format!("state has no column {name}")))
        };
        let columns = self.key.iter().map(column).collect::<Result<Vec<_>>>()?;
        if columns.is_empty() {
            return Ok(None);
        }
        if self.codec.is_none() {
            let types: Vec<_> = columns.iter().map(|column| column.data_type().clone()).collect();
            self.codec = Some(KeyCodec::new(&types)?);
        }
        self.codec.as_ref().map(|codec| codec.encode(&columns)).transpose()
    }
}

/// The files of one table, read from the newest to the oldest.
pub(super) struct Chain {
    checkpoints: Checkpoints,
    /// Not read yet, the newest last.
    files: Vec<TableFile>,
    newest: Newest,
    reading: Option<(Reading, bool)>,
}

impl Chain {
    /// `files` as a manifest has them.
    pub fn new(checkpoints: &Checkpoints, files: Vec<TableFile>) -> Self {
        let key = files.last().and_then(|file| file.replaces.as_ref());
        let newest = key.map(|replaces| Newest::by(&replaces.key)).unwrap_or_default();
        Self::behind(checkpoints, files, newest)
    }

    /// As [`Chain::new`], behind changes that are not in a file yet.
    pub fn behind(checkpoints: &Checkpoints, files: Vec<TableFile>, newest: Newest) -> Self {
        Self { checkpoints: checkpoints.clone(), files, newest, reading: None }
    }

    /// The next rows that stand.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some((reading, names)) = &mut self.reading else {
                match self.files.pop() {
                    Some(file) => self.open(file).await?,
                    None => return Ok(None),
                }
                continue;
            };
            let Some(rows) = reading.next().await? else {
                self.reading = None;
                continue;
            };
            if *names {
                self.newest.name(&rows)?;
            }
            let standing = self.newest.standing(&rows)?;
            if standing.num_rows() > 0 {
                return Ok(Some(standing));
            }
        }
    }

    async fn open(&mut self, file: TableFile) -> Result<()> {
        self.newest.older();
        // Whose keys nobody asks for any more, since all that is older is gone through.
        let names = file.replaces.is_some() && !self.files.is_empty();
        if let Some(gone) = file.replaces.and_then(|replaces| replaces.gone).filter(|_| names) {
            let mut reading = Reading::open(&self.checkpoints, &gone).await?;
            while let Some(keys) = reading.next().await? {
                self.newest.name(&keys)?;
            }
        }
        self.reading = Some((Reading::open(&self.checkpoints, &file.rows).await?, names));
        Ok(())
    }
}
