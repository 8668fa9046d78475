//! What the ways out cost: rows as JSON and as text; into Kafka by either client and into Redis, beside a bare
//! loop over librdkafka and over the same client of Redis. CPU is that of this process.
//!
//! ```text
//! NOWCAST_KAFKA=127.0.0.1:9092 NOWCAST_REDIS=redis://127.0.0.1:6379 \
//!     cargo run --release -p nowcast-connectors --example sinks [encode|kafka|redis…]
//! ```

#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use nowcast_connectors::format::{Cells, Encoder, Format, JsonOptions};
use nowcast_connectors::{Environment, Registry};
use nowcast_engine::{Batch, Connectors, JobRun, SinkContext, TableDefinition};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

/// Rows of a batch, and batches.
const ROWS: usize = 4_000;
const BATCHES: usize = 100;
/// Measured so often, and the best counts: others use the machine too.
const RUNS: usize = 3;

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Anyhow<()> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    if wanted("encode") {
        encode()?;
    }
    if let (true, Ok(at)) = (wanted("kafka"), std::env::var("NOWCAST_KAFKA")) {
        kafka(&at).await?;
    }
    if let (true, Ok(url)) = (wanted("redis"), std::env::var("NOWCAST_REDIS")) {
        redis(&url, false).await?;
    }
    if let (true, Ok(url)) = (wanted("redis"), std::env::var("NOWCAST_REDIS_CLUSTER")) {
        redis(&url, true).await?;
    }
    Ok(())
}

/// The columns of a windowed count.
fn schema() -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, None);
    let fields = [
        ("window_start", time()),
        ("window_end", time()),
        ("title_id", DataType::Int64),
        ("country", DataType::Utf8),
        ("views", DataType::Int64),
        ("profiles", DataType::Int64),
        ("share", DataType::Float64),
    ];
    let fields = fields.map(|(name, ty)| Field::new(name, ty, true));
    Arc::new(Schema::new(fields.to_vec()))
}

fn batches() -> Anyhow<Vec<Batch>> {
    let countries = ["DE", "FR", "US", "BR", "IN", "JP"];
    let batch = |nth: usize| {
        let rows = || (0..ROWS as i64).map(move |row| nth as i64 * ROWS as i64 + row);
        let start = 1_700_000_000_000 + nth as i64 * 10_000;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMillisecondArray::from_value(start, ROWS)),
            Arc::new(TimestampMillisecondArray::from_value(start + 10_000, ROWS)),
            Arc::new(rows().collect::<Int64Array>()),
            Arc::new(rows().map(|n| Some(countries[n as usize % 6])).collect::<StringArray>()),
            Arc::new(rows().map(|n| n % 977).collect::<Int64Array>()),
            Arc::new(rows().map(|n| n % 89).collect::<Int64Array>()),
            Arc::new(rows().map(|n| (n % 977) as f64 / 977.0).collect::<Float64Array>()),
        ];
        Ok(Batch::new(RecordBatch::try_new(schema(), columns)?))
    };
    (0..BATCHES).map(batch).collect()
}

