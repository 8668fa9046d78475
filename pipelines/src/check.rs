//! `nowcast check` and `nowcast explain`: planning without running.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use nowcast_connectors::{EmbeddedStore, Environment, Registry};
use nowcast_onnx::OnnxProvider;
use nowcast_planner::{Format, Job, Planner, Version};
use nowcast_udf_host::Libraries;

use crate::options::Common;
use crate::pipeline::{place_error, read_sql, read_text};
use crate::secrets::Secrets;

#[derive(Args)]
pub struct Check {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Also says what would not run on this version of Apache Flink: 2.1, 2.2 or 2.3.
    #[arg(long, value_name = "VERSION")]
    flink: Option<Version>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct Explain {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    format: PlanFormat,
    /// Also shows which changes leave each node, as EXPLAIN CHANGELOG_MODE does.
    #[arg(long)]
    changelog_mode: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
enum PlanFormat {
    Text,
    Json,
    Mermaid,
}

/// Plans the files and says what is wrong with them. Opens no connection.
pub fn check(command: &Check) -> Result<()> {
    let sets = command.common.sets()?;
    let mut refused = 0;
    for file in &command.files {
        let plan = planned(file, &read_sql(file, &sets)?)?;
        for warning in &plan.warnings {
            say!("{}: warning: {warning}", file.display());
        }
        say!("{}: {} stages, no errors", file.display(), plan.graph.nodes.len());
        if let Some(version) = command.flink {
            let env = |name: &str| std::env::var(name).ok();
            let found = nowcast_planner::portability(&read_text(file)?, &sets, env, version);
            let mut found = found.map_err(|error| place_error(file, &error))?;
            if version >= Version::V2_3 {
                found.extend(plan.unportable);
            }
            for finding in &found {
                say!("{}: flink {version}: {finding}", file.display());
            }
            if found.is_empty() {
                say!("{}: flink {version}: nothing found that would not run", file.display());
            }
            refused += found.len();
        }
    }
    match (refused, command.flink) {
        (1.., Some(version)) => bail!("would not run on Flink {version} as it is: {refused} found"),
        _ => Ok(()),
    }
}

/// Prints the plans of files. Opens no connection.
pub fn explain(command: &Explain) -> Result<()> {
    let sets = command.common.sets()?;
    for file in &command.files {
        let plan = planned(file, &read_sql(file, &sets)?)?;
        let format = match command.format {
            PlanFormat::Text => Format::Text { changelog: command.changelog_mode },
            PlanFormat::Json => Format::Json,
            PlanFormat::Mermaid => Format::Mermaid,
        };
        // Where another program reads the plan, warnings are not in it.
        for warning in &plan.warnings {
            match command.format {
                PlanFormat::Text => say!("{}: warning: {warning}", file.display()),
                _ => tracing::warn!("{}: {warning}", file.display()),
            }
        }
        say!("{}", nowcast_planner::explain(&plan, format));
    }
    Ok(())
}

/// Plans a file without opening a connection.
pub fn planned(file: &Path, sql: &str) -> Result<Job> {
    let environment = Environment {
        embedded_bootstrap: Some("127.0.0.1:0".into()),
        store: Arc::new(EmbeddedStore::in_memory()),
        ..Environment::default()
    };
    let connectors = Arc::new(Secrets { connectors: Registry::new(environment), may_lack: true });
    let models = Arc::new(OnnxProvider::default());
    let mut planner = Planner::new(connectors, models, Default::default());
    planner.set_functions(Arc::new(Libraries));
    planner.plan(sql).map_err(|error| place_error(file, &error))
}
