//! UNION ALL: the rows of all ports, as they come.

use nowcast_engine::{Batch, Operator, Output, Result};

/// Passes the batches of every port on. The watermark over its inputs is the worker's business.
#[derive(Debug, Clone, Copy, Default)]
pub struct Union;

impl Operator for Union {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        out.emit(batch);
        Ok(())
    }
}
