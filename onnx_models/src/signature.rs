//! `CREATE MODEL … INPUT (…) OUTPUT (…)` against the tensors of the file.

use arrow::datatypes::DataType;
use nowcast_engine::{Error, Model, Result, Tensor};

use crate::columns::{fit, form, output_type};

/// How a declaration meets the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// For each model input, in the order of [`Model::inputs`], the declared input that feeds it.
    pub inputs: Vec<usize>,
    /// For each declared output, the model output it shows.
    pub outputs: Vec<usize>,
}

/// Matches declared inputs and outputs with those of the model, by name, in any order. Every model
/// input must be declared; outputs may be left out. A declared output may be wider than the
/// model's (DOUBLE for float), never narrower.
pub fn check_signature(
    model: &dyn Model,
    inputs: &[(String, DataType)],
    outputs: &[(String, DataType)],
) -> Result<Signature> {
    check(model, inputs, outputs)
        .map_err(|e| Error::user(format!("model \"{}\": {e}", model.version())))
}

fn check(
    model: &dyn Model,
    inputs: &[(String, DataType)],
    outputs: &[(String, DataType)],
) -> Result<Signature, String> {
    for (name, got) in inputs {
        let tensor = named("input", name, model.inputs())?.1;
        // Whether a short array is padded is known per model; here only kinds are compared.
        fit(tensor, true, got).map_err(|e| format!("input \"{name}\": {e}"))?;
    }
    let declared = |tensor: &Tensor| {
        inputs
            .iter()
            .position(|(name, _)| *name == tensor.name)
            .ok_or_else(|| format!("input \"{}\" is not declared: {}", tensor.name, form(tensor)))
    };
    let shown = |(name, got): &(String, DataType)| {
        let (at, tensor) = named("output", name, model.outputs())?;
        if !shows(&output_type(tensor), got) {
            return Err(format!("output \"{name}\": expected {}, got {got}", form(tensor)));
        }
        Ok(at)
    };
    Ok(Signature {
        inputs: model.inputs().iter().map(declared).collect::<Result<_, _>>()?,
        outputs: outputs.iter().map(shown).collect::<Result<_, _>>()?,
    })
}

fn named<'a>(role: &str, name: &str, tensors: &'a [Tensor]) -> Result<(usize, &'a Tensor), String> {
    tensors.iter().enumerate().find(|(_, tensor)| tensor.name == name).ok_or_else(|| {
        let names: Vec<_> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        format!("no {role} \"{name}\"; the file has {}", names.join(", "))
    })
}

/// Whether a value of type `has` goes into `declared` without loss.
fn shows(has: &DataType, declared: &DataType) -> bool {
    match (has, declared) {
        (DataType::Float32, DataType::Float32 | DataType::Float64) => true,
        (DataType::Int64, DataType::Int64) => true,
        (DataType::List(has), DataType::List(item) | DataType::LargeList(item)) => {
            shows(has.data_type(), item.data_type())
        }
        _ => false,
    }
}
