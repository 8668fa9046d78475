//! Functions in Rust out of a library that is built here, used wherever a function may stand.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;
#[path = "golden/job.rs"]
mod job;
#[allow(dead_code)] // a part of it
#[path = "golden/rows.rs"]
mod rows;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use common::{fail, folder, nowcast, succeed};
use job::{How, standing_rows};
use nowcast_engine::testing::Kept;
use serde_json::{Value, json};

/// The library of `udf/example`.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let build = ["build", "--offline", "--quiet", "-p", "nowcast-udf-example", "--target-dir"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).args(build).arg(target);
    succeed(&mut cargo);
    let name = format!(
        "debug/{}nowcast_udf_example{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    target.join(name)
});

/// Declares the functions of the library.
fn declared(names: &[&str]) -> String {
    let library = LIBRARY.display();
    let declare = |name: &&str| {
        format!(
            "CREATE TEMPORARY FUNCTION {name} AS '{name}' LANGUAGE RUST USING LIBRARY '{library}';\n"
        )
    };
    names.iter().map(declare).collect()
}

const WORDS: &str = r#"
CREATE TABLE words (id INT, a STRING, b STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '${FOLDER}/words.json', 'format' = 'json');
"#;

fn words(folder: &Path) -> String {
    let lines = [
        r#"{"id": 1, "a": "kitten", "b": "sitting", "v": 1.005}"#,
        r#"{"id": 2, "a": "flaw", "b": "lawn", "v": null}"#,
        r#"{"id": 3, "a": null, "b": "x", "v": -2}"#,
        r#"{"id": 4, "a": "", "b": "", "v": 3}"#,
        r#"{"id": 5, "a": "ada@lovelace.org", "b": "ff", "v": 0.5}"#,
        r#"{"id": 6, "a": "früh", "b": "zz", "v": 0.5}"#,
    ];
    std::fs::write(folder.join("words.json"), lines.join("\n")).unwrap();
    WORDS.replace("${FOLDER}", &folder.display().to_string())
}

/// Runs in odd batch sizes, on several workers and through a crash; the rows, and what was set aside.
async fn rows_of(sql: &str) -> (Vec<Value>, Vec<String>) {
    let mut first: Option<Vec<Value>> = None;
    let mut letters = vec![];
    for (workers, rows_max, crash) in
        [(1, 1024, false), (1, 1, false), (2, 4, false), (4, 1, true), (1, 2, true)]
    {
        let how = How { workers, rows_max, crash, seed: 3 };
        let aside = Arc::new(Kept::default());
        let mut standing = standing_rows(sql, &how, aside.clone()).await.unwrap();
        let mut got = standing.remove("answer").unwrap();
        got.sort_by_key(Value::to_string);
        match &first {
            None => {
                let set_aside = aside.letters.lock().unwrap();
                letters = set_aside.iter().map(|letter| letter.error.clone()).collect();
                first = Some(got);
            }
            Some(first) => assert_eq!(*first, got, "{how}"),
        }
    }
    (first.unwrap(), letters)
}

#[tokio::test]
async fn a_function_stands_wherever_one_may() {
    let folder = folder();
    let sql = words(folder.path())
        + &declared(&["levenshtein", "priced", "domain", "is_even", "answer"])
        + "CREATE TABLE answer (id INT, d INT, p STRING, m STRING, even BOOLEAN, n FLOAT)
           WITH ('connector' = 'blackhole');
           INSERT INTO answer
           SELECT id, Levenshtein(a, b), priced(v, CAST(NULL AS STRING)), domain(a),
                  is_even(CAST(NULLIF(id, 4) AS TINYINT)), answer()
           FROM words WHERE levenshtein(COALESCE(a, ''), b) < 16;";
    let (rows, letters) = rows_of(&sql).await;
    assert_eq!(
        rows,
        [
            json!([1, 3, "1.00 ?", null, false, 42.0]),
            json!([2, 2, null, null, true, 42.0]),
            json!([3, null, "-2.00 ?", null, false, 42.0]),
            json!([4, 0, "3.00 ?", null, null, 42.0]),
            json!([6, 4, "0.50 ?", null, true, 42.0]),
        ]
    );
    assert_eq!(letters, Vec::<String>::new());
}

