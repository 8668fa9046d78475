//! A loaded model: the score contract of the engine, over either runtime.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use arrow::array::ArrayRef;
use nowcast_engine::{Error, Model, Result, Scores, Tensor};

use crate::backend::{Backend, Session, Values};
use crate::columns::{Column, Fit, output_column};
use crate::file::ModelFile;

/// Rows in one call of a runtime. Past 8 a batch gains nothing (LSTM of 64 units over 56 steps:
/// 26 µs a row at 8, 28 at 64), and a small call bounds the memory a session holds.
pub const ROWS_PER_CALL: usize = 32;

/// A model of one file in one runtime. Calls from several threads run side by side, each on its
/// own single-threaded session; there are never more sessions than there were callers at once.
pub struct OnnxModel {
    file: ModelFile,
    version: String,
    backend: Box<dyn Backend>,
    idle: Mutex<Vec<Box<dyn Session>>>,
}

impl OnnxModel {
    /// Scores a row and a pair of zero rows once: what a runtime cannot run shows here, not in the
    /// middle of a stream.
    pub(crate) fn open(name: &str, file: ModelFile, backend: Box<dyn Backend>) -> Result<Self> {
        let version = format!("{name}@{}", file.version);
        let model = Self { file, version, backend, idle: Mutex::default() };
        let mut session = model.session()?;
        for rows in [1, 2] {
            let zeros = model.file.inputs.iter().map(|tensor| zeros(tensor, rows)).collect();
            session.run(rows, zeros).map_err(Error::user)?;
        }
        model.give_back(session);
        Ok(model)
    }

    pub fn file(&self) -> &ModelFile {
        &self.file
    }

    /// The runtime that scores: `rten` or `onnxruntime`.
    pub fn backend(&self) -> &'static str {
        self.backend.name()
    }

    fn session(&self) -> Result<Box<dyn Session>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.backend.session(), Ok)
    }

    fn give_back(&self, session: Box<dyn Session>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    fn check_columns(&self, columns: &[ArrayRef]) -> Result<usize> {
        let inputs = &self.file.inputs;
        if columns.len() != inputs.len() {
            let names: Vec<_> = inputs.iter().map(|tensor| tensor.name.as_str()).collect();
            return Err(Error::user(format!(
                "expected {} inputs ({}), got {}",
                inputs.len(),
                names.join(", "),
                columns.len()
            )));
        }
        let rows = columns[0].len();
        match inputs.iter().zip(columns).find(|(_, column)| column.len() != rows) {
            None => Ok(rows),
            Some((tensor, column)) => Err(Error::bug(format!(
                "input \"{}\" has {} rows, the first has {rows}",
                tensor.name,
                column.len()
            ))),
        }
    }

    fn try_score(&self, arrays: &[ArrayRef]) -> Result<Scores> {
        let len = self.check_columns(arrays)?;
        let inputs = self.file.inputs.iter().zip(&self.file.padding);
        let columns = inputs
            .zip(arrays)
            .map(|((tensor, padding), array)| Column::new(tensor, *padding, array))
            .collect::<Result<Vec<_>>>()?;

        let mut fitting = Vec::with_capacity(len);
        let mut rejected = Vec::new();
        for row in 0..len {
            match fit(&columns, row) {
                Fit::Scored => fitting.push(row),
                Fit::Missing => {}
                Fit::Rejected(why) => rejected.push((row, why)),
            }
        }

        let mut dense = Dense::new(&self.file.outputs, fitting.len());
        if !fitting.is_empty() {
            let mut session = self.session()?;
            for rows in fitting.chunks(ROWS_PER_CALL) {
                self.call(&mut *session, &columns, rows, &mut dense, &mut rejected);
            }
            self.give_back(session);
        }
        rejected.sort_by_key(|(row, _)| *row);
        let outputs = self
            .file
            .outputs
            .iter()
            .zip(&dense.values)
            .map(|(tensor, values)| output_column(tensor, len, &dense.rows, values))
            .collect::<Result<_>>()?;
        Ok(Scores { outputs, rejected })
    }

    /// One call. Where it fails, each of its rows is tried alone, so that one bad row (an id out
    /// of a table's range) does not take its neighbours with it.
    fn call(
        &self,
        session: &mut dyn Session,
        columns: &[Column<'_>],
        rows: &[usize],
        dense: &mut Dense<'_>,
        rejected: &mut Vec<(usize, String)>,
    ) {
        let inputs = columns.iter().map(|column| column.take(rows)).collect();
        match session.run(rows.len(), inputs) {
            Ok(outputs) => dense.append(rows, &outputs, rejected),
            Err(why) if rows.len() == 1 => rejected.push((rows[0], why)),
            Err(_) => {
                for row in rows {
                    self.call(session, columns, std::slice::from_ref(row), dense, rejected);
                }
            }
        }
    }
}

impl Model for OnnxModel {
    fn version(&self) -> &str {
        &self.version
    }

    fn inputs(&self) -> &[Tensor] {
        &self.file.inputs
    }

    fn outputs(&self) -> &[Tensor] {
        &self.file.outputs
    }

    fn score(&self, columns: &[ArrayRef]) -> Result<Scores> {
        self.try_score(columns).map_err(|e| e.context(format!("model \"{}\"", self.version)))
    }
}

impl fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxModel")
            .field("version", &self.version)
            .field("path", &self.file.path)
            .field("backend", &self.backend())
            .finish_non_exhaustive()
    }
}

