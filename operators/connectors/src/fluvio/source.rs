//! The `fluvio` source: partitions assigned by a fixed rule, positions kept by the checkpoint.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use nowcast_engine::{
    ChangelogMode, Position, Result, Source, SourceContext, SourceEvent, SourceFactory,
    TableDefinition,
};

use super::client::{Client, Led, failed};
use super::offsets::spans;
use super::options::FluvioOptions;
use super::reader::{Limits, Reader};
use crate::handover::Handover;

pub struct FluvioSourceFactory {
    table: TableDefinition,
    options: Arc<FluvioOptions>,
}

impl FluvioSourceFactory {
    /// # Errors
    /// For columns that records cannot fill.
    pub fn new(table: &TableDefinition, options: FluvioOptions) -> Result<Self> {
        options.rows(table).map_err(|error| match error.to_string().starts_with("table ") {
            true => error,
            false => error.context(format!("table \"{}\"", table.name)),
        })?;
        Ok(Self { table: table.clone(), options: Arc::new(options) })
    }
}

#[async_trait]
impl SourceFactory for FluvioSourceFactory {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn bounded(&self) -> bool {
        self.options.bounded.is_some()
    }

    fn changelog_mode(&self) -> ChangelogMode {
        self.options.value.format.changelog_mode()
    }

    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let options = &self.options;
        let client = Client::connect(options).await?;
        let share = (context.worker, context.workers);
        let own = own_partitions(&client, options, share).await?;
        let spans = spans(&client, options, &own, &context.positions).await?;
        let splits = spans.iter().map(|span| (span.split(options).into(), span.start)).collect();
        let (hands, handover) = Handover::new(splits);
        let idle_timeout = options.idle_timeout.or(context.idle_timeout);
        let limits = Limits {
            rows_max: context.rows_max.max(1),
            idle_timeout: idle_timeout.filter(|timeout| !timeout.is_zero()),
            share,
        };
        let reader = Reader::new(client, &self.table, Arc::clone(options), spans, limits, hands)?;
        let thread = std::thread::Builder::new().name(format!("fluvio {}", self.table.name));
        thread.spawn(move || reader.run()).map_err(|error| failed(options, error))?;
        Ok(Box::new(FluvioSource { handover }))
    }
}

/// The partitions that worker `share.0` of `share.1` reads: every `share.1`-th.
pub async fn own_partitions(
    client: &Client,
    options: &FluvioOptions,
    share: (usize, usize),
) -> Result<Vec<Led>> {
    let (worker, workers) = (share.0 as i32, share.1.max(1) as i32);
    let mut partitions = client.partitions(options).await?;
    partitions.retain(|(partition, _)| partition % workers == worker);
    Ok(partitions)
}

struct FluvioSource {
    handover: Handover,
}

#[async_trait]
impl Source for FluvioSource {
    fn splits(&self) -> Vec<Arc<str>> {
        self.handover.splits()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        self.handover.next().await
    }

    fn positions(&self) -> Vec<Position> {
        self.handover.positions()
    }
}
