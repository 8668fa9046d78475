//! The runtime that is always there: rten, pure Rust.

use std::sync::Arc;

use nowcast_engine::{Error, Result, Tensor};
use rten::{Model, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::prelude::*;

use crate::backend::{Backend, Session, Values, guarded, one_line};
use crate::file::ModelFile;

pub(crate) struct RtenBackend {
    model: Arc<Model>,
    signature: Arc<NodeIds>,
}

struct NodeIds {
    inputs: Vec<(NodeId, Tensor)>,
    outputs: Vec<(NodeId, Tensor)>,
}

impl RtenBackend {
    pub fn open(file: &ModelFile) -> Result<Self, String> {
        guarded(|| {
            let model = Model::load(file.bytes.to_vec()).map_err(one_line)?;
            let ids = |tensors: &[Tensor]| {
                tensors
                    .iter()
                    .map(|tensor| {
                        Ok((model.node_id(&tensor.name).map_err(one_line)?, tensor.clone()))
                    })
                    .collect::<Result<Vec<_>, String>>()
            };
            let signature = NodeIds { inputs: ids(&file.inputs)?, outputs: ids(&file.outputs)? };
            Ok(Self { model: Arc::new(model), signature: Arc::new(signature) })
        })
    }
}

impl Backend for RtenBackend {
    fn name(&self) -> &'static str {
        "rten"
    }

    fn session(&self) -> Result<Box<dyn Session>> {
        // rten runs on a pool of its own; one thread each keeps sessions from waiting on another.
        let pool = guarded(|| Ok(ThreadPool::with_num_threads(1))).map_err(Error::outside)?;
        Ok(Box::new(RtenSession {
            model: self.model.clone(),
            signature: self.signature.clone(),
            options: RunOptions::default().with_thread_pool(Some(Arc::new(pool))),
        }))
    }
}

struct RtenSession {
    model: Arc<Model>,
    signature: Arc<NodeIds>,
    options: RunOptions,
}

impl Session for RtenSession {
    fn run(&mut self, rows: usize, inputs: Vec<Values>) -> Result<Vec<Values>, String> {
        let mut values = Vec::with_capacity(inputs.len());
        for (input, (id, tensor)) in inputs.into_iter().zip(&self.signature.inputs) {
            values.push((*id, ValueOrView::Value(value(rows, tensor, input)?)));
        }
        let outputs: Vec<_> = self.signature.outputs.iter().map(|(id, _)| *id).collect();
        let options = self.options.clone();
        let results =
            guarded(|| self.model.run(values, &outputs, Some(options)).map_err(one_line))?;
        results
            .into_iter()
            .zip(&self.signature.outputs)
            .map(|(result, (_, tensor))| values_of(rows, tensor, result))
            .collect()
    }
}

fn value(rows: usize, tensor: &Tensor, values: Values) -> Result<Value, String> {
    let shape: Vec<usize> = std::iter::once(rows).chain(tensor.shape.iter().copied()).collect();
    match values {
        Values::Float(values) => Value::from_shape(&shape, values).map_err(one_line),
        Values::Int(values) => {
            // rten holds INT64 tensors as 32-bit integers.
            let narrow = values
                .into_iter()
                .map(|value| {
                    i32::try_from(value).map_err(|_| {
                        let name = &tensor.name;
                        format!(
                            "input \"{name}\": {value} does not fit the 32-bit integers of rten"
                        )
                    })
                })
                .collect::<Result<Vec<i32>, _>>()?;
            Value::from_shape(&shape, narrow).map_err(one_line)
        }
    }
}

fn values_of(rows: usize, tensor: &Tensor, value: Value) -> Result<Values, String> {
    let (shape, values) = match value {
        Value::FloatTensor(values) => (values.shape().to_vec(), Values::Float(values.to_vec())),
        Value::Int32Tensor(values) => {
            let wide = values.to_vec().into_iter().map(i64::from).collect();
            (values.shape().to_vec(), Values::Int(wide))
        }
        _ => return Err(format!("output \"{}\" is neither float nor int64", tensor.name)),
    };
    check_shape(rows, tensor, &shape)?;
    Ok(values)
}

/// The shape that came must be the shape that the file declares.
pub(crate) fn check_shape(rows: usize, tensor: &Tensor, got: &[usize]) -> Result<(), String> {
    match got.split_first() {
        Some((&batch, row)) if batch == rows && row == tensor.shape => Ok(()),
        _ => Err(format!(
            "output \"{}\": declared shape [batch{}], got {got:?} for {rows} rows",
            tensor.name,
            tensor.shape.iter().map(|dim| format!(", {dim}")).collect::<String>()
        )),
    }
}
