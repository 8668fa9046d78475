//! Parquet files as rows for `replay`.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use arrow::datatypes::DataType;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use nowcast_bench::rows::Rows;
use nowcast_bench::timestamp::TimeFormat;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Reads a whole file as JSON rows in event-time order. A timestamp column is written as SQL text;
/// an integer one is taken for milliseconds.
pub fn read(path: &Path, time_column: &str) -> Result<Rows> {
    let name = || path.display().to_string();
    let file = File::open(path).with_context(name)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).with_context(name)?;
    let schema = reader.schema().clone();
    let field = schema.field_with_name(time_column).with_context(name)?;
    let format = match field.data_type() {
        DataType::Timestamp(..) => TimeFormat::Sql,
        DataType::Int64 => TimeFormat::EpochMillis,
        _ => TimeFormat::Iso,
    };
    let builder = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_format("%Y-%m-%d %H:%M:%S%.3f".into())
        .with_timestamp_tz_format("%Y-%m-%d %H:%M:%S%.3fZ".into());
    let mut writer = builder.build::<_, LineDelimited>(vec![]);
    for batch in reader.build().with_context(name)? {
        writer.write(&batch.with_context(name)?)?;
    }
    writer.finish()?;
    Ok(Rows::from_json_lines(path, writer.into_inner(), time_column, format)?)
}
