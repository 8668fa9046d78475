//! A file that has changed goes on with the state of the one before, as far as it means the same.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use common::{Server, embedded_broker, fail, fresh_topic, messages, nowcast, produce, succeed};
use common::{finish, wait_until};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use serde_json::Value;

const KEYS: i64 = 7;
const ORDERS: i64 = 300;

/// A topic of orders, a job over its first half that was stopped, and the second half behind it.
struct Bench {
    folder: tempfile::TempDir,
    broker: Server,
    orders: String,
}

const OLD: &str = "INSERT INTO totals SELECT k, COUNT(*), SUM(amount) FROM orders GROUP BY k;";

impl Bench {
    fn new() -> Self {
        let folder = common::folder();
        let broker = embedded_broker(&folder.path().join("broker"));
        let bench = Self { folder, broker, orders: fresh_topic("orders") };
        bench.send(0..ORDERS / 2);
        bench
    }

    /// Gives the topic more partitions.
    fn grow(&self, partitions: usize) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.broker.address).create().unwrap();
        let more = NewPartitions::new(&self.orders, partitions);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let made = runtime.block_on(admin.create_partitions([&more], &AdminOptions::new()));
        made.unwrap()[0].as_ref().unwrap();
    }

    fn send(&self, ids: std::ops::Range<i64>) {
        self.send_to(2, ids);
    }

    /// To so many partitions in turn.
    fn send_to(&self, partitions: i32, ids: std::ops::Range<i64>) {
        let order = |id: i64| format!("{{\"id\":{id},\"k\":{},\"amount\":{id}}}", id % KEYS);
        let orders: Vec<String> = ids.map(order).collect();
        let orders: Vec<&[u8]> = orders.iter().map(String::as_bytes).collect();
        produce(&self.broker.address, &self.orders, partitions, &orders);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file whose totals go to a topic of this name.
    fn file(&self, name: &str, bounded: bool, int: &str, columns: &str, query: &str) -> PathBuf {
        let (address, orders) = (&self.broker.address, &self.orders);
        let end = if bounded { "latest-offset" } else { "unbounded" };
        let table = |table: &str, columns: &str| {
            let topic = self.topic(name, table);
            format!(
                "CREATE TABLE {table} ({columns}, PRIMARY KEY (k) NOT ENFORCED) WITH (
                   'connector' = 'upsert-kafka', 'topic' = '{topic}', 'key.format' = 'json',
                   'value.format' = 'json', 'properties.bootstrap.servers' = '{address}');"
            )
        };
        let sql = format!(
            "SET 'pipeline.name' = 'job';
             CREATE TABLE orders (id BIGINT, k {int}, amount {int}) WITH (
               'connector' = 'kafka', 'topic' = '{orders}', 'format' = 'json',
               'properties.bootstrap.servers' = '{address}',
               'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = '{end}');
             {} {}
             EXECUTE STATEMENT SET BEGIN {query} END;",
            table("totals", &format!("k BIGINT, {columns}")),
            table("firsts", "k BIGINT, n BIGINT"),
        );
        let file = self.path(&format!("{name}.sql"));
        std::fs::write(&file, sql).unwrap();
        file
    }

    /// The topic of a table that a file of this name writes, made with one partition.
    fn topic(&self, name: &str, table: &str) -> String {
        let topic = format!("{}-{name}-{table}", self.orders);
        produce(&self.broker.address, &topic, 1, &[]);
        topic
    }

    /// Runs a file on the state in a data folder.
    fn run(&self, file: &Path, data: &str, workers: usize) -> Command {
        let mut run = nowcast();
        run.arg("run").arg(file).args(["--no-http", "--workers", &workers.to_string()]);
        run.arg("--data-dir").arg(self.path(data));
        run
    }

    /// The last row of each key.
    fn latest(&self, name: &str, table: &str) -> BTreeMap<i64, Value> {
        let topic = self.topic(name, table);
        let rows = messages(&self.broker.address, &topic).into_iter();
        let rows = rows.map(|(_, _, row)| serde_json::from_slice::<Value>(&row).unwrap());
        rows.map(|row| (row["k"].as_i64().unwrap(), row)).collect()
    }

    /// Runs the old file over the first half and stops it; then there is the second half.
    fn stopped(&self) -> PathBuf {
        let old = self.file("old", false, "INT", "n BIGINT, s BIGINT", OLD);
        let mut running = self.run(&old, "old", 2).spawn().unwrap();
        let half = totals(0..ORDERS / 2);
        wait_until("the first half", || self.latest("old", "totals") == half);
        stop(&mut running);
        self.send(ORDERS / 2..ORDERS);
        old
    }

    /// A copy of the data folder as the old file left it.
    fn copy(&self, name: &str) {
        let (from, to) = (self.path("old"), self.path(name));
        succeed(Command::new("cp").arg("-r").arg(from).arg(to));
    }

    fn diff(&self, old: &Path, new: &Path) -> Command {
        let mut diff = nowcast();
        diff.args(["plan", "diff"]).arg(old).arg(new).arg("--checkpoints");
        diff.arg(self.path("old/checkpoints"));
        diff
    }
}

