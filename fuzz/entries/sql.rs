//! A SQL file: whatever it holds, it is planned or refused in words, at a place in the text.

use std::collections::BTreeMap;
use std::sync::Arc;

use nowcast_connectors::{Environment, Registry};
use nowcast_engine::{Error, Model, ModelProvider};
use nowcast_planner::{Format, Planner, Version, explain, portability, substitute};

pub const SEEDS: &[&[u8]] = &[
    br"CREATE TABLE clicks (id BIGINT, `user` STRING, price DOUBLE, tags ARRAY<STRING>, extra MAP<STRING, INT>,
  place ROW<x INT, y STRING>, at TIMESTAMP(3), proc AS PROCTIME(), WATERMARK FOR at AS at - INTERVAL '5' SECOND,
  PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'filesystem', 'path' = '/in', 'format' = 'json');
CREATE TABLE out (k STRING, n BIGINT, s DOUBLE) WITH ('connector' = 'blackhole');
INSERT INTO out SELECT `user`, COUNT(*), SUM(price) FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' MINUTE))
  WHERE price > 1.5 AND place.x IS NOT NULL GROUP BY window_start, window_end, `user` HAVING COUNT(*) > 2;",
    br"CREATE TABLE a (k INT, t TIMESTAMP_LTZ(3), v DECIMAL(10, 2), WATERMARK FOR t AS t) WITH ('connector' = 'datagen');
CREATE VIEW b AS SELECT k, MAX(v) AS m, LISTAGG(CAST(v AS STRING)) AS l FROM a GROUP BY GROUPING SETS ((k), ());
CREATE TABLE sink (k INT, m DECIMAL(10, 2), PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'blackhole');
EXPLAIN SELECT * FROM a JOIN b ON a.k = b.k AND a.t BETWEEN a.t - INTERVAL '1' HOUR AND a.t;
EXECUTE STATEMENT SET BEGIN INSERT INTO sink SELECT k, m FROM b; INSERT INTO sink (k) VALUES (1), (2); END;",
    br"SET 'table.exec.state.ttl' = '1 h';
CREATE TABLE a (k INT, v INT, t TIMESTAMP(3), WATERMARK FOR t AS t - INTERVAL '1' SECOND) WITH ('connector' = 'datagen');
CREATE TABLE o (k INT, v INT) WITH ('connector' = 'print');
INSERT INTO o SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY t DESC) AS n FROM a) WHERE n <= 3;
INSERT INTO o SELECT k, SUM(v) OVER (PARTITION BY k ORDER BY t ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM a;
INSERT INTO o SELECT * FROM a MATCH_RECOGNIZE (PARTITION BY k ORDER BY t MEASURES LAST(B.v) AS v ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW PATTERN (A+ B{2,3}? C*) DEFINE A AS A.v > 1, B AS B.v < LAST(A.v, 1));",
    br"CREATE TABLE a (k STRING, j STRING) WITH ('connector' = 'datagen');
CREATE TABLE o LIKE a (EXCLUDING ALL);
SELECT CASE WHEN JSON_EXISTS(j, '$.a[0].b') THEN JSON_VALUE(j, '$.a' RETURNING INT DEFAULT 1 ON EMPTY) ELSE 0 END,
  TRIM(BOTH 'x' FROM k) || SUBSTRING(k FROM 2 FOR 3), k LIKE 'a%' ESCAPE '\', k IN ('a', U&'\00e9'), TRY_CAST(k AS DATE),
  EXTRACT(YEAR FROM DATE '2026-01-31'), TIMESTAMPADD(MONTH, 1, TIMESTAMP '2026-01-31 00:00:00.123'), ARRAY[1, 2][1],
  MAP['a', 1]['a'], x.t FROM a CROSS JOIN UNNEST(SPLIT(k, ',')) AS x (t) WHERE EXISTS (SELECT 1 FROM a AS b WHERE b.k = a.k)
UNION ALL SELECT 1, '', TRUE, FALSE, NULL, 1, NULL, 1, 1, '' /*+ STATE_TTL('a' = '1d') */ -- the end",
    br"CREATE FUNCTION f AS 'x' LANGUAGE RUST; CREATE MODEL m INPUT (a DOUBLE) OUTPUT (b DOUBLE) WITH ('path' = '/m');
SHOW TABLES; DESCRIBE a; DROP TABLE IF EXISTS a; RESET 'x'; USE CATALOG c; SHOW CREATE TABLE a; ALTER TABLE a RENAME TO b;
SELECT * FROM ML_PREDICT(TABLE a, MODEL m, DESCRIPTOR(a)); SELECT ${X:-1};",
];

