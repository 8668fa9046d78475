//! `CREATE MODEL`: loads the model and checks its tensors against the declared columns.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use nowcast_engine::{ModelProvider, Tensor};

use crate::catalog::ModelEntry;
use crate::error::{SqlError, SqlResult};
use crate::parse::ast::{CreateModel, ModelColumn};
use crate::types::{sql_name, to_arrow};

pub fn create_model(declared: &CreateModel, provider: &dyn ModelProvider) -> SqlResult<ModelEntry> {
    let name = &declared.name.value;
    let at = declared.name.span.start;
    let options: BTreeMap<String, String> =
        declared.options.iter().map(|option| (option.key.clone(), option.value.clone())).collect();
    let model = provider.load(name, &options).map_err(|error| SqlError::new(at, error))?;
    let inputs = assign("INPUT", name, &declared.input, model.inputs(), at)?;
    let outputs = assign("OUTPUT", name, &declared.output, model.outputs(), at)?;
    let typed = |column: &ModelColumn| {
        let ty = to_arrow(&column.ty).map_err(|error| error.or_at(column.name.span.start))?;
        Ok((column.name.value.clone(), ty))
    };
    let input = declared.input.iter().map(typed).collect::<SqlResult<_>>()?;
    let output = outputs.iter().map(|column| typed(&declared.output[*column]));
    let output = output.collect::<SqlResult<Vec<_>>>()?;
    Ok(ModelEntry { model, inputs, input, output })
}

/// The declared column of each tensor: by name where all names are the tensors', else by position.
fn assign(
    clause: &str,
    model: &str,
    columns: &[ModelColumn],
    tensors: &[Tensor],
    at: sqlparser::tokenizer::Location,
) -> SqlResult<Vec<usize>> {
    let signature = || tensors.iter().map(written).collect::<Vec<_>>().join(", ");
    if columns.len() != tensors.len() {
        let at = columns.first().map_or(at, |column| column.name.span.start);
        return Err(SqlError::new(
            at,
            format!(
                "{clause} of model `{model}` has {} columns, the file has {} tensors",
                columns.len(),
                tensors.len()
            ),
        )
        .hint(format!("{clause} ({})", signature())));
    }
    let named: Option<Vec<usize>> = tensors
        .iter()
        .map(|tensor| columns.iter().position(|column| column.name.value == tensor.name))
        .collect();
    let assigned = named.unwrap_or_else(|| (0..tensors.len()).collect());
    for (tensor, column) in tensors.iter().zip(&assigned) {
        let column = &columns[*column];
        let at = column.name.span.start;
        let ty = to_arrow(&column.ty).map_err(|error| error.or_at(at))?;
        if !fits(&ty, tensor) {
            return Err(SqlError::new(
                at,
                format!(
                    "{clause} column `{}` of model `{model}` is {}, tensor `{}` is {}",
                    column.name.value,
                    sql_name(&ty),
                    tensor.name,
                    shape(tensor)
                ),
            )
            .hint(format!("{clause} ({})", signature())));
        }
    }
    Ok(assigned)
}

/// A number for a scalar tensor, an array of numbers for one with a shape.
fn fits(ty: &DataType, tensor: &Tensor) -> bool {
    match (tensor.shape.is_empty(), ty) {
        (true, ty) => ty.is_numeric(),
        (false, DataType::List(item)) => item.data_type().is_numeric(),
        (false, _) => false,
    }
}

fn element(tensor: &Tensor) -> &'static str {
    match tensor.element {
        DataType::Int64 => "BIGINT",
        _ => "FLOAT",
    }
}

fn written(tensor: &Tensor) -> String {
    let element = element(tensor);
    match tensor.shape.is_empty() {
        true => format!("{} {element}", tensor.name),
        false => format!("{} ARRAY<{element}>", tensor.name),
    }
}

fn shape(tensor: &Tensor) -> String {
    let lengths: Vec<_> = tensor.shape.iter().map(ToString::to_string).collect();
    match lengths.is_empty() {
        true => format!("one {}", element(tensor)),
        false => format!("{} × {}", lengths.join(" × "), element(tensor)),
    }
}
