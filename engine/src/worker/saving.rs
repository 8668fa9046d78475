//! A worker's part in checkpoints: positions first, then each stage when the barrier reaches it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{Report, Runner, Saving, SourceSlot, Worker};
use crate::checkpoint::{SavedState, SourceState, StageTables, WorkerState};
use crate::error::Result;
use crate::exchange::Element;
use crate::graph::NodeId;
use crate::operator::{Epoch, Operator};
use crate::sink_task::SinkCommand;

impl Worker {
    /// Begins a checkpoint: positions as of now, barriers behind all rows read so far. A peer's
    /// barrier may come before the word of the job; the first of the two begins.
    pub(super) fn trigger(&mut self, epoch: Epoch) -> Result<()> {
        if epoch <= self.triggered {
            return Ok(());
        }
        self.triggered = epoch;
        let sources: BTreeSet<NodeId> = self.sources.iter().map(|slot| slot.node).collect();
        let waiting = self.live.difference(&sources).copied().collect();
        let positions = self.sources.iter().map(|slot| slot.source.positions()).collect();
        self.positions.insert(epoch, positions);
        self.saving.insert(epoch, Saving { state: self.source_states(), waiting });
        for slot in 0..self.sources.len() {
            if !self.sources[slot].ended {
                self.send(self.sources[slot].node, Element::Barrier(epoch))?;
            }
        }
        Ok(())
    }

    pub(super) fn source_states(&self) -> WorkerState {
        let state = |slot: &SourceSlot| SourceState {
            name: self.names[slot.node].clone(),
            positions: slot.source.positions(),
            watermarks: slot.watermarks.bounds(),
        };
        WorkerState { sources: self.sources.iter().map(state).collect(), stages: vec![] }
    }

    /// The barrier has come on all inputs of a stage.
    pub(super) fn save(&mut self, node: NodeId, epoch: Epoch) -> Result<()> {
        self.trigger(epoch)?;
        match &mut self.runners[node] {
            Runner::Sink(outbox) => {
                outbox.push(SinkCommand::Barrier(epoch, self.inputs[node].watermark()))?
            }
            Runner::Source => {}
            Runner::Operator(operator) => {
                // For people alone: nothing in the job follows from it.
                let begun = Instant::now();
                let saved = saved(operator.as_mut(), epoch, self.builds_on, self.committed);
                let pause = begun.elapsed().as_micros() as u64;
                self.wiring.stats.checkpoint_pause_us.fetch_max(pause, Ordering::Relaxed);
                let state = saved.map_err(|error| {
                    error.context(format_args!("state of `{}`", self.names[node]))
                })?;
                if let (None, SavedState::All(tables)) = (operator.state_bytes(), &state) {
                    let bytes = tables.iter().map(|table| table.rows.get_array_memory_size());
                    self.wiring.stats.stages[node].set_state_bytes(self.wiring.index, bytes.sum());
                }
                if let Some(saving) = self.saving.get_mut(&epoch) {
                    saving.state.stages.push(StageTables {
                        name: self.names[node].clone(),
                        worker: self.wiring.index,
                        watermark: self.inputs[node].watermark(),
                        state,
                    });
                    saving.waiting.remove(&node);
                }
            }
        }
        self.send(node, Element::Barrier(epoch))?;
        for (channel, element) in self.inputs[node].release().into_iter().rev() {
            self.queue.push_front((node, channel, element));
        }
        Ok(())
    }

    /// A stage has ended: no checkpoint waits for it any more.
    pub(super) fn leave(&mut self, node: NodeId) {
        self.live.remove(&node);
        for saving in self.saving.values_mut() {
            saving.waiting.remove(&node);
        }
    }

    pub(super) fn report_saved(&mut self) -> Result<()> {
        while let Some(saved) = self.saving.first_entry() {
            if !saved.get().waiting.is_empty() {
                break;
            }
            let (epoch, saving) = saved.remove_entry();
            let worker = self.wiring.index;
            self.report(Report::Saved { worker, epoch, state: saving.state })?;
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, epoch: Epoch) -> Result<()> {
        self.committed = epoch;
        self.builds_on = Some(epoch).filter(|_| self.wiring.incremental);
        if let Some(positions) = self.positions.remove(&epoch) {
            for (slot, positions) in self.sources.iter_mut().zip(&positions) {
                slot.source.commit(epoch, positions);
            }
        }
        self.positions.retain(|of, _| *of > epoch);
        Ok(())
    }

    /// Nobody asks for what belongs to a checkpoint that never will be.
    pub(super) fn give_up(&mut self, epoch: Epoch) {
        self.positions.remove(&epoch);
        self.saving.remove(&epoch);
    }
}

/// What has changed where the operator knows it, else all.
fn saved(
    operator: &mut dyn Operator,
    epoch: Epoch,
    since: Option<Epoch>,
    committed: Epoch,
) -> Result<SavedState> {
    Ok(match (operator.changes(epoch, since)?, since) {
        (Some(tables), Some(since)) => SavedState::Changes { since, tables },
        _ => SavedState::All(operator.save(committed)?),
    })
}