fn stop(running: &mut Child) {
    succeed(Command::new("kill").args(["-TERM", &running.id().to_string()]));
    assert!(running.wait().unwrap().success());
}

fn totals(ids: std::ops::Range<i64>) -> BTreeMap<i64, Value> {
    let of = |k: i64| {
        let amounts: Vec<i64> = ids.clone().filter(|id| id % KEYS == k).collect();
        serde_json::json!({"k": k, "n": amounts.len(), "s": amounts.iter().sum::<i64>()})
    };
    (0..KEYS).map(|k| (k, of(k))).collect()
}

/// The line of an operator, a bar between its cells.
fn line(said: &str, operator: &str) -> String {
    let found = said.lines().find(|line| line.split_whitespace().next() == Some(operator));
    let found = found.unwrap_or_else(|| panic!("no {operator} in {said}"));
    found.split('|').map(str::trim).collect::<Vec<_>>().join(" | ")
}

#[test]
fn state_goes_on_where_it_means_the_same() {
    let bench = Bench::new();
    let old = bench.stopped();
    let more = "INSERT INTO firsts SELECT k, COUNT(*) FROM orders WHERE id < 100 GROUP BY k;";
    let max =
        "INSERT INTO totals SELECT k, COUNT(*), MAX(amount), SUM(amount) FROM orders GROUP BY k;";
    let columns = "n BIGINT, s BIGINT";
    for (name, int, columns, query, becomes) in [
        ("same", "INT", columns, OLD.to_owned(), "kept"),
        // In front of the other, so that it comes first in every order.
        ("more", "INT", columns, format!("{more} {OLD}"), "kept"),
        ("wider", "BIGINT", columns, OLD.to_owned(), "converted | Int32 becomes Int64"),
        (
            "max",
            "INT",
            "n BIGINT, m INT, s BIGINT",
            max.to_owned(),
            "converted | max(orders.amount) from now on",
        ),
    ] {
        let new = bench.file(name, true, int, columns, &query);
        let said = succeed(&mut bench.diff(&old, &new));
        let operator = line(&said, "totals/GroupAggregate");
        assert!(operator.contains(&format!("| 7 | {becomes}")), "{name}: {said}");
        assert!(said.contains("no state is lost"), "{name}: {said}");
        assert!(line(&said, "orders").contains("kept"), "{name}: {said}");
        bench.copy(name);
        succeed(&mut bench.run(&new, name, 2));
        let mut latest = bench.latest(name, "totals");
        let expected = totals(0..ORDERS);
        if name == "max" {
            for row in latest.values_mut() {
                let max = row.as_object_mut().unwrap().remove("m").unwrap();
                assert!(max.as_i64().unwrap() >= ORDERS - KEYS, "{max}");
            }
        }
        assert_eq!(latest, expected, "{name}");
        if name == "more" {
            assert!(line(&said, "firsts/GroupAggregate").contains("| new"), "{said}");
            // It saw nothing of the first half.
            assert!(bench.latest(name, "firsts").is_empty());
        }
    }
}

