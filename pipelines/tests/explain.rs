//! Plans and warnings, as people and programs read them.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::path::{Path, PathBuf};

use common::{PIPELINES, fail, models, nowcast, pipeline, succeed};
use serde_json::Value;

const TABLES: &str = "
CREATE TABLE clicks (title_id BIGINT, country STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH ('connector' = 'datagen');
CREATE TABLE plays (title_id BIGINT, plays BIGINT, PRIMARY KEY (title_id) NOT ENFORCED)
WITH ('connector' = 'redis', 'url' = 'embedded://');
";

const WINDOW: &str = "INSERT INTO plays SELECT title_id, COUNT(*)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '5' MINUTES))
GROUP BY title_id, window_start, window_end;";

fn write(folder: &Path, sql: &str) -> PathBuf {
    let path = folder.join("job.sql");
    std::fs::write(&path, sql).unwrap();
    path
}

fn explained(sql: &str, arguments: &[&str]) -> String {
    let folder = common::folder();
    succeed(nowcast().arg("explain").arg(write(folder.path(), sql)).args(arguments))
}

#[test]
fn a_plan_tells_state_watermark_and_changelog() {
    let text = explained(&format!("{TABLES}{WINDOW}"), &["--changelog-mode"]);
    assert!(text.contains("changelog: [I]\n"), "{text}");
    assert!(
        text.contains("state: aggregates of open windows, by (title_id), kept until"),
        "{text}"
    );
    assert!(text.contains("watermark: clicks.ts"), "{text}");
    let total = format!(
        "{TABLES}INSERT INTO plays SELECT title_id, COUNT(*) FROM clicks GROUP BY title_id;"
    );
    let text = explained(&total, &["--changelog-mode"]);
    assert!(text.contains("changelog: [I,UB,UA,D]"), "{text}");
    assert!(text.contains("kept forever (no table.exec.state.ttl)"), "{text}");
    let text = explained(&format!("SET 'table.exec.state.ttl' = '1 d';{total}"), &[]);
    assert!(text.contains("kept for 1 d without a change"), "{text}");
}

#[test]
fn a_source_tells_what_is_read_of_it() {
    let text = explained(&format!("{TABLES}{WINDOW}"), &[]);
    assert!(text.contains(", reads title_id, ts\n"), "{text}");
    let both = format!(
        "{TABLES}CREATE TABLE seen (country STRING) WITH ('connector' = 'blackhole');
        EXECUTE STATEMENT SET BEGIN {WINDOW} INSERT INTO seen SELECT country FROM clicks; END;"
    );
    let text = explained(&both, &[]);
    assert!(text.contains("`clicks`\n") && !text.contains("reads"), "all of it: {text}");
    let computed =
        "CREATE TABLE c (a INT, b INT, d AS a + 1, e AS b + 1) WITH ('connector' = 'datagen');
        CREATE TABLE s (n BIGINT) WITH ('connector' = 'blackhole');";
    let text = explained(&format!("{computed}INSERT INTO s SELECT d FROM c;"), &[]);
    assert!(text.contains("no watermark, reads d\n"), "{text}");
    let text = explained(&format!("{computed}INSERT INTO s SELECT COUNT(*) FROM c;"), &[]);
    assert!(text.contains("no watermark, reads no column\n"), "{text}");
}

#[test]
fn a_source_tells_which_fields_of_rows_are_read() {
    let tables = "CREATE TABLE c (
            r ROW<a INT, b INT, `in` ROW<x INT, y INT>>, q ROW<a INT, b INT>,
            t AS CASE WHEN r.a > 0 THEN 1 ELSE q.a END, u AS r.`in`
        ) WITH ('connector' = 'filesystem', 'path' = '/nowhere', 'format' = 'json');
        CREATE VIEW v AS SELECT r.`in`.y AS y, r.b AS b, t FROM c WHERE r.`in`.x > 1;
        CREATE TABLE s (n INT) WITH ('connector' = 'blackhole');
        CREATE TABLE s2 (n INT, r ROW<x INT, y INT>) WITH ('connector' = 'blackhole');";
    let reads = |query: &str| {
        let text = explained(&format!("{tables}{query}"), &[]);
        let line =
            text.lines().find_map(|line| line.split_once(", reads ")).map(|(_, reads)| reads);
        line.unwrap_or("all").to_owned()
    };
    assert_eq!(reads("INSERT INTO s SELECT y FROM v;"), "r.in.x, r.in.y");
    assert_eq!(reads("INSERT INTO s SELECT b FROM v WHERE t = 1;"), "r.b, r.in.x, t");
    assert_eq!(reads("INSERT INTO s SELECT SUM(u.x) FROM c GROUP BY q.b;"), "q.b, u.x");
    assert_eq!(reads("INSERT INTO s2 SELECT q.a, u FROM c WHERE r.b > 1;"), "r.b, q.a, u");
    assert_eq!(reads("INSERT INTO s SELECT q.b FROM c WHERE r IS NOT NULL AND r.a > 1;"), "r, q.b");
    let both = "EXECUTE STATEMENT SET BEGIN INSERT INTO s SELECT r.a FROM c;
        INSERT INTO s SELECT q.a FROM c JOIN (SELECT t FROM c) d ON q.b = d.t; END;";
    assert_eq!(reads(both), "r.a, q, t");
}

