//! What operators say has changed since a checkpoint, against all they hold: through checkpoints that
//! come to nothing, restarts, and a clock by which keys are forgotten.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use common::*;
use nowcast_engine::aside::Discard;
use nowcast_engine::checkpoint::{Checkpoints, SavedState, StageTables, WorkerState, Writer};
use nowcast_engine::testing::world;
use nowcast_engine::{Batch, Evaluate, Operator, Output, StateTable, Time};
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const KEYS: i64 = 300;
const TTL: Option<i64> = Some(2_000);

fn fields() -> Vec<(&'static str, DataType)> {
    vec![("k", DataType::Int64), ("v", DataType::Int64), ("t", MS)]
}

fn batch(rows: &[(i64, i64, i64)], weight: i64) -> Batch {
    let column = |of: fn(&(i64, i64, i64)) -> i64| {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let clock = times(rows.iter().map(|(_, _, time)| Some(*time)).collect());
    let columns = vec![column(|row| row.0), column(|row| row.1), clock];
    let rows = RecordBatch::try_new(schema(&fields()), columns).unwrap();
    let weights = Int64Array::from_value(weight, rows.num_rows());
    Batch::new(rows).with_weights((weight != 1).then_some(weights))
}

/// An operator under test.
struct Case {
    name: &'static str,
    make: Box<dyn Fn() -> Box<dyn Operator>>,
    ports: usize,
    /// Whether rows are taken back.
    retracts: bool,
    /// Whether the order of rows of a key is part of the state.
    ordered: bool,
    /// Times of rows are multiples of it.
    step_ms: i64,
}

/// A row with the values of its lists in order.
fn sorted_lists(row: &str) -> String {
    let cell = |cell: &str| match cell.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        Some(list) => {
            let mut values: Vec<&str> = list.split(", ").collect();
            values.sort_unstable();
            format!("[{}]", values.join(", "))
        }
        None => cell.to_owned(),
    };
    row.split('|').map(cell).collect::<Vec<_>>().join("|")
}

/// All rows of state as text, by table. Keys have no order among them, nor have distinct values where
/// rows come alone.
fn state(case: &Case, operator: &mut dyn Operator) -> BTreeMap<String, Vec<String>> {
    let mut state: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for table in operator.save(0).unwrap() {
        let key = ["key_0", "column_0"]
            .iter()
            .find_map(|name| table.rows.schema().index_of(name).ok())
            .unwrap();
        let rows = state.entry(table.name).or_default();
        rows.extend(text(&table.rows));
        if !case.retracts {
            rows.iter_mut().for_each(|row| *row = sorted_lists(row));
        }
        match case.ordered {
            true => rows.sort_by_key(|row| row.split('|').nth(key).unwrap().to_owned()),
            false => rows.sort(),
        }
    }
    state
}

/// Rows that come and, where they are taken back, go again.
struct Rows {
    random: ChaCha8Rng,
    standing: Vec<(usize, (i64, i64, i64))>,
    time: i64,
}

impl Rows {
    fn feed(&mut self, case: &Case, operator: &mut dyn Operator, rows: usize) {
        let mut out = Output::default();
        for _ in 0..rows {
            self.time += 1;
            let gone = case.retracts && !self.standing.is_empty() && self.random.random_bool(0.3);
            let (port, row, weight) = if gone {
                let nth = self.random.random_range(0..self.standing.len());
                let (port, row) = self.standing.swap_remove(nth);
                (port, row, -1)
            } else {
                let key = self.random.random_range(0..KEYS);
                let time = (self.time + case.step_ms - 1) / case.step_ms * case.step_ms;
                let row = (key, self.random.random_range(0..50), time);
                let port = self.random.random_range(0..case.ports);
                self.standing.push((port, row));
                (port, row, 1)
            };
            operator.on_batch(port, batch(&[row], weight), &mut out).unwrap();
        }
        operator.on_time(Time::Event(self.time - 40), &mut out).unwrap();
        operator.on_time(Time::Processing(self.time), &mut out).unwrap();
    }
}

