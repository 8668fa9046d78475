//! The shell on a terminal: what is typed, completed, remembered and drawn again.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

mod common;

use std::path::Path;

use common::{folder, nowcast};
use rexpect::session::{PtySession, spawn_command};

/// How long a test waits for words on the screen, in ms: only a hung shell takes so long.
const PATIENCE_MS: u64 = 30_000;

const PROMPT: &str = "nowcast> ";
const UP: &str = "\x1b[A";

struct Shell(PtySession);

impl Shell {
    fn start(data: &Path) -> Self {
        let mut command = nowcast();
        command.env("TERM", "xterm").args(["sql", "--workers", "1", "--data-dir"]).arg(data);
        let mut shell = Self(spawn_command(command, Some(PATIENCE_MS)).unwrap());
        shell.sees(PROMPT);
        shell
    }

    /// Types keys; the editor works on them one by one.
    fn types(&mut self, keys: &str) {
        self.0.send(keys).unwrap();
        self.0.flush().unwrap();
    }

    fn enters(&mut self, line: &str) {
        self.types(&format!("{line}\r"));
    }

    fn sees(&mut self, words: &str) {
        self.0.exp_string(words).unwrap();
    }

    fn leaves(mut self) {
        self.enters("\\q");
        self.0.exp_eof().unwrap();
    }
}

#[test]
fn statements_are_completed_answered_and_remembered() {
    let data = folder();
    let mut shell = Shell::start(data.path());
    shell.enters(
        "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '3',",
    );
    shell.sees("       > ");
    shell.enters(
        "'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '3'); \
         CREATE VIEW doubled AS SELECT n * 2 AS twice FROM numbers;",
    );
    shell.sees(PROMPT);
    shell.enters("\\d");
    shell.sees("doubled\r\nnumbers\r\n");
    shell.enters("\\d numbers");
    shell.sees("BIGINT");
    shell.enters("\\nothing");
    shell.sees("error: unknown command \\nothing");
    shell.types("SELECT twice, twice * 50 AS more FROM dou\t");
    shell.sees("doubled");
    shell.enters(";");
    shell.sees("twice | more");
    shell.sees("300");
    shell.sees("3 rows");
    shell.sees(PROMPT);
    shell.types(UP);
    shell.sees("doubled");
    shell.enters("");
    shell.sees("3 rows");
    shell.leaves();

    let mut next = Shell::start(data.path());
    next.types(UP);
    next.sees("doubled");
    next.enters("");
    next.sees("unknown table");
    next.leaves();
}

#[test]
fn a_query_without_an_end_is_drawn_until_it_is_interrupted() {
    let data = folder();
    let mut shell = Shell::start(data.path());
    shell.enters(
        "CREATE TABLE endless (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '200', \
         'fields.n.min' = '5', 'fields.n.max' = '5');",
    );
    shell.sees(PROMPT);
    shell.enters("SELECT n + 1000 AS shifted, COUNT(*) AS counted FROM endless GROUP BY n;");
    // Drawn, and drawn again over it.
    shell.sees("shifted | counted");
    shell.sees("1005");
    shell.sees("shifted | counted");
    shell.types("\x03");
    shell.sees(PROMPT);
    shell.enters("SELECT 6 * 7 AS answered;");
    shell.sees("42");
    shell.leaves();
}
