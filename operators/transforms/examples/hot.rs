//! The windowed operators alone, over a synthetic clickstream: CPU seconds a million rows.
//!
//! `cargo run --release -p nowcast-transforms --example hot -- [CASE] [MILLION_ROWS] [ROWS_A_BATCH]`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use nowcast_engine::{Batch, Operator, Output, Time};
use nowcast_transforms::{
    AggregateCall, AggregateFunction, SessionAggregate, SessionAggregateSpec, SortKey, Ties,
    Window, WindowAggregate, WindowAggregateSpec, WindowClock, WindowKind, WindowTopN,
    WindowTopNSpec,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const MS: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);
const COUNTRIES: [&str; 20] = [
    "US", "BR", "GB", "DE", "FR", "IN", "JP", "MX", "CA", "ES", "IT", "KR", "AU", "NL", "SE", "PL",
    "TR", "AR", "ZA", "NG",
];
/// Events of a second of event time: a window of 10 s then has about 30 groups for 100 rows.
const EVENTS_A_SECOND: i64 = 2_000;
const DELAY_MS: i64 = 5_000;
const PROFILES: u64 = 200_000;
/// Batches made ahead, outside of what is measured.
const BATCHES_AHEAD: usize = 64;

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields: Vec<Field> =
        fields.iter().map(|(name, ty)| Field::new(*name, ty.clone(), true)).collect();
    Arc::new(Schema::new(fields))
}

/// Columns: event_time, title_id, country, profile_id, watch_seconds.
struct Clicks {
    random: ChaCha8Rng,
    schema: SchemaRef,
    row: i64,
    bound: i64,
}

impl Clicks {
    fn new() -> Self {
        let fields = [
            ("event_time", MS),
            ("title_id", DataType::Int64),
            ("country", DataType::Utf8),
            ("profile_id", DataType::Int64),
            ("watch_seconds", DataType::Int64),
        ];
        let random = ChaCha8Rng::seed_from_u64(7);
        Self { random, schema: schema(&fields), row: 0, bound: i64::MIN }
    }

    /// A batch and the watermark after it.
    fn next(&mut self, rows: usize) -> (Batch, i64) {
        let (mut times, mut bounds) = (vec![], vec![]);
        let (mut titles, mut countries, mut profiles, mut watched) =
            (vec![], vec![], vec![], vec![]);
        for _ in 0..rows {
            let late = (self.random.random::<f64>().powi(6) * 6_000.0) as i64;
            let time = 1_750_000_000_000 + self.row * 1_000 / EVENTS_A_SECOND - late;
            bounds.push(self.bound);
            self.bound = self.bound.max(time - DELAY_MS);
            times.push(time);
            titles.push(1 + (1_000.0 * self.random.random::<f64>().powi(3)) as i64);
            let country = (20.0 * self.random.random::<f64>().powi(2)) as usize;
            countries.push(COUNTRIES[country]);
            profiles.push((self.random.random::<u64>() % PROFILES) as i64);
            watched.push((self.random.random::<u64>() % 3_600) as i64);
            self.row += 1;
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMillisecondArray::from(times)),
            Arc::new(Int64Array::from(titles)),
            Arc::new(StringArray::from(countries)),
            Arc::new(Int64Array::from(profiles)),
            Arc::new(Int64Array::from(watched)),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns).unwrap();
        (Batch::new(rows).with_bounds(Some(Int64Array::from(bounds))), self.bound)
    }
}

fn call(function: AggregateFunction, args: &[usize], distinct: bool) -> AggregateCall {
    AggregateCall { function, args: args.to_vec(), distinct, filter: None, output: DataType::Int64 }
}

fn windowed(keys: &[(&str, DataType)], calls: &[AggregateCall]) -> SchemaRef {
    let names = ["first", "second", "third", "fourth"];
    let mut fields = keys.to_vec();
    fields.extend(names.into_iter().zip(calls).map(|(name, call)| (name, call.output.clone())));
    fields.extend([("window_start", MS), ("window_end", MS), ("window_time", MS)]);
    schema(&fields)
}

fn aggregate(kind: WindowKind, keys: &[usize], calls: Vec<AggregateCall>) -> Box<dyn Operator> {
    let input_schema = Clicks::new().schema;
    let key = |key: &usize| {
        let field = input_schema.field(*key);
        (field.name().as_str(), field.data_type().clone())
    };
    let schema = windowed(&keys.iter().map(key).collect::<Vec<_>>(), &calls);
    let spec = WindowAggregateSpec {
        window: Window { kind, offset_ms: 0 },
        clock: WindowClock::EVENT_TIME,
        time: 0,
        keys: keys.to_vec(),
        schema,
        aggregates: calls,
        input_schema: Arc::clone(&input_schema),
    };
    Box::new(WindowAggregate::new(spec).unwrap())
}

