//! Bytes that nobody meant to send, into whatever reads some from outside: for some seconds each, seeded.
//! `fuzz/` at the top of the repository has the same as targets for cargo-fuzz.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

#[path = "../../fuzz/entries/checkpoint.rs"]
mod checkpoint;
#[path = "../../fuzz/entries/formats.rs"]
mod formats;
#[path = "../../fuzz/entries/http.rs"]
mod http;
#[path = "../../fuzz/entries/json.rs"]
mod json;
#[path = "../../fuzz/search.rs"]
mod search;
#[path = "../../fuzz/entries/sql.rs"]
mod sql;
#[path = "../../fuzz/entries/tables.rs"]
mod tables;

use search::search;

#[test]
fn json_messages_are_what_serde_json_reads() {
    search("json", json::SEEDS, json::WORDS, json::run);
}

#[test]
fn messages_of_any_format_are_survived() {
    search("formats", formats::SEEDS, formats::WORDS, formats::run);
}

#[test]
fn any_sql_is_planned_or_refused() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let cases =
        std::fs::read_dir(golden).unwrap().map(|case| case.unwrap().path().join("query.sql"));
    let mut cases: Vec<_> = cases.filter(|file| file.exists()).collect();
    cases.sort();
    // Planning all of them, as they are, is what other tests do.
    let texts: Vec<_> = cases.iter().step_by(20).map(|file| std::fs::read(file).unwrap()).collect();
    let seeds = texts.iter().map(Vec::as_slice).chain(sql::SEEDS.iter().copied());
    search("sql", &seeds.collect::<Vec<_>>(), sql::WORDS, sql::run);
}

#[test]
fn a_checkpoint_of_any_bytes_is_restored_or_passed_over() {
    let seeds = checkpoint::seeds();
    let seeds: Vec<_> = seeds.iter().map(Vec::as_slice).collect();
    search("checkpoint", &seeds, checkpoint::WORDS, checkpoint::run);
}

#[test]
fn any_request_over_http_is_answered_or_closed() {
    search("http", http::SEEDS, http::WORDS, http::run);
}