#[test]
fn state_that_would_be_lost_is_named_and_refused() {
    let bench = Bench::new();
    let old = bench.stopped();
    let columns = "n BIGINT, s BIGINT";
    for (name, query, words) in [
        (
            "other_key",
            "INSERT INTO totals SELECT id, COUNT(*), SUM(amount) FROM orders GROUP BY id;",
            "`totals/GroupAggregate` (7 rows): the query has no such operator any more",
        ),
        (
            "gone",
            "INSERT INTO totals SELECT id, id, amount FROM orders;",
            "`totals/GroupAggregate` (7 rows): the query has no such operator any more",
        ),
        (
            "replaced",
            "INSERT INTO totals SELECT k, COUNT(*), MAX(amount) FROM orders GROUP BY k;",
            "(7 rows): max(orders.amount) from now on; without sum(orders.amount)",
        ),
    ] {
        let new = bench.file(name, true, "INT", columns, query);
        let output = finish(&mut bench.diff(&old, &new));
        assert_eq!(output.status.code(), Some(1), "{name}");
        let said = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("1 operators lose state"), "{name}: {said} {error}");
        bench.copy(name);
        fail(
            &mut bench.run(&new, name, 2),
            &["job job: state would be lost, of checkpoint", words, "--allow-state-loss"],
        );
        succeed(bench.run(&new, name, 2).arg("--allow-state-loss"));
        let rows = bench.latest(name, "totals");
        if name == "replaced" {
            // What means the same goes on all the same.
            let counts: i64 = rows.values().map(|row| row["n"].as_i64().unwrap()).sum();
            assert_eq!(counts, ORDERS);
        } else {
            assert_eq!(rows.len() as i64, ORDERS - ORDERS / 2);
        }
    }
}

#[test]
fn a_checkpoint_of_an_earlier_version_is_found_by_names() {
    let bench = Bench::new();
    let old = bench.stopped();
    for manifest in manifests(&bench.path("old/checkpoints/job")) {
        let mut value: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
        assert!(value.as_object_mut().unwrap().remove("plan").is_some());
        std::fs::write(manifest, value.to_string()).unwrap();
    }
    let columns = "n BIGINT, s BIGINT";
    let same = bench.file("same", true, "INT", columns, OLD);
    assert!(succeed(&mut bench.diff(&old, &same)).contains("no state is lost"));
    bench.copy("same");
    succeed(&mut bench.run(&same, "same", 1));
    assert_eq!(bench.latest("same", "totals"), totals(0..ORDERS));
    let gone = "INSERT INTO totals SELECT id, id, amount FROM orders;";
    let gone = bench.file("gone", true, "INT", columns, gone);
    fail(&mut bench.run(&gone, "old", 1), &["`totals/GroupAggregate` (7 rows)"]);
}

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let epochs = std::fs::read_dir(folder).unwrap();
    let epochs = epochs.map(|epoch| epoch.unwrap().path());
    let complete = epochs.filter(|epoch| common::is_checkpoint(epoch));
    complete.map(|epoch| epoch.join("manifest.json")).collect()
}

#[test]
fn a_checkpoint_goes_on_with_any_number_of_workers() {
    let bench = Bench::new();
    bench.stopped();
    // Partitions that are new since the checkpoint are read as well.
    bench.grow(4);
    bench.send_to(4, ORDERS..ORDERS + 50);
    for workers in [1, 2, 4] {
        let name = format!("on{workers}");
        let new = bench.file(&name, true, "INT", "n BIGINT, s BIGINT", OLD);
        bench.copy(&name);
        succeed(&mut bench.run(&new, &name, workers));
        assert_eq!(bench.latest(&name, "totals"), totals(0..ORDERS + 50), "{workers} workers");
    }
}

