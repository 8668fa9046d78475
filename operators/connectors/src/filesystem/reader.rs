//! Reads one file into batches.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{FieldRef, SchemaRef};
use csv::ByteRecord;
use nowcast_engine::{DeadLetter, Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::source::Stop;
use super::{FileFormat, FileTable};
use crate::format::{CsvDecoder, Decoder};

/// Bytes of lines in one batch, whatever the lines' length.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// How much of a file is read at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that has been opened and checked.
pub enum Reading {
    Lines(BufReader<File>, Box<dyn Decoder>),
    Csv(Box<csv::Reader<File>>, CsvDecoder),
    Parquet(Box<ParquetRecordBatchReaderBuilder<File>>),
}

/// Takes what was read.
pub type Each<'a> = &'a mut dyn FnMut(Read) -> Result<(), Stop>;

pub struct Read {
    /// The columns that are read, without the partition columns.
    pub rows: RecordBatch,
    pub weights: Option<Int64Array>,
    pub rejected: Vec<DeadLetter>,
    /// Behind both.
    pub position: i64,
}

/// Opens a file and checks that it can hold those of the table's columns that stand in files.
pub fn open(table: &FileTable, path: &Path) -> Result<Reading> {
    let name = &table.table.name;
    let at = |error: Error| error.context(format!("table \"{name}\": {}", path.display()));
    let file = File::open(path).map_err(|error| table.failed(path, error))?;
    let fields: Vec<FieldRef> = table.stored.fields().iter().cloned().collect();
    match &table.format {
        FileFormat::Lines(format, _) => {
            let decoder = format.decoder_of(&fields, &table.read, &table.table.unread_fields);
            let decoder = decoder.map_err(at)?;
            Ok(Reading::Lines(BufReader::with_capacity(BUFFER_BYTES, file), decoder))
        }
        FileFormat::Csv(options) => {
            let mut reader = options.reader().buffer_capacity(BUFFER_BYTES).from_reader(file);
            let decoder = match options.header {
                false => CsvDecoder::new(&fields, &table.read, options).map_err(at)?,
                true => {
                    let mut header = ByteRecord::new();
                    let read = reader.read_byte_record(&mut header);
                    read.map_err(|error| table.failed(path, error))?;
                    CsvDecoder::with_header(&fields, &table.read, options, &header).map_err(at)?
                }
            };
            Ok(Reading::Csv(Box::new(reader), decoder))
        }
        FileFormat::Parquet => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)
                .map_err(|error| table.failed(path, error))?;
            for field in &fields {
                let found = builder.schema().field_with_name(field.name());
                found.map_err(|_| at(Error::user(format!("no column \"{}\"", field.name()))))?;
            }
            Ok(Reading::Parquet(Box::new(builder)))
        }
    }
}

/// Reads what is behind `position`.
pub fn read(
    table: &FileTable,
    path: &Path,
    reading: Reading,
    position: i64,
    rows_max: usize,
    each: Each<'_>,
) -> Result<(), Stop> {
    match reading {
        Reading::Lines(file, decoder) => {
            let mut pending = Pending::new(table, path, position, rows_max);
            lines(file, decoder, &mut pending, each)
        }
        Reading::Csv(file, decoder) => {
            let mut pending = Pending::new(table, path, position, rows_max);
            records(*file, decoder, &mut pending, each)
        }
        Reading::Parquet(builder) => columns(table, path, *builder, position, rows_max, each),
    }
}

/// What has been read of a file and not handed on.
struct Pending<'a> {
    table: &'a FileTable,
    path: &'a Path,
    /// The position read behind at the start, and now.
    start: i64,
    position: i64,
    rows: usize,
    bytes: usize,
    rows_max: usize,
    rejected: Vec<DeadLetter>,
}

impl<'a> Pending<'a> {
    fn new(table: &'a FileTable, path: &'a Path, start: i64, rows_max: usize) -> Self {
        let rejected = vec![];
        Self { table, path, start, position: 0, rows: 0, bytes: 0, rows_max, rejected }
    }

