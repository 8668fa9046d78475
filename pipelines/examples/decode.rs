//! CPU seconds per million clicks that decoding takes: JSON and Avro into Arrow columns, beside serde_json
//! into a struct of borrowed texts, which makes no columns.
//!
//! `cargo run --release --example decode [messages]`

#![allow(clippy::print_stdout)] // a tool

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use nowcast_bench::generate::clicks::clicks;
use nowcast_bench::{Event as _, cpu};
use nowcast_connectors::format::{AvroOptions, Decoder, Format, JsonDecoder, JsonOptions};
use serde::Deserialize;

/// Rows of a batch, as sources hand them over when there is much to read.
const BATCH: usize = 8_192;
/// The least of so many runs counts: others on the machine only add to it.
const RUNS: usize = 5;

#[derive(Deserialize)]
struct Click<'a> {
    event_time: &'a str,
    profile_id: i64,
    session_id: &'a str,
    title_id: i64,
    event_type: &'a str,
    watch_seconds: i32,
    country: &'a str,
    device: &'a str,
}

fn main() -> Result<()> {
    let count = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    let messages: Vec<Vec<u8>> =
        clicks(&Default::default()).take(count).map(|click| click.to_json().into_bytes()).collect();
    let bytes: usize = messages.iter().map(Vec::len).sum();
    println!("{count} clicks of {} bytes, CPU-s per million:", bytes / count.max(1));
    let all = fields();
    let of = |names: &[&str]| -> Vec<FieldRef> {
        all.iter().filter(|field| names.contains(&field.name().as_str())).cloned().collect()
    };
    let json = |fields: &[FieldRef], messages: &[Vec<u8>]| {
        let mut decoder = JsonDecoder::new(fields, &JsonOptions::default())?;
        columns(&mut decoder, messages, &mut dropped)
    };
    measure("serde_json, borrowed struct", &messages, &mut borrowed)?;
    measure("all 8 columns", &messages, &mut |messages| json(&all, messages))?;
    let of_window = of(&["event_time", "title_id", "country", "profile_id", "watch_seconds"]);
    measure("5 columns of a window", &messages, &mut |messages| json(&of_window, messages))?;
    let one = of(&["title_id"]);
    measure("1 column", &messages, &mut |messages| json(&one, messages))?;

    let row = DataType::Struct(all.clone().into());
    let within = [Arc::new(Field::new("click", row, true))];
    let nested: Vec<Vec<u8>> =
        messages.iter().map(|message| [b"{\"click\":", &message[..], b"}"].concat()).collect();
    measure("all 8 in a row", &nested, &mut |messages| json(&within, messages))?;
    drop(nested);

    let avro = Format::Avro(AvroOptions { legacy_timestamps: true });
    let encoder = avro.encoder(&all)?;
    let mut records: Vec<Vec<u8>> = vec![];
    let mut decoder = JsonDecoder::new(&all, &JsonOptions::default())?;
    columns(&mut decoder, &messages, &mut |batch| {
        records.extend(encoder.encode(&batch, None)?.rows().map(<[u8]>::to_vec));
        Ok(())
    })?;
    let of_avro = |read: &[usize], messages: &[Vec<u8>]| {
        columns(avro.decoder_of(&all, read, &[])?.as_mut(), messages, &mut dropped)
    };
    let every: Vec<usize> = (0..all.len()).collect();
    measure("all 8 of avro", &records, &mut |records| of_avro(&every, records))?;
    measure("1 of avro", &records, &mut |records| of_avro(&[3], records))
}

fn measure(
    name: &str,
    messages: &[Vec<u8>],
    run: &mut dyn FnMut(&[Vec<u8>]) -> Result<()>,
) -> Result<()> {
    let mut least = f64::MAX;
    for _ in 0..RUNS {
        let before = cpu::own()?.cpu_s;
        run(messages)?;
        least = least.min(cpu::own()?.cpu_s - before);
    }
    println!("{:8.3}  {name}", least * 1e6 / messages.len() as f64);
    Ok(())
}

fn borrowed(messages: &[Vec<u8>]) -> Result<()> {
    let mut sum = 0;
    for message in messages {
        let click: Click<'_> = serde_json::from_slice(message)?;
        let texts = [click.event_time, click.session_id, click.event_type, click.country];
        sum += click.profile_id + click.title_id + i64::from(click.watch_seconds);
        sum += (texts.map(str::len).iter().sum::<usize>() + click.device.len()) as i64;
    }
    std::hint::black_box(sum);
    Ok(())
}

fn dropped(batch: Vec<ArrayRef>) -> Result<()> {
    std::hint::black_box(batch);
    Ok(())
}

fn columns(
    decoder: &mut dyn Decoder,
    messages: &[Vec<u8>],
    each: &mut dyn FnMut(Vec<ArrayRef>) -> Result<()>,
) -> Result<()> {
    for batch in messages.chunks(BATCH) {
        for message in batch {
            decoder.decode(message).map_err(|misfit| anyhow!(misfit)).context("a click")?;
        }
        each(decoder.rows().finish()?.0)?;
    }
    Ok(())
}

fn fields() -> Vec<FieldRef> {
    let field = |name: &str, ty| Arc::new(Field::new(name, ty, true));
    vec![
        field("event_time", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("profile_id", DataType::Int64),
        field("session_id", DataType::Utf8),
        field("title_id", DataType::Int64),
        field("event_type", DataType::Utf8),
        field("watch_seconds", DataType::Int32),
        field("country", DataType::Utf8),
        field("device", DataType::Utf8),
    ]
}
