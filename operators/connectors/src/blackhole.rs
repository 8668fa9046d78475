//! The `blackhole` sink: takes everything, keeps nothing.

use std::sync::Arc;

use async_trait::async_trait;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Result, Sink, SinkContext, SinkFactory, TableDefinition,
};

use crate::options::Options;
use crate::registry::Environment;

pub fn sink(table: &TableDefinition, _: &Environment) -> Result<Arc<dyn SinkFactory>> {
    Options::new(table).finish()?;
    Ok(Arc::new(Blackhole))
}

struct Blackhole;

#[async_trait]
impl SinkFactory for Blackhole {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    async fn open(&self, _: SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Blackhole))
    }
}

#[async_trait]
impl Sink for Blackhole {
    async fn write(&mut self, _: &Batch, _: &mut Vec<DeadLetter>) -> Result<()> {
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