#[tokio::test]
async fn arguments_widen_as_flinks_do() {
    let sql = declared(&["all_types"])
        + "CREATE TABLE answer (t BYTES) WITH ('connector' = 'blackhole');
           INSERT INTO answer SELECT all_types(TRUE, CAST(n AS TINYINT), CAST(n AS TINYINT), 4, n, 6, 7.5, s, x'0a0b')
           FROM (VALUES (1, 'a'), (2, CAST(NULL AS STRING))) AS t (n, s);";
    let (rows, _) = rows_of(&sql).await;
    let text: String =
        "true 1 1 4 1 6 7.5 a [10, 11]".bytes().map(|b| format!("{b:02x}")).collect();
    assert_eq!(rows, [json!([text]), json!([null])]);
}

#[tokio::test]
async fn keys_of_groups_and_joins_call_functions() {
    let folder = folder();
    let sql = words(folder.path())
        + &declared(&["levenshtein", "is_even"])
        + "CREATE TABLE answer (d INT, n BIGINT, PRIMARY KEY (d) NOT ENFORCED)
           WITH ('connector' = 'blackhole');
           INSERT INTO answer
           SELECT levenshtein(l.b, 'xx'), COUNT(*)
           FROM words AS l JOIN words AS r
           ON levenshtein(l.b, '') = levenshtein(r.b, '') AND levenshtein(l.a, r.a) <= 5
           GROUP BY levenshtein(l.b, 'xx');";
    let (rows, _) = rows_of(&sql).await;
    assert_eq!(rows, [json!([2, 3]), json!([4, 1]), json!([7, 1])]);
}

#[tokio::test]
async fn rows_that_a_function_fails_for_are_dead_letters() {
    let folder = folder();
    let sql = words(folder.path())
        + &declared(&["from_hex", "byte_at"])
        + "CREATE TABLE answer (id INT, n BIGINT, b SMALLINT) WITH ('connector' = 'blackhole');
           INSERT INTO answer
           SELECT id, from_hex(b), byte_at(ENCODE(b, 'UTF-8'), 1) FROM words
           WHERE id > 3 AND from_hex(CASE WHEN id = 4 THEN 'a' ELSE b END) >= 0
           UNION ALL SELECT id, CAST(1 AS BIGINT), byte_at(ENCODE(a, 'UTF-8'), 7) FROM words WHERE id < 3;";
    let (rows, mut letters) = rows_of(&sql).await;
    assert_eq!(rows, [json!([5, 255, 102])]);
    letters.sort();
    let begins = [
        "function `byte_at`: panicked at udf/example/src/lib.rs:43:15: index out of bounds",
        "function `byte_at`: panicked at udf/example/src/lib.rs:43:15: index out of bounds",
        "function `from_hex`: cannot parse integer from empty string",
        "function `from_hex`: invalid digit found in string",
    ];
    assert_eq!(letters.len(), begins.len(), "{letters:?}");
    for (letter, begin) in letters.iter().zip(begins) {
        assert!(letter.contains(begin), "{letter}");
    }
}

/// A library in the form of Arroyo's; see there.
fn made_for_arroyo(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions/for_arroyo.rs");
    let library = folder.join(format!("for_arroyo{}", std::env::consts::DLL_SUFFIX));
    let mut rustc = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"));
    rustc.args(["--edition", "2024", "--crate-type", "cdylib", "--crate-name", "for_arroyo", "-o"]);
    succeed(rustc.arg(&library).arg(source));
    library
}

#[tokio::test]
async fn functions_made_for_arroyo_are_called() {
    let folder = folder();
    let library = made_for_arroyo(folder.path());
    let sql = words(folder.path())
        + &format!(
            "CREATE TEMPORARY FUNCTION tripled AS 'fn tripled(number: i64, less: i64) -> Option<i64>'
             LANGUAGE RUST USING LIBRARY '{}';
             CREATE TABLE answer (t BIGINT, n BIGINT) WITH ('connector' = 'blackhole');
             INSERT INTO answer
             SELECT tripled(id, CAST(NULLIF(CHAR_LENGTH(b), 1) AS BIGINT)) AS t, COUNT(*)
             FROM (SELECT id, b FROM words UNION ALL SELECT 13, b FROM words WHERE id = 1)
             WHERE tripled(id, 0) > 3 OR id = 13
             GROUP BY tripled(id, CAST(NULLIF(CHAR_LENGTH(b), 1) AS BIGINT));",
            library.display()
        );
    let (rows, letters) = rows_of(&sql).await;
    let expected =
        [json!([13, 1]), json!([16, 1]), json!([2, 1]), json!([12, 1]), json!([null, 1])];
    let mut expected = expected.to_vec();
    expected.sort_by_key(Value::to_string);
    assert_eq!(rows, expected);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].contains("function `tripled`: panicked, or"), "{letters:?}");
}

