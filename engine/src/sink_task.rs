//! A sink in a task of its own: writes while there is something, flushes when the queue is empty.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::batch::Batch;
use crate::complete::Completion;
use crate::error::{Error, Result};
use crate::graph::NodeId;
use crate::operator::Epoch;
use crate::rejects::Rejects;
use crate::sink::Sink;
use crate::stats::{JobStats, StageStats, add};
use crate::time::{Millis, TIME_MAX};
use crate::trouble;
use crate::worker::{Control, Report};
use crate::world::World;

/// Batches written between two flushes at most: bounds what a crash must write again and how late a
/// busy sink's rows become visible.
const BATCHES_PER_FLUSH: usize = 64;

pub(crate) enum SinkCommand {
    Write(Batch),
    /// With the watermark behind the rows before it.
    Barrier(Epoch, Millis),
    End,
}

pub(crate) struct SinkTask {
    pub node: NodeId,
    pub worker: usize,
    pub sink: Box<dyn Sink>,
    pub commands: mpsc::Receiver<SinkCommand>,
    pub control: mpsc::UnboundedSender<Control>,
    pub reports: mpsc::UnboundedSender<Report>,
    /// The last complete checkpoint; none where the job keeps no checkpoints.
    pub complete: Option<Completion>,
    /// The last checkpoint whose barrier has come, the last that is committed.
    pub prepared: Epoch,
    pub committed: Epoch,
    pub world: World,
    pub stats: Arc<JobStats>,
    pub rejects: Arc<Rejects>,
    /// Written and not flushed yet.
    pub written: Vec<Batch>,
    /// Dropped last, when the sink is gone: its job waits for that.
    pub _open: OpenSink,
}

enum Next {
    /// None: the worker has gone.
    Command(Option<SinkCommand>),
    /// A checkpoint is complete.
    Complete,
}

/// A mark of a sink that is open.
pub(crate) type OpenSink = mpsc::Sender<Infallible>;

impl SinkTask {
    pub async fn run(mut self) {
        let (stats, node) = (Arc::clone(&self.stats), self.node);
        let served = trouble::noted(stats, node, self.serve()).await;
        if let Err(error) = served {
            let error = error.context(format_args!("sink `{}`", self.name()));
            // The job may have given up on us already.
            let _ = self.reports.send(Report::Failed(error));
        }
    }

    fn name(&self) -> &str {
        &self.stats.stages[self.node].name
    }

    fn stage(&self) -> &StageStats {
        &self.stats.stages[self.node]
    }

    /// A call to the sink begins: how long it takes is seen from outside.
    fn begin(&self) {
        self.stage().set_call(self.worker, Some(self.world.clock.now()));
    }

    fn end(&self) {
        self.stage().set_call(self.worker, None);
    }

    async fn serve(&mut self) -> Result<()> {
        loop {
            self.commit().await?;
            let command = match self.commands.try_recv() {
                Ok(command) => Some(command),
                Err(_) => {
                    self.flush().await?;
                    match self.next().await {
                        Next::Command(command) => command,
                        Next::Complete => continue,
                    }
                }
            };
            match command {
                Some(SinkCommand::Write(batch)) => self.write(batch).await?,
                Some(SinkCommand::Barrier(epoch, watermark)) => {
                    self.prepare(epoch, watermark).await?;
                    self.tell(Control::SinkFlushed { node: self.node, epoch })?;
                    let waits = self.sink.waits_for_commit();
                    if waits && !self.committed(Completion::decided).await? {
                        return Ok(());
                    }
                }
                Some(SinkCommand::End) => {
                    self.prepare(self.prepared + 1, TIME_MAX).await?;
                    self.tell(Control::SinkEnded { node: self.node })?;
                    // If the last checkpoint fails, it is tried again. A transaction carries the
                    // number of every later checkpoint as well.
                    let more = self.complete.is_some() && self.sink.waits_for_commit();
                    while self.committed(Completion::reached).await? && more {
                        self.prepared = self.committed + 1;
                    }
                    return Ok(());
                }
                // The last checkpoint of a job that was stopped may be complete just now.
                None => return self.commit().await,
            }
        }
    }

    async fn next(&mut self) -> Next {
        let Some(complete) = &self.complete else {
            return Next::Command(self.commands.recv().await);
        };
        tokio::select! {
            biased;
            true = complete.changed() => Next::Complete,
            command = self.commands.recv() => Next::Command(command),
        }
    }

    async fn prepare(&mut self, epoch: Epoch, watermark: Millis) -> Result<()> {
        self.begin();
        self.sink.reached(watermark);
        self.sink.prepare(epoch).await?;
        self.end();
        self.prepared = epoch;
        self.show();
        Ok(())
    }

    /// Commits the last checkpoint that is complete and settled, if that is news.
    async fn commit(&mut self) -> Result<()> {
        let Some(complete) = &mut self.complete else { return Ok(()) };
        let epoch = complete.see();
        self.commit_epoch(epoch).await
    }

    async fn commit_epoch(&mut self, epoch: Epoch) -> Result<()> {
        if epoch > self.committed {
            self.begin();
            self.sink.commit(epoch).await?;
            self.end();
            self.committed = epoch;
            if let Some(complete) = &self.complete {
                complete.committed(epoch);
            }
        }
        Ok(())
    }

    /// Waits until what was prepared is to be committed, as `until` has it, and commits it. False where
    /// the job ends before.
    async fn committed(
        &mut self,
        until: impl AsyncFn(&Completion, Epoch) -> Option<Epoch>,
    ) -> Result<bool> {
        let prepared = self.prepared;
        let complete = match &self.complete {
            None => prepared,
            Some(complete) => match until(complete, prepared).await {
                Some(complete) => complete,
                None => return Ok(false),
            },
        };
        self.commit_epoch(complete).await?;
        Ok(true)
    }

    async fn write(&mut self, batch: Batch) -> Result<()> {
        let mut rejected = vec![];
        self.begin();
        self.sink.write(&batch, &mut rejected).await?;
        self.end();
        let written = batch.num_rows() - rejected.len().min(batch.num_rows());
        add(&self.stage().rows_out, written);
        self.rejects.took(self.node, batch.num_rows());
        self.rejects.take(self.node, rejected)?;
        self.written.push(batch);
        if self.written.len() >= BATCHES_PER_FLUSH { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        if self.written.is_empty() {
            return Ok(());
        }
        self.begin();
        self.sink.flush().await?;
        self.end();
        self.show();
        Ok(())
    }

    /// What has been written is readable outside.
    fn show(&mut self) {
        for batch in std::mem::take(&mut self.written) {
            self.world.tap.rows(self.name(), &batch);
        }
    }

    fn tell(&self, control: Control) -> Result<()> {
        self.control.send(control).map_err(|_| Error::stopped("its worker has ended"))
    }
}
