//! Rows that cannot be processed: kept, passed over, the end of the job; read and sent again.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{
    embedded_broker, fail, finish, fresh_topic, nowcast, produce, succeed, written_lines,
};
use serde_json::Value;

/// A folder with a SQL file, its data and its output.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(common::folder())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Runs SQL in which `$NAME` is the path of that name in the folder.
    fn run(&self, sql: &str) -> Command {
        let file = self.path("job.sql");
        let sql = sql.replace('$', &format!("{}/", self.0.path().display()));
        std::fs::write(&file, sql).unwrap();
        let mut run = nowcast();
        run.arg("run").arg(file).args(["--no-http", "--workers", "1", "--data-dir"]);
        run.arg(self.data());
        run
    }

    fn dlq(&self, args: &[&str]) -> Command {
        let mut dlq = nowcast();
        dlq.arg("dlq").args(args).arg("--data-dir").arg(self.data());
        dlq
    }

    /// What `dlq show --json` says.
    fn shown(&self, args: &[&str]) -> Vec<Value> {
        let shown = succeed(self.dlq(&["show", "--json"]).args(args));
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The dead letters in the file of a job.
    fn letters(&self, job: &str) -> Vec<Value> {
        let file = self.data().join("aside").join(format!("{job}.dead_letters.jsonl"));
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What a command says on its way to success.
fn says(command: &mut Command) -> String {
    let output = finish(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

fn ids(folder: &Path) -> Vec<i64> {
    let ids = written_lines(folder);
    let id = |line: &String| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap();
    let mut ids: Vec<i64> = ids.iter().map(id).collect();
    ids.sort_unstable();
    ids
}

const ORDERS: &str = "{\"id\":1,\"amount\":\"5\"}
{\"id\":\"two\",\"amount\":\"5\"}
{\"id\":3,\"amount\":\"much\"}
{\"id\":4,\"amount\":\"7\"}
";

/// `settings`, then a job `orders` whose source has `options`: its second message cannot be read, and the
/// amount of its third is no number.
fn orders(settings: &str, options: &str) -> String {
    format!(
        "SET 'pipeline.name' = 'orders'; {settings}
         CREATE TABLE orders (id BIGINT, amount STRING)
         WITH ('connector' = 'filesystem', 'path' = '$orders.json', 'format' = 'json'{options});
         CREATE TABLE amounts (id BIGINT, amount INT)
         WITH ('connector' = 'filesystem', 'path' = '$out', 'format' = 'json');
         INSERT INTO amounts SELECT id, CAST(amount AS INT) FROM orders;"
    )
}

fn bench_of_orders() -> Bench {
    let bench = Bench::new();
    std::fs::write(bench.path("orders.json"), ORDERS).unwrap();
    bench
}

#[test]
fn by_default_failures_are_kept_and_said_at_the_end() {
    let bench = bench_of_orders();
    let said = says(&mut bench.run(&orders("", "")));
    assert!(said.contains("1 rows of `orders` are dead letters"), "{said}");
    assert!(said.contains("nowcast dlq show orders"), "{said}");
    assert_eq!(ids(&bench.path("out")), [1, 4]);
    let stages: Vec<Value> = bench.letters("orders").iter().map(|it| it["stage"].clone()).collect();
    assert_eq!(stages, ["orders", "amounts/Calc"]);
}

#[test]
fn a_table_that_fails_names_the_message() {
    let bench = bench_of_orders();
    let file = bench.path("orders.json").display().to_string();
    fail(
        &mut bench.run(&orders("", ", 'on-error' = 'fail'")),
        &["job orders: table `orders`", &file, "offset 1", "field \"id\": \"two\" is no BIGINT"],
    );
    assert!(bench.letters("orders").is_empty());
}

#[test]
fn a_job_that_fails_names_the_row_of_an_operator() {
    let bench = bench_of_orders();
    // The table's own word wins over that of the job.
    let sql = orders("SET 'execution.on-error' = 'fail';", ", 'on-error' = 'skip'");
    fail(&mut bench.run(&sql), &["operator `amounts/Calc`", "row {\"id\":3,\"amount\":\"much\"}"]);
}

#[test]
fn rows_passed_over_are_counted_and_not_kept() {
    let bench = bench_of_orders();
    let said = says(&mut bench.run(&orders("SET 'execution.on-error' = 'skip';", "")));
    for stage in ["orders", "amounts/Calc"] {
        let words = format!("job orders: 1 rows of `{stage}` passed over");
        assert!(said.contains(&words), "{said}");
    }
    assert_eq!(ids(&bench.path("out")), [1, 4]);
    assert!(bench.letters("orders").is_empty());
}

#[test]
fn what_a_sink_cannot_write_follows_its_table() {
    let bench = bench_of_orders();
    let broker = embedded_broker(&bench.path("broker"));
    let sql = |on_error: &str, topic: &str| {
        format!(
            "SET 'pipeline.name' = 'wide';
             CREATE TABLE orders (id INT) WITH (
               'connector' = 'datagen', 'number-of-rows' = '3',
               'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '3');
             CREATE TABLE texts (text STRING) WITH (
               'connector' = 'kafka', 'topic' = '{topic}', 'format' = 'raw',
               'properties.bootstrap.servers' = '{}', 'properties.message.max.bytes' = '1000'{on_error});
             INSERT INTO texts SELECT REPEAT('x', id * 400) FROM orders;",
            broker.address
        )
    };
    let topic = |name: &str| {
        let topic = fresh_topic(name);
        produce(&broker.address, &topic, 1, &[]);
        topic
    };
    fail(&mut bench.run(&sql(", 'on-error' = 'fail'", &topic("fail"))), &["table `texts`: row {"]);
    let kept = topic("kept");
    says(bench.run(&sql("", &kept)).arg("--fresh"));
    assert_eq!(common::messages(&broker.address, &kept).len(), 2);
    let letters = bench.letters("wide");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["stage"], "texts");
    let skipped = topic("skipped");
    let said = says(bench.run(&sql(", 'on-error' = 'skip'", &skipped)).arg("--fresh"));
    assert!(said.contains("1 rows of `texts` passed over"), "{said}");
    assert_eq!(bench.letters("wide").len(), 1);
}

#[test]
fn what_is_asked_of_errors_is_refused_where_it_is_not_known() {
    let bench = bench_of_orders();
    for (settings, options, words) in [
        ("", ",\n'on-error' = 'fial'", ["line 4, column 1", "'dead-letter', 'fail' or 'skip'"]),
        ("SET 'execution.on-error' = 'stop';", "", ["line 1", "'dead-letter', 'fail' or 'skip'"]),
        ("SET 'execution.error-rate.max' = '5';", "", ["line 1", "such as '5%'"]),
        ("SET 'execution.error-rate.rows' = '0';", "", ["line 1", "no number of rows"]),
        ("SET 'execution.error-rate.row' = '9';", "", ["line 1", "'execution.error-rate.rows'"]),
    ] {
        fail(&mut bench.run(&orders(settings, options)), &words);
    }
}

/// Every tenth message of 3,000 is bad from the 1,000th on.
fn bench_of_a_schema_change() -> Bench {
    let bench = Bench::new();
    let line = |id: usize| match id >= 1_000 && id.is_multiple_of(10) {
        true => format!("{{\"id\":\"no {id}\",\"amount\":\"1\"}}\n"),
        false => format!("{{\"id\":{id},\"amount\":\"1\"}}\n"),
    };
    let lines: String = (0..3_000).map(line).collect();
    std::fs::write(bench.path("orders.json"), lines).unwrap();
    bench
}

#[test]
fn too_many_failures_end_the_job_and_lose_nothing() {
    let bench = bench_of_a_schema_change();
    let breaker = "SET 'execution.error-rate.max' = '5%'; SET 'execution.error-rate.rows' = '500';";
    let run = |settings: &str| {
        let mut run = bench.run(&orders(settings, ""));
        run.args(["--rows-max", "50", "--checkpoint-interval", "1ms"]);
        run
    };
    for _ in 0..2 {
        fail(
            &mut run(breaker),
            &["table `orders`: ", "of the last ", "and 5 % may; the last one: field \"id\""],
        );
    }
    // Without it the job goes on from its last checkpoint to the end.
    says(&mut run(""));
    let good: Vec<i64> = (0..3_000).filter(|id| *id < 1_000 || id % 10 != 0).collect();
    assert_eq!(ids(&bench.path("out")), good);
    let mut offsets: Vec<i64> =
        bench.letters("orders").iter().map(|letter| letter["offset"].as_i64().unwrap()).collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets, (1_000..3_000).step_by(10).collect::<Vec<i64>>());
}

#[test]
fn few_failures_are_no_trouble() {
    let bench = bench_of_a_schema_change();
    says(&mut bench.run(&orders("SET 'execution.error-rate.max' = '11%';", "")));
    assert_eq!(ids(&bench.path("out")).len(), 2_800);
}

#[test]
fn a_file_of_dead_letters_is_a_table() {
    let bench = bench_of_orders();
    says(&mut bench.run(&orders("", "")));
    let sql = "CREATE TABLE letters (
           stage STRING, topic STRING, `partition` INT, `offset` BIGINT, `timestamp` BIGINT,
           error STRING, raw STRING, `at` BIGINT
         ) WITH ('connector' = 'filesystem', 'path' = '$data/aside/orders.dead_letters.jsonl',
                 'format' = 'json');
         CREATE TABLE reasons (stage STRING, id STRING, error STRING, `offset` BIGINT)
         WITH ('connector' = 'filesystem', 'path' = '$reasons', 'format' = 'json');
         INSERT INTO reasons
         SELECT stage, JSON_VALUE(raw, '$.id'), error, `offset` FROM letters WHERE `at` > 0;";
    // The path into JSON is no path of the folder.
    let sql = sql.replace("'$.id'", "'\u{1}.id'");
    let file = bench.path("letters.sql");
    let sql = sql.replace('$', &format!("{}/", bench.0.path().display())).replace('\u{1}', "$");
    std::fs::write(&file, sql).unwrap();
    succeed(nowcast().arg("run").arg(file).args(["--no-http", "--data-dir"]).arg(bench.path("d2")));
    let mut lines = written_lines(&bench.path("reasons"));
    lines.sort();
    assert_eq!(
        lines,
        [
            "{\"stage\":\"amounts/Calc\",\"id\":\"3\",\"error\":\"'much' is no INT\",\"offset\":null}",
            "{\"stage\":\"orders\",\"id\":\"two\",\"error\":\"field \\\"id\\\": \\\"two\\\" is no BIGINT\",\"offset\":1}",
        ]
    );
}

#[test]
fn dead_letters_are_listed_and_shown() {
    let bench = bench_of_orders();
    fail(&mut bench.dlq(&["show", "orders"]), &["job orders: no dead letters in"]);
    assert_eq!(succeed(&mut bench.dlq(&["list"])).trim(), "no dead letters");
    says(&mut bench.run(&orders("", "")));
    let listed = succeed(&mut bench.dlq(&["list"]));
    for words in [
        "orders | 1       | 0 ",
        "| orders       | field \"id\": \"…\" is no BIGINT",
        "| '…' is no INT",
    ] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    let shown = succeed(&mut bench.dlq(&["show", "orders", "--stage", "orders"]));
    let place =
        format!("orders: topic {}, offset 1; set aside 2", bench.path("orders.json").display());
    assert!(shown.starts_with(&place), "{shown}");
    assert!(shown.contains("    {\n      \"amount\": \"5\",\n"), "{shown}");
    let shown = succeed(&mut bench.dlq(&["show", "orders", "--limit", "1"]));
    assert!(
        shown.starts_with("amounts/Calc: a row of the query, whose message is not known"),
        "{shown}"
    );
    assert!(shown.contains("the newest 1 of 2; --limit 0 shows all"), "{shown}");
    assert_eq!(bench.shown(&["orders"]).len(), 2);
    assert_eq!(bench.shown(&["orders", "--reason", "no bigint"]).len(), 1);
    assert_eq!(bench.shown(&["orders", "--since", "1 h"]).len(), 2);
    assert_eq!(bench.shown(&["orders", "--since", "2999-01-01"]).len(), 0);
    fail(
        &mut bench.dlq(&["show", "order"]),
        &["job order: no dead letters", "there are of orders"],
    );
    fail(&mut bench.dlq(&["show", "orders", "--since", "soon"]), &["--since soon: neither"]);
}

#[test]
fn dead_letters_in_the_broker_of_the_data_folder_are_sent_again() {
    let bench = Bench::new();
    let table = |name: &str, columns: &str, format: &str, more: &str| {
        format!(
            "CREATE TABLE {name} ({columns}) WITH (
               'connector' = 'kafka', 'topic' = 'orders', 'format' = '{format}',
               'properties.bootstrap.servers' = 'embedded://'{more});"
        )
    };
    let bounded =
        ", 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset'";
    let count = |name: &str| {
        let read = table("read", "id STRING", "json", bounded);
        let path = bench.path(name);
        says(
            bench
                .run(&format!(
                    "{read} CREATE TABLE o (id STRING)
                 WITH ('connector' = 'filesystem', 'path' = '${name}', 'format' = 'json');
                 INSERT INTO o SELECT id FROM read;"
                ))
                .arg("--fresh"),
        );
        written_lines(&path).len()
    };
    says(&mut bench.run(&format!(
        "{} INSERT INTO made VALUES ('{{\"id\":1}}'), ('{{\"id\":\"two\"}}');",
        table("made", "text STRING", "raw", "")
    )));
    says(&mut bench.run(&format!(
        "SET 'pipeline.name' = 'embedded'; SET 'execution.dead-letter.topic' = 'dlq'; {}
         CREATE TABLE o (id INT) WITH ('connector' = 'blackhole');
         INSERT INTO o SELECT id FROM orders;",
        table("orders", "id INT", "json", bounded)
    )));
    let shown = bench.shown(&["embedded"]);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["topic"], "orders");
    assert_eq!(count("before"), 2);
    let said = succeed(&mut bench.dlq(&["replay", "embedded"]));
    assert!(said.contains("1 dead letters of job embedded sent again"), "{said}");
    assert_eq!(count("after"), 3);
}