/// Outputs of the rows scored so far: `rows[i]` is the row of the `i`-th dense row.
struct Dense<'a> {
    tensors: &'a [Tensor],
    rows: Vec<usize>,
    values: Vec<Values>,
}

impl<'a> Dense<'a> {
    fn new(tensors: &'a [Tensor], rows: usize) -> Self {
        let values = tensors
            .iter()
            .map(|tensor| match zeros(tensor, 0) {
                Values::Float(_) => Values::Float(Vec::with_capacity(rows * tensor.row_len())),
                Values::Int(_) => Values::Int(Vec::with_capacity(rows * tensor.row_len())),
            })
            .collect();
        Self { tensors, rows: Vec::with_capacity(rows), values }
    }

    /// Keeps the rows whose outputs are all finite, rejects the others.
    fn append(&mut self, rows: &[usize], outputs: &[Values], rejected: &mut Vec<(usize, String)>) {
        for (i, &row) in rows.iter().enumerate() {
            let broken = self.tensors.iter().zip(outputs).find(|(tensor, values)| {
                let width = tensor.row_len();
                matches!(values, Values::Float(values)
                    if values[i * width..(i + 1) * width].iter().any(|value| !value.is_finite()))
            });
            if let Some((tensor, _)) = broken {
                rejected.push((row, format!("output \"{}\" is not finite", tensor.name)));
                continue;
            }
            self.rows.push(row);
            for ((tensor, values), all) in self.tensors.iter().zip(outputs).zip(&mut self.values) {
                let range = i * tensor.row_len()..(i + 1) * tensor.row_len();
                match (values, all) {
                    (Values::Float(values), Values::Float(all)) => {
                        all.extend_from_slice(&values[range]);
                    }
                    (Values::Int(values), Values::Int(all)) => {
                        all.extend_from_slice(&values[range])
                    }
                    _ => unreachable!("runtimes answer in the declared element type"),
                }
            }
        }
    }
}

fn fit(columns: &[Column<'_>], row: usize) -> Fit {
    let mut fit = Fit::Scored;
    for column in columns {
        match column.fit(row) {
            Fit::Scored => {}
            Fit::Missing => fit = Fit::Missing,
            // A wrong value is worth knowing even where another is missing.
            rejected @ Fit::Rejected(_) => return rejected,
        }
    }
    fit
}

pub(crate) fn zeros(tensor: &Tensor, rows: usize) -> Values {
    let len = rows * tensor.row_len();
    match tensor.element {
        arrow::datatypes::DataType::Float32 => Values::Float(vec![0.0; len]),
        _ => Values::Int(vec![0; len]),
    }
}