async fn follow(case: &Case, seed: u64) -> usize {
    let store = world(Arc::new(Discard)).store.unwrap();
    let checkpoints = Checkpoints::new(store, "job");
    let random = ChaCha8Rng::seed_from_u64(seed);
    let mut rows = Rows { random, standing: vec![], time: 0 };
    let mut operator = (case.make)();
    let (mut since, mut told) = (None, 0);
    rows.feed(case, operator.as_mut(), 600);
    for epoch in 1..40 {
        let some = rows.random.random_range(0..60);
        rows.feed(case, operator.as_mut(), some);
        let changes = operator.changes(epoch, since).unwrap();
        let saved = match changes {
            Some(tables) => {
                told += 1;
                SavedState::Changes { since: since.unwrap(), tables }
            }
            None => SavedState::All(pieces(operator.save(0).unwrap(), 50)),
        };
        if rows.random.random_bool(0.2) {
            continue; // it comes to nothing
        }
        let stage = StageTables { name: case.name.into(), worker: 0, watermark: 0, state: saved };
        let states = vec![WorkerState { sources: vec![], stages: vec![stage] }];
        let of = (Default::default(), since.unwrap_or(0));
        checkpoints.write(&Writer::default(), epoch, 1, false, of, states).await.unwrap();
        since = Some(epoch);
        let mut again = (case.make)();
        let tables = checkpoints.read(epoch).await.unwrap().tables(case.name, 0, 1).await.unwrap();
        load(again.as_mut(), tables);
        let (held, restored) = (state(case, operator.as_mut()), state(case, again.as_mut()));
        assert_eq!(restored, held, "{} of seed {seed} at {epoch}", case.name);
        if rows.random.random_bool(0.2) {
            let mut out = Output::default();
            again.on_time(Time::Event(rows.time - 40), &mut out).unwrap();
            again.on_time(Time::Processing(rows.time), &mut out).unwrap();
            operator = again;
        }
    }
    let (bytes, least) = (operator.state_bytes().unwrap(), state(case, operator.as_mut()));
    let least: usize = least.values().flatten().map(String::len).sum();
    assert!(bytes > least / 3, "{}: {bytes} bytes for {least} of text", case.name);
    told
}

/// In pieces of a few rows, where the operator takes them.
fn load(operator: &mut dyn Operator, tables: Vec<StateTable>) {
    if tables.is_empty() {
        return;
    }
    if !operator.loads_pieces() {
        return operator.load(tables).unwrap();
    }
    for piece in pieces(tables, 7) {
        operator.load(vec![piece]).unwrap();
    }
}

fn pieces(tables: Vec<StateTable>, most: usize) -> Vec<StateTable> {
    let pieces = |StateTable { name, rows }: StateTable| {
        (0..rows.num_rows()).step_by(most).map(move |first| StateTable {
            name: name.clone(),
            rows: rows.slice(first, most.min(rows.num_rows() - first)),
        })
    };
    tables.into_iter().flat_map(pieces).collect()
}

fn call(function: AggregateFunction, output: DataType) -> AggregateCall {
    AggregateCall { function, args: vec![1], distinct: false, filter: None, output }
}

fn aggregates(retracts: bool) -> Box<dyn Operator> {
    let aggregates = vec![
        call(AggregateFunction::Count, DataType::Int64),
        call(AggregateFunction::Sum, DataType::Int64),
        call(AggregateFunction::Max, DataType::Int64),
        AggregateCall { distinct: true, ..call(AggregateFunction::Count, DataType::Int64) },
    ];
    let output = ["k", "n", "sum", "max", "distinct"].map(|name| (name, DataType::Int64));
    let spec = GroupAggregateSpec {
        keys: vec![0],
        aggregates,
        retracts,
        ttl_ms: TTL,
        input_schema: schema(&fields()),
        schema: schema(&output),
    };
    Box::new(GroupAggregate::new(spec).unwrap())
}

