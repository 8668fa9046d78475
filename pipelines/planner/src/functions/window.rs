//! Functions for OVER that are no aggregates to DataFusion: ROW_NUMBER, RANK, DENSE_RANK, LAG, FIRST_VALUE,
//! LAST_VALUE.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

use super::scalar::{Kind, Takes, coerce};

pub const ROW_NUMBER: &str = "row_number";
pub const RANK: &str = "rank";
pub const DENSE_RANK: &str = "dense_rank";
pub const LAG: &str = "lag";

pub fn window_functions() -> Vec<WindowUDF> {
    let udwf = |name: &'static str, takes: Takes| {
        let signature = match takes {
            Takes::These { kinds: [], .. } => Signature::nullary(Volatility::Immutable),
            _ => Signature::user_defined(Volatility::Immutable),
        };
        WindowUDF::new_from_impl(FlinkWindow { name, takes: Taken(takes), signature })
    };
    vec![
        udwf(ROW_NUMBER, Takes::These { kinds: &[], required: 0 }),
        udwf(RANK, Takes::These { kinds: &[], required: 0 }),
        udwf(DENSE_RANK, Takes::These { kinds: &[], required: 0 }),
        // DataFusion looks for these here, and for other aggregates among the aggregates.
        udwf("first_value", Takes::These { kinds: &[Kind::Any], required: 1 }),
        udwf("last_value", Takes::These { kinds: &[Kind::Any], required: 1 }),
        udwf(LAG, Takes::These { kinds: &[Kind::Any, Kind::Long], required: 1 }),
    ]
}

#[derive(Debug)]
struct Taken(Takes);

// The name says which function it is.
impl PartialEq for Taken {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Taken {}

impl std::hash::Hash for Taken {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FlinkWindow {
    name: &'static str,
    takes: Taken,
    signature: Signature,
}

impl WindowUDFImpl for FlinkWindow {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.name, self.takes.0, given)
    }

    fn partition_evaluator(
        &self,
        _: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        not_impl_err!("{} is computed by operators", self.name)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(match args.input_fields() {
            // Numbers and ranks are BIGINT NOT NULL.
            [] => Field::new(args.name(), DataType::Int64, false),
            [value, ..] => Field::new(args.name(), value.data_type().clone(), true),
        }))
    }
}
