//! `CREATE FUNCTION`: functions out of libraries, as DataFusion plans them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    ColumnarValue, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use nowcast_engine::{self as engine, ErrorKind, FunctionProvider};

use super::scalar::failed;
use crate::context::is_built_in;
use crate::error::{SqlError, SqlResult};
use crate::parse::ast::CreateFunction;
use crate::types::sql_name;

/// Loads the function that a statement declares.
pub fn create_function(
    declared: &CreateFunction,
    provider: &dyn FunctionProvider,
) -> SqlResult<ScalarUDF> {
    let name = declared.name.value.to_lowercase();
    if is_built_in(&name) {
        let message = format!("`{}` is a built-in function", name.to_uppercase());
        return Err(SqlError::new(declared.name.span.start, message).hint("take another name"));
    }
    let function = provider.load(&declared.symbol, &declared.library);
    let function = function.map_err(|error| SqlError::new(declared.at, error))?;
    Ok(ScalarUDF::new_from_impl(UserFunction {
        name,
        source: (declared.library.clone(), declared.symbol.clone()),
        function,
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

/// Refuses a call of a function of one's own with arguments of types that it does not take.
pub fn check(call: &ScalarFunction, schema: &DFSchema) -> Result<()> {
    let Some(function) = call.func.inner().downcast_ref::<UserFunction>() else { return Ok(()) };
    for (at, (arg, wanted)) in call.args.iter().zip(function.function.arguments()).enumerate() {
        let given = arg.get_type(schema)?;
        if !widens(&given, wanted) {
            let given = sql_name(&given);
            return Err(function.refused(format!("takes no {given} as argument {}", at + 1)));
        }
    }
    Ok(())
}

struct UserFunction {
    /// In small letters.
    name: String,
    /// The library, and the name in it.
    source: (String, String),
    function: Arc<dyn engine::ScalarFunction>,
    signature: Signature,
}

impl std::fmt::Debug for UserFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

// What it does follows from where it comes from.
impl PartialEq for UserFunction {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.source) == (&other.name, &other.source)
    }
}

impl Eq for UserFunction {}

impl Hash for UserFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.source).hash(state);
    }
}

impl ScalarUDFImpl for UserFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.function.result().clone())
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = self.function.arguments();
        if given.len() != wanted.len() {
            let (wanted, given) = (wanted.len(), given.len());
            return Err(self.refused(format!("takes {wanted} arguments, not {given}")));
        }
        // Literals have their types later: see `check`.
        Ok(wanted.to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args.args.into_iter().map(|value| value.into_array(rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let made = self.function.call(&columns, rows).map_err(|error| match error.kind() {
            ErrorKind::Data => failed(error),
            _ => DataFusionError::External(Box::new(error)),
        })?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

impl UserFunction {
    fn refused(&self, why: String) -> DataFusionError {
        let types: Vec<_> = self.function.arguments().iter().map(sql_name).collect();
        let hint = format!("{}({})", self.name, types.join(", "));
        SqlError::nowhere(format!("`{}` {why}", self.name.to_uppercase())).hint(hint).into()
    }
}

/// Whether Flink hands a value of one type over as another without a CAST.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    let rank = |ty: &DataType| match ty {
        Int8 => Some(0),
        Int16 => Some(1),
        Int32 => Some(2),
        Int64 => Some(3),
        Decimal128(..) => Some(4),
        Float32 => Some(5),
        Float64 => Some(6),
        _ => None,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Null, _) | (Utf8View | LargeUtf8, Utf8) => true,
        _ => matches!((rank(from), rank(to)), (Some(from), Some(to)) if from <= to),
    }
}