fn windows(kind: WindowKind) -> Box<dyn Operator> {
    let aggregates = vec![
        call(AggregateFunction::Sum, DataType::Int64),
        AggregateCall { distinct: true, ..call(AggregateFunction::Count, DataType::Int64) },
    ];
    let mut output = ["k", "sum", "distinct"].map(|name| (name, DataType::Int64)).to_vec();
    output.extend(["window_start", "window_end", "window_time"].map(|name| (name, MS)));
    let spec = WindowAggregateSpec {
        window: Window { kind, offset_ms: 0 },
        clock: WindowClock::EVENT_TIME,
        time: 2,
        keys: vec![0],
        aggregates,
        input_schema: schema(&fields()),
        schema: schema(&output),
    };
    Box::new(WindowAggregate::new(spec).unwrap())
}

fn rank(retracts: bool) -> Box<dyn Operator> {
    let spec = RankSpec {
        partition: vec![0],
        order: vec![SortKey { column: 1, descending: true, nulls_first: false }],
        ties: Ties::EarlierFirst,
        first: 1,
        last: 3,
        numbered: false,
        retracts,
        ttl_ms: TTL,
        kept: 3,
        input_schema: schema(&fields()),
        schema: schema(&fields()),
    };
    Box::new(Rank::new(spec).unwrap())
}

fn first_row(time: Option<usize>) -> Box<dyn Operator> {
    let spec = FirstRowSpec {
        keys: vec![0],
        time,
        ttl_ms: TTL,
        kept: 3,
        input_schema: schema(&fields()),
        schema: schema(&fields()),
    };
    Box::new(FirstRow::new(spec).unwrap())
}

fn upserts(written: Written) -> Box<dyn Operator> {
    let spec = UpsertMaterializeSpec {
        keys: vec![0],
        written,
        table: "t".into(),
        ttl_ms: TTL,
        schema: schema(&fields()),
    };
    Box::new(UpsertMaterialize::new(spec).unwrap())
}

fn normalize() -> Box<dyn Operator> {
    let spec = ChangelogNormalizeSpec { keys: vec![0], ttl_ms: TTL, schema: schema(&fields()) };
    Box::new(ChangelogNormalize::new(spec).unwrap())
}

fn join_spec(kind: JoinKind) -> JoinSpec {
    let mut output = fields();
    output.extend([("k2", DataType::Int64), ("v2", DataType::Int64), ("t2", MS)]);
    JoinSpec {
        kind,
        null_safe: vec![false],
        left_keys: vec![0],
        right_keys: vec![0],
        condition: None,
        left: schema(&fields()),
        right: schema(&fields()),
        schema: schema(&output),
    }
}

fn set_all() -> Box<dyn Operator> {
    let spec = SetAllSpec { kind: SetKind::Intersect, ttl_ms: TTL, schema: schema(&fields()) };
    Box::new(SetAll::new(spec).unwrap())
}

fn sessions() -> Box<dyn Operator> {
    let aggregates = vec![
        call(AggregateFunction::Sum, DataType::Int64),
        AggregateCall { distinct: true, ..call(AggregateFunction::Count, DataType::Int64) },
    ];
    let mut output = ["k", "sum", "distinct"].map(|name| (name, DataType::Int64)).to_vec();
    output.extend(["window_start", "window_end", "window_time"].map(|name| (name, MS)));
    let spec = SessionAggregateSpec {
        gap_ms: 100,
        clock: WindowClock::EVENT_TIME,
        time: 2,
        keys: vec![0],
        aggregates,
        input_schema: schema(&fields()),
        schema: schema(&output),
    };
    Box::new(SessionAggregate::new(spec).unwrap())
}

