//! `nowcast check` and `nowcast explain`: planning without running.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use nowcast_connectors::{EmbeddedStore, Environment, Registry};
use nowcast_onnx::OnnxProvider;
use nowcast_planner::Planner;

use crate::options::Common;
use crate::pipeline::read_sql;

#[derive(Args)]
pub struct Check {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Plans the files; `explain` also prints their plans. Opens no connection.
pub fn check(command: Check, explain: bool) -> Result<()> {
    let sets = command.common.sets()?;
    for file in &command.files {
        let sql = read_sql(file, &sets)?;
        let environment = Environment {
            embedded_bootstrap: Some("127.0.0.1:0".into()),
            store: Arc::new(EmbeddedStore::in_memory()),
            ..Environment::default()
        };
        let connectors = Arc::new(Registry::new(environment));
        let mut planner =
            Planner::new(connectors, Arc::new(OnnxProvider::default()), Default::default());
        let plan =
            planner.plan(&sql).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        for warning in &plan.warnings {
            say!("{}: warning: {warning}", file.display());
        }
        match explain {
            true => say!("{}", nowcast_planner::explain(&plan)),
            false => say!("{}: {} stages, no errors", file.display(), plan.graph.nodes.len()),
        }
    }
    Ok(())
}
