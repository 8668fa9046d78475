//! A compacted topic as a table: rows replace each other by key, and a message without a value
//! takes its key's row back.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

mod common;

use std::collections::BTreeMap;

use common::{embedded_broker, fresh_topic, messages, nowcast, succeed, written_lines};
use serde_json::Value;

#[test]
fn counts_over_an_upsert_table_follow_updates_and_tombstones() {
    let folder = common::folder();
    let broker = embedded_broker(&folder.path().join("broker"));
    let topic = fresh_topic("people");
    let table = |options: &str| {
        format!(
            "CREATE TABLE people (id INT, city STRING, PRIMARY KEY (id) NOT ENFORCED) WITH (
               'connector' = 'upsert-kafka', 'topic' = '{topic}', 'key.format' = 'json',
               'value.format' = 'json', 'properties.bootstrap.servers' = '{}'{options});",
            broker.address
        )
    };
    // Each file is one run: the rows of a run are in the topic before those of the next.
    let events = folder.path().join("events");
    std::fs::create_dir(&events).unwrap();
    let send = |name: &str, select: &str, lines: &[&str]| {
        let input = events.join(name);
        std::fs::write(&input, lines.join("\n")).unwrap();
        let sql = format!(
            "{} CREATE TABLE events (n INT, id INT, city STRING) WITH ('connector' = 'filesystem',
               'path' = '{}', 'format' = 'json');
             INSERT INTO people {select};",
            table(""),
            input.display()
        );
        run(folder.path(), name, &sql);
    };
    send(
        "first.json",
        "SELECT id, city FROM events",
        &[
            r#"{"n":1,"id":1,"city":"Rio"}"#,
            r#"{"n":2,"id":2,"city":"Rio"}"#,
            r#"{"n":3,"id":3,"city":"Oslo"}"#,
            r#"{"n":4,"id":4,"city":"Oslo"}"#,
        ],
    );
    send("moved.json", "SELECT id, city FROM events", &[r#"{"n":5,"id":1,"city":"Oslo"}"#]);
    // The count of what came for a key falls out of HAVING when a second row comes: a tombstone.
    send(
        "gone.json",
        "SELECT id, MAX(city) FROM events GROUP BY id HAVING COUNT(*) < 2",
        &[r#"{"n":6,"id":3,"city":"Oslo"}"#, r#"{"n":7,"id":3,"city":"Oslo"}"#],
    );
    let sent = messages(&broker.address, &topic);
    assert!(sent.iter().any(|(.., payload)| payload.is_empty()), "no message without a value");
    let out = folder.path().join("out");
    let sql = format!(
        "{} CREATE TABLE counts (city STRING, n BIGINT) WITH ('connector' = 'filesystem',
           'path' = '{}', 'format' = 'debezium-json');
         INSERT INTO counts SELECT city, COUNT(*) FROM people GROUP BY city;",
        table(", 'scan.bounded.mode' = 'latest-offset'"),
        out.display()
    );
    run(folder.path(), "count", &sql);
    let mut standing: BTreeMap<String, i64> = BTreeMap::new();
    for line in written_lines(&out) {
        let change: Value = serde_json::from_str(&line).unwrap();
        for (side, weight) in [("before", -1), ("after", 1)] {
            if !change[side].is_null() {
                *standing.entry(change[side].to_string()).or_default() += weight;
            }
        }
    }
    standing.retain(|_, count| *count != 0);
    let expected = [(r#"{"city":"Oslo","n":2}"#, 1), (r#"{"city":"Rio","n":1}"#, 1)];
    assert_eq!(standing, expected.map(|(row, count)| (row.to_owned(), count)).into());
}

fn run(folder: &std::path::Path, name: &str, sql: &str) {
    let file = folder.join(format!("{name}.sql"));
    std::fs::write(&file, sql).unwrap();
    let data = folder.join(format!("{name}.data"));
    succeed(
        nowcast()
            .arg("run")
            .arg(file)
            .args(["--no-http", "--rows-max", "1", "--data-dir"])
            .arg(data),
    );
}
