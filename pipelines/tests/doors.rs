//! Who may ask the binary over HTTP: tokens, TLS, and files that change while it runs.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Server, address_said, fail, nowcast, succeed, wait_until};
use rcgen::{CertificateParams, KeyPair};

/// A certificate for 127.0.0.1 that has signed itself.
fn certificate(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

/// A token of a scope, and its line.
fn token(scope: &str) -> (String, String) {
    let made = succeed(nowcast().args(["token", "new", "--scope", scope, "--name", "test"]));
    let mut lines = made.lines().map(str::to_owned);
    (lines.next().unwrap(), lines.next().unwrap())
}

fn job(folder: &Path) -> Command {
    let sql = "CREATE TABLE numbers (n BIGINT) WITH (
                 'connector' = 'datagen', 'rows-per-second' = '10');
               CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
               INSERT INTO nowhere SELECT n FROM numbers;";
    let file = folder.join("job.sql");
    std::fs::write(&file, sql).unwrap();
    let mut run = nowcast();
    run.arg("run").arg(file).args(["--workers", "1", "--data-dir"]).arg(folder.join("data"));
    run
}

#[test]
fn tokens_and_certificates_are_read_again_when_they_change() {
    let folder = common::folder();
    certificate(folder.path());
    let tokens = folder.path().join("tokens");
    let (reads, line) = token("read");
    std::fs::write(&tokens, line).unwrap();
    let mut run = job(folder.path());
    run.args(["--http", "127.0.0.1:0", "--tokens"]).arg(&tokens);
    run.arg("--tls-cert").arg(folder.path().join("cert.pem"));
    run.arg("--tls-key").arg(folder.path().join("key.pem"));
    run.env("NOWCAST_LOG", "nowcast=info,warn").stderr(Stdio::piped());
    let mut child = run.spawn().unwrap();
    let address = address_said(&mut child, "serving on ");
    let server = Server { child, address };
    assert!(server.address.starts_with("https://"), "{}", server.address);
    let why = |token: &str| {
        let mut why = nowcast();
        why.args(["why", "--http", &server.address, "--token", token, "--ca"]);
        why.arg(folder.path().join("cert.pem"));
        why
    };
    wait_until("an answer", || why(&reads).output().unwrap().status.success());
    fail(&mut why("nct_other"), &["401"]);
    let (feeds, line) = token("feeds");
    let (admin, other) = token("admin");
    std::fs::write(&tokens, format!("{line}\n{other}\n")).unwrap();
    wait_until("the new tokens", || why(&admin).output().unwrap().status.success());
    fail(&mut why(&feeds), &["403"]);
    fail(&mut why(&reads), &["401"]);
    // A certificate that nobody has signed is trusted as itself, so the new one is the one served.
    certificate(folder.path());
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    wait_until("the new certificate", || why(&admin).output().unwrap().status.success());
}

#[test]
fn other_machines_are_not_served_without_anybody_having_said_who_may_ask() {
    let folder = common::folder();
    fail(job(folder.path()).args(["--http", "0.0.0.0:0"]), &["--tokens", "--http-open"]);
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "test read sha256:00").unwrap();
    fail(job(folder.path()).arg("--tokens").arg(&tokens), &["tokens", "line 1", "64 digits"]);
    fail(nowcast().args(["token", "new", "--name", "two words"]), &["one word"]);
}
