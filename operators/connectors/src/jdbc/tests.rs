//! Against the PostgreSQL that `NOWCAST_POSTGRES` names (`postgresql://user@host:port/database`).

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use nowcast_engine::{
    Batch, ChangelogMode, Connectors, ErrorKind, Lookup, Position, Sink, SinkContext,
    SourceContext, SourceEvent,
};
use tokio_postgres::{Client, NoTls};

use super::*;
use crate::format::Cells;
use crate::registry::Registry;

/// A schema of its own for a test, on a real server.
struct Postgres {
    url: String,
    user: String,
    schema: String,
    judge: Client,
}

impl Postgres {
    /// With the tables that `ddl` makes.
    async fn new(test: &str, ddl: &str) -> Option<Self> {
        let Ok(given) = std::env::var("NOWCAST_POSTGRES") else {
            println!("skipped: NOWCAST_POSTGRES names no server");
            return None;
        };
        let (judge, connection) = tokio_postgres::connect(&given, NoTls).await.unwrap();
        tokio::spawn(connection);
        let schema = format!("nowcast_{test}_{}", std::process::id());
        let make = format!(
            "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path = {schema}; {ddl}"
        );
        judge.batch_execute(&make).await.unwrap();
        let (user, place) =
            given.strip_prefix("postgresql://").unwrap().split_once('@').expect("user@host");
        let url =
            format!("jdbc:postgresql://{place}?currentSchema={schema}&ApplicationName={schema}");
        Some(Self { url, user: user.into(), schema, judge })
    }

    fn table(&self, remote: &str, fields: Vec<Field>, options: &[(&str, &str)]) -> TableDefinition {
        let given = [
            ("connector", "jdbc"),
            ("url", &self.url),
            ("table-name", remote),
            ("username", &self.user),
        ];
        let all = given.iter().chain(options);
        let options: BTreeMap<_, _> = all.map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let schema = Arc::new(Schema::new(fields));
        let primary_key = vec![];
        TableDefinition {
            name: "t".into(),
            schema,
            metadata: vec![],
            primary_key,
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options,
        }
    }