fn temporal(newest: bool) -> Box<dyn Operator> {
    let spec = TemporalJoinSpec { join: join_spec(JoinKind::Left), times: [2, 2], newest };
    Box::new(TemporalJoin::new(spec).unwrap())
}

/// Rows of a window are those of one time.
fn window_join() -> Box<dyn Operator> {
    let spec = WindowJoinSpec {
        join: join_spec(JoinKind::Full),
        clock: WindowClock::EVENT_TIME,
        window_ends: [2, 2],
    };
    Box::new(WindowJoin::new(spec).unwrap())
}

fn sorted_over() -> Box<dyn Operator> {
    let mut output = fields();
    output.extend(["sum", "rank"].map(|name| (name, DataType::Int64)));
    let sum = call(AggregateFunction::Sum, DataType::Int64);
    let spec = SortedOverSpec {
        partition: vec![0],
        order: vec![SortKey { column: 1, descending: false, nulls_first: true }],
        up_to: UpTo::Row,
        functions: vec![SortedFunction::Aggregate(sum), SortedFunction::Rank],
        ttl_ms: TTL,
        input_schema: schema(&fields()),
        schema: schema(&output),
    };
    Box::new(SortedOver::new(spec).unwrap())
}

fn over(order: OverOrder, frame: Frame, lag: bool) -> Box<dyn Operator> {
    let sum = call(AggregateFunction::Sum, DataType::Int64);
    let mut functions = vec![OverFunction::Aggregate(sum)];
    let mut output = fields();
    output.push(("sum", DataType::Int64));
    if lag {
        functions.insert(0, OverFunction::Lag { arg: 1, offset: 2 });
        output.push(("lag", DataType::Int64));
    }
    let spec = OverSpec {
        order,
        partition: vec![0],
        frame,
        functions,
        ttl_ms: TTL,
        input_schema: schema(&fields()),
        schema: schema(&output),
    };
    Box::new(Over::new(spec).unwrap())
}

/// Whether a value is less than this.
struct Below(i64);

impl Evaluate for Below {
    fn evaluate(&self, rows: &RecordBatch) -> nowcast_engine::Result<ArrayRef> {
        let values = rows.column(0).as_primitive::<Int64Type>();
        let below = values.iter().map(|value| value.map(|value| value < self.0));
        Ok(Arc::new(below.collect::<BooleanArray>()))
    }
}

/// `PATTERN (A+ B)`: A is any row, B one of a low value.
fn matching() -> Box<dyn Operator> {
    let many = Quantifier { least: 1, most: None, greedy: true };
    let low = Condition {
        columns: vec![1],
        references: vec![],
        schema: schema(&[("v", DataType::Int64)]),
        condition: Arc::new(Below(10)),
    };
    let spec = MatchRecognizeSpec {
        clock: MatchClock::EventTime,
        time: 2,
        order: vec![],
        partition: vec![0],
        quantifiers: vec![many, Quantifier::ONCE],
        conditions: vec![None, Some(low)],
        within_ms: Some(500),
        skip: Skip::PastLastRow,
        measures: vec![Reference::Time],
        input_schema: schema(&fields()),
        schema: schema(&[("time", MS)]),
    };
    Box::new(MatchRecognize::new(spec).unwrap())
}

