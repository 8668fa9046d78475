//! `CAST(x AS type)` as it stands in a query until its type is read: DataFusion's own node is left
//! out of the names of columns, so that `MIN(a)` and `MIN(CAST(a AS DATE))` would share one.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    Cast, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TryCast, Volatility,
};

use super::Failure;
use crate::parse::cast_type;
use crate::types::cast_target;

/// What the parser calls; the second argument is the text of a type.
pub const CAST: &str = "__cast";
pub const TRY_CAST: &str = "__try_cast";

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 2]> = LazyLock::new(|| {
    [Failure::Error, Failure::Null].map(|failure| {
        let signature = Signature::any(2, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(NamedCast { failure, signature }))
    })
});

pub fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    match name {
        CAST => Some(Arc::clone(&FUNCTIONS[0])),
        TRY_CAST => Some(Arc::clone(&FUNCTIONS[1])),
        _ => None,
    }
}

/// DataFusion's node of a call of one of the two.
pub fn resolved(call: &ScalarFunction) -> Result<Option<Expr>> {
    let failure = match call.name() {
        CAST => Failure::Error,
        TRY_CAST => Failure::Null,
        _ => return Ok(None),
    };
    let [value, Expr::Literal(ty, _)] = call.args.as_slice() else {
        return internal_err!("a cast without a type");
    };
    let (value, field) = (Box::new(value.clone()), target(Some(ty))?);
    Ok(Some(match failure {
        Failure::Error => Expr::Cast(Cast::new_from_field(value, field)),
        Failure::Null => Expr::TryCast(TryCast::new_from_field(value, field)),
    }))
}

fn target(ty: Option<&ScalarValue>) -> Result<FieldRef> {
    match ty {
        Some(ScalarValue::Utf8(Some(text))) => Ok(Arc::new(cast_target(&cast_type(text)?)?)),
        _ => internal_err!("a cast without a type"),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NamedCast {
    failure: Failure,
    signature: Signature,
}

impl ScalarUDFImpl for NamedCast {
    fn name(&self) -> &str {
        match self.failure {
            Failure::Error => CAST,
            Failure::Null => TRY_CAST,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a cast is its second argument")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        target(args.scalar_arguments.get(1).copied().flatten())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("a cast was left in the plan")
    }
}