pub const WORDS: &[&[u8]] = &[
    b" SELECT ",
    b" FROM ",
    b" WHERE ",
    b" GROUP BY ",
    b" ORDER BY ",
    b" LIMIT 1 ",
    b" JOIN ",
    b" LEFT JOIN ",
    b" ON ",
    b" UNION ",
    b" DISTINCT ",
    b" OVER (",
    b" PARTITION BY ",
    b" CAST(",
    b" AS ",
    b" INTERVAL '1' ",
    b" DAY TO SECOND ",
    b" TABLE(",
    b"TUMBLE(",
    b"HOP(",
    b"SESSION(",
    b"CUMULATE(",
    b" DESCRIPTOR(",
    b" FOR SYSTEM_TIME AS OF ",
    b" NULL ",
    b" NOT ",
    b" BETWEEN ",
    b" CASE WHEN ",
    b" THEN ",
    b" ELSE ",
    b" END ",
    b" IN (",
    b" EXISTS (",
    b" LATERAL ",
    b" ROW(",
    b" ARRAY[",
    b" MAP[",
    b"(",
    b")",
    b",",
    b";",
    b"'",
    b"`",
    b"\"",
    b"*",
    b"-",
    b"--",
    b"/*",
    b"*/",
    b"/*+ OPTIONS(",
    b"||",
    b"::",
    b"=>",
    b"<>",
    b"${",
    b"}",
    b"[",
    b"]",
    b"{",
    b"{2,}",
    b"$",
    b"\\",
    b"?",
    b"99999999999999999999",
    b"1e400",
    b"0",
    b"\xc3\xa9",
    b" VARCHAR(0)",
    b" DECIMAL(39, 40)",
    b" TIMESTAMP(9)",
    b" INTERVAL SECOND(3)",
    b"COUNT(*)",
    b"window_start",
    b" PATTERN (",
    b" MEASURES ",
    b" DEFINE ",
    b"((((((((",
    b"))))))))",
    b" WITH (",
    b"'connector' = 'kafka'",
    b" CREATE TABLE ",
    b" INSERT INTO ",
];

struct NoModels;

impl ModelProvider for NoModels {
    fn load(
        &self,
        name: &str,
        _: &BTreeMap<String, String>,
    ) -> nowcast_engine::Result<Arc<dyn Model>> {
        Err(Error::user(format!("model {name}: there is none here")))
    }
}

pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let sets = BTreeMap::new();
    let versions = [Version::V2_1, Version::V2_3];
    let portable = versions.map(|version| portability(&text, &sets, |_| None, version));
    for error in portable.into_iter().flat_map(|found| found.unwrap_or_else(|error| vec![error])) {
        placed(&text, error.line, error.column, &error.to_string());
    }
    let Ok(sql) = substitute(&text, &sets, |_| None) else { return };
    let connectors = Arc::new(Registry::new(Environment::default()));
    let mut planner = Planner::new(connectors, Arc::new(NoModels), BTreeMap::new());
    match planner.plan(&sql) {
        Err(error) => placed(&sql, error.line, error.column, &error.to_string()),
        Ok(job) => {
            for format in [Format::Text { changelog: true }, Format::Json, Format::Mermaid] {
                explain(&job, format);
            }
        }
    }
}

/// An error says what, and its place is one of the text.
fn placed(text: &str, line: usize, column: usize, words: &str) {
    assert!(!words.trim().is_empty(), "an error without words: {text}");
    assert!(!words.contains("nternal error"), "an error that is ours: {words}: {text}");
    let lines: Vec<&str> = text.split('\n').collect();
    let Some(at) = line.checked_sub(1) else { return };
    let found = lines.get(at).unwrap_or_else(|| panic!("no line {line}: {words}: {text}"));
    // One behind the end is where something is missing.
    assert!(column <= found.chars().count() + 1, "no column {column} in {found:?}: {words}");
}
