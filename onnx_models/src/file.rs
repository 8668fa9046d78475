//! An `.onnx` file, read and checked before any runtime sees it.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use nowcast_engine::{Error, Result, Tensor};
use rten_onnx::onnx::{
    AttributeProto, DataLocation, DataType, GraphProto, ModelProto, TensorProto, ValueInfoProto,
};
use sha2::{Digest, Sha256};

use crate::backend::{guarded, one_line};
use crate::wire;

/// A scoring model is small; a file past this is a mistake, and it is read into memory whole.
pub const MODEL_BYTES_MAX: u64 = 256 << 20;

/// What a shorter list is filled up with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Padding {
    pub value: f64,
}

/// A model file whose inputs and outputs are of a form that the engine can feed and read.
#[derive(Debug, Clone)]
pub struct ModelFile {
    pub path: PathBuf,
    /// `nowcast.name` of the metadata, else the file's stem.
    pub name: String,
    /// `nowcast.version` of the metadata, else the first 12 digits of the hash.
    pub version: String,
    pub sha256: String,
    pub metadata: BTreeMap<String, String>,
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
    pub(crate) padding: Vec<Option<Padding>>,
    pub(crate) bytes: Arc<[u8]>,
}

impl ModelFile {
    /// Reads and checks a file. Refused, with the file and the reason: a file that is missing or
    /// not ONNX, weights in other files, tensors that are not float or int64, shapes other than a
    /// free batch dimension followed by fixed ones.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_bounded(path)?;
        Self::parse(path, bytes)
            .map_err(|e| Error::user(format!("model file {}: {e}", path.display())))
    }

    /// Size in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, String> {
        wire::check(&bytes).map_err(|e| format!("not an ONNX model: {e}"))?;
        let model = guarded(|| ModelProto::parse_buf(&bytes).map_err(one_line))
            .map_err(|e| format!("not an ONNX model: {e}"))?;
        let graph = match model.graph {
            Some(graph) if model.ir_version.is_some() && !graph.node.is_empty() => graph,
            _ => return Err("not an ONNX model: it has no graph".to_string()),
        };
        refuse_external_data(&graph)?;

        let metadata: BTreeMap<String, String> = model
            .metadata_props
            .into_iter()
            .map(|entry| (entry.key.unwrap_or_default(), entry.value.unwrap_or_default()))
            .collect();
        let initializers: HashSet<_> =
            graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref()).collect();
        // Old files list their weights among the inputs.
        let inputs = graph
            .input
            .iter()
            .filter(|input| !initializers.contains(input.name.as_deref().unwrap_or_default()))
            .map(|input| tensor("input", input))
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = graph
            .output
            .iter()
            .map(|output| tensor("output", output))
            .collect::<Result<Vec<_>, _>>()?;
        if inputs.is_empty() || outputs.is_empty() {
            return Err("a scoring model needs at least one input and one output".to_string());
        }
        let padding =
            inputs.iter().map(|input| padding(input, &metadata)).collect::<Result<_, _>>()?;

        let sha256 = hex(&Sha256::digest(&bytes));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            path: path.to_path_buf(),
            name: metadata.get("nowcast.name").cloned().unwrap_or_else(|| stem.to_string()),
            version: metadata
                .get("nowcast.version")
                .cloned()
                .unwrap_or_else(|| sha256[..12].to_string()),
            sha256,
            metadata,
            inputs,
            outputs,
            padding,
            bytes: bytes.into(),
        })
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let unreadable =
        |e: std::io::Error| Error::user(format!("model file {}: {}", path.display(), e.kind()));
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Error::user(format!("model file {}: is a directory", path.display())));
    }
    if metadata.len() > MODEL_BYTES_MAX {
        return Err(Error::user(format!(
            "model file {}: {} bytes, more than the {MODEL_BYTES_MAX} that are read",
            path.display(),
            metadata.len()
        )));
    }
    fs::read(path).map_err(unreadable)
}

/// Weights in other files would let a model name any path of this machine.
fn refuse_external_data(graph: &GraphProto) -> Result<(), String> {
    let refuse = |tensor: &TensorProto| {
        let elsewhere = tensor.data_location.is_some_and(|at| at != DataLocation::DEFAULT);
        if elsewhere || !tensor.external_data.is_empty() {
            let name = tensor.name.as_deref().unwrap_or_default();
            return Err(format!(
                "weights \"{name}\" lie in another file; store the model as one file"
            ));
        }
        Ok(())
    };
    graph.initializer.iter().try_for_each(refuse)?;
    for AttributeProto { t, g, .. } in graph.node.iter().flat_map(|node| &node.attribute) {
        t.iter().try_for_each(refuse)?;
        g.iter().try_for_each(refuse_external_data)?;
    }
    Ok(())
}

fn tensor(role: &str, info: &ValueInfoProto) -> Result<Tensor, String> {
    let name = info.name.clone().unwrap_or_default();
    let Some(tensor_type) = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()) else {
        return Err(format!("{role} \"{name}\" is not a tensor"));
    };
    let element = match tensor_type.elem_type {
        Some(DataType::FLOAT) => ArrowType::Float32,
        Some(DataType::INT64) => ArrowType::Int64,
        Some(other) => {
            return Err(format!(
                "{role} \"{name}\": expected FLOAT or INT64 elements, got {other}"
            ));
        }
        None => return Err(format!("{role} \"{name}\" declares no element type")),
    };
    let Some(shape) = tensor_type.shape.as_ref() else {
        return Err(format!("{role} \"{name}\" declares no shape"));
    };
    let form = || {
        let dims: Vec<_> = shape
            .dim
            .iter()
            .map(|dim| match (&dim.dim_value, &dim.dim_param) {
                (Some(value), _) => value.to_string(),
                (None, Some(name)) => name.clone(),
                (None, None) => "?".to_string(),
            })
            .collect();
        format!("[{}]", dims.join(", "))
    };
    let wrong = |why: &str| {
        format!("{role} \"{name}\": expected shape [batch, fixed ...], got {}: {why}", form())
    };
    let Some((batch, row)) = shape.dim.split_first() else {
        return Err(wrong("it has no batch dimension"));
    };
    if batch.dim_value.is_some() {
        return Err(wrong("its first dimension is fixed"));
    }
    let shape = row
        .iter()
        .map(|dim| match dim.dim_value {
            Some(value) if value > 0 => usize::try_from(value).map_err(|e| e.to_string()),
            _ => Err(wrong("only the first dimension may be free")),
        })
        .collect::<Result<_, _>>()?;
    Ok(Tensor { name, element, shape })
}

/// `nowcast.pad.<input>` = `left:<number>`.
fn padding(input: &Tensor, metadata: &BTreeMap<String, String>) -> Result<Option<Padding>, String> {
    let key = format!("nowcast.pad.{}", input.name);
    let Some(text) = metadata.get(&key) else {
        return Ok(None);
    };
    let value = text.strip_prefix("left:").and_then(|value| value.trim().parse::<f64>().ok());
    match value {
        Some(value) if value.is_finite() && !input.shape.is_empty() => Ok(Some(Padding { value })),
        _ => Err(format!("metadata \"{key}\": expected left:<number>, got \"{text}\"")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}
