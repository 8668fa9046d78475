//! `nowcast bench compare`: two runs beside each other.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use nowcast_bench::compare::{Verdict, compare as differences};
use nowcast_bench::run::Run;

use super::Missed;

#[derive(Args)]
pub struct Compare {
    /// `run.json` of the run before.
    before: PathBuf,
    /// `run.json` of the run after.
    after: PathBuf,
    /// Ends with exit code 4 if one of these figures is worse beyond the noise, such as `p99,cpu`.
    #[arg(long, value_delimiter = ',')]
    fail_on: Vec<String>,
}

pub fn compare(command: &Compare) -> Result<()> {
    let (before, after) = (read(&command.before)?, read(&command.after)?);
    for (what, a, b) in [
        ("workload", &before.name, &after.name),
        ("cpu", &before.machine.cpu, &after.machine.cpu),
        ("rate", &rate(&before), &rate(&after)),
    ] {
        if a != b {
            say!("warning: not the same {what}: {a} and {b}");
        }
    }
    let found = differences(&before, &after);
    for name in &command.fail_on {
        if !found.iter().any(|difference| difference.figure == name) {
            let known: Vec<&str> = found.iter().map(|difference| difference.figure).collect();
            anyhow::bail!("--fail-on {name}: the runs have {}", known.join(", "));
        }
    }
    say!("{:<12} {:>12} {:>12} {:>9}  {:<11}", "", "before", "after", "", "noise");
    for difference in &found {
        say!("{difference}");
    }
    say!(
        "The noise is what a mean over one run varies by (95 %, from tenths of the run). Two runs of the same thing may differ by more: repeat them."
    );
    let is_worse = |difference: &&nowcast_bench::compare::Difference| {
        difference.verdict == Verdict::Worse
            && command.fail_on.iter().any(|name| name == difference.figure)
    };
    match found.iter().find(is_worse) {
        Some(_) => Err(Missed.into()),
        None => Ok(()),
    }
}

fn rate(run: &Run) -> String {
    format!("{:.0}/s", run.mean_per_s)
}

fn read(path: &Path) -> Result<Run> {
    let text = crate::pipeline::read_text(path)?;
    Run::from_json(&text).with_context(|| path.display().to_string())
}
