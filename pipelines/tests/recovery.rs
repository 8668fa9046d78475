//! `kill -9` in the middle, start again: the features are those of an undisturbed run.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{
    PIPELINES, difference, embedded_broker, embedded_features, nowcast, pipeline,
    send_shipped_events, succeed, wait_until,
};

const KILLS: usize = 3;

fn run(data: &Path, variables: &[(&'static str, String)]) -> Command {
    let mut run = nowcast();
    run.arg("run").args(PIPELINES.map(pipeline)).args(["--no-http", "--workers", "2"]);
    run.args(["--checkpoint-interval", "100ms", "--rows-max", "256", "--data-dir"]).arg(data);
    run.envs(variables.iter().map(|(name, value)| (name, value)));
    run
}

/// The newest complete checkpoint of the job that has the most to do.
fn epoch(data: &Path) -> u64 {
    let folder = data.join("checkpoints/clickstream_features");
    let Ok(epochs) = std::fs::read_dir(folder) else { return 0 };
    let complete = epochs.flatten().filter(|epoch| common::is_checkpoint(&epoch.path()));
    let numbers = complete
        .filter_map(|epoch| epoch.file_name().to_str()?.strip_prefix("epoch-")?.parse().ok());
    numbers.max().unwrap_or(0)
}

#[test]
fn kills_change_no_feature() {
    let folder = common::folder();
    let broker = embedded_broker(&folder.path().join("broker"));
    let variables = send_shipped_events(&broker.address, folder.path(), 60_000);

    let undisturbed = folder.path().join("undisturbed");
    succeed(&mut run(&undisturbed, &variables));

    let disturbed = folder.path().join("disturbed");
    let mut killed = 0;
    for _ in 0..KILLS {
        let before = epoch(&disturbed);
        let mut child = run(&disturbed, &variables).stderr(Stdio::inherit()).spawn().unwrap();
        let mut ended = false;
        wait_until("a checkpoint", || {
            ended = child.try_wait().unwrap().is_some();
            ended || epoch(&disturbed) > before
        });
        // `Child::kill` sends SIGKILL.
        child.kill().unwrap();
        let status = child.wait().unwrap();
        killed += usize::from(!status.success());
        if ended {
            break;
        }
    }
    println!("killed {killed} times, the last time after epoch {}", epoch(&disturbed));
    assert!(killed > 0, "the job ended before it could be killed");
    succeed(&mut run(&disturbed, &variables));

    let undisturbed = embedded_features(&undisturbed);
    assert!(undisturbed.len() > 1_000, "{} features", undisturbed.len());
    assert_eq!(difference(&undisturbed, &embedded_features(&disturbed)), None);
}
