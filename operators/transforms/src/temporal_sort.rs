//! `ORDER BY` an event time: rows in its order, once the watermark has passed them.

use arrow::array::UInt32Array;
use arrow::datatypes::{DataType, SchemaRef};
use nowcast_engine::time::to_millis;
use nowcast_engine::{Batch, Epoch, Error, Millis, Operator, Output, Result, StateTable, Time};

use crate::over::{Frame, Over, OverOrder, OverSpec};
use crate::sort_key::{Order, SortKey};

/// `ORDER BY time, …`, ascending by the time.
#[derive(Debug, Clone)]
pub struct TemporalSortSpec {
    /// The event-time column.
    pub time: usize,
    /// What rows of one time are sorted by; then by their arrival.
    pub then: Vec<SortKey>,
    /// Of input and output.
    pub schema: SchemaRef,
}

/// Takes new rows alone. A row is late as it is for OVER with a bounded frame over all rows: where it
/// comes behind one that went out.
pub struct TemporalSort {
    time: usize,
    order: Order,
    held: Over,
}

impl TemporalSort {
    pub fn new(spec: TemporalSortSpec) -> Result<Self> {
        let TemporalSortSpec { time, then, schema } = spec;
        let types: Vec<DataType> =
            schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let held = Over::new(OverSpec {
            partition: vec![],
            order: OverOrder::EventTime(time),
            frame: Frame::Rows { preceding: Some(0) },
            functions: vec![],
            ttl_ms: None,
            input_schema: SchemaRef::clone(&schema),
            schema,
        })?;
        Ok(Self { time, order: Order::new(&then, &types)?, held })
    }

    /// Rows come by time and arrival.
    fn sorted(&self, batch: Batch) -> Result<Batch> {
        if self.order.len() == 0 {
            return Ok(batch);
        }
        let times = to_millis(batch.column(self.time))?;
        let keys = self.order.of_rows(batch.rows())?;
        let rows = u32::try_from(batch.num_rows()).map_err(Error::bug)?;
        let mut order: Vec<u32> = (0..rows).collect();
        let place = |row: &u32| (times.value(*row as usize), keys.row(*row as usize));
        order.sort_by(|left, right| place(left).cmp(&place(right)));
        batch.take(&UInt32Array::from(order))
    }
}

impl Operator for TemporalSort {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        self.held.on_batch(port, batch, out)
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let mut passed = Output::default();
        self.held.on_time(time, &mut passed)?;
        for batch in passed.take_batches() {
            out.emit(self.sorted(batch)?);
        }
        Ok(())
    }

    fn waiting(&self) -> Option<Millis> {
        self.held.waiting()
    }

    fn save(&mut self, since: Epoch) -> Result<Vec<StateTable>> {
        self.held.save(since)
    }

    fn state_bytes(&self) -> Option<usize> {
        self.held.state_bytes()
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.held.load(tables)
    }
}