    /// The first column of a query, as text.
    async fn column(&self, query: &str) -> Vec<String> {
        let rows = self.judge.query(query, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect()
    }

    async fn drop(self) {
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        self.judge.batch_execute(&drop).await.unwrap();
    }
}

fn registry() -> Registry {
    Registry::new(Environment::default())
}

async fn open_sink(table: &TableDefinition) -> Box<dyn Sink> {
    let context = SinkContext::alone("test");
    registry().sink(table).unwrap().open(context).await.unwrap()
}

fn context(worker: usize, workers: usize, positions: &[Position]) -> SourceContext {
    let positions = positions.to_vec();
    SourceContext { worker, workers, positions, rows_max: 3, idle_timeout: None }
}

/// All rows as lines of text, and the errors of those set aside; stops after `batches`.
async fn read(
    table: &TableDefinition,
    context: SourceContext,
    batches: usize,
) -> (Vec<String>, Vec<String>, Vec<Position>) {
    let mut source = registry().source(table).unwrap().open(context).await.unwrap();
    let (mut lines, mut errors, mut seen) = (vec![], vec![], 0);
    while seen < batches {
        match source.next().await.unwrap() {
            SourceEvent::Rows { rows, rejected, .. } => {
                seen += 1;
                errors.extend(rejected.into_iter().map(|letter| letter.error));
                let cells = rows.columns().iter().map(Cells::new);
                let cells: Vec<_> = cells.map(Result::unwrap).collect();
                for row in 0..rows.num_rows() {
                    let mut line = vec![];
                    for (at, cells) in cells.iter().enumerate() {
                        if at > 0 {
                            line.push(b'|');
                        }
                        cells.write_text(row, &crate::format::JsonOptions::default(), &mut line);
                    }
                    lines.push(String::from_utf8(line).unwrap());
                }
            }
            SourceEvent::End => break,
            _ => {}
        }
    }
    (lines, errors, source.positions())
}

fn every_type() -> Vec<Field> {
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    vec![
        Field::new("id", DataType::Int64, false),
        Field::new("flag", DataType::Boolean, true),
        Field::new("small", DataType::Int16, true),
        Field::new("real", DataType::Float32, true),
        Field::new("double", DataType::Float64, true),
        Field::new("price", DataType::Decimal128(10, 2), true),
        Field::new("name", DataType::Utf8, true),
        Field::new("bytes", DataType::Binary, true),
        Field::new("day", DataType::Date32, true),
        Field::new("time", DataType::Time32(TimeUnit::Millisecond), true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("zoned", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("list", DataType::List(item), true),
    ]
}

const EVERY_TYPE: &str = "CREATE TABLE every (id bigint PRIMARY KEY, flag boolean, small smallint, \
    real real, double double precision, price numeric(10, 2), name varchar(20), bytes bytea, day date, \
    time time(3), at timestamp, zoned timestamptz, list int[]); SET TimeZone = 'Asia/Tokyo';";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_is_read_and_written_as_postgresql_has_it() {
    let Some(postgres) = Postgres::new("types", EVERY_TYPE).await else { return };
    let insert = "INSERT INTO every VALUES \
        (1, true, -2, 1.5, 'Infinity', 12.30, 'ä \"x\"', '\\x0102', '1969-12-31', '01:02:03.004', \
         '2024-01-31 12:00:00.123456', '2024-01-31 12:00:00.5+09', '{1,null,3}'), \
        (2, null, null, null, null, null, null, null, null, null, null, null, null), \
        (3, false, 0, 0, 0, 0, '', '', 'infinity', '00:00', '1969-12-31', '1969-12-31', '{}')";
    postgres.judge.batch_execute(insert).await.unwrap();
    let table = postgres.table("every", every_type(), &[]);
    let (lines, errors, positions) = read(&table, context(0, 1, &[]), 9).await;
    let first = "1|true|-2|1.5|Infinity|12.30|ä \"x\"|AQI=|1969-12-31|01:02:03.004|\
                 2024-01-31 12:00:00.123456|2024-01-31 03:00:00.5Z|[1,null,3]";
    assert_eq!(lines, [first, "2||||||||||||"]);
    assert_eq!(errors, [r#"field "day": "infinity" is no DATE"#]);
    assert_eq!(positions, [Position { split: "every".into(), offset: 3 }]);

    // What was read is written as it was, the list left out.
    let mut fields = every_type();
    fields.pop();
    let read = postgres.table("every", fields, &[]);
    let factory = registry().source(&read).unwrap();
    let mut source = factory.open(context(0, 1, &[])).await.unwrap();
    let SourceEvent::Rows { rows, .. } = source.next().await.unwrap() else { panic!("no rows") };
    postgres.judge.batch_execute("CREATE TABLE copy (LIKE every INCLUDING ALL)").await.unwrap();
    let mut copy = read.clone();
    copy.options.insert("table-name".into(), "copy".into());
    let mut sink = open_sink(&copy).await;
    let mut rejected = vec![];
    sink.write(&Batch::new(rows), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(rejected, []);
    let same = "SELECT (to_jsonb(e) - 'list')::text FROM every e JOIN copy c \
                ON (to_jsonb(e) - 'list') = (to_jsonb(c) - 'list') ORDER BY e.id";
    assert_eq!(postgres.column(same).await.len(), 2);
    postgres.drop().await;
}

fn pairs(table: &TableDefinition, rows: &[(i64, Option<&str>, i64)]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>()),
    ];
    let weights = rows.iter().map(|row| Some(row.2)).collect();
    Batch::new(RecordBatch::try_new(Arc::clone(&table.schema), columns).unwrap())
        .with_weights(Some(weights))
}

fn id_and_name() -> Vec<Field> {
    vec![Field::new("id", DataType::Int64, true), Field::new("Name", DataType::Utf8, true)]
}

const ID_AND_NAME: &str = "CREATE TABLE named (id int PRIMARY KEY, name varchar(5));";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_with_a_key_is_upserted_and_deleted_from() {
    let Some(postgres) = Postgres::new("upsert", ID_AND_NAME).await else { return };
    // Names are folded as PostgreSQL folds them.
    let mut table = postgres.table("Named", id_and_name(), &[("sink.buffer-flush.max-rows", "3")]);
    table.primary_key = vec![0];
    assert_eq!(registry().sink(&table).unwrap().changelog_mode(), ChangelogMode::Upsert);
    let mut sink = open_sink(&table).await;
    let all = "SELECT id || ' ' || coalesce(name, 'null') FROM named ORDER BY id";
    let mut rejected = vec![];
    let rows = [
        (1, Some("a"), 1),
        (2, Some("b"), 1),
        (1, Some("a"), -1),
        (1, Some("A"), 1),
        (3, Some("c"), 1),
        (4, None, 1),
    ];
    sink.write(&pairs(&table, &rows), &mut rejected).await.unwrap();
    assert_eq!(postgres.column(all).await, ["1 A", "2 b", "3 c"]);
    sink.flush().await.unwrap();
    assert_eq!(postgres.column(all).await, ["1 A", "2 b", "3 c", "4 null"]);
    sink.write(&pairs(&table, &[(2, Some("b"), -1), (4, Some("d"), 1)]), &mut rejected)
        .await
        .unwrap();
    sink.flush().await.unwrap();
    assert_eq!(postgres.column(all).await, ["1 A", "3 c", "4 d"]);
    assert_eq!(rejected, []);
    // The server closes the connection: the sink connects again.
    let kill = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                WHERE application_name = current_schema()";
    assert_eq!(postgres.column(kill).await, ["true"]);
    sink.write(&pairs(&table, &[(5, Some("e"), 1), (5, Some("\0"), 1)]), &mut rejected)
        .await
        .unwrap();
    sink.flush().await.unwrap();
    assert_eq!(postgres.column(all).await, ["1 A", "3 c", "4 d", "5 e"]);
    assert_eq!(rejected.pop().unwrap().error, "column \"Name\": postgresql has no character 0");
    // A row that the table refuses is named, and nothing is cut off.
    sink.write(&pairs(&table, &[(6, Some("too long"), 1)]), &mut rejected).await.unwrap();
    let error = sink.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.to_string().ends_with("value too long for type character varying(5)"), "{error}");
    postgres.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_without_a_key_is_appended_to() {
    let ddl = "CREATE TABLE log (id int, name text); CREATE TABLE keys (id int PRIMARY KEY);";
    let Some(postgres) = Postgres::new("append", ddl).await else { return };
    let table = postgres.table("log", id_and_name(), &[]);
    assert_eq!(registry().sink(&table).unwrap().changelog_mode(), ChangelogMode::Append);
    let mut sink = open_sink(&table).await;
    let rows = [(1, Some("a"), 1), (1, Some("a"), 1), (2, None, 1)];
    sink.write(&pairs(&table, &rows), &mut vec![]).await.unwrap();
    sink.flush().await.unwrap();
    sink.flush().await.unwrap();
    let all = "SELECT id || ' ' || coalesce(name, 'null') FROM log ORDER BY id";
    assert_eq!(postgres.column(all).await, ["1 a", "1 a", "2 null"]);
    // A table of keys alone has nothing to update.
    let mut keys = postgres.table("keys", vec![id_and_name()[0].clone()], &[]);
    keys.primary_key = vec![0];
    let mut sink = open_sink(&keys).await;
    for _ in 0..2 {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let rows = RecordBatch::try_new(Arc::clone(&keys.schema), vec![ids]).unwrap();
        sink.write(&Batch::new(rows), &mut vec![]).await.unwrap();
        sink.flush().await.unwrap();
    }
    assert_eq!(postgres.column("SELECT id::text FROM keys").await, ["7"]);
    postgres.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_is_cut_into_ranges_and_goes_on_from_its_positions() {
    let ddl =
        "CREATE TABLE numbers AS SELECT n AS id, 'x' || n AS name FROM generate_series(-3, 20) n;";
    let Some(postgres) = Postgres::new("scan", ddl).await else { return };
    let options = [
        ("scan.partition.column", "id"),
        ("scan.partition.num", "3"),
        ("scan.partition.lower-bound", "0"),
        ("scan.partition.upper-bound", "10"),
        ("scan.fetch-size", "2"),
    ];
    let fields = vec![Field::new("id", DataType::Int64, true)];
    let table = postgres.table("numbers", fields.clone(), &options);
    let mut ids = vec![];
    for worker in 0..2 {
        let (lines, _, positions) = read(&table, context(worker, 2, &[]), 99).await;
        ids.extend(lines.iter().map(|line| line.parse::<i64>().unwrap()));
        let splits: Vec<_> = positions.iter().map(|at| (at.split.as_str(), at.offset)).collect();
        let expected = [&[("numbers/0..3", 4), ("numbers/8..10", 3)][..], &[("numbers/4..7", 4)]];
        assert_eq!(splits, expected[worker]);
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..=10).collect::<Vec<_>>());
    // Without ranges all rows are read, whatever the place where a read stopped.
    let table = postgres.table("numbers", fields, &[]);
    for batches in 0..4 {
        let (mut lines, _, positions) = read(&table, context(0, 1, &[]), batches).await;
        lines.extend(read(&table, context(0, 1, &positions), 99).await.0);
        let expected: Vec<_> = (-3..=20).map(|n: i64| n.to_string()).collect();
        assert_eq!(lines, expected, "{batches}");
    }
    postgres.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_named() {
    let Some(postgres) = Postgres::new("named", ID_AND_NAME).await else { return };
    let error = async |table: &TableDefinition| {
        let source = registry().source(table).unwrap().open(context(0, 1, &[])).await;
        source.err().expect("it cannot be opened")
    };
    let missing = error(&postgres.table("namde", id_and_name(), &[])).await;
    assert_eq!(missing.to_string(), "table \"t\": postgresql table namde does not exist");
    let other = vec![Field::new("nme", DataType::Utf8, true)];
    let column = error(&postgres.table("named", other, &[])).await.to_string();
    assert!(column.ends_with("has no column \"nme\"; did you mean \"name\"?"), "{column}");
    let mut away = postgres.table("named", id_and_name(), &[]);
    away.options.insert("url".into(), "jdbc:postgresql://127.0.0.1:1/db".into());
    let away = error(&away).await;
    assert_eq!(away.kind(), ErrorKind::Outside);
    assert!(away.to_string().contains("error connecting to server"), "{away}");
    postgres.drop().await;
}

#[test]
fn options_that_cannot_work_are_refused() {
    let refused = |options: &[(&str, &str)], fields: Vec<Field>| {
        let given = [("connector", "jdbc"), ("table-name", "x"), ("username", "u")];
        let all = given.iter().chain(options);
        let options = all.map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let schema = Arc::new(Schema::new(fields));
        let table = TableDefinition {
            name: "t".into(),
            schema,
            metadata: vec![],
            primary_key: vec![],
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options,
        };
        registry().sink(&table).err().expect("a refusal").to_string()
    };
    let url = ("url", "jdbc:postgresql://h/db");
    for (options, expected) in [
        (&[("url", "jdbc:mysql://h/db")][..], "PostgreSQL is what there is"),
        (&[("url", "jdbc:postgresql://h")], "the database is missing"),
        (
            &[("url", "jdbc:postgresql://h/db?password=secret&sslmode=always")],
            "\"sslmode\" is one of",
        ),
        (&[url, ("scan.partition.num", "2")], "come together"),
        (&[url, ("lookup.cash", "NONE")], "unknown option \"lookup.cash\""),
    ] {
        let error = refused(options, id_and_name());
        assert!(error.starts_with("table \"t\": ") && error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let nested = refused(&[url], vec![every_type().pop().unwrap()]);
    assert!(nested.contains("column \"list\": the jdbc connector writes no ARRAY"), "{nested}");
}

/// The rows that a look-up by some columns finds, as lines of text, in order.
async fn found(lookup: &dyn Lookup, keys: Vec<ArrayRef>) -> Vec<String> {
    let rows = lookup.lookup(keys).await.unwrap();
    let mut lines = vec![];
    let columns = rows.columns().iter().map(|column| Cells::new(column).unwrap());
    let columns: Vec<_> = columns.collect();
    for row in 0..rows.num_rows() {
        let texts = columns.iter().map(|cells| {
            let mut text = vec![];
            cells.write_text(row, &crate::format::JsonOptions::default(), &mut text);
            String::from_utf8(text).unwrap()
        });
        lines.push(texts.collect::<Vec<_>>().join("|"));
    }
    lines.sort();
    lines
}

fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_looked_up_by_keys_of_any_type() {
    let Some(postgres) = Postgres::new("lookup", EVERY_TYPE).await else { return };
    let insert = "INSERT INTO every (id, price, name, bytes, day, zoned) VALUES \
        (1, 12.30, 'a', '\\x01', '2024-01-31', '2024-01-31 12:00:00Z'), \
        (2, 12.30, 'b', '\\x02', '2024-01-31', '2024-01-31 12:00:00Z'), \
        (3, 1, 'a', null, null, null)";
    postgres.judge.batch_execute(insert).await.unwrap();
    let mut fields = every_type();
    fields.pop();
    let by = |names: &[&str]| {
        let keep = ["id", "price", "name", "bytes", "day", "zoned"];
        let fields = fields.iter().filter(|field| keep.contains(&field.name().as_str()));
        let table = postgres.table("every", fields.cloned().collect(), &[]);
        let keys: Vec<usize> =
            names.iter().map(|name| table.schema.index_of(name).unwrap()).collect();
        registry().lookup(&table, &keys).unwrap()
    };
    let all = [
        "1|12.30|a|AQ==|2024-01-31|2024-01-31 12:00:00Z",
        "2|12.30|b|Ag==|2024-01-31|2024-01-31 12:00:00Z",
        "3|1.00|a|||",
    ];
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), Some(7), None, Some(1), Some(1)]));
    assert_eq!(found(by(&["id"]).as_ref(), vec![ids]).await, [all[0], all[2]]);
    let names = texts(&[Some("a"), Some("\0"), Some("'; DROP TABLE every; --")]);
    assert_eq!(found(by(&["name"]).as_ref(), vec![names]).await, [all[0], all[2]]);
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let both = vec![texts(&[Some("b"), Some("b"), None]), ids];
    assert_eq!(found(by(&["name", "id"]).as_ref(), both).await, [all[1]]);
    // What was found is a key again, whatever its type.
    let one = by(&["id"]).lookup(vec![Arc::new(Int64Array::from(vec![2]))]).await.unwrap();
    for (name, wanted) in
        [("price", &all[..2]), ("bytes", &all[1..2]), ("day", &all[..2]), ("zoned", &all[..2])]
    {
        let key = one.column_by_name(name).unwrap().clone();
        assert_eq!(found(by(&[name]).as_ref(), vec![key]).await, wanted, "{name}");
    }
    assert_eq!(found(by(&["id"]).as_ref(), vec![one.column(0).slice(0, 0)]).await, [""; 0]);
    // A column there may be narrower than ours, and times without a zone are UTC.
    let narrow = "CREATE TABLE narrow (small smallint, fixed char(4), at timestamptz); \
        INSERT INTO narrow VALUES (7, 'ab', '2024-01-31 12:00:00Z')";
    postgres.judge.batch_execute(narrow).await.unwrap();
    let at = DataType::Timestamp(TimeUnit::Millisecond, None);
    let fields = [("small", DataType::Int64), ("fixed", DataType::Utf8), ("at", at)];
    let fields = fields.map(|(name, ty)| Field::new(name, ty, true)).to_vec();
    let table = postgres.table("narrow", fields, &[]);
    let wanted = ["7|ab|2024-01-31 12:00:00"];
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7, 70_000, i64::MAX]));
    let small = registry().lookup(&table, &[0]).unwrap();
    assert_eq!(found(small.as_ref(), vec![numbers]).await, wanted);
    let row = small.lookup(vec![Arc::new(Int64Array::from(vec![7]))]).await.unwrap();
    for at in [1, 2] {
        let by = registry().lookup(&table, &[at]).unwrap();
        assert_eq!(found(by.as_ref(), vec![row.column(at).clone()]).await, wanted, "{at}");
    }
    postgres.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_up_connects_again() {
    let Some(postgres) = Postgres::new("again", ID_AND_NAME).await else { return };
    postgres.judge.batch_execute("INSERT INTO named VALUES (1, 'a')").await.unwrap();
    let options = [("lookup.cache", "PARTIAL"), ("lookup.partial-cache.max-rows", "7")];
    let table = postgres.table("named", id_and_name(), &options);
    let lookup = registry().lookup(&table, &[0]).unwrap();
    assert_eq!(lookup.options().cache.unwrap().keys_max, 7);
    let ask = || vec![Arc::new(Int64Array::from(vec![1])) as ArrayRef];
    assert_eq!(found(lookup.as_ref(), ask()).await, ["1|a"]);
    let kill = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                WHERE application_name = current_schema()";
    assert_eq!(postgres.column(kill).await, ["true"]);
    assert_eq!(found(lookup.as_ref(), ask()).await, ["1|a"]);
    let once = postgres.table("named", id_and_name(), &[("lookup.max-retries", "0")]);
    let once = registry().lookup(&once, &[0]).unwrap();
    postgres.judge.batch_execute("DROP TABLE named").await.unwrap();
    let error = once.lookup(ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.to_string().ends_with("postgresql table named does not exist"), "{error}");
    postgres.drop().await;
}