#[test]
fn rows_that_are_kept_for_a_store_are_told() {
    let kept = "'url' = 'redis://127.0.0.1:1', 'sink.reconcile' = 'true'";
    let tables = TABLES.replace("'url' = 'embedded://'", kept);
    let text = explained(&format!("{tables}{WINDOW}"), &["--changelog-mode"]);
    let words =
        "state: the last row of each key, for `nowcast reconcile`, by (title_id), kept as long as";
    assert!(text.contains("plays/LastRows") && text.contains(words), "{text}");
}

#[test]
fn a_row_pattern_tells_what_it_matches_and_keeps() {
    let text = explained(
        &format!(
            "{TABLES}CREATE TABLE found (country STRING, a BIGINT, n BIGINT)
            WITH ('connector' = 'blackhole');
            INSERT INTO found SELECT * FROM clicks MATCH_RECOGNIZE (
            PARTITION BY country ORDER BY ts MEASURES LAST(A.title_id, 1) AS a, COUNT(B.ts) AS n
            PATTERN (A B+?) WITHIN INTERVAL '1' MINUTE DEFINE B AS B.title_id > A.title_id);"
        ),
        &[],
    );
    assert!(
        text.contains("PATTERN (A B+?) WITHIN 60000 ms: country, LAST(A.title_id, 1)"),
        "{text}"
    );
    assert!(text.contains("state: rows of matches under way"), "{text}");
    assert!(text.contains("by (country)"), "{text}");
    assert!(text.contains("watermark: clicks.ts"), "{text}");
}

#[test]
fn programs_read_json_and_mermaid() {
    let sql = format!("{TABLES}{WINDOW}");
    let json: Value = serde_json::from_str(&explained(&sql, &["--format", "json"])).unwrap();
    let nodes = json["nodes"].as_array().unwrap();
    let window = nodes.iter().find(|node| node["type"] == "WindowAggregate").unwrap();
    assert_eq!(window["state"]["key"][0], "title_id");
    assert_eq!(window["changelog_mode"], "[I]");
    assert_eq!(window["watermark"][0], "clicks.ts");
    let mermaid = explained(&sql, &["--format", "mermaid"]);
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
    assert!(mermaid.contains("n0 -- "), "{mermaid}");
}

#[test]
fn flinks_forms_of_explain_are_statements() {
    let folder = common::folder();
    let query = "SELECT title_id, COUNT(*) FROM clicks GROUP BY title_id";
    let sql = format!(
        "{TABLES}EXPLAIN CHANGELOG_MODE, PLAN_ADVICE {query}; EXPLAIN PLAN FOR {query};
         EXPLAIN JSON_EXECUTION_PLAN {query}; SHOW TABLES; DESCRIBE clicks;"
    );
    let data = folder.path().join("data");
    let text = succeed(
        nowcast()
            .arg("run")
            .arg(write(folder.path(), &sql))
            .args(["--no-http", "--data-dir"])
            .arg(data),
    );
    assert!(text.contains("changelog: [I,UB,UA,D]"), "{text}");
    assert!(text.contains("advice: query: "), "{text}");
    assert!(text.contains("\"nodes\": ["), "{text}");
    assert!(text.contains("clicks\nplays\n"), "{text}");
    assert!(text.contains("ts       | TIMESTAMP(3)"), "{text}");
}

