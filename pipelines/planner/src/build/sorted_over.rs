//! OVER in the order of a column that is no time attribute: aggregates, ROW_NUMBER, RANK, DENSE_RANK.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_expr::expr::{Sort, WindowFunction};
use datafusion_expr::{
    Expr, ExprSchemable, Window, WindowFrame, WindowFrameBound, WindowFrameUnits,
};
use nowcast_transforms::{
    AggregateCall, SortKey, SortedFunction, SortedOver, SortedOverSpec, UpTo,
};

use super::aggregate::place;
use super::over::frame_of;
use super::top_n::keys;
use super::{Lowered, Lowering, boxed, by};
use crate::catalog::Role;
use crate::error::SqlResult;
use crate::functions::aggregate::{FORECAST, NOWCAST};
use crate::functions::window::{DENSE_RANK, LAG, RANK, ROW_NUMBER};

impl Lowering<'_> {
    /// The functions of `window` have one PARTITION BY, ORDER BY and frame.
    pub(super) fn sorted_over(&mut self, window: &Window, input: Lowered) -> SqlResult<Lowered> {
        let below = window.input.schema();
        let columns = below.fields().len();
        let mut wanted: Vec<Expr> = below.iter().map(Expr::from).collect();
        let (mut functions, mut fields) = (vec![], vec![]);
        let mut shape = None;
        for expr in &window.window_expr {
            let Expr::WindowFunction(function) = expr.clone().unalias() else {
                let message = format!("{expr} is not an OVER function");
                return Err(self.extent.error_at(&["OVER"], message));
            };
            let (_, field) = expr.to_field(below).map_err(|error| self.extent.translate(error))?;
            let name = expr.qualified_name().1;
            fields.push(Arc::new(Field::new(name, field.data_type().clone(), true)));
            let params = &function.params;
            let partition: Vec<usize> =
                params.partition_by.iter().map(|expr| place(&mut wanted, expr.clone())).collect();
            let sort = self.sort_column(&params.order_by)?;
            let order = SortKey {
                column: place(&mut wanted, sort.expr.clone()),
                descending: false,
                nulls_first: sort.nulls_first,
            };
            shape = Some((partition, order, self.up_to(&frame_of(&function))?));
            functions.push(self.sorted_function(*function, field.data_type(), &mut wanted)?);
        }
        let Some((partition, order, up_to)) = shape else {
            return Err(self.extent.error_at(&["OVER"], "OVER without a function"));
        };
        let text: Vec<String> = window.window_expr.iter().map(ToString::to_string).collect();
        let text = text.join(", ");
        let ttl_ms = self.state_ttl(&text, "the number of rows");
        let keys = keys(None, &partition, columns, &input.keys);
        let prepared = match wanted.len() == columns {
            true => input,
            false => self.arguments(input, below, None, &wanted)?,
        };
        let all = prepared.schema.fields().iter().cloned().chain(fields);
        let schema: SchemaRef = Arc::new(Schema::new(all.collect::<Vec<_>>()));
        let mut roles = prepared.roles.clone();
        roles.resize(schema.fields().len(), Role::Plain);
        let spec = SortedOverSpec {
            partition: partition.clone(),
            order: vec![order],
            up_to,
            functions,
            ttl_ms,
            input_schema: Arc::clone(&prepared.schema),
            schema: Arc::clone(&schema),
        };
        let make = move |_| Ok(boxed(SortedOver::new(spec.clone())?));
        let inputs = vec![(prepared.node, by(&partition))];
        let mut over = self.operator("SortedOver", &text, inputs, schema, roles, Arc::new(make))?;
        self.graph.set_retracts(over.node, true);
        over.retracts = true;
        if wanted.len() > columns {
            over = self.without_arguments(over, window, columns, wanted.len())?;
        }
        Ok(over.with_keys(keys))
    }

    /// # Errors
    /// Where rows are sorted otherwise than by one column upwards: Flink has no such OVER.
    fn sort_column<'a>(&self, order_by: &'a [Sort]) -> SqlResult<&'a Sort> {
        let refused = |message: &str| {
            Err(self
                .extent
                .error_at(&["ORDER", "OVER"], message)
                .hint("ORDER BY one time attribute or another column, ascending"))
        };
        match order_by {
            [Sort { expr: Expr::Literal(..), .. }] | [] => refused("OVER needs ORDER BY a column"),
            [sort] if sort.asc => Ok(sort),
            [_] => refused("OVER takes ORDER BY … ASC alone"),
            _ => refused("OVER takes ORDER BY one column alone"),
        }
    }

    fn up_to(&self, frame: &WindowFrame) -> SqlResult<UpTo> {
        let begins =
            matches!(&frame.start_bound, WindowFrameBound::Preceding(rows) if rows.is_null());
        let ends = matches!(frame.end_bound, WindowFrameBound::CurrentRow);
        match frame.units {
            WindowFrameUnits::Rows if begins && ends => Ok(UpTo::Row),
            WindowFrameUnits::Range if begins && ends => Ok(UpTo::Peers),
            _ => Err(self
                .extent
                .error_at(
                    &["ROWS", "RANGE", "OVER"],
                    "a frame with a bound needs ORDER BY a time attribute",
                )
                .hint("BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW goes by any column")),
        }
    }

    fn sorted_function(
        &self,
        function: WindowFunction,
        output: &arrow::datatypes::DataType,
        wanted: &mut Vec<Expr>,
    ) -> SqlResult<SortedFunction> {
        let WindowFunction { fun, params } = function;
        match fun.name() {
            ROW_NUMBER => Ok(SortedFunction::RowNumber),
            RANK => Ok(SortedFunction::Rank),
            DENSE_RANK => Ok(SortedFunction::DenseRank),
            name @ (LAG | FORECAST | NOWCAST) => {
                let upper = name.to_uppercase();
                let message = format!("{upper} needs ORDER BY a time attribute");
                Err(self
                    .extent
                    .error_at(&[&upper], message)
                    .hint("declare WATERMARK FOR a time column, and pass the column on unchanged"))
            }
            name => {
                let (function, args) = self.function(name, params.args)?;
                let args = args.into_iter().map(|arg| place(wanted, arg)).collect();
                let filter = params.filter.map(|filter| place(wanted, *filter));
                let (distinct, output) = (params.distinct, output.clone());
                let call = AggregateCall { function, args, distinct, filter, output };
                Ok(SortedFunction::Aggregate(call))
            }
        }
    }
}