fn cases() -> Vec<Case> {
    let case = |name, make: fn() -> Box<dyn Operator>, ports, retracts, ordered| Case {
        name,
        make: Box::new(make),
        ports,
        retracts,
        ordered,
        step_ms: 1,
    };
    vec![
        case("group by", || aggregates(false), 1, false, true),
        case("group by of changes", || aggregates(true), 1, true, true),
        case("windows", || windows(WindowKind::Tumble { size_ms: 700 }), 1, false, true),
        case(
            "windows that grow",
            || windows(WindowKind::Cumulate { max_ms: 900, step_ms: 300 }),
            1,
            false,
            true,
        ),
        case(
            "windows of some slices",
            || windows(WindowKind::Hop { size_ms: 900, slide_ms: 300 }),
            1,
            false,
            true,
        ),
        case(
            "windows under late rows",
            || windows(WindowKind::Tumble { size_ms: 3 }),
            1,
            false,
            true,
        ),
        case(
            "windows of many slices",
            || windows(WindowKind::Hop { size_ms: 900, slide_ms: 100 }),
            1,
            false,
            true,
        ),
        case("sessions", sessions, 1, false, true),
        Case { step_ms: 30, ..case("window join", window_join, 2, false, false) },
        Case { step_ms: 5, ..case("window join of many windows", window_join, 2, false, false) },
        case("over sorted rows", sorted_over, 1, true, true),
        case(
            "over all rows",
            || over(OverOrder::EventTime(2), Frame::Rows { preceding: None }, true),
            1,
            false,
            true,
        ),
        case(
            "over the last rows",
            || over(OverOrder::EventTime(2), Frame::Rows { preceding: Some(2) }, false),
            1,
            false,
            true,
        ),
        case(
            "over a stretch of time",
            || over(OverOrder::EventTime(2), Frame::Range { preceding_ms: Some(300) }, false),
            1,
            false,
            true,
        ),
        case(
            "over rows by arrival",
            || over(OverOrder::ProcessingTime, Frame::Rows { preceding: Some(2) }, true),
            1,
            false,
            true,
        ),
        case("pattern", matching, 1, false, true),
        case("temporal join", || temporal(false), 2, false, false),
        case("temporal join of the newest", || temporal(true), 2, false, false),
        case("top n", || rank(false), 1, false, true),
        case("top n of changes", || rank(true), 1, true, true),
        case("first row", || first_row(None), 1, false, true),
        case("first row by event time", || first_row(Some(2)), 1, false, true),
        case("last row of a key", normalize, 1, true, true),
        case("rows of a key", || upserts(Written::Last), 1, true, true),
        case(
            "join",
            || Box::new(Join::new(join_spec(JoinKind::Full), TTL).unwrap()),
            2,
            true,
            false,
        ),
        case("intersect all", set_all, 2, true, false),
    ]
}

#[tokio::test]
async fn changes_make_of_a_checkpoint_what_is_held() {
    for case in cases() {
        let mut told = 0;
        for seed in 0..2 {
            told += follow(&case, seed).await;
        }
        // As many slices and windows as there mostly are lie in one table.
        let least = if case.name.contains("many") { 2 } else { 15 };
        assert!(told > least, "{}: {told} of some 75 checkpoints were of changes", case.name);
    }
}

/// A column of texts has room for 2 GiB: no table may be one batch however large it is.
#[test]
fn much_state_is_saved_in_pieces() {
    const ROWS: i64 = 450_000;
    for case in cases().iter().filter(|case| ["over all rows", "pattern"].contains(&case.name)) {
        let mut operator = (case.make)();
        let rows: Vec<_> = (0..ROWS).map(|row| (row / 2, 20, row)).collect();
        let mut out = Output::default();
        operator.on_batch(0, batch(&rows, 1), &mut out).unwrap();
        operator.on_time(Time::Event(ROWS / 5), &mut out).unwrap();
        let saved = operator.save(0).unwrap();
        let mut names: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for table in &saved {
            names.entry(&table.name).or_default().push(table.rows.num_rows());
        }
        for (name, pieces) in &names {
            assert!(pieces.len() > 1, "{} of {}: {pieces:?}", name, case.name);
        }
        let pieces = saved.chunk_by(|a, b| a.name == b.name).count();
        assert_eq!(pieces, names.len(), "{}: pieces of a table lie together", case.name);
        let held = state(case, operator.as_mut());
        let mut again = (case.make)();
        again.load(saved).unwrap();
        assert!(state(case, again.as_mut()) == held, "{}", case.name);
    }
}
