//! Window Top-N against sorting.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use common::*;
use nowcast_engine::Operator;
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Window start and end, country, title, plays.
type Row = (i64, &'static str, i64, Option<i64>);

const WINDOW: i64 = 100;

fn rows(seed: u64, count: usize) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clock = -300;
    (0..count)
        .map(|title| {
            clock += rng.random_range(0..5);
            let time: i64 = clock - rng.random_range(0..90);
            let start = time.div_euclid(WINDOW) * WINDOW;
            let country = ["br", "de", "us"][rng.random_range(0..3)];
            let plays = rng.random_bool(0.9).then(|| rng.random_range(0..12));
            (start, country, title as i64, plays)
        })
        .collect()
}

fn fields() -> Vec<(&'static str, DataType)> {
    vec![
        ("window_start", MS),
        ("window_end", MS),
        ("country", DataType::Utf8),
        ("title", DataType::Int64),
        ("plays", DataType::Int64),
    ]
}

fn columns(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| Some(row.0)).collect()),
        times(rows.iter().map(|row| Some(row.0 + WINDOW)).collect()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.3))),
    ];
    RecordBatch::try_new(schema(&fields()), columns).unwrap()
}

fn spec(limit: usize, rank: bool, descending: bool, nulls_first: bool) -> WindowTopNSpec {
    let mut output = fields();
    if rank {
        output.push(("n", DataType::Int64));
    }
    WindowTopNSpec {
        clock: WindowClock::EVENT_TIME,
        window_end: 1,
        partition: vec![0, 1, 2],
        keys: vec![2],
        order: vec![SortKey { column: 4, descending, nulls_first }],
        ties: Ties::EarlierFirst,
        first: 1,
        last: limit,
        rank,
        input_schema: schema(&fields()),
        schema: schema(&output),
    }
}

/// Watermarks follow the window starts, so that some rows are late.
fn feed(rows: &[Row]) -> Feed {
    let times: Vec<Option<i64>> = rows.iter().map(|row| Some(row.0 + 50)).collect();
    Feed::new(columns(rows), &times, 0)
}

fn brute_force(rows: &[Row], spec: &WindowTopNSpec) -> Seen {
    let mut partitions: BTreeMap<(i64, &str), Vec<Row>> = BTreeMap::new();
    let mut seen = Seen::default();
    let mut watermark = i64::MIN;
    for row in rows {
        let last = row.0 + WINDOW - 1;
        match last <= watermark {
            true => {
                let text = text(&columns(&[*row])).remove(0);
                seen.late.push(format!("{text} at {last} after {watermark}"));
            }
            false => partitions.entry((row.0, row.1)).or_default().push(*row),
        }
        watermark = watermark.max(row.0 + 50);
    }
    for mut rows in partitions.into_values() {
        let key = spec.order[0];
        rows.sort_by(|left, right| match (left.3, right.3) {
            (Some(left), Some(right)) if key.descending => right.cmp(&left),
            (Some(left), Some(right)) => left.cmp(&right),
            (None, None) => std::cmp::Ordering::Equal,
            (None, _) if key.nulls_first => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
            (_, None) if key.nulls_first => std::cmp::Ordering::Greater,
            (_, None) => std::cmp::Ordering::Less,
        });
        for (nth, row) in rows.iter().take(spec.last).enumerate() {
            let mut line = text(&columns(&[*row])).remove(0);
            if spec.rank {
                line.push_str(&format!("|{}", nth + 1));
            }
            seen.rows.push(line);
        }
    }
    seen.sorted()
}

#[test]
fn the_best_rows_of_every_window_as_by_sorting() {
    for limit in [1, 3, 1000] {
        for (rank, descending, nulls_first) in
            [(true, true, false), (false, false, true), (true, false, false)]
        {
            let rows = rows(4, 2_000);
            let spec = spec(limit, rank, descending, nulls_first);
            let expected = brute_force(&rows, &spec);
            assert!(!expected.late.is_empty());
            for size in SIZES {
                let mut operator = WindowTopN::new(spec.clone()).unwrap();
                let seen = whole(&mut operator, &feed(&rows), size).sorted();
                assert_eq!(seen, expected, "{limit} {size}");
            }
        }
    }
}

#[test]
fn ranks_come_in_order() {
    let rows = rows(4, 200);
    let seen = whole(&mut WindowTopN::new(spec(5, true, true, false)).unwrap(), &feed(&rows), 7);
    let ranks: Vec<i64> =
        seen.rows.iter().map(|row| row.rsplit('|').next().unwrap().parse().unwrap()).collect();
    assert!(ranks.windows(2).all(|pair| pair[1] == 1 || pair[1] == pair[0] + 1), "{ranks:?}");
}

#[test]
fn a_restored_operator_goes_on_as_if_nothing_had_happened() {
    let rows = rows(8, 600);
    let spec = spec(3, true, true, false);
    let make = || WindowTopN::new(spec.clone()).unwrap();
    let feed = feed(&rows);
    let undisturbed = whole(&mut make(), &feed, 7).sorted();
    for half in [0, 1, 300, 599] {
        assert_eq!(resumed(make, &feed, half).sorted(), undisturbed);
    }
    let halves = split(make, &feed, 300, by_key(spec.partition.clone())).sorted();
    assert_eq!(halves, undisturbed);
}

/// A checkpoint is read in pieces, which end anywhere among rows that sort equal.
#[test]
fn rows_that_sort_equal_keep_their_order_behind_a_restart_from_pieces() {
    let rows: Vec<Row> = (0..40).map(|title| (0, "br", title, Some(title % 3))).collect();
    for ties in [Ties::EarlierFirst, Ties::LaterFirst] {
        let spec = WindowTopNSpec { ties, ..spec(20, true, true, false) };
        let end = |mut operator: WindowTopN| {
            let mut out = nowcast_engine::Output::default();
            operator.on_time(nowcast_engine::Time::Event(WINDOW), &mut out).unwrap();
            Seen::take(&mut out).rows
        };
        let mut operator = WindowTopN::new(spec.clone()).unwrap();
        let batch = nowcast_engine::Batch::new(columns(&rows));
        operator.on_batch(0, batch, &mut nowcast_engine::Output::default()).unwrap();
        let saved = operator.save(0).unwrap();
        let pieces = saved.iter().flat_map(|table| {
            (0..table.rows.num_rows()).step_by(3).map(|first| nowcast_engine::StateTable {
                name: table.name.clone(),
                rows: table.rows.slice(first, 3.min(table.rows.num_rows() - first)),
            })
        });
        let mut restored = WindowTopN::new(spec).unwrap();
        restored.load(pieces.collect()).unwrap();
        assert_eq!(end(restored), end(operator), "{ties:?}");
    }
}

#[test]
fn rows_that_did_not_make_it_are_not_kept() {
    let rows: Vec<Row> = (0..20_000).map(|title| (0, "br", title, Some(title % 1_000))).collect();
    let spec = spec(2, false, true, false);
    let mut operator = WindowTopN::new(spec).unwrap();
    let mut out = nowcast_engine::Output::default();
    for rows in rows.chunks(100) {
        operator.on_batch(0, nowcast_engine::Batch::new(columns(rows)), &mut out).unwrap();
    }
    let saved = operator.save(0).unwrap();
    assert_eq!(saved[0].rows.num_rows(), 2);
    operator.on_time(nowcast_engine::Time::Event(WINDOW), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["0|100|br|999|999", "0|100|br|1999|999"]);
}