#[test]
fn what_is_wrong_has_its_place() {
    let folder = folder();
    let check = |sql: &str, words: &[&str]| {
        let path = folder.path().join("job.sql");
        std::fs::write(&path, sql).unwrap();
        fail(nowcast().arg("check").arg(path), words);
    };
    let library = LIBRARY.display().to_string();
    let create = |name: &str, rest: &str| format!("CREATE FUNCTION {name}\n AS {rest};\n");
    let own = |name: &str| format!("'{name}' LANGUAGE RUST USING LIBRARY '{library}'");
    check(
        &create("f", "'f' LANGUAGE RUST USING LIBRARY '/nowhere.so'"),
        &["line 2, column 37: library /nowhere.so: cannot be read: "],
    );
    check(&create("f", "'f' LANGUAGE RUST USING JAR 'Cargo.toml'"), &["Cargo.toml: no library"]);
    check(&create("f", &own("nothing")), &["no function `nothing` with `#[udf]` in it"]);
    check(&create("f", "'com.acme.F'"), &["functions in JAVA are not supported", "LANGUAGE RUST"]);
    check(&create("f", "'f' LANGUAGE PYTHON"), &["functions in PYTHON are not supported"]);
    check(&create("upper", &own("domain")), &["line 1, column 17: `UPPER` is a built-in function"]);
    check(&create("coalesce", &own("domain")), &["`COALESCE` is a built-in function"]);
    check(&create("f", &own("domain")).repeat(2), &["there is a function `f` already"]);
    check("CREATE SYSTEM FUNCTION f AS 'f'", &["write TEMPORARY SYSTEM FUNCTION"]);
    check("ALTER FUNCTION f AS 'g'", &["ALTER FUNCTION is not supported", "DROP it"]);
    check("DROP FUNCTION f", &["line 1, column 15: unknown function `f`"]);

    let called = |call: &str| {
        format!(
            "{}EXPLAIN SELECT\n  {call} FROM (VALUES (1, 'a')) AS t (n, s);",
            declared(&["levenshtein", "is_even"])
        )
    };
    check(
        &called("levenshtein(s)"),
        &[
            "line 4, column 3: `LEVENSHTEIN` takes 2 arguments, not 1",
            "levenshtein(STRING, STRING)",
        ],
    );
    check(
        &called("levenshtein(s, n)"),
        &["line 4, column 3: `LEVENSHTEIN` takes no INT as argument 2"],
    );
    check(&called("is_even(n)"), &["line 4, column 3: `IS_EVEN` takes no INT as argument 1"]);
    check(
        &called("levenshtien(s, s)"),
        &["unknown function `LEVENSHTIEN`", "did you mean LEVENSHTEIN"],
    );
    let dropped = declared(&["levenshtein"])
        + "DROP TEMPORARY FUNCTION LEVENSHTEIN;
        DROP FUNCTION IF EXISTS levenshtein; EXPLAIN SELECT levenshtein('a', 'b')";
    check(&dropped, &["unknown function `LEVENSHTEIN`"]);
}

#[test]
fn the_shell_shows_functions() {
    let folder = folder();
    let sql = format!(
        "CREATE TEMPORARY SYSTEM FUNCTION IF NOT EXISTS Far AS 'levenshtein' LANGUAGE RUST USING ARTIFACT 'file://{}';
         SHOW USER FUNCTIONS;",
        LIBRARY.display()
    );
    let mut shell = nowcast();
    shell.args(["sql", "--data-dir"]).arg(folder.path()).args(["-e", &sql]);
    let said = succeed(&mut shell);
    assert!(said.lines().any(|line| line == "far"), "{said}");
}