fn operators(case: &str) -> Vec<Box<dyn Operator>> {
    let (count, sum) =
        (call(AggregateFunction::Count, &[], false), call(AggregateFunction::Sum, &[4], false));
    let viewers = call(AggregateFunction::Count, &[3], true);
    let tumble = WindowKind::Tumble { size_ms: 10_000 };
    let hop = WindowKind::Hop { size_ms: 10_000, slide_ms: 2_000 };
    match case {
        "sum" => vec![aggregate(tumble, &[1, 2], vec![count, sum])],
        "tumble" => vec![aggregate(tumble, &[1, 2], vec![count, sum, viewers])],
        "hop" => vec![aggregate(hop, &[1, 2], vec![count, sum, viewers])],
        "profiles" => {
            let hour = WindowKind::Hop { size_ms: 3_600_000, slide_ms: 300_000 };
            let titles = call(AggregateFunction::Count, &[1], true);
            let item = Arc::new(Field::new_list_field(DataType::Int64, true));
            let recent = AggregateCall {
                output: DataType::List(item),
                ..call(AggregateFunction::ArrayAgg, &[1], false)
            };
            vec![aggregate(hour, &[3], vec![count, sum, titles, recent])]
        }
        "session" => {
            let calls = vec![count, sum, call(AggregateFunction::Max, &[1], false)];
            let spec = SessionAggregateSpec {
                gap_ms: 1_800_000,
                clock: WindowClock::EVENT_TIME,
                time: 0,
                keys: vec![3],
                input_schema: Clicks::new().schema,
                schema: windowed(&[("profile_id", DataType::Int64)], &calls),
                aggregates: calls,
            };
            vec![Box::new(SessionAggregate::new(spec).unwrap())]
        }
        "top" => {
            let input = [("title_id", DataType::Int64), ("country", DataType::Utf8)];
            let calls = vec![count, sum];
            let input_schema = windowed(&input, &calls);
            let mut fields: Vec<_> = input_schema.fields().iter().cloned().collect();
            fields.push(Arc::new(Field::new("rank", DataType::Int64, true)));
            let spec = WindowTopNSpec {
                clock: WindowClock::EVENT_TIME,
                window_end: 5,
                partition: vec![1, 4, 5],
                keys: vec![1],
                order: vec![SortKey { column: 2, descending: true, nulls_first: false }],
                ties: Ties::EarlierFirst,
                first: 1,
                last: 10,
                rank: true,
                input_schema,
                schema: Arc::new(Schema::new(fields)),
            };
            let top = Box::new(WindowTopN::new(spec).unwrap());
            vec![aggregate(tumble, &[1, 2], calls), top]
        }
        other => panic!("no case {other}: sum, tumble, hop, profiles, session, top"),
    }
}

/// CPU time of this thread, in ns.
fn cpu_ns() -> u64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    spent.split(' ').next().unwrap().parse().unwrap()
}

/// How many rows the last operator made.
fn run(operators: &mut [Box<dyn Operator>], batch: Option<Batch>, watermark: i64) -> usize {
    let mut batches: Vec<Batch> = batch.into_iter().collect();
    for operator in operators {
        let mut out = Output::default();
        for batch in batches {
            operator.on_batch(0, batch, &mut out).unwrap();
        }
        operator.on_time(Time::Event(watermark), &mut out).unwrap();
        batches = out.take_batches();
    }
    batches.iter().map(Batch::num_rows).sum()
}

fn measure(case: &str, rows: usize, batch_rows: usize) {
    let mut clicks = Clicks::new();
    let mut operators = operators(case);
    let (mut done, mut made, mut spent) = (0, 0, 0);
    while done < rows {
        let ahead: Vec<(Batch, i64)> =
            (0..BATCHES_AHEAD).map(|_| clicks.next(batch_rows)).collect();
        let before = cpu_ns();
        for (batch, watermark) in ahead {
            done += batch.num_rows();
            made += run(&mut operators, Some(batch), watermark);
        }
        spent += cpu_ns() - before;
    }
    let before = cpu_ns();
    made += run(&mut operators, None, i64::MAX / 4);
    spent += cpu_ns() - before;
    println!(
        "{case}: {:.3} CPU-s/M, {made} rows of {done}",
        spent as f64 / 1e9 / (done as f64 / 1e6)
    );
}

fn main() {
    let mut args = std::env::args().skip(1);
    let case = args.next().unwrap_or_else(|| "all".to_owned());
    let millions: f64 = args.next().map_or(1.0, |millions| millions.parse().unwrap());
    let batch_rows: usize = args.next().map_or(4_096, |rows| rows.parse().unwrap());
    let cases: Vec<&str> = match case.as_str() {
        "all" => vec!["sum", "tumble", "hop", "profiles", "session", "top"],
        one => vec![one],
    };
    cases.iter().for_each(|case| measure(case, (millions * 1e6) as usize, batch_rows));
}
