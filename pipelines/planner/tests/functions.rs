//! `docs/functions.md` lists the functions that the planner knows.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

use std::path::Path;

#[test]
fn the_table_of_functions_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/functions.md");
    let (table, functions) = nowcast_planner::function_table();
    println!("functions: {functions}");
    if std::env::var_os("NOWCAST_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &table).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == table, "docs/functions.md is old: run this test with NOWCAST_BLESS=1");
}
