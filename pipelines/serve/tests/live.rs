//! Live feeds through a real socket: order, resume, slow clients, shutdown.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use serde_json::{Value, json};
use support::Server;

fn batch(titles: Vec<&str>, plays: Vec<i64>) -> RecordBatch {
    let columns: [(&str, ArrayRef); 2] = [
        ("title", Arc::new(StringArray::from(titles))),
        ("plays", Arc::new(Int64Array::from(plays))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn rows_are_json_objects_with_ids() {
    let server = Server::start();
    server.feeds.declare("plays", &["title".to_owned()]);
    let mut events = server.follow("/v1/feeds/plays", None);
    let columns: [(&str, ArrayRef); 3] = [
        ("title", Arc::new(StringArray::from(vec!["a\n\"b\""]))),
        ("plays", Arc::new(Int64Array::from(vec![None]))),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![1_500]).with_timezone("UTC"))),
    ];
    server.feeds.publish("plays", 2, &RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    let event = events.next().unwrap();
    assert_eq!((&*event.id, &*event.event), ("2:0", ""));
    let row: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(
        row,
        json!({ "title": "a\n\"b\"", "plays": null, "at": "1970-01-01T00:00:01.500Z" })
    );
}

#[test]
fn a_client_that_comes_back_goes_on_where_it_was() {
    let server = Server::start();
    server.feeds.publish("plays", 1, &batch(vec!["a", "b", "c"], vec![1, 2, 3])).unwrap();
    let mut events = server.follow("/v1/feeds/plays?tail=1", Some("1:0"));
    assert_eq!(events.next().unwrap().id, "1:1");
    assert_eq!(events.next().unwrap().id, "1:2");
    server.feeds.publish("plays", 2, &batch(vec!["a"], vec![4])).unwrap();
    assert_eq!(events.next().unwrap().id, "2:0");

    let mut strange = server.follow("/v1/feeds/plays", Some("9:9"));
    assert_eq!(strange.next().unwrap().event, "gap");
    assert_eq!(strange.next().unwrap().id, "1:0");

    let mut tail = server.follow("/v1/feeds/plays?tail=2", None);
    assert_eq!(tail.next().unwrap().id, "1:2");
}

#[test]
fn a_slow_client_holds_nobody_and_gets_the_newest_of_each_key() {
    const BATCHES: i64 = 20_000;
    let server = Server::start();
    server.feeds.declare("plays", &["title".to_owned()]);
    let mut slow = server.follow("/v1/feeds/plays", None);
    // Far more than socket buffers and the ring hold together, and nobody reads.
    let wide = "x".repeat(1_000);
    let (a, b) = (format!("a{wide}"), format!("b{wide}"));
    for n in 0..BATCHES {
        server.feeds.publish("plays", 1, &batch(vec![&a, &b], vec![n, n])).unwrap();
    }
    let mut newest = BTreeMap::new();
    let (mut rows, mut skipped) = (0, 0);
    while newest.get("a") != Some(&(BATCHES - 1)) || newest.get("b") != Some(&(BATCHES - 1)) {
        let event = slow.next().unwrap();
        let data: Value = serde_json::from_str(&event.data).unwrap();
        if event.event == "skipped" {
            skipped += data["rows"].as_i64().unwrap();
            continue;
        }
        rows += 1;
        let plays = data["plays"].as_i64().unwrap();
        let earlier = newest.insert(data["title"].as_str().unwrap()[..1].to_owned(), plays);
        assert!(earlier.is_none_or(|earlier| earlier < plays), "a key never steps back");
    }
    assert!(skipped > 0);
    assert_eq!(rows + skipped, 2 * BATCHES, "each row is delivered or counted");
}

#[test]
fn feeds_are_listed_and_unknown_ones_refused() {
    let server = Server::start();
    server.feeds.declare("nowcasts", &["series".to_owned()]);
    server.feeds.publish("plays", 4, &batch(vec!["a", "b"], vec![1, 2])).unwrap();
    let listed = server.get("/v1/feeds").json();
    let wanted = json!([
        { "table": "nowcasts", "key": ["series"], "rows": 0, "oldest": null, "newest": null },
        { "table": "plays", "key": [], "rows": 2, "oldest": "4:0", "newest": "4:1" },
    ]);
    assert_eq!(listed, json!({ "feeds": wanted, "clients": 0 }));
    let answer = server.get("/v1/feeds/play");
    assert_eq!(
        (answer.status, &*answer.error()),
        (404, r#"no feed "play"; feeds: nowcasts, plays"#)
    );
    let answer = server.get("/v1/feeds/plays?tail=4097");
    assert_eq!((answer.status, &*answer.error()), (400, "query: tail is 4097, at most 4096"));
}

#[test]
fn a_key_column_that_is_not_there_is_an_error() {
    let server = Server::start();
    server.feeds.declare("plays", &["country".to_owned()]);
    let error = server.feeds.publish("plays", 1, &batch(vec!["a"], vec![1])).unwrap_err();
    assert_eq!(error.to_string(), r#"feed "plays": no column "country" for its key"#);
}

#[test]
fn a_shutdown_ends_feeds_after_their_last_row() {
    let server = Server::start();
    server.feeds.declare("plays", &[]);
    let mut events = server.follow("/v1/feeds/plays", None);
    server.feeds.publish("plays", 1, &batch(vec!["a"], vec![1])).unwrap();
    server.stop().unwrap();
    assert_eq!(events.next().unwrap().id, "1:0");
    assert_eq!(events.next(), None);
}

/// The last rows of a feed: ids and data.
fn tail(server: &Server, table: &str, rows: usize) -> Vec<(String, String)> {
    let mut events = server.follow(&format!("/v1/feeds/{table}?tail={rows}"), None);
    (0..rows).map(|_| events.next().unwrap()).map(|event| (event.id, event.data)).collect()
}

#[test]
fn the_first_client_finds_the_rows_that_came_before_it() {
    let server = Server::start();
    // The same rows, once with a client there, in batches of one row, of some, and of more than a ring holds.
    for sizes in [vec![1; 300], vec![70; 100], vec![1, 500, 1, 3_000, 2, 900, 1], vec![9_000, 5]] {
        let total: usize = sizes.iter().sum();
        let (name, followed) =
            (format!("alone{}", sizes.len()), format!("followed{}", sizes.len()));
        server.feeds.declare(&followed, &[]);
        let client = server.follow(&format!("/v1/feeds/{followed}"), None);
        let mut next = 0;
        for (nth, size) in sizes.iter().enumerate() {
            let plays: Vec<i64> = (next..next + *size as i64).collect();
            next += *size as i64;
            let rows = batch(vec!["a"; *size], plays);
            for table in [&name, &followed] {
                server.feeds.publish(table, nth as u64 / 20, &rows).unwrap();
            }
        }
        let listed = server.get("/v1/feeds").json();
        let of = |table: &str| {
            let feeds = listed["feeds"].as_array().unwrap();
            feeds.iter().find(|feed| feed["table"] == *table).unwrap().clone()
        };
        assert_eq!(of(&name)["rows"], total);
        assert_eq!(of(&name)["newest"], of(&followed)["newest"]);
        let some = total.min(4_000);
        assert_eq!(tail(&server, &name, some), tail(&server, &followed, some), "{sizes:?}");
        drop(client);
    }
}

#[test]
fn wide_rows_that_nobody_follows_are_bound_by_their_bytes() {
    let server = Server::start();
    let wide = "x".repeat(1 << 20);
    server.feeds.publish("plays", 0, &batch(vec![&wide; 10], (0..10).collect())).unwrap();
    let listed = server.get("/v1/feeds").json();
    let feed = &listed["feeds"][0];
    assert_eq!((&feed["rows"], &feed["newest"]), (&json!(10), &json!("0:9")));
    let oldest = feed["oldest"].as_str().unwrap();
    assert!(["0:6", "0:7", "0:8"].contains(&oldest), "{feed}");
}
