//! ML_PREDICT: rows with what a model makes of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{cast, take};
use arrow::datatypes::SchemaRef;
use nowcast_engine::evaluate::kept_indices;
use nowcast_engine::operator::{Epoch, TableChanges};
use nowcast_engine::{Batch, Error, Model, Operator, Output, Result};

/// The output columns are those of the input and the model's outputs.
#[derive(Clone)]
pub struct ScoreSpec {
    pub model: Arc<dyn Model>,
    /// Input columns, one for each of the model's inputs.
    pub features: Vec<usize>,
    /// Of the output.
    pub schema: SchemaRef,
}

/// Scores each batch at once. Rows the model rejects are set aside with its reason; the others go
/// on. A model output of another type than its column is cast. A model that has been replaced scores
/// from the next barrier on.
pub struct Score {
    spec: ScoreSpec,
    serving: Arc<dyn Model>,
}

impl Score {
    /// # Errors
    /// Of the user, where the number of features is not the model's.
    pub fn new(spec: ScoreSpec) -> Result<Self> {
        let (given, wanted) = (spec.features.len(), spec.model.inputs().len());
        if given != wanted {
            return Err(Error::user(format!(
                "model {}: {given} feature columns for {wanted} inputs",
                spec.model.version()
            )));
        }
        if spec.model.outputs().len() >= spec.schema.fields().len() {
            return Err(Error::bug(format!(
                "model {}: no room for {} outputs among {} columns",
                spec.model.version(),
                spec.model.outputs().len(),
                spec.schema.fields().len()
            )));
        }
        let serving = version(&spec.model, 0);
        Ok(Self { spec, serving })
    }
}

/// That of rows behind the barrier of `epoch`.
fn version(model: &Arc<dyn Model>, epoch: Epoch) -> Arc<dyn Model> {
    model.current(epoch).unwrap_or_else(|| Arc::clone(model))
}

impl Operator for Score {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let model = &self.serving;
        let scores = model.score(&batch.columns(&self.spec.features))?;
        let expected = model.outputs().len();
        if scores.outputs.len() != expected
            || scores.outputs.iter().any(|output| output.len() != batch.num_rows())
        {
            return Err(Error::bug(format!("model {}: outputs of other rows", model.version())));
        }
        let mut outputs = scores.outputs;
        let batch = match scores.rejected.is_empty() {
            true => batch,
            false => {
                let kept = kept_indices(batch.num_rows(), &scores.rejected);
                out.reject(batch.rows(), scores.rejected)?;
                for output in &mut outputs {
                    *output = take(output, &kept, None)?;
                }
                batch.take(&kept)?
            }
        };
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let fields = self.spec.schema.fields();
        let mut columns: Vec<ArrayRef> = batch.rows().columns().to_vec();
        for (output, field) in outputs.iter().zip(&fields[columns.len()..]) {
            columns.push(match output.data_type() == field.data_type() {
                true => output.clone(),
                false => cast(output, field.data_type())?,
            });
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?;
        out.emit(batch.with_rows(rows));
        Ok(())
    }

    fn changes(
        &mut self,
        epoch: Epoch,
        _since: Option<Epoch>,
    ) -> Result<Option<Vec<TableChanges>>> {
        self.serving = version(&self.spec.model, epoch);
        Ok(None)
    }
}
