//! Secrets reach the connectors and nobody else.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

mod common;

use std::path::Path;
use std::process::Command;

use common::{finish, nowcast, succeed, written_lines};

const SECRETS: [&str; 4] = ["hush-inline", "hush-env", "hush-file", "hush-url"];

/// All that a command says.
fn said(command: &mut Command, expected: &str) {
    let output = finish(command.env("PG_SECRET", "hush-env"));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(expected), "{expected:?} is not in: {said}");
    assert_silent(&said);
}

fn assert_silent(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is in: {text}");
    }
}

/// All files beneath a folder, as text.
fn written(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all += &written(&path),
            false => all += &String::from_utf8_lossy(&std::fs::read(path).unwrap()),
        }
    }
    all
}

fn job(folder: &Path, options: &str) -> std::path::PathBuf {
    let file = folder.join("job.sql");
    let sql = format!(
        "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '3');
         CREATE TABLE secretive (n BIGINT) WITH ({options});
         INSERT INTO secretive SELECT n FROM numbers;"
    );
    std::fs::write(&file, sql).unwrap();
    file
}

#[test]
fn nothing_that_is_said_or_kept_holds_a_secret() {
    let folder = common::folder();
    let folder = folder.path();
    let file = folder.join("secret");
    std::fs::write(&file, "hush-file\n").unwrap();
    let from_file = format!("${{file:{}}}", file.display());
    let kafka = "'connector' = 'kafka', 'topic' = 't', 'format' = 'json', \
        'properties.bootstrap.servers' = '127.0.0.1:1', \
        'properties.security.protocol' = 'SASL_PLAINTEXT', 'properties.sasl.mechanism' = 'PLAIN'";
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let jdbc = "'connector' = 'jdbc', 'table-name' = 't', 'username' = 'u', \
                'connection.max-retry-timeout' = '2 s', 'sink.max-retries' = '0'";
    let data = folder.join("data");
    for (options, run, check) in [
        (
            format!(
                "{kafka}, 'properties.sasl.jaas.config' = '{jaas} username=\"u\" password=\"hush-inline\";'"
            ),
            "unreachable",
            "no errors",
        ),
        (
            format!(
                "{kafka}, 'properties.sasl.username' = 'u', 'properties.sasl.password' = '{from_file}'"
            ),
            "unreachable",
            "no errors",
        ),
        (
            format!("{jdbc}, 'url' = 'jdbc:postgresql://127.0.0.1:1/d?password=hush-url'"),
            "postgresql table t",
            "no errors",
        ),
        (
            format!(
                "{jdbc}, 'url' = 'jdbc:postgresql://127.0.0.1:1/d?password=${{env:PG_SECRET}}&x=y'"
            ),
            "\"x\" is unknown",
            "\"x\" is unknown",
        ),
        (
            format!("{jdbc}, 'url' = 'jdbc:mysql://u:hush-url@h/d'"),
            "PostgreSQL is what there is",
            "PostgreSQL is what there is",
        ),
        (
            format!("{jdbc}, 'url' = 'jdbc:postgresql://h/d', 'password' = '${{env:GONE}}'"),
            "option \"password\": ${env:GONE} is not set",
            "no errors",
        ),
        (
            "'connector' = 'redis', 'url' = 'rediss:///u:hush-url@h'".to_owned(),
            "table \"secretive\"",
            "",
        ),
        (
            format!(
                "{kafka}, 'properties.sasl.username' = 'u', 'properties.sasl.password' = 'hush-inline', \
                 'properties.ssl.key.password' = 'hush-inline', 'properties.fetch.min.bites' = '1'"
            ),
            "option \"properties.",
            "",
        ),
    ] {
        let job = job(folder, &options);
        let mut command = nowcast();
        command.arg("run").arg(&job).args(["--no-http", "--data-dir"]).arg(&data);
        said(command.env("NOWCAST_LOG", "debug"), run);
        said(nowcast().arg("check").arg(&job), check);
        said(nowcast().args(["check", "--flink", "2.3"]).arg(&job), check);
        for format in ["text", "json", "mermaid"] {
            said(nowcast().args(["explain", "--format", format]).arg(&job), "");
        }
        let mut shell = nowcast();
        shell.arg("sql").arg("-f").arg(&job).arg("--data-dir").arg(&data);
        said(&mut shell, "");
    }
    assert_silent(&written(&data));
}

#[test]
fn options_come_from_the_environment_and_from_files() {
    let folder = common::folder();
    let folder = folder.path();
    std::fs::write(folder.join("path"), format!("{}\n", folder.join("out").display())).unwrap();
    let path = folder.join("path").display().to_string();
    let options = format!(
        "'connector' = 'filesystem', 'path' = '${{file:{path}}}', 'format' = '${{env:OUT}}'"
    );
    let mut run = nowcast();
    run.arg("run").arg(job(folder, &options)).args(["--no-http", "--data-dir"]);
    succeed(run.arg(folder.join("data")).env("OUT", "csv"));
    assert_eq!(written_lines(&folder.join("out")).len(), 3);
}
