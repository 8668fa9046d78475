//! Lookup joins against a table held in memory.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use async_trait::async_trait;
use common::*;
use nowcast_engine::{
    Batch, Error, Lookup, LookupCache, LookupOptions, Operator, Output, Reply, Request, Result,
    Time,
};
use nowcast_transforms::*;

/// Key `k` has `k` rows, numbered from 0. The first `failures` questions fail.
struct Table {
    asked: AtomicUsize,
    failures: usize,
    options: LookupOptions,
}

#[async_trait]
impl Lookup for Table {
    async fn lookup(&self, keys: Vec<ArrayRef>) -> Result<RecordBatch> {
        if self.asked.fetch_add(1, Ordering::Relaxed) < self.failures {
            return Err(Error::outside("the table is away"));
        }
        let keys = keys[0].as_primitive::<Int64Type>();
        let rows = keys.values().iter().flat_map(|key| (0..*key).map(move |nth| (*key, nth)));
        let (keys, numbers): (Vec<i64>, Vec<i64>) = rows.unzip();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(numbers)), Arc::new(Int64Array::from(keys))];
        let fields = schema(&[("nth", DataType::Int64), ("key", DataType::Int64)]);
        Ok(RecordBatch::try_new(fields, columns).unwrap())
    }

    fn options(&self) -> LookupOptions {
        self.options
    }
}

const KEPT: LookupCache = LookupCache {
    keys_max: 2,
    expire_after_write_ms: None,
    expire_after_access_ms: None,
    missing: true,
};

fn table(failures: usize, cache: Option<LookupCache>) -> Arc<Table> {
    let options = LookupOptions { cache, retries: 2 };
    Arc::new(Table { asked: AtomicUsize::new(0), failures, options })
}

fn join(table: &Arc<Table>) -> LookupJoin {
    let right = [("key", DataType::Int64), ("nth", DataType::Int64)];
    let join = JoinSpec {
        kind: JoinKind::Left,
        left_keys: vec![0],
        right_keys: vec![0],
        null_safe: vec![false],
        condition: None,
        left: schema(&[("k", DataType::Int64)]),
        right: schema(&right),
        schema: schema(&[&[("k", DataType::Int64)], &right[..]].concat()),
    };
    let lookup = Arc::clone(table) as Arc<dyn Lookup>;
    LookupJoin::new(LookupJoinSpec { join, lookup, columns: vec![1, 0] }).unwrap()
}

fn batch(keys: Vec<Option<i64>>) -> Batch {
    let keys: ArrayRef = Arc::new(Int64Array::from(keys));
    Batch::new(RecordBatch::try_new(schema(&[("k", DataType::Int64)]), vec![keys]).unwrap())
}

async fn answered(request: Request) -> Reply {
    Reply { id: request.id, answer: request.answer.await }
}

#[tokio::test]
async fn rows_leave_in_their_order_whatever_the_order_of_answers() {
    let mut join = join(&table(0, None));
    let mut out = Output::default();
    join.on_batch(0, batch(vec![Some(2), None, Some(0)]), &mut out).unwrap();
    join.on_batch(0, batch(vec![Some(1)]), &mut out).unwrap();
    let mut requests = out.take_requests();
    assert_eq!(requests.len(), 2);
    join.on_reply(answered(requests.pop().unwrap()).await, &mut out).unwrap();
    assert!(out.take_batches().is_empty());
    let saved = join.save(0).unwrap();
    join.on_reply(answered(requests.pop().unwrap()).await, &mut out).unwrap();
    let expected = ["2|2|0", "2|2|1", "null|null|null", "0|null|null", "1|1|0"];
    assert_eq!(Seen::take(&mut out).rows, expected);
    assert!(join.save(0).unwrap().is_empty());

    // What waited asks anew after a restart.
    let mut resumed = self::join(&table(0, None));
    resumed.load(saved).unwrap();
    resumed.on_time(Time::Event(5), &mut out).unwrap();
    let request = out.take_requests().pop().unwrap();
    resumed.on_reply(answered(request).await, &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, expected);
}

