//! CSV and JSON files of any kind as JSON rows in event-time order.

use std::fs;
use std::path::{Path, PathBuf};

use nowcast_bench::Event;
use nowcast_bench::rows::Rows;
use nowcast_bench::timestamp::TimeFormat;

fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).expect("the temporary folder takes files");
    path
}

fn texts(rows: &Rows) -> Vec<String> {
    rows.iter().map(|row| row.to_json()).collect()
}

const CSV: &str = "id,time,name,share,zip,ok\n1,2026-01-05 12:00:02,\"a, \"\"b\"\"\",0.5,007,true\n2,2026-01-05 12:00:01,,,123,false\n3,2026-01-05 12:00:01.500,c,-1e3,9,true\n";

#[test]
fn csv_columns_become_numbers_booleans_or_strings_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let expected = [
        r#"{"id":2,"time":"2026-01-05 12:00:01","name":null,"share":null,"zip":"123","ok":false}"#,
        r#"{"id":3,"time":"2026-01-05 12:00:01.500","name":"c","share":-1e3,"zip":"9","ok":true}"#,
        r#"{"id":1,"time":"2026-01-05 12:00:02","name":"a, \"b\"","share":0.5,"zip":"007","ok":true}"#,
    ];
    let zst = zstd::encode_all(CSV.as_bytes(), 1).unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, CSV.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    for (name, content) in [("a.csv", CSV.as_bytes()), ("a.csv.zst", &zst), ("a.csv.gz", &gz)] {
        let rows =
            Rows::read(&write(folder.path(), name, content), "time", TimeFormat::Sql).unwrap();
        assert_eq!(texts(&rows), expected, "{name}");
        assert_eq!(rows.len(), 3);
        assert_eq!(
            rows.iter().map(|row| row.event_time_ms).collect::<Vec<_>>()[0],
            1_767_614_401_000
        );
    }
}

#[test]
fn json_lines_are_sorted_and_otherwise_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let content = b"{\"t\": 30, \"x\": {\"t\": 1}}\r\n\n  {\"x\":[1,2],\"t\":\"10\"}\n{\"t\":20}";
    let rows = Rows::read(&write(folder.path(), "a.ndjson", content), "t", TimeFormat::EpochMillis)
        .unwrap();
    assert_eq!(
        texts(&rows),
        ["{\"x\":[1,2],\"t\":\"10\"}", "{\"t\":20}", "{\"t\": 30, \"x\": {\"t\": 1}}"]
    );
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, format, expected) in [
        ("a.csv", "a,b\n1,2\n", TimeFormat::Sql, "line 1: no column \"time\""),
        (
            "b.csv",
            "time\n2026-01-05\n5 o'clock\n",
            TimeFormat::Sql,
            "line 3: column \"time\": \"5 o'clock\" is no time of format sql",
        ),
        ("c.csv", "time,b\n1,2\n3\n", TimeFormat::EpochMillis, "line 3: CSV error"),
        (
            "d.json",
            "{\"time\":1}\n{\"time\":}\n",
            TimeFormat::EpochMillis,
            "line 2: expected value at column 9",
        ),
        (
            "e.json",
            "{\"time\":1}\n{\"t\":2}\n",
            TimeFormat::EpochMillis,
            "line 2: no field \"time\"",
        ),
        (
            "f.json",
            "[1]\n",
            TimeFormat::EpochMillis,
            "line 1: invalid type: sequence, expected a JSON object",
        ),
        (
            "g.json",
            "{\"time\":null}\n",
            TimeFormat::EpochMillis,
            "line 1: field \"time\": null is no time",
        ),
        ("h.txt", "", TimeFormat::Sql, "expected .csv, .json, .jsonl or .ndjson"),
        ("i.csv.gz", "no gzip", TimeFormat::Sql, "i.csv.gz"),
        ("j.csv.zst", "no zstd", TimeFormat::Sql, "j.csv.zst"),
    ] {
        let path = write(folder.path(), name, content.as_bytes());
        let error = Rows::read(&path, "time", format).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(name), "{name}: {error}");
    }
    let error = Rows::read(&folder.path().join("absent.csv"), "time", TimeFormat::Sql)
        .unwrap_err()
        .to_string();
    assert!(error.contains("absent.csv"), "{error}");
}
