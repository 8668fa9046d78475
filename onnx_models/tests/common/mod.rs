//! What the tests share: where ONNX Runtime is, and small models written on the spot.
#![allow(dead_code, clippy::print_stdout, clippy::unwrap_used, reason = "helpers of tests")]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, ListArray};
use arrow::datatypes::{Float32Type, Int64Type};
use nowcast_onnx::{BackendChoice, ModelFile, OnnxModel, OnnxProvider, RuntimeSearch};
use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto,
    TypeProtoTensor, ValueInfoProto,
};

/// The folder of this crate, where the shipped models lie.
pub fn models_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn shipped(name: &str) -> PathBuf {
    models_dir().join(name).join(format!("{name}.onnx"))
}

pub fn search() -> RuntimeSearch {
    let from_env = |key| std::env::var_os(key).map(PathBuf::from);
    let venvs =
        from_env("VIRTUAL_ENV").into_iter().chain([models_dir().join("../.venv")]).collect();
    RuntimeSearch { setting: from_env("NOWCAST_ORT_LIB"), binary_dir: None, venvs }
}

pub fn provider() -> OnnxProvider {
    OnnxProvider::new(search())
}

/// Both runtimes, or rten alone and the reason on standard output.
pub fn backends() -> Vec<BackendChoice> {
    match search().find() {
        Ok(_) => vec![BackendChoice::Rten, BackendChoice::OnnxRuntime],
        Err(why) => {
            println!("skipped for onnxruntime: {why}");
            vec![BackendChoice::Rten]
        }
    }
}

pub fn open(path: &Path, backend: BackendChoice) -> OnnxModel {
    provider().open("m", ModelFile::read(path).unwrap(), backend).unwrap()
}

pub fn float_list(rows: Vec<Option<Vec<Option<f32>>>>) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

pub fn int_list(rows: Vec<Option<Vec<Option<i64>>>>) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows))
}

pub fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<Int64Array>())
}

pub fn floats_of(column: &ArrayRef) -> Vec<Option<f32>> {
    column.as_primitive::<Float32Type>().iter().collect()
}

pub fn ints_of(column: &ArrayRef) -> Vec<Option<i64>> {
    column.as_primitive::<Int64Type>().iter().collect()
}

/// A model in the making.
pub struct Builder {
    pub graph: GraphProto,
    pub metadata: Vec<StringStringEntryProto>,
}

impl Builder {
    pub fn new() -> Self {
        Self { graph: GraphProto::default(), metadata: Vec::new() }
    }

    /// `dims`: `None` is a free dimension.
    pub fn input(mut self, name: &str, element: DataType, dims: &[Option<i64>]) -> Self {
        self.graph.input.push(info(name, element, dims));
        self
    }

    pub fn output(mut self, name: &str, element: DataType, dims: &[Option<i64>]) -> Self {
        self.graph.output.push(info(name, element, dims));
        self
    }

    pub fn node(mut self, op: &str, inputs: &[&str], output: &str) -> Self {
        self.graph.node.push(NodeProto {
            name: Some(output.to_string()),
            op_type: Some(op.to_string()),
            input: inputs.iter().map(|name| name.to_string()).collect(),
            output: vec![output.to_string()],
            ..NodeProto::default()
        });
        self
    }

    pub fn attribute(mut self, name: &str, value: i64) -> Self {
        self.graph.node.last_mut().unwrap().attribute.push(AttributeProto {
            name: Some(name.to_string()),
            i: Some(value),
            r#type: Some(AttributeType(2)),
            ..AttributeProto::default()
        });
        self
    }

    pub fn weights(mut self, name: &str, values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph.initializer.push(TensorProto {
            name: Some(name.to_string()),
            data_type: Some(DataType::INT64),
            dims: vec![values.len() as i64],
            raw_data: Some(RefCell::new(bytes)),
            ..TensorProto::default()
        });
        self
    }

    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.push(entry(key, value));
        self
    }

    pub fn write(self, path: &Path) -> PathBuf {
        let model = ModelProto {
            ir_version: Some(8),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto { version: Some(17), ..Default::default() }],
            metadata_props: self.metadata,
            producer_name: Some("test".to_string()),
            producer_version: None,
        };
        std::fs::write(path, model.write_buf().unwrap()).unwrap();
        path.to_path_buf()
    }
}

pub fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.to_string()), value: Some(value.to_string()) }
}

fn info(name: &str, element: DataType, dims: &[Option<i64>]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|dim| Dimension {
            dim_value: *dim,
            dim_param: dim.is_none().then(|| "batch".to_string()),
        })
        .collect();
    ValueInfoProto {
        name: Some(name.to_string()),
        r#type: Some(TypeProto {
            tensor_type: Some(TypeProtoTensor {
                elem_type: Some(element),
                shape: Some(TensorShapeProto { dim }),
            }),
            sequence: None,
        }),
    }
}

/// `sum` = the square roots of `x` (three numbers) added up; `price` = a table of four by `plan`.
/// A negative number makes `sum` not finite; a plan past the table fails the whole call.
pub fn roots() -> Builder {
    Builder::new()
        .input("x", DataType::FLOAT, &[None, Some(3)])
        .input("plan", DataType::INT64, &[None])
        .weights("axes", &[1])
        .weights("prices", &[5, 10, 15, 20])
        .node("Sqrt", &["x"], "roots")
        .node("ReduceSum", &["roots", "axes"], "sum")
        .attribute("keepdims", 0)
        .node("Gather", &["prices", "plan"], "price")
        .output("sum", DataType::FLOAT, &[None])
        .output("price", DataType::INT64, &[None])
}