#[tokio::test]
async fn answers_are_kept_for_their_time_and_failures_asked_again() {
    let table = table(2, Some(LookupCache { expire_after_write_ms: Some(1_000), ..KEPT }));
    let mut join = join(&table);
    let mut out = Output::default();
    join.on_time(Time::Processing(10_000), &mut out).unwrap();
    join.on_batch(0, batch(vec![Some(1)]), &mut out).unwrap();
    let request = out.take_requests().pop().unwrap();
    join.on_reply(answered(request).await, &mut out).unwrap();
    assert_eq!(table.asked.load(Ordering::Relaxed), 3, "two failures, then the answer");
    join.on_batch(0, batch(vec![Some(1), Some(1)]), &mut out).unwrap();
    assert!(out.take_requests().is_empty(), "the cache knows");
    assert_eq!(Seen::take(&mut out).rows, ["1|1|0"; 3]);
    join.on_time(Time::Processing(11_000), &mut out).unwrap();
    join.on_batch(0, batch(vec![Some(1)]), &mut out).unwrap();
    assert_eq!(out.take_requests().len(), 1, "the time is over");
}

#[tokio::test]
async fn a_table_that_stays_away_fails_the_join() {
    let mut join = join(&table(3, None));
    let mut out = Output::default();
    join.on_batch(0, batch(vec![Some(1)]), &mut out).unwrap();
    let request = out.take_requests().pop().unwrap();
    let error = join.on_reply(answered(request).await, &mut out).unwrap_err();
    assert!(error.to_string().contains("the table is away"), "{error}");
}

#[tokio::test]
async fn what_waited_on_several_workers_waits_on_one() {
    let mut saved = vec![];
    for keys in [vec![Some(2), None], vec![Some(1)]] {
        let (mut join, mut out) = (join(&table(0, None)), Output::default());
        join.on_batch(0, batch(keys), &mut out).unwrap();
        saved.extend(join.save(0).unwrap());
    }
    assert_eq!(saved.len(), 2);
    let (mut resumed, mut out) = (join(&table(0, None)), Output::default());
    resumed.load(saved).unwrap();
    resumed.on_time(Time::Event(5), &mut out).unwrap();
    for request in out.take_requests() {
        resumed.on_reply(answered(request).await, &mut out).unwrap();
    }
    assert_eq!(Seen::take(&mut out).rows, ["2|2|0", "2|2|1", "null|null|null", "1|1|0"]);
}

/// Which of some keys are asked for, each in a batch of its own.
async fn asked(join: &mut LookupJoin, keys: &[i64]) -> Vec<i64> {
    let mut out = Output::default();
    let mut asked = vec![];
    for key in keys {
        join.on_batch(0, batch(vec![Some(*key)]), &mut out).unwrap();
        for request in out.take_requests() {
            asked.push(*key);
            join.on_reply(answered(request).await, &mut out).unwrap();
        }
    }
    asked
}

#[tokio::test]
async fn a_full_cache_keeps_the_keys_that_are_asked_for() {
    let mut join = join(&table(0, Some(KEPT)));
    assert_eq!(asked(&mut join, &[1, 2, 1, 3]).await, [1, 2, 3]);
    assert_eq!(asked(&mut join, &[1, 3, 2]).await, [2]);
    let mut none = self::join(&table(0, Some(LookupCache { missing: false, ..KEPT })));
    assert_eq!(asked(&mut none, &[0, 0, 1, 1]).await, [0, 0, 1]);
}

#[tokio::test]
async fn an_answer_that_is_asked_for_lives_on() {
    let cache = LookupCache { expire_after_access_ms: Some(1_000), ..KEPT };
    let both = LookupCache { expire_after_write_ms: Some(1_500), ..cache };
    for (cache, third) in [(cache, vec![2]), (both, vec![1, 2])] {
        let mut join = join(&table(0, Some(cache)));
        let mut out = Output::default();
        let mut at = |join: &mut LookupJoin, now| join.on_time(Time::Processing(now), &mut out);
        at(&mut join, 10_000).unwrap();
        assert_eq!(asked(&mut join, &[1, 2]).await, [1, 2]);
        at(&mut join, 10_900).unwrap();
        assert!(asked(&mut join, &[1]).await.is_empty());
        at(&mut join, 11_800).unwrap();
        assert_eq!(asked(&mut join, &[1, 2]).await, third);
    }
}
