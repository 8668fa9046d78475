//! Everything that can be said about a model file without a stream: `nowcast models verify`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array};
use arrow::datatypes::{DataType, Field, Float32Type, Int64Type};
use nowcast_engine::{Model, Result, Tensor};

use crate::backend::BackendChoice;
use crate::file::ModelFile;
use crate::hot_swap::names;
use crate::model::{OnnxModel, ROWS_PER_CALL};
use crate::provider::OnnxProvider;

/// Rows scored by both runtimes: two full calls and a rest.
const ROWS: usize = 2 * ROWS_PER_CALL + 3;

/// What was found out about a file.
#[derive(Debug)]
pub struct Report {
    pub file: ModelFile,
    pub backends: Vec<BackendReport>,
    /// How far the runtimes are apart, where both ran.
    pub parity: Option<Vec<Parity>>,
}

/// One runtime and the file.
#[derive(Debug)]
pub struct BackendReport {
    /// `rten` or `onnxruntime`.
    pub name: &'static str,
    /// The time to load the file and score it once, or why it cannot be scored.
    pub outcome: Result<Duration>,
    /// Where the runtime comes from.
    pub origin: String,
}

/// One output in both runtimes, over the same seeded random rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Parity {
    pub output: String,
    pub rows: usize,
    /// Highest absolute difference; for integers between the values themselves.
    pub max_abs_diff: f64,
    /// Highest absolute value, to judge the difference by.
    pub max_abs: f64,
    /// Rows that only one of the two could score.
    pub scored_by_one: usize,
}

/// Reads and checks the file, opens it in each runtime and compares their answers on `seed`. An
/// error when the file itself is refused; a runtime that is missing or fails is part of the report.
/// Inputs are drawn from `nowcast.range.<input>` = `low:high` of the metadata, else 0 to 1 for
/// floats and 0 to 9 for integers.
pub fn verify(provider: &OnnxProvider, path: impl AsRef<Path>, seed: u64) -> Result<Report> {
    let file = ModelFile::read(path)?;
    let mut backends = Vec::new();
    let mut models = Vec::new();
    let search = provider.search();
    let library = search.find().map_or_else(|why| why, |path| path.display().to_string());
    let in_binary = "part of this binary".to_string();
    for (choice, origin) in
        [(BackendChoice::Rten, in_binary), (BackendChoice::OnnxRuntime, library)]
    {
        let started = Instant::now();
        let opened = provider.open(&file.name, file.clone(), choice);
        let took = started.elapsed();
        let name = if choice == BackendChoice::Rten { "rten" } else { "onnxruntime" };
        let outcome = opened.map(|model| {
            models.push(model);
            took
        });
        backends.push(BackendReport { name, outcome, origin });
    }
    let parity = match models.as_slice() {
        [a, b] => Some(compare(a, b, &file, seed)?),
        _ => None,
    };
    Ok(Report { file, backends, parity })
}

fn compare(a: &OnnxModel, b: &OnnxModel, file: &ModelFile, seed: u64) -> Result<Vec<Parity>> {
    let mut random = Random(seed.wrapping_mul(2).wrapping_add(1));
    let columns: Vec<_> = file
        .inputs
        .iter()
        .map(|tensor| random_column(tensor, range(tensor, file), &mut random))
        .collect();
    let (a, b) = (a.score(&columns)?, b.score(&columns)?);
    let pairs = a.outputs.iter().zip(&b.outputs);
    Ok(file.outputs.iter().zip(pairs).map(|(tensor, (a, b))| parity(tensor, a, b)).collect())
}

fn parity(tensor: &Tensor, a: &ArrayRef, b: &ArrayRef) -> Parity {
    let mut parity = Parity {
        output: tensor.name.clone(),
        rows: 0,
        max_abs_diff: 0.0,
        max_abs: 0.0,
        scored_by_one: 0,
    };
    for row in 0..a.len() {
        match (a.is_valid(row), b.is_valid(row)) {
            (true, true) => {
                parity.rows += 1;
                for (x, y) in row_values(a, row).into_iter().zip(row_values(b, row)) {
                    parity.max_abs_diff = parity.max_abs_diff.max((x - y).abs());
                    parity.max_abs = parity.max_abs.max(x.abs());
                }
            }
            (false, false) => {}
            _ => parity.scored_by_one += 1,
        }
    }
    parity
}

fn row_values(column: &ArrayRef, row: usize) -> Vec<f64> {
    let numbers = match column.data_type() {
        DataType::List(_) => column.as_list::<i32>().value(row),
        _ => column.slice(row, 1),
    };
    if let Some(floats) = numbers.as_primitive_opt::<Float32Type>() {
        return floats.values().iter().map(|&value| value.into()).collect();
    }
    numbers.as_primitive::<Int64Type>().values().iter().map(|&value| value as f64).collect()
}

fn range(tensor: &Tensor, file: &ModelFile) -> (f64, f64) {
    let declared = file.metadata.get(&format!("nowcast.range.{}", tensor.name)).and_then(|text| {
        let (low, high) = text.split_once(':')?;
        let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
        (low < high).then_some((low, high))
    });
    let default = if tensor.element == DataType::Float32 { (0.0, 1.0) } else { (0.0, 9.0) };
    declared.unwrap_or(default)
}

fn random_column(tensor: &Tensor, (low, high): (f64, f64), random: &mut Random) -> ArrayRef {
    let width = tensor.row_len();
    let values = (0..ROWS * width).map(|_| low + (high - low) * random.next());
    let numbers: ArrayRef = if tensor.element == DataType::Float32 {
        Arc::new(values.map(|value| value as f32).collect::<Float32Array>())
    } else {
        Arc::new(values.map(|value| value.round() as i64).collect::<Int64Array>())
    };
    if tensor.shape.is_empty() {
        return numbers;
    }
    let item = Arc::new(Field::new_list_field(tensor.element.clone(), true));
    Arc::new(FixedSizeListArray::new(item, width as i32, numbers, None))
}

/// A xorshift generator (Marsaglia 2003): the same rows for the same seed on every machine.
struct Random(u64);

impl Random {
    /// Uniform in [0, 1).
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        writeln!(f, "{}@{}  {}", file.name, file.version, file.path.display())?;
        writeln!(f, "  sha256   {} ({} bytes)", file.sha256, file.size())?;
        writeln!(f, "  inputs   {}", names(&file.inputs))?;
        writeln!(f, "  outputs  {}", names(&file.outputs))?;
        for (key, value) in &file.metadata {
            writeln!(f, "  {key} = {value}")?;
        }
        for backend in &self.backends {
            match &backend.outcome {
                Ok(took) => {
                    let ms = took.as_secs_f64() * 1e3;
                    writeln!(f, "  {}: loaded in {ms:.1} ms, {}", backend.name, backend.origin)?;
                }
                Err(why) => writeln!(f, "  {}: not available: {why}", backend.name)?,
            }
        }
        for p in self.parity.iter().flatten() {
            writeln!(
                f,
                "  parity of \"{}\": max abs diff {:.1e} (values up to {:.3e}) over {} rows, {} scored by one only",
                p.output, p.max_abs_diff, p.max_abs, p.rows, p.scored_by_one
            )?;
        }
        Ok(())
    }
}