    /// Counts a record in; whether it is to be read.
    fn is_new(&mut self, bytes: usize) -> bool {
        self.position += 1;
        let new = self.position > self.start;
        if new {
            self.rows += 1;
            self.bytes += bytes;
        }
        new
    }

    fn reject(&mut self, error: String, raw: &[u8]) {
        self.rejected.push(DeadLetter {
            stage: self.table.table.name.clone(),
            topic: Some(self.path.display().to_string()),
            offset: Some(self.position - 1),
            error,
            raw: raw.to_vec(),
            ..DeadLetter::default()
        });
    }

    fn is_full(&self) -> bool {
        self.rows >= self.rows_max || self.bytes >= BATCH_BYTES_MAX
    }

    fn hand_over(&mut self, decoder: &mut dyn Decoder, each: Each<'_>) -> Result<(), Stop> {
        if self.rows == 0 {
            return Ok(());
        }
        let count = decoder.rows().num_rows();
        let (columns, weights) = decoder.rows().finish()?;
        let rows = batch(self.table.read_schema()?, columns, count)?;
        (self.rows, self.bytes) = (0, 0);
        let rejected = std::mem::take(&mut self.rejected);
        each(Read { rows, weights, rejected, position: self.position })
    }
}

/// As many rows, if only of no columns.
fn batch(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

fn lines(
    mut file: BufReader<File>,
    mut decoder: Box<dyn Decoder>,
    pending: &mut Pending<'_>,
    each: Each<'_>,
) -> Result<(), Stop> {
    let mut line = vec![];
    loop {
        line.clear();
        let read = file.read_until(b'\n', &mut line);
        if read.map_err(|error| pending.table.failed(pending.path, error))? == 0 {
            return pending.hand_over(decoder.as_mut(), each);
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if pending.is_new(text.len())
            && !text.is_empty()
            && let Err(misfit) = decoder.decode(text)
        {
            pending.reject(misfit, text);
        }
        if pending.is_full() {
            pending.hand_over(decoder.as_mut(), each)?;
        }
    }
}

fn records(
    mut file: csv::Reader<File>,
    mut decoder: CsvDecoder,
    pending: &mut Pending<'_>,
    each: Each<'_>,
) -> Result<(), Stop> {
    let mut record = ByteRecord::new();
    loop {
        let read = file.read_byte_record(&mut record);
        if !read.map_err(|error| pending.table.failed(pending.path, error))? {
            return pending.hand_over(&mut decoder, each);
        }
        if pending.is_new(record.as_slice().len())
            && let Err(misfit) = decoder.decode_record(&record)
        {
            let cells: Vec<&[u8]> = record.iter().collect();
            pending.reject(misfit, &cells.join(&b','));
        }
        if pending.is_full() {
            pending.hand_over(&mut decoder, each)?;
        }
    }
}

fn columns(
    table: &FileTable,
    path: &Path,
    builder: ParquetRecordBatchReaderBuilder<File>,
    mut position: i64,
    rows_max: usize,
    each: Each<'_>,
) -> Result<(), Stop> {
    let schema = table.read_schema()?;
    let wanted =
        schema.fields().iter().filter_map(|field| builder.schema().index_of(field.name()).ok());
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let offset = usize::try_from(position).unwrap_or_default();
    let reader =
        builder.with_projection(mask).with_batch_size(rows_max).with_offset(offset).build();
    for batch in reader.map_err(|error| table.failed(path, error))? {
        let batch = batch.map_err(|error| table.failed(path, error))?;
        let column = |field: &FieldRef| {
            let column = batch.column_by_name(field.name());
            let column = column.ok_or_else(|| Error::bug("a column that was checked is gone"))?;
            cast(column, field.data_type()).map_err(|error| {
                let name = field.name();
                Error::user(format!(
                    "table \"{}\": {}: column \"{name}\": {error}",
                    table.table.name,
                    path.display()
                ))
            })
        };
        let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        position += batch.num_rows() as i64;
        let rows = self::batch(Arc::clone(&schema), columns, batch.num_rows())?;
        each(Read { rows, weights: None, rejected: vec![], position })?;
    }
    Ok(())
}
