//! What is wrong is said by name, and costs no neighbour.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::path::{Path, PathBuf};

use common::{
    embedded_broker, fail, fresh_topic, models, nowcast, produce, succeed, written_lines,
};
use serde_json::Value;

fn write(folder: &Path, sql: &str) -> PathBuf {
    let path = folder.join("job.sql");
    std::fs::write(&path, sql).unwrap();
    path
}

fn check(sql: &str, words: &[&str]) {
    let folder = common::folder();
    fail(nowcast().arg("check").arg(write(folder.path(), sql)), words);
}

const TABLES: &str = "
CREATE TABLE clicks (title_id BIGINT, country STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'datagen', 'number-of-rows' = '10');
CREATE TABLE out_table (title_id BIGINT) WITH ('connector' = 'blackhole');
";

#[test]
fn bad_messages_are_dead_letters_and_their_neighbours_go_on() {
    let folder = common::folder();
    let broker = embedded_broker(&folder.path().join("broker"));
    let topic = fresh_topic("bad");
    let payloads: [&[u8]; 8] = [
        br#"{"id": 0, "amount": 1.5}"#,
        br#"{"id": 1, "amount": "#,
        br#"{"id": "one", "amount": 1.5}"#,
        br#"{"id": 3}"#,
        b"\xff\xfe",
        br#"[1, 2]"#,
        br#"{"amount": 2.5}"#,
        br#"{"id": 7, "amount": 4.5, "more": {"deep": [1, 2]}}"#,
    ];
    produce(&broker.address, &topic, 1, &payloads);
    let out = folder.path().join("out");
    let sql = format!(
        "SET 'pipeline.name' = 'bad';
         CREATE TABLE payments (id BIGINT NOT NULL, amount DOUBLE) WITH (
           'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{}',
           'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json');
         CREATE TABLE out_table (id BIGINT, amount DOUBLE)
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
         INSERT INTO out_table SELECT id, amount FROM payments;",
        broker.address,
        out.display()
    );
    let data = folder.path().join("data");
    succeed(
        nowcast()
            .arg("run")
            .arg(write(folder.path(), &sql))
            .args(["--no-http", "--data-dir"])
            .arg(&data),
    );
    let mut ids: Vec<i64> = written_lines(&out)
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 3, 7]);
    let letters =
        succeed(nowcast().args(["dlq", "show", "bad", "--json", "--data-dir"]).arg(&data));
    let letters: Vec<Value> =
        letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let offsets: Vec<i64> =
        letters.iter().map(|letter| letter["offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, [1, 2, 4, 5, 6]);
    for letter in &letters {
        assert_eq!(letter["topic"], *topic);
        assert_eq!(letter["partition"], 0);
        assert!(!letter["error"].as_str().unwrap().is_empty());
    }
    assert!(letters[1]["error"].as_str().unwrap().contains("id"), "{}", letters[1]);
    assert_eq!(letters[1]["raw"], r#"{"id": "one", "amount": 1.5}"#);
}

#[test]
fn a_row_without_a_value_is_a_dead_letter() {
    let folder = common::folder();
    let input = folder.path().join("in.json");
    std::fs::write(&input, "{\"a\": \"1\"}\n{\"a\": \"x\"}\n{\"a\": \"3\"}\n").unwrap();
    let out = folder.path().join("out");
    let sql = format!(
        "SET 'pipeline.name' = 'casts';
         CREATE TABLE t (a STRING) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
         CREATE TABLE o (a INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
         INSERT INTO o SELECT CAST(a AS INT) FROM t;",
        input.display(),
        out.display()
    );
    let data = folder.path().join("data");
    succeed(
        nowcast()
            .arg("run")
            .arg(write(folder.path(), &sql))
            .args(["--no-http", "--data-dir"])
            .arg(&data),
    );
    assert_eq!(written_lines(&out), ["{\"a\":1}", "{\"a\":3}"]);
    let letters =
        succeed(nowcast().args(["dlq", "show", "casts", "--json", "--data-dir"]).arg(&data));
    let letter: Value = serde_json::from_str(letters.trim()).unwrap();
    assert_eq!(letter["raw"], "{\"a\":\"x\"}");
}

#[test]
fn typos_in_sql_are_placed_and_corrected() {
    check(
        &format!("{TABLES}\nINSERT INTO out_table SELECT titel_id FROM clicks;"),
        &["line 6", "titel_id", "title_id"],
    );
    check(
        &format!("{TABLES}\nINSERT INTO out_table SELECT title_id FROM click;"),
        &["line 6", "click", "clicks"],
    );
    check(&format!("{TABLES}\nINSERT INTO out_table SELEC title_id FROM clicks;"), &["line 6"]);
    check(
        "CREATE TABLE t (a INT) WITH ('connector' = 'kafak');
         CREATE TABLE o (a INT) WITH ('connector' = 'blackhole'); INSERT INTO o SELECT a FROM t;",
        &["kafak", "kafka"],
    );
    check(
        "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-row' = '1');
         CREATE TABLE o (a INT) WITH ('connector' = 'blackhole'); INSERT INTO o SELECT a FROM t;",
        &["number-of-row", "number-of-rows"],
    );
    check("SELECT ${NOT_SET_ANYWHERE};", &["line 1", "NOT_SET_ANYWHERE"]);
}

#[test]
fn models_that_do_not_fit_are_refused_by_name() {
    let model = |path: &str, input: &str, output: &str| {
        format!(
            "{TABLES} CREATE MODEL m INPUT ({input}) OUTPUT ({output}) WITH ('provider' = 'onnx', 'path' = '{path}');
             CREATE TABLE scores (x ARRAY<FLOAT>) WITH ('connector' = 'blackhole');
             CREATE VIEW v AS SELECT ARRAY_AGG(title_id) OVER (PARTITION BY country ORDER BY ts ROWS BETWEEN 19 PRECEDING AND CURRENT ROW) AS items FROM clicks;
             INSERT INTO scores SELECT top_scores FROM ML_PREDICT(TABLE v, MODEL m, DESCRIPTOR(items));"
        )
    };
    let other = format!("{}/demand_lstm/demand_lstm.onnx", models());
    check(
        &model("/nowhere/m.onnx", "items ARRAY<BIGINT>", "top_scores ARRAY<FLOAT>"),
        &["m", "/nowhere/m.onnx"],
    );
    check(
        &model(&other, "items ARRAY<BIGINT>", "top_items ARRAY<BIGINT>, top_scores ARRAY<FLOAT>"),
        &["m"],
    );
    let garbage = tempfile::NamedTempFile::with_suffix(".onnx").unwrap();
    std::fs::write(garbage.path(), b"not a model").unwrap();
    let path = garbage.path().display().to_string();
    check(
        &model(&path, "items ARRAY<BIGINT>", "top_items ARRAY<BIGINT>, top_scores ARRAY<FLOAT>"),
        &["m", &path],
    );
}

#[test]
fn unreachable_servers_are_named() {
    let folder = common::folder();
    let sql = "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = 'clicks',
                 'properties.bootstrap.servers' = '127.0.0.1:1', 'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
               CREATE TABLE o (a INT) WITH ('connector' = 'blackhole');
               INSERT INTO o SELECT a FROM t;";
    let data = folder.path().join("data");
    fail(
        nowcast()
            .arg("run")
            .arg(write(folder.path(), sql))
            .args(["--no-http", "--data-dir"])
            .arg(&data),
        &["clicks", "127.0.0.1:1"],
    );
    let sql = "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = '1');
               CREATE TABLE o (a INT, PRIMARY KEY (a) NOT ENFORCED) WITH ('connector' = 'redis', 'url' = 'redis://127.0.0.1:1');
               INSERT INTO o SELECT a FROM t;";
    fail(
        nowcast()
            .arg("run")
            .arg(write(folder.path(), sql))
            .args(["--no-http", "--data-dir"])
            .arg(&data),
        &["127.0.0.1:1"],
    );
    fail(
        nowcast().args(["replay", "--topic", "t", "--bootstrap", "127.0.0.1:1"]).arg({
            let file = folder.path().join("rows.csv");
            std::fs::write(&file, "event_time\n2026-01-01 00:00:00\n").unwrap();
            file
        }),
        &["127.0.0.1:1"],
    );
}

#[test]
fn a_port_in_use_is_named_before_anything_starts() {
    let folder = common::folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let sql = write(
        folder.path(),
        &format!("{TABLES} INSERT INTO out_table SELECT title_id FROM clicks;"),
    );
    let data = folder.path().join("data");
    fail(
        nowcast().arg("run").arg(&sql).args(["--http", &address, "--data-dir"]).arg(&data),
        &[&address, "in use"],
    );
    fail(
        nowcast().args(["broker", "--listen", &address, "--dir"]).arg(folder.path().join("b")),
        &[&address, "in use"],
    );
}

#[test]
fn over_that_flink_has_not_is_refused_by_place() {
    let refused = |function: &str, window: &str, words: &[&str]| {
        let query = format!("SELECT {function} OVER ({window}) AS a FROM clicks");
        check(&format!("{TABLES}EXPLAIN {query};"), words);
    };
    let sum = "SUM(title_id)";
    for (function, window, words) in [
        (sum, "", "needs ORDER BY a column"),
        (sum, "ORDER BY 'x'", "needs ORDER BY a column"),
        (sum, "ORDER BY country DESC", "ORDER BY … ASC alone"),
        (sum, "ORDER BY ts DESC", "ascending"),
        (sum, "ORDER BY country, title_id", "ORDER BY one column alone"),
        (sum, "ORDER BY country ROWS 2 PRECEDING", "needs ORDER BY a time attribute"),
        (sum, "ORDER BY country ROWS CURRENT ROW", "needs ORDER BY a time attribute"),
        ("LAG(title_id)", "ORDER BY country", "LAG needs ORDER BY a time attribute"),
        ("RANK()", "ORDER BY ts", "RANK does not take ORDER BY a time attribute"),
    ] {
        refused(function, window, &["line 5", words]);
    }
    let counted =
        "CREATE VIEW counted AS SELECT country, COUNT(*) AS n FROM clicks GROUP BY country;
EXPLAIN SELECT SUM(n) OVER (ORDER BY PROCTIME()) AS a FROM counted;";
    check(&format!("{TABLES}{counted}"), &["line 6", "takes new rows alone"]);
}

#[test]
fn a_hint_that_cannot_be_read_is_named_by_its_place() {
    let hint = "EXPLAIN SELECT *\nFROM clicks\n  /*+ OPTIONS('scan.bounded.mode) */;";
    check(&format!("{TABLES}{hint}"), &["line 7, column 3", "unterminated string literal"]);
}

#[test]
fn row_patterns_that_flink_has_not_are_refused_by_place() {
    let refused = |from: &str, to: &str, words: &[&str]| {
        let query = "SELECT * FROM clicks MATCH_RECOGNIZE (
PARTITION BY country ORDER BY ts
MEASURES A.title_id AS a
ONE ROW PER MATCH
AFTER MATCH SKIP PAST LAST ROW
PATTERN (A B C)
DEFINE B AS B.title_id > A.title_id
);";
        assert!(query.contains(from), "{from}");
        check(&format!("{TABLES}EXPLAIN {}", query.replacen(from, to, 1)), words);
    };
    for (from, to, words) in [
        ("A B C", "A B+", ["line 10, column 12", "the last variable `B` of PATTERN is greedy"]),
        ("A B C", "A* B*? C", ["column 13", "`B`, which may be missing, follows a greedy one"]),
        ("A B C", "A*", ["column 10", "matches no rows at all"]),
        ("A B C", "A | B", ["column 10", "`|` in PATTERN is not supported, in Flink neither"]),
        ("A B C", "(A B)+ C", ["column 11", "a quantifier after a group"]),
        ("A B C", "PERMUTE(A, B)", ["column 18", "PERMUTE"]),
        ("A B C", "A B? C ?? D", ["column 15", "`??` in PATTERN"]),
        ("A B C", "^ A B", ["line 10", "`PATTERN` with ^"]),
        ("A B C", "A B A", ["column 14", "variable `A` stands twice"]),
        ("A B C", "A B{3,2} C", ["column 12", "takes no rows"]),
        ("A B C)", "A B C) SUBSET S = (A, B)", ["column 17", "SUBSET"]),
        ("A B C)", "A B C) WITHIN INTERVAL '1' MONTH", ["column 17", "days or less"]),
        ("PAST LAST ROW", "TO FIRST A", ["line 9, column 27", "go on with its first row"]),
        ("PAST LAST ROW", "TO LAST X", ["column 26", "`X` is no variable of PATTERN"]),
        ("ORDER BY ts", "", ["line 5", "needs ORDER BY a time attribute"]),
        ("ORDER BY ts", "ORDER BY title_id", ["line 6, column 31", "not an event-time attribute"]),
        ("ORDER BY ts", "ORDER BY ts DESC", ["line 6, column 31", "ascending"]),
        ("ONE ROW", "ALL ROWS", ["line 8", "ROWS PER MATCH is not supported"]),
        ("A.title_id AS a", "MATCH_PROCTIME() AS a", ["line 7, column 10", "MATCH_PROCTIME"]),
        ("A.title_id AS a", "X.title_id AS a", ["line 7, column 10", "`X` is no variable"]),
        ("A.title_id AS a", "A.titel_id AS a", ["column 12", "did you mean `title_id`?"]),
        ("A.title_id AS a", "A.ts AS country", ["column 18", "two columns `country`"]),
        ("A.title_id AS a", "COUNT(DISTINCT A.ts) AS a", ["column 10", "DISTINCT"]),
        (
            "A.title_id AS a",
            "SUM(A.title_id + B.title_id) AS a",
            ["column 10", "several variables"],
        ),
        ("B.title_id > A.title_id", "B.title_id", ["line 11, column 8", "no condition"]),
        ("> A.title_id", "> PREV(A.title_id)", ["column 26", "counts rows of the table"]),
        ("A B C", "A B{9,9999} C", ["line 10, column 12", "counts more than 4096 rows"]),
        ("A B C", "A B C+*?", ["line 10, column 17", "nested too deeply"]),
    ] {
        refused(from, to, &words);
    }
    let deep = format!("A {}B{} C", "(".repeat(10_000), ")".repeat(10_000));
    refused("A B C", &deep, &["column 75", "nested too deeply"]);
    refused("A B C", &"A | ".repeat(10_000), &["nested too deeply"]);
    let many: Vec<String> = (0..10_000).map(|nth| format!("V{nth}")).collect();
    refused("A B C", &many.join(" "), &["more than 64 variables"]);
    let counted = "CREATE VIEW counted AS SELECT title_id, MAX(ts) AS ts FROM clicks GROUP BY title_id;
EXPLAIN SELECT * FROM counted MATCH_RECOGNIZE (ORDER BY ts MEASURES A.ts AS a PATTERN (A) DEFINE A AS TRUE);";
    check(&format!("{TABLES}{counted}"), &["line 6, column 31", "takes new rows alone"]);
}

#[test]
fn nulls_that_a_column_does_not_take_are_dead_letters_or_dropped() {
    let folder = common::folder();
    let file = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(file("in.json"), "{\"id\":1}\n{\"id\":2,\"v\":5}\n").unwrap();
    for (nth, (set, letters)) in
        [("", 1), ("SET 'table.exec.sink.not-null-enforcer' = 'DROP';", 0)].into_iter().enumerate()
    {
        let (out, data) = (file(&format!("out{nth}")), file(&format!("data{nth}")));
        let sql = format!(
            "{set}
             CREATE TABLE i (id INT, v INT)
             WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
             CREATE TABLE o (id INT, v INT NOT NULL)
             WITH ('connector' = 'filesystem', 'path' = '{out}', 'format' = 'json');
             INSERT INTO o SELECT id, v FROM i;",
            file("in.json")
        );
        let job = write(folder.path(), &sql);
        succeed(nowcast().args(["run", "--no-http", "--data-dir"]).arg(&data).arg(job));
        assert_eq!(written_lines(Path::new(&out)), ["{\"id\":2,\"v\":5}"]);
        let shown = ["dlq", "show", "job", "--json", "--data-dir"];
        let told = succeed(nowcast().args(shown).arg(&data));
        assert_eq!(told.lines().count(), letters, "{told}");
        assert!(told.lines().all(|letter| letter.contains("NOT NULL")), "{told}");
    }
    let rule = "SET 'table.exec.sink.upsert-materialize' = 'perhaps';\n";
    let sql = format!("{rule}{TABLES}INSERT INTO out_table SELECT title_id FROM clicks;");
    check(&sql, &["line 6, column 13", "one of AUTO, NONE, FORCE"]);
}

#[test]
fn approximate_counts_take_new_rows_alone() {
    let sql = format!(
        "{TABLES}INSERT INTO out_table\nSELECT APPROX_COUNT_DISTINCT(n) FROM\n\
         (SELECT title_id, COUNT(*) AS n FROM clicks GROUP BY title_id);"
    );
    check(&sql, &["line 6, column 8", "takes new rows alone", "COUNT(DISTINCT"]);
    let folder = common::folder();
    let sql =
        format!("{TABLES}INSERT INTO out_table SELECT APPROX_COUNT_DISTINCT(country) FROM clicks;");
    let mut portable = nowcast();
    portable.args(["check", "--flink", "2.3"]).arg(write(folder.path(), &sql));
    fail(&mut portable, &["would not run on Flink 2.3 as it is: 1 found"]);
}

#[test]
fn json_of_rows_is_refused_where_flink_cannot_merge_it() {
    for window in [
        "HOP(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '2' MINUTES)",
        "CUMULATE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '2' MINUTES)",
        "SESSION(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' MINUTE)",
    ] {
        for call in ["JSON_ARRAYAGG(country)", "JSON_OBJECTAGG(KEY country VALUE title_id)"] {
            let name = call.split('(').next().unwrap();
            let sql = format!(
                "{TABLES}INSERT INTO out_table SELECT CHAR_LENGTH({call})\nFROM TABLE({window})\n\
                 GROUP BY window_start, window_end;"
            );
            check(&sql, &["line 5, column 42", name, "cannot merge"]);
        }
    }
    let ordered = format!(
        "{TABLES}INSERT INTO out_table SELECT CHAR_LENGTH(JSON_ARRAYAGG(title_id) \
         WITHIN GROUP (ORDER BY title_id)) FROM clicks;"
    );
    check(&ordered, &["line 5"]);
}

#[test]
fn what_does_not_move_a_watermark_is_refused_with_its_place() {
    let table = |watermark: &str, options: &str| {
        format!(
            "CREATE TABLE clicks (
               id BIGINT, ts TIMESTAMP(3), p AS PROCTIME(),
               WATERMARK FOR ts AS {watermark}
             ) WITH ('connector' = 'datagen', 'number-of-rows' = '10'{options});
             CREATE TABLE out_table (id BIGINT, n BIGINT) WITH ('connector' = 'blackhole');\n"
        )
    };
    let read = "INSERT INTO out_table SELECT id, 1 FROM clicks;";
    let option =
        |key: &str, value: &str| table("ts", &format!(",\n'scan.watermark.{key}' = '{value}'"));
    for (sql, words) in [
        (option("emit.strategy", "sometimes"), ["line 5, column 1", "on-event or on-periodic"]),
        (option("alignment.group", "g"), ["line 5, column 1", "alignment.max-drift'"]),
        (option("alignment.max-drift", "1 min"), ["line 5, column 1", "alignment.group'"]),
        (option("idle-timeout", "soon"), ["line 5, column 1", "is not a duration"]),
        (option("idle-time", "1 s"), ["line 5, column 1", "scan.watermark.idle-timeout"]),
        (table("SOURCE_WATERMARK()", ""), ["line 3, column 30", "none does here"]),
        (table("CURRENT_TIMESTAMP", ""), ["line 3, column 36", "does not move a watermark"]),
    ] {
        check(&format!("{sql}{read}"), &words);
    }
    let window = "TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(p), INTERVAL '1' MINUTE))";
    for (query, word) in [
        (
            format!(
                "SELECT id, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end \
                 ORDER BY id) AS n FROM {window}) WHERE n <= 3"
            ),
            "Top-N of a window takes windows of event time",
        ),
        (
            format!(
                "SELECT l.id, 1 FROM (SELECT * FROM {window}) l JOIN (SELECT * FROM {window}) r \
                 ON l.window_start = r.window_start AND l.window_end = r.window_end"
            ),
            "a join of windows takes windows of event time",
        ),
    ] {
        check(&format!("{}INSERT INTO out_table {query};", table("ts", "")), &[word]);
    }
}