/// Plans are compared without a checkpoint as well: what might be lost.
#[test]
fn files_are_compared_without_a_checkpoint() {
    let folder = common::folder();
    let file = |name: &str, query: &str| {
        let path = folder.path().join(name);
        let table = |table: &str, mode: &str| {
            format!(
                "CREATE TABLE {table} (id BIGINT, k INT, price DECIMAL(10, 2), name VARCHAR(10)) WITH (
                   'connector' = 'kafka', 'topic' = '{table}', 'format' = 'json',
                   'properties.bootstrap.servers' = '127.0.0.1:1', 'scan.startup.mode' = '{mode}');"
            )
        };
        let sql = format!(
            "{} {} CREATE TABLE o (k BIGINT, n BIGINT, PRIMARY KEY (k) NOT ENFORCED)
             WITH ('connector' = 'redis', 'url' = 'redis://127.0.0.1:1');
             CREATE TABLE p WITH ('connector' = 'blackhole') LIKE o (EXCLUDING OPTIONS);
             {query}",
            table("a", "earliest-offset"),
            table("b", "latest-offset"),
        );
        std::fs::write(&path, sql).unwrap();
        path
    };
    let diff = |old: &Path, new: &Path| {
        let output = finish(nowcast().args(["plan", "diff"]).arg(old).arg(new));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!error.contains("panicked"), "{error}");
        (output.status.success(), String::from_utf8(output.stdout).unwrap() + &error)
    };
    let count = "INSERT INTO o SELECT k, COUNT(*) FROM a GROUP BY k;";
    let old = file("old.sql", count);
    // Another table: its operators are rebuilt from it.
    let more = "INSERT INTO p SELECT k, COUNT(DISTINCT name) FROM b GROUP BY k;";
    let (fine, said) = diff(&old, &file("more.sql", &format!("{more} {count}")));
    assert!(fine, "{said}");
    assert!(line(&said, "o/GroupAggregate").contains("| kept"), "{said}");
    assert!(line(&said, "b").contains("is read from latest-offset"), "{said}");
    let rebuilt = line(&said, "p/GroupAggregate");
    assert!(rebuilt.contains("| rebuilt | b from latest-offset"), "{said}");
    // A join keeps rows: one of other columns is another.
    let join =
        |column: &str| format!("INSERT INTO o SELECT a.k, {column} FROM a JOIN b ON a.id = b.id;");
    let joined = file("join.sql", &join("CAST(b.price AS BIGINT)"));
    let (fine, said) = diff(&joined, &file("join2.sql", &join("CHAR_LENGTH(b.name)")));
    assert!(!fine, "{said}");
    assert!(line(&said, "o/Join").contains("| lost | it keeps rows of ("), "{said}");
    // The same query into another table goes on.
    let (fine, said) = diff(&old, &file("renamed.sql", &count.replace("INTO o", "INTO p")));
    assert!(fine, "{said}");
    assert!(line(&said, "p/GroupAggregate").contains("| kept"), "{said}");
    // So does a value that becomes wider, in a key as well.
    let text = std::fs::read_to_string(&joined).unwrap();
    let wider = folder.path().join("wider.sql");
    std::fs::write(&wider, text.replace("DECIMAL(10, 2)", "DECIMAL(12, 2)")).unwrap();
    let (fine, said) = diff(&joined, &wider);
    assert!(fine, "{said}");
    let becomes = "| converted | Decimal128(10, 2) becomes Decimal128(12, 2)";
    assert!(line(&said, "o/Join").contains(becomes), "{said}");
    // Values in sets are kept as bytes of their type.
    let distinct = "INSERT INTO o SELECT k, COUNT(DISTINCT price) FROM a GROUP BY k;";
    let distinct = file("distinct.sql", distinct);
    let text = std::fs::read_to_string(&distinct).unwrap();
    std::fs::write(&wider, text.replace("DECIMAL(10, 2)", "DECIMAL(12, 2)")).unwrap();
    let (fine, said) = diff(&distinct, &wider);
    assert!(!fine, "{said}");
    assert!(line(&said, "o/GroupAggregate").contains("| lost | its state cannot change"), "{said}");
    // Rows in order are kept as the operator likes.
    let sorted =
        file("sorted.sql", "INSERT INTO p SELECT id, k FROM a INTERSECT ALL SELECT id, k FROM b;");
    let text_of = std::fs::read_to_string(&sorted).unwrap();
    std::fs::write(&wider, text_of.replace("k INT", "k SMALLINT")).unwrap();
    let (fine, said) = diff(&wider, &sorted);
    assert!(!fine, "{said}");
    assert!(line(&said, "p/INTERSECT").contains("| lost | "), "{said}");
    // A text has no length here.
    std::fs::write(&wider, text.replace("VARCHAR(10)", "VARCHAR(20)")).unwrap();
    assert!(diff(&distinct, &wider).0);
}