fn table(options: &[(&str, &str)]) -> TableDefinition {
    TableDefinition {
        name: "measured".into(),
        unread: vec![],
        unread_fields: vec![],
        schema: schema(),
        metadata: vec![],
        primary_key: if options[0].1 == "redis" { vec![2, 3] } else { vec![] },
        partition_keys: vec![],
        options: options
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// Seconds of CPU that the threads of this process have used.
fn cpu() -> Anyhow<f64> {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let used = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += used.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(nanos as f64 / 1e9)
}

/// One measurement: seconds and seconds of CPU.
#[derive(Clone, Copy)]
struct Used(f64, f64);

struct Began(Instant, f64);

impl Began {
    fn now() -> Anyhow<Self> {
        Ok(Self(Instant::now(), cpu()?))
    }

    fn used(&self) -> Anyhow<Used> {
        Ok(Used(self.0.elapsed().as_secs_f64(), cpu()? - self.1))
    }
}

/// Prints the best of some measurements of all rows.
fn say(what: &str, used: &[Used]) {
    let best = |of: fn(&Used) -> f64| used.iter().map(of).fold(f64::INFINITY, f64::min);
    let rows = (ROWS * BATCHES) as f64;
    let (rate, micros) = (rows / best(|used| used.0), best(|used| used.1) * 1e6 / rows);
    println!("{what:<44} {rate:>10.0} rows/s {micros:>8.3} µs of CPU a row");
}

fn json() -> Anyhow<Box<dyn Encoder>> {
    let fields: Vec<FieldRef> = schema().fields().iter().cloned().collect();
    Ok(Format::Json(JsonOptions::default()).encoder(&fields)?)
}

fn encode() -> Anyhow<()> {
    let (encoder, batches, mut bytes) = (json()?, batches()?, 0);
    let (mut as_json, mut as_text) = (vec![], vec![]);
    for _ in 0..RUNS {
        let began = Began::now()?;
        for batch in &batches {
            let encoded = encoder.encode(batch.rows().columns(), None)?;
            bytes += encoded.rows().map(<[u8]>::len).sum::<usize>();
        }
        as_json.push(began.used()?);
        let (began, mut text) = (Began::now()?, vec![]);
        for batch in &batches {
            text.clear();
            let columns = batch.rows().columns().iter().map(Cells::new);
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                for cells in &columns {
                    cells.write_text(row, &JsonOptions::default(), &mut text);
                }
            }
        }
        as_text.push(began.used()?);
    }
    say(&format!("rows as JSON, {} bytes each", bytes / (ROWS * BATCHES * RUNS)), &as_json);
    say("rows as text", &as_text);
    Ok(())
}

/// Writes all batches with a sink and commits them, as one checkpoint each run; how long a commit took.
async fn through(table: &TableDefinition, batches: &[Batch], what: &str) -> Anyhow<()> {
    let factory = Registry::new(Environment::default()).sink(table)?;
    let run = JobRun::new("measured");
    let epoch = factory.committed(&run).await?.unwrap_or(0);
    let context = SinkContext { keeps_checkpoints: true, ..SinkContext::alone("measured") };
    let mut sink = factory.open(context).await?;
    let (mut used, mut commits) = (vec![], vec![]);
    for epoch in epoch + 1..=epoch + RUNS as u64 {
        let began = Began::now()?;
        for batch in batches {
            sink.write(batch, &mut vec![]).await?;
        }
        sink.prepare(epoch).await?;
        let commit = Instant::now();
        sink.commit(epoch).await?;
        commits.push(commit.elapsed().as_secs_f64() * 1e3);
        used.push(began.used()?);
    }
    say(what, &used);
    if sink.waits_for_commit() {
        println!("{what}: commits took {commits:.1?} ms");
    }
    Ok(())
}

async fn kafka(at: &str) -> Anyhow<()> {
    let topic = format!("measured-{}", std::process::id());
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", at).create()?;
    let made = NewTopic::new(&topic, 4, TopicReplication::Fixed(1));
    admin.create_topics(&[made], &AdminOptions::new()).await?;
    let batches = batches()?;
    for only_errors in ["false", "true"] {
        bare_kafka(at, &topic, &batches, only_errors)?;
    }
    for client in ["librdkafka", "native"] {
        let options = [
            ("connector", "kafka"),
            ("topic", topic.as_str()),
            ("properties.bootstrap.servers", at),
            ("format", "json"),
            ("client", client),
        ];
        through(&table(&options), &batches, &format!("kafka by {client}, at least once")).await?;
        let prefix = format!("{topic}-{client}");
        let exactly = [
            ("sink.delivery-guarantee", "exactly-once"),
            ("sink.transactional-id-prefix", prefix.as_str()),
        ];
        let exactly = table(&[&options[..], &exactly].concat());
        through(&exactly, &batches, &format!("kafka by {client}, exactly once")).await?;
    }
    admin.delete_topics(&[topic.as_str()], &AdminOptions::new()).await?;
    Ok(())
}

/// librdkafka with messages that are encoded already.
fn bare_kafka(at: &str, topic: &str, batches: &[Batch], only_errors: &str) -> Anyhow<()> {
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", at)
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .set("queue.buffering.max.kbytes", "65536")
        .set("delivery.report.only.error", only_errors)
        .create()?;
    let encoder = json()?;
    let encoded = batches.iter().map(|batch| encoder.encode(batch.rows().columns(), None));
    let encoded = encoded.collect::<Result<Vec<_>, _>>()?;
    let mut used = vec![];
    for _ in 0..RUNS {
        let began = Began::now()?;
        for message in encoded.iter().flat_map(|encoded| encoded.rows()) {
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(message);
            while let Err((_, again)) = producer.send(record) {
                record = again;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        while producer.in_flight_count() > 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        used.push(began.used()?);
    }
    say(&format!("bare librdkafka, reports of errors alone {only_errors}"), &used);
    Ok(())
}

async fn redis(url: &str, cluster: bool) -> Anyhow<()> {
    let batches = batches()?;
    if !cluster {
        bare_redis(url, &batches).await?;
    }
    let clustered = cluster.to_string();
    for fencing in ["false", "true"] {
        let prefix = format!("measured-{fencing}");
        let options = [
            ("connector", "redis"),
            ("url", url),
            ("cluster", &clustered),
            ("key-prefix", &prefix),
            ("ttl", "1 h"),
            ("sink.fencing", fencing),
        ];
        let before = server(url).await?;
        through(&table(&options), &batches, &format!("redis cluster {cluster} fencing {fencing}"))
            .await?;
        said_of_server(url, before).await?;
    }
    Ok(())
}

/// The same hashes from texts that are there already, as pipelines of as many keys as the sink has.
async fn bare_redis(url: &str, batches: &[Batch]) -> Anyhow<()> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let names: Vec<String> =
        schema().fields().iter().map(|field| field.name().to_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![];
    for batch in batches {
        let columns = batch.rows().columns().iter().map(Cells::new);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        rows.extend((0..batch.num_rows()).map(|row| {
            let texts = columns.iter().map(|cells| {
                let mut text = vec![];
                cells.write_text(row, &JsonOptions::default(), &mut text);
                String::from_utf8_lossy(&text).into_owned()
            });
            texts.collect()
        }));
    }
    let before = server(url).await?;
    let mut used = vec![];
    for _ in 0..RUNS {
        let began = Began::now()?;
        for rows in rows.chunks(1_000) {
            let mut pipeline = redis::pipe();
            for row in rows {
                let key = format!("bare:{}:{}", row[2], row[3]);
                let set: Vec<(&String, &String)> = names.iter().zip(row).collect();
                pipeline.hset_multiple(&key, &set).ignore().pexpire(&key, 3_600_000).ignore();
            }
            pipeline.query_async::<()>(&mut connection).await?;
        }
        used.push(began.used()?);
    }
    say("bare loop over the redis crate", &used);
    said_of_server(url, before).await
}

/// Seconds of CPU that a server has used.
async fn server(url: &str) -> Anyhow<f64> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let told: String = redis::cmd("INFO").arg("cpu").query_async(&mut connection).await?;
    let used = told.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        matches!(name, "used_cpu_sys" | "used_cpu_user").then(|| value.parse::<f64>().ok())?
    });
    Ok(used.sum())
}

async fn said_of_server(url: &str, before: f64) -> Anyhow<()> {
    let micros = (server(url).await? - before) * 1e6 / (ROWS * BATCHES * RUNS) as f64;
    println!("{:<44} {micros:>8.3} µs of the server's CPU a row", "");
    Ok(())
}
