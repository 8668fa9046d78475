//! ONNX Runtime, loaded from a shared library at run time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::DataType;
use nowcast_engine::{Error, Result, Tensor};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{SessionInputValue, SessionInputs};
use ort::value::Tensor as OrtTensor;

use crate::backend::{Backend, Session, Values, guarded, one_line};
use crate::file::ModelFile;
use crate::rten::check_shape;

/// The library of this process: it can be loaded once, and is never unloaded.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Loads the library, or hands back the environment of the one that is loaded.
pub(crate) fn environment(library: &Path) -> Result<Environment, String> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((path, environment)) = &*loaded {
        if path != library {
            return Err(format!(
                "{}: this process already runs {}",
                library.display(),
                path.display()
            ));
        }
        return Ok(environment.clone());
    }
    let environment = guarded(|| {
        let builder = ort::init_from(library).map_err(one_line)?;
        let environment = builder.with_name("nowcast").with_telemetry(false).build();
        environment.map_err(one_line)
    })?;
    *loaded = Some((library.to_path_buf(), environment.clone()));
    Ok(environment)
}

pub(crate) struct OrtBackend {
    environment: Environment,
    bytes: Arc<[u8]>,
    signature: Arc<(Vec<Tensor>, Vec<Tensor>)>,
}

impl OrtBackend {
    pub fn open(file: &ModelFile, library: &Path) -> Result<Self, String> {
        Ok(Self {
            environment: environment(library)?,
            bytes: file.bytes.clone(),
            signature: Arc::new((file.inputs.clone(), file.outputs.clone())),
        })
    }
}

impl Backend for OrtBackend {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn session(&self) -> Result<Box<dyn Session>> {
        let open = || -> ort::Result<ort::session::Session> {
            ort::session::Session::builder(&self.environment)?
                .with_log_level(LogLevel::Fatal)?
                .with_intra_threads(1)?
                .with_inter_threads(1)?
                .with_optimization_level(GraphOptimizationLevel::Level3)?
                // From memory there is no folder that weights could be fetched from.
                .commit_from_memory(&self.bytes)
        };
        let session = guarded(|| open().map_err(one_line)).map_err(Error::user)?;
        Ok(Box::new(OrtSession { session, signature: self.signature.clone() }))
    }
}

struct OrtSession {
    session: ort::session::Session,
    signature: Arc<(Vec<Tensor>, Vec<Tensor>)>,
}

impl Session for OrtSession {
    fn run(&mut self, rows: usize, inputs: Vec<Values>) -> Result<Vec<Values>, String> {
        assert!(rows > 0, "an empty batch aborts ONNX Runtime's LSTM");
        let (input_tensors, output_tensors) = &*self.signature;
        let session = &mut self.session;
        guarded(|| {
            let mut values = Vec::with_capacity(inputs.len());
            for (input, tensor) in inputs.into_iter().zip(input_tensors) {
                values.push((tensor.name.as_str().into(), value(rows, tensor, input)?));
            }
            let outputs = session.run(SessionInputs::<0>::ValueMap(values)).map_err(one_line)?;
            output_tensors
                .iter()
                .map(|tensor| {
                    let output = outputs
                        .get(&tensor.name)
                        .ok_or_else(|| format!("output \"{}\" did not come", tensor.name))?;
                    values_of(rows, tensor, output)
                })
                .collect()
        })
    }
}

fn value(
    rows: usize,
    tensor: &Tensor,
    values: Values,
) -> Result<SessionInputValue<'static>, String> {
    let shape: Vec<usize> = std::iter::once(rows).chain(tensor.shape.iter().copied()).collect();
    match values {
        Values::Float(values) => {
            Ok(OrtTensor::from_array((shape, values)).map_err(one_line)?.into())
        }
        Values::Int(values) => Ok(OrtTensor::from_array((shape, values)).map_err(one_line)?.into()),
    }
}

fn values_of(rows: usize, tensor: &Tensor, value: &ort::value::DynValue) -> Result<Values, String> {
    let (shape, values) = match tensor.element {
        DataType::Float32 => {
            let (shape, values) = value.try_extract_tensor::<f32>().map_err(one_line)?;
            (shape, Values::Float(values.to_vec()))
        }
        _ => {
            let (shape, values) = value.try_extract_tensor::<i64>().map_err(one_line)?;
            (shape, Values::Int(values.to_vec()))
        }
    };
    let shape: Vec<usize> =
        shape.iter().map(|&dim| usize::try_from(dim).unwrap_or_default()).collect();
    check_shape(rows, tensor, &shape)?;
    Ok(values)
}