#[test]
fn what_a_plan_may_run_into_is_warned_of() {
    let check = |sql: &str| {
        let folder = common::folder();
        succeed(nowcast().arg("check").arg(write(folder.path(), sql)))
    };
    let idle = format!(
        "{}{WINDOW}",
        TABLES.replace(
            "('connector' = 'datagen')",
            "('connector' = 'kafka', 'topic' = 'clicks', \
         'format' = 'json', 'scan.startup.mode' = 'earliest-offset', \
         'properties.bootstrap.servers' = 'embedded',\n'scan.watermark.idle-timeout' = '0 s')"
        )
    );
    let text = check(&idle);
    assert!(text.contains("line 4, column"), "{text}");
    assert!(text.contains("one partition of `clicks` without rows holds back"), "{text}");
    let constant = TABLES.replace("ts - INTERVAL '5' SECOND", "TIMESTAMP '2020-01-01 00:00:00'");
    let text = check(&format!("{constant}{WINDOW}"));
    assert!(text.contains("never moves"), "{text}");
    let text = check(&format!(
        "{TABLES}CREATE TABLE by_country (title_id BIGINT, country STRING, plays BIGINT, PRIMARY KEY (title_id) NOT ENFORCED)
         WITH ('connector' = 'redis', 'url' = 'embedded://');
         INSERT INTO by_country SELECT title_id, country, COUNT(*) FROM clicks GROUP BY title_id, country;"
    ));
    assert!(
        text.contains("GROUP BY clicks.title_id, clicks.country keeps its state forever"),
        "{text}"
    );
    assert!(text.contains("of which rows of several keys of the query share one"), "{text}");
    assert!(!check(&format!("{TABLES}{WINDOW}")).contains("warning"));
    let over = |before: &str, frame: &str| {
        check(&format!(
            "{before}{TABLES}CREATE TABLE so_far (title_id BIGINT, plays BIGINT) WITH ('connector' = 'blackhole');
             INSERT INTO so_far SELECT title_id, COUNT(*) OVER
               (PARTITION BY title_id ORDER BY ts {frame} PRECEDING AND CURRENT ROW) FROM clicks;"
        ))
    };
    let kept = "OVER (PARTITION BY title_id …) keeps its state forever";
    for frame in ["ROWS BETWEEN UNBOUNDED", "ROWS BETWEEN 9", "RANGE BETWEEN UNBOUNDED"] {
        assert!(over("", frame).contains(kept), "{frame}");
        let text = over("SET 'table.exec.state.ttl' = '1 d';", frame);
        assert!(!text.contains("warning"), "{text}");
    }
    let text = over("", "RANGE BETWEEN INTERVAL '1' HOUR");
    assert!(!text.contains("warning"), "{text}");
}

#[test]
fn what_flink_would_refuse_is_told_with_its_place() {
    let folder = common::folder();
    let sql =
        "CREATE TABLE t (ts TIMESTAMP(3), n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '100' SECOND)
WITH ('connector' = 'datagen');
CREATE TABLE o (n BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO o SELECT n FROM t;";
    let mut check = nowcast();
    check.arg("check").arg(write(folder.path(), sql)).args(["--flink", "2.3"]);
    fail(&mut check, &["would not run on Flink 2.3 as it is"]);
    let output = common::finish(&mut check);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("line 1, column 69: INTERVAL '100' SECOND has more than two digits"),
        "{text}"
    );
    succeed(
        nowcast()
            .arg("check")
            .arg(write(folder.path(), &sql.replace("SECOND", "SECOND(3)")))
            .args(["--flink", "2.1"]),
    );
    let mut unknown = nowcast();
    unknown.arg("check").arg(write(folder.path(), sql)).args(["--flink", "1.0"]);
    let error = String::from_utf8(common::finish(&mut unknown).stderr).unwrap();
    assert!(error.contains("2.1, 2.2, 2.3"), "{error}");
}

/// The shipped pipelines need jars, a server's address and their variables filled in: nothing else.
#[test]
fn shipped_pipelines_need_jars_and_addresses_on_flink() {
    for name in PIPELINES {
        let mut check = nowcast();
        check.arg("check").arg(pipeline(name)).args(["--flink", "2.3"]);
        let output = common::finish(check.arg("--set").arg(format!("MODELS={}", models())));
        let text = String::from_utf8(output.stdout).unwrap();
        let findings = text.lines().filter(|line| line.contains(": flink 2.3: "));
        for finding in findings {
            let expected = ["is filled in by nowcast", "needs ", "lives inside nowcast"];
            assert!(expected.iter().any(|words| finding.contains(words)), "{finding}");
        }
        assert!(text.contains("connector 'kafka' is not in Flink's distribution"), "{text}");
    }
}
