//! Window Top-N: `WHERE row_number <= n` around `ROW_NUMBER() OVER (PARTITION BY window …)`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::ScalarValue;
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator, Window};
use nowcast_transforms::{SortKey, WindowTopN, WindowTopNSpec};

use super::aggregate::place;
use super::{Lowered, Lowering, boxed, by};
use crate::catalog::Role;
use crate::error::SqlResult;
use crate::functions::window::ROW_NUMBER;

impl Lowering<'_> {
    /// The first rows of each window, where `filter` asks for them.
    pub(super) fn top_n(&mut self, filter: &Filter) -> SqlResult<Option<Lowered>> {
        // A projection between the two only drops columns.
        let (window, kept) = match filter.input.as_ref() {
            LogicalPlan::Window(window) => (window, None),
            LogicalPlan::Projection(projection) => match projection.input.as_ref() {
                LogicalPlan::Window(window)
                    if projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) =>
                {
                    (window, Some(projection.expr.clone()))
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let [Expr::WindowFunction(function)] = window.window_expr.as_slice() else {
            return Ok(None);
        };
        if function.fun.name() != ROW_NUMBER {
            return Ok(None);
        }
        let number = window.schema.fields().len() - 1;
        let number = Expr::from(window.schema.qualified_field(number));
        let (mut limit, mut rest) = (None, vec![]);
        for predicate in split_conjunction(&filter.predicate) {
            match limit_of(predicate, &number) {
                Some(at_most) => limit = Some(limit.unwrap_or(usize::MAX).min(at_most)),
                None => rest.push(predicate.clone()),
            }
        }
        let Some(limit) = limit else { return Ok(None) };
        let first = self.first_rows(window, limit)?;
        let rest = conjunction(rest);
        if rest.is_none() && kept.is_none() {
            return Ok(Some(first));
        }
        let kept = kept.unwrap_or_else(|| window.schema.iter().map(Expr::from).collect());
        self.calc(first, &window.schema, rest.as_ref(), &kept).map(Some)
    }

    fn first_rows(&mut self, window: &Window, limit: usize) -> SqlResult<Lowered> {
        let [Expr::WindowFunction(function)] = window.window_expr.as_slice() else {
            return Err(self.extent.error_at(&["ROW_NUMBER"], "one ROW_NUMBER expected"));
        };
        let input = self.lower(&window.input)?;
        self.inserts_only(&input, &["ROW_NUMBER"], "Top-N of a window")?;
        let below = window.input.schema();
        let columns = below.fields().len();
        let mut wanted: Vec<Expr> = below.iter().map(Expr::from).collect();
        let params = &function.params;
        let partition: Vec<usize> =
            params.partition_by.iter().map(|expr| place(&mut wanted, expr.clone())).collect();
        let order: Vec<SortKey> = params
            .order_by
            .iter()
            .map(|sort| SortKey {
                column: place(&mut wanted, sort.expr.clone()),
                descending: !sort.asc,
                nulls_first: sort.nulls_first,
            })
            .collect();
        if wanted.len() > columns {
            let message = "ROW_NUMBER by an expression is not supported yet";
            return Err(self
                .extent
                .error_at(&["ROW_NUMBER"], message)
                .hint("give the expression a name in a subquery"));
        }
        let window_end =
            partition.iter().copied().find(|column| input.roles[*column] == Role::WindowEnd);
        let Some(window_end) = window_end else {
            let message = "Top-N without a window is not supported yet";
            return Err(self
                .extent
                .error_at(&["ROW_NUMBER"], message)
                .hint("PARTITION BY window_start, window_end of a window"));
        };
        let mut fields: Vec<_> = input.schema.fields().to_vec();
        let name = window.schema.field(columns).name();
        fields.push(Arc::new(Field::new(name, DataType::Int64, true)));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut roles = input.roles.clone();
        roles.push(Role::Plain);
        let is_window =
            |column: &usize| matches!(input.roles[*column], Role::WindowStart | Role::WindowEnd);
        let keys: Vec<usize> = partition.iter().copied().filter(|key| !is_window(key)).collect();
        let route = by(&keys);
        let spec = WindowTopNSpec {
            window_end,
            partition,
            keys,
            order,
            limit,
            rank: true,
            input_schema: Arc::clone(&input.schema),
            schema: Arc::clone(&schema),
        };
        let make = move |_| Ok(boxed(WindowTopN::new(spec.clone())?));
        let text = format!("first {limit}");
        self.operator("WindowTopN", &text, vec![(input.node, route)], schema, roles, Arc::new(make))
    }
}

/// `n` of `number <= n` and its other forms.
fn limit_of(predicate: &Expr, number: &Expr) -> Option<usize> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = predicate else { return None };
    let (op, value) = match (left.as_ref(), right.as_ref()) {
        (column, Expr::Literal(value, _)) if column == number => (*op, value),
        (Expr::Literal(value, _), column) if column == number => (op.swap()?, value),
        _ => return None,
    };
    let n = match value {
        ScalarValue::Int64(Some(n)) => *n,
        ScalarValue::Int32(Some(n)) => i64::from(*n),
        _ => return None,
    };
    let n = match op {
        Operator::LtEq => n,
        Operator::Lt => n - 1,
        Operator::Eq if n == 1 => 1,
        _ => return None,
    };
    usize::try_from(n).ok().filter(|n| *n > 0)
}
