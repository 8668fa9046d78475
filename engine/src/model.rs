//! What the engine asks of a scoring model. Backends live in `onnx_models`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use crate::error::Result;
use crate::operator::Epoch;

/// One input or output tensor of a model, without its leading batch dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    pub name: String,
    /// `Float32` or `Int64`.
    pub element: DataType,
    /// Shape of one row: `[]` a scalar, `[168]` a sequence, `[24, 3]` a table in row-major order.
    pub shape: Vec<usize>,
}

impl Tensor {
    /// Values in one row.
    pub fn row_len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The outcome of scoring a batch.
pub struct Scores {
    /// One array per model output, as long as the input: a scalar output is a primitive array, any
    /// other a `List` of its elements in row-major order. Rows that were rejected are null.
    pub outputs: Vec<ArrayRef>,
    /// Rows the model could not score, and why: they belong into the dead-letter table.
    pub rejected: Vec<(usize, String)>,
}

/// A loaded model. Scoring is pure: the same columns give the same outputs.
pub trait Model: Send + Sync {
    /// Name and version for logs, metrics and checkpoints, such as `demand_lstm@2026-11-01`.
    fn version(&self) -> &str;

    fn inputs(&self) -> &[Tensor];

    fn outputs(&self) -> &[Tensor];

    /// Of a model that is replaced while it serves the version for rows behind the barrier of `epoch`, the
    /// same whoever asks; it has the same inputs and outputs. Whoever scores asks at each barrier.
    fn current(&self, _epoch: Epoch) -> Option<Arc<dyn Model>> {
        None
    }

    /// Scores rows: one array per model input, all of one length (zero is allowed), in the order of
    /// [`Model::inputs`]. Any numeric array, or a list of numbers for tensors with a shape, is cast
    /// to the tensor's element type.
    ///
    /// A null value, or a list that is shorter than the tensor where the model declares no padding,
    /// gives null outputs. A list that is longer gives its last elements. A value that is not
    /// finite rejects its row. A column that can never fit is an error of the user.
    fn score(&self, columns: &[ArrayRef]) -> Result<Scores>;
}

/// Opens models for `CREATE MODEL … WITH ('provider' = …)`.
pub trait ModelProvider: Send + Sync {
    /// Loads the model that `options` describe (`path` at least). Errors name file and reason.
    fn load(&self, name: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn Model>>;
}
