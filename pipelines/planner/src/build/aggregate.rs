//! GROUP BY over windows.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, ScalarValue};
use datafusion_expr::expr::AggregateFunctionParams;
use datafusion_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan};
use nowcast_engine::evaluate::{ColumnAt, Projection};
use nowcast_engine::evolve::Part;
use nowcast_engine::graph::OperatorFactory;
use nowcast_engine::{Evaluate, Route};
use nowcast_transforms::{
    AggregateCall, AggregateFunction, AttachedWindowAggregate, AttachedWindowAggregateSpec, Calc,
    Fraction, SessionAggregate, SessionAggregateSpec, Spread, Window, WindowAggregate,
    WindowAggregateSpec, WindowKind,
};

use super::{Lowered, Lowering, boxed, by};
use crate::catalog::Role;
use crate::error::SqlResult;
use crate::functions::aggregate::APPROX_COUNT_DISTINCT;
use crate::node::{FlinkNode, FlinkOp, WindowFunction, WindowSpan};
use crate::types::WINDOW_BOUND;

/// A column above a window function, in terms of the rows below it.
#[derive(Clone)]
enum Slot {
    Below(Expr),
    Start,
    End,
    Time,
}

/// Projections and filters above a window function, pulled below it: none of them reads the window.
struct Inlined<'a> {
    function: &'a WindowFunction,
    below: &'a LogicalPlan,
    columns: Vec<Slot>,
    filters: Vec<Expr>,
}

impl Inlined<'_> {
    /// Whether a group has no more than one session: its keys are those that have sessions of their
    /// own. Else a session is known when it is over, not row by row.
    fn groups_are_sessions(&self, keys: &[Slot]) -> bool {
        let WindowSpan::Session { .. } = self.function.span else { return true };
        let own = &self.function.columns[1..];
        let schema = self.below.schema();
        let index = |column: &Column| schema.index_of_column(column).ok();
        let mut grouped = vec![];
        for key in keys {
            match key {
                Slot::Below(Expr::Column(column)) => grouped.push(index(column)),
                Slot::Below(_) => return false,
                Slot::Start | Slot::End | Slot::Time => {}
            }
        }
        own.iter().all(|column| grouped.contains(&index(column)))
            && grouped.iter().all(|key| own.iter().any(|column| index(column) == *key))
    }
}

/// The aggregates as text, with the types of their arguments among the columns of `input`.
pub(super) fn parts(
    aggregate: &Aggregate,
    calls: &[AggregateCall],
    input: &SchemaRef,
) -> Vec<Part> {
    let part = |(expr, call): (&Expr, &AggregateCall)| Part {
        text: expr.clone().unalias().to_string(),
        types: call.args.iter().map(|arg| input.field(*arg).data_type().to_string()).collect(),
    };
    aggregate.aggr_expr.iter().zip(calls).map(part).collect()
}

impl Lowering<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> SqlResult<Lowered> {
        let approximate = |expr: &Expr| match expr.clone().unalias() {
            Expr::AggregateFunction(function) => function.func.name() == APPROX_COUNT_DISTINCT,
            _ => false,
        };
        if aggregate.aggr_expr.iter().any(approximate) {
            let what = "APPROX_COUNT_DISTINCT, other than OVER";
            let error = self.extent.error_at(&["APPROX_COUNT_DISTINCT"], what);
            self.graph
                .unportable(error.hint("Flink has it in batch mode: COUNT(DISTINCT …) is exact"));
        }
        let grouped = match inline(&aggregate.input) {
            Some(inlined) => match self.window_keys(aggregate, &inlined) {
                Some(keys) => self.window_aggregate(aggregate, &inlined, &keys),
                None => self.attached(aggregate),
            },
            None => self.attached(aggregate),
        }?;
        // The keys come first; those of GROUPING SETS are no key alone.
        match aggregate.group_expr.as_slice() {
            [] | [Expr::GroupingSet(_), ..] => Ok(grouped),
            keys => Ok(grouped.with_keys(vec![(0..keys.len()).collect()])),
        }
    }

    /// What each GROUP BY expression is; `None` where the window is not whole among them or an
    /// expression computes with it.
    fn window_keys(&self, aggregate: &Aggregate, inlined: &Inlined) -> Option<Vec<Slot>> {
        let schema = aggregate.input.schema();
        let keys = aggregate.group_expr.iter().map(|expr| slot_of(expr, schema, &inlined.columns));
        let keys = keys.collect::<Option<Vec<_>>>()?;
        let has = |wanted: fn(&Slot) -> bool| keys.iter().any(wanted);
        let arguments = aggregate.aggr_expr.iter().all(|expr| {
            expr.column_refs().into_iter().all(|column| {
                let index = schema.index_of_column(column);
                index.is_ok_and(|index| matches!(inlined.columns[index], Slot::Below(_)))
            })
        });
        (has(|slot| matches!(slot, Slot::End))
            && has(|slot| matches!(slot, Slot::Start))
            && arguments
            && inlined.groups_are_sessions(&keys))
        .then_some(keys)
    }

    fn window_aggregate(
        &mut self,
        aggregate: &Aggregate,
        inlined: &Inlined,
        group: &[Slot],
    ) -> SqlResult<Lowered> {
        let input = self.lower(inlined.below)?;
        self.inserts_only(&input, &["TABLE", "GROUP"], "GROUP BY over a window")?;
        let (time, windowed) = self.window_time(inlined.function, inlined.below, &input)?;
        let below = inlined.below.schema();
        let mut wanted = vec![Expr::from(below.qualified_field(time))];
        let mut keys = vec![];
        for slot in group {
            if let Slot::Below(expr) = slot {
                keys.push(place(&mut wanted, expr.clone()));
            }
        }
        let outer = aggregate.input.schema();
        let calls =
            self.calls(aggregate, &mut wanted, |expr| substitute(expr, outer, &inlined.columns))?;
        self.states_merge(&calls, &inlined.function.span)?;
        let filter = inlined.filters.iter().cloned().reduce(Expr::and);
        let input = self.arguments(input, below, filter.as_ref(), &wanted)?;

        let mut fields: Vec<_> =
            keys.iter().map(|key| input.schema.fields()[*key].clone()).collect();
        fields.extend(calls.iter().enumerate().map(|(number, call)| {
            Arc::new(Field::new(format!("aggregate_{number}"), call.output.clone(), true))
        }));
        let time_type = input.schema.field(0).data_type().clone();
        let window = [
            ("window_start", WINDOW_BOUND),
            ("window_end", WINDOW_BOUND),
            ("window_time", time_type),
        ];
        let first = fields.len();
        fields.extend(window.map(|(name, ty)| Arc::new(Field::new(name, ty, true))));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let on = &inlined.function.time().name;
        let route = by(&keys);
        let clock = self.window_clock(windowed);
        let (aggregates, input_schema) = (calls.clone(), Arc::clone(&input.schema));
        let (kind, text, make): (_, _, OperatorFactory) = match inlined.function.span {
            WindowSpan::Sliced(window) => {
                let spec = WindowAggregateSpec {
                    window,
                    clock,
                    time: 0,
                    keys: keys.clone(),
                    aggregates,
                    input_schema,
                    schema: Arc::clone(&schema),
                };
                let make = move |_| Ok(boxed(WindowAggregate::new(spec.clone())?));
                ("WindowAggregate", format!("{window:?} on {on}"), Arc::new(make))
            }
            WindowSpan::Session { gap_ms } => {
                let spec = SessionAggregateSpec {
                    gap_ms,
                    clock,
                    time: 0,
                    keys: keys.clone(),
                    aggregates,
                    input_schema,
                    schema: Arc::clone(&schema),
                };
                let make = move |_| Ok(boxed(SessionAggregate::new(spec.clone())?));
                ("SessionAggregate", format!("gap of {gap_ms} ms on {on}"), Arc::new(make))
            }
        };
        let roles = vec![Role::Plain; schema.fields().len()];
        let parts = parts(aggregate, &calls, &input.schema);
        let grouped = self.operator(kind, &text, vec![(input.node, route)], schema, roles, make)?;
        self.graph.set_parts(grouped.node, parts);
        let mut next = 0;
        let group = group.iter().map(|slot| match slot {
            Slot::Below(_) => {
                next += 1;
                (next - 1, Role::Plain)
            }
            Slot::Start => (first, Role::WindowStart(windowed)),
            Slot::End => (first + 1, Role::WindowEnd(windowed)),
            Slot::Time => (first + 2, windowed.time()),
        });
        let group: Vec<(usize, Role)> = group.collect();
        let aggregates = (0..calls.len()).map(|number| (keys.len() + number, Role::Plain));
        let order = group.into_iter().chain(aggregates).collect();
        self.ordered(grouped, order, aggregate)
    }

    /// GROUP BY window columns that the rows carry already, or without any.
    fn attached(&mut self, aggregate: &Aggregate) -> SqlResult<Lowered> {
        let input = self.lower(&aggregate.input)?;
        let below = aggregate.input.schema();
        let mut wanted = vec![];
        let places: Vec<usize> =
            aggregate.group_expr.iter().map(|expr| place(&mut wanted, expr.clone())).collect();
        let calls = self.calls(aggregate, &mut wanted, Some)?;
        let prepared = self.arguments(input, below, None, &wanted)?;
        let role =
            |wanted: Role| places.iter().copied().find(|place| prepared.roles[*place] == wanted);
        let window_end = places.iter().find_map(|place| match prepared.roles[*place] {
            Role::WindowEnd(windowed) => Some((*place, windowed)),
            _ => None,
        });
        let Some((window_end, windowed)) = window_end else {
            return self.group_aggregate(aggregate, prepared, &places, calls);
        };
        let Some(window_start) = role(Role::WindowStart(windowed)) else {
            return self.group_aggregate(aggregate, prepared, &places, calls);
        };
        self.inserts_only(&prepared, &["GROUP"], "GROUP BY over a window")?;
        let is_window = |place: &usize| *place == window_start || *place == window_end;
        let keys: Vec<usize> = places.iter().copied().filter(|place| !is_window(place)).collect();
        let mut fields: Vec<_> =
            keys.iter().map(|key| prepared.schema.fields()[*key].clone()).collect();
        fields.extend(calls.iter().enumerate().map(|(number, call)| {
            Arc::new(Field::new(format!("aggregate_{number}"), call.output.clone(), true))
        }));
        let first = fields.len();
        let window = ["window_start", "window_end", "window_time"];
        fields.extend(window.map(|name| Arc::new(Field::new(name, WINDOW_BOUND, true))));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let spec = AttachedWindowAggregateSpec {
            clock: self.window_clock(windowed),
            window_start,
            window_end,
            keys: keys.clone(),
            aggregates: calls.clone(),
            input_schema: Arc::clone(&prepared.schema),
            schema: Arc::clone(&schema),
        };
        let route = by(&keys);
        let parts = parts(aggregate, &calls, &prepared.schema);
        let make = move |_| Ok(boxed(AttachedWindowAggregate::new(spec.clone())?));
        let key_roles = keys.iter().map(|key| prepared.roles[*key]).collect::<Vec<_>>();
        let roles = vec![Role::Plain; schema.fields().len()];
        let grouped = self.operator(
            "AttachedWindowAggregate",
            "",
            vec![(prepared.node, route)],
            schema,
            roles,
            Arc::new(make),
        )?;
        self.graph.set_parts(grouped.node, parts);
        let mut order = vec![];
        let mut next = 0;
        for place in &places {
            if *place == window_start {
                order.push((first, Role::WindowStart(windowed)));
            } else if *place == window_end {
                order.push((first + 1, Role::WindowEnd(windowed)));
            } else {
                order.push((next, key_roles[next]));
                next += 1;
            }
        }
        order.extend((0..calls.len()).map(|number| (keys.len() + number, Role::Plain)));
        self.ordered(grouped, order, aggregate)
    }

    /// Refuses aggregates whose states Flink cannot merge, over windows that share or merge them.
    fn states_merge(&self, calls: &[AggregateCall], span: &WindowSpan) -> SqlResult<()> {
        if let WindowSpan::Sliced(Window { kind: WindowKind::Tumble { .. }, .. }) = span {
            return Ok(());
        }
        for call in calls {
            let name = match call.function {
                AggregateFunction::JsonArray => "JSON_ARRAYAGG",
                AggregateFunction::JsonObject => "JSON_OBJECTAGG",
                _ => continue,
            };
            let message = format!("{name} is for TUMBLE windows and for GROUP BY without a window");
            let hint = "Flink cannot merge its states, as HOP, CUMULATE and SESSION need; LISTAGG and \
                        ARRAY_AGG work in all windows";
            return Err(self.extent.error_at(&[name], message).hint(hint));
        }
        Ok(())
    }

    /// Columns in the order and with the names of the logical plan.
    pub(super) fn ordered(
        &mut self,
        windowed: Lowered,
        order: Vec<(usize, Role)>,
        aggregate: &Aggregate,
    ) -> SqlResult<Lowered> {
        let names = aggregate.schema.fields().iter();
        let fields: Vec<_> = order
            .iter()
            .zip(names)
            .map(|((column, _), field)| {
                Field::new(field.name(), windowed.schema.field(*column).data_type().clone(), true)
            })
            .collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let columns =
            order.iter().map(|(column, _)| Arc::new(ColumnAt(*column)) as Arc<dyn Evaluate>);
        let projection = Projection { schema: Arc::clone(&schema), columns: columns.collect() };
        let roles = order.into_iter().map(|(_, role)| role).collect();
        let make = move |_| Ok(boxed(Calc::new(None, Some(projection.clone()))));
        self.operator(
            "Calc",
            "columns in order",
            vec![(windowed.node, Route::Forward)],
            schema,
            roles,
            Arc::new(make),
        )
    }

    /// Keys and arguments as columns.
    pub(super) fn arguments(
        &mut self,
        input: Lowered,
        schema: &DFSchema,
        filter: Option<&Expr>,
        wanted: &[Expr],
    ) -> SqlResult<Lowered> {
        let mut names = std::collections::BTreeSet::new();
        let named: Vec<Expr> = wanted
            .iter()
            .enumerate()
            .map(|(number, expr)| {
                let expr = expr.clone().unalias();
                // Late rows and dead letters show a column by the name that the user knows.
                let name = match &expr {
                    Expr::Column(column) if names.insert(column.name.clone()) => {
                        column.name.clone()
                    }
                    _ => format!("column_{number}"),
                };
                expr.alias(name)
            })
            .collect();
        self.calc(input, schema, filter, &named)
    }

    /// The aggregates, with their arguments among the `wanted` expressions.
    fn calls(
        &self,
        aggregate: &Aggregate,
        wanted: &mut Vec<Expr>,
        below: impl Fn(Expr) -> Option<Expr>,
    ) -> SqlResult<Vec<AggregateCall>> {
        let schema = aggregate.input.schema();
        let call = |expr: &Expr| {
            let Expr::AggregateFunction(function) = expr.clone().unalias() else {
                return Err(self
                    .extent
                    .error_at(&[], format!("{expr} is not an aggregate function")));
            };
            let (_, output) =
                expr.to_field(schema).map_err(|error| self.extent.translate(error))?;
            let AggregateFunctionParams { args, distinct, filter, order_by, .. } = function.params;
            if !order_by.is_empty() {
                let message = "ORDER BY inside an aggregate is not supported yet";
                return Err(self
                    .extent
                    .error_at(&["ORDER"], message)
                    .hint("values come in order of arrival"));
            }
            let mut put = |expr: Expr| match below(expr) {
                Some(expr) => Ok(place(wanted, expr)),
                None => Err(self
                    .extent
                    .error_at(&[], "an aggregate of window columns is not supported yet")),
            };
            let (function, args) = self.function(function.func.name(), args)?;
            let args = args.into_iter().map(&mut put).collect::<SqlResult<_>>()?;
            let filter = filter.map(|filter| put(*filter)).transpose()?;
            Ok(AggregateCall {
                function,
                args,
                distinct,
                filter,
                output: output.data_type().clone(),
            })
        };
        aggregate.aggr_expr.iter().map(call).collect()
    }

    /// The operator's function, and those arguments that are columns.
    pub(super) fn function(
        &self,
        name: &str,
        mut args: Vec<Expr>,
    ) -> SqlResult<(AggregateFunction, Vec<Expr>)> {
        let spread = |sample, root| AggregateFunction::Spread(Spread { sample, root });
        let function = match name {
            "count" => {
                // COUNT(*) counts a constant.
                args.retain(|arg| !matches!(arg, Expr::Literal(value, _) if !value.is_null()));
                AggregateFunction::Count
            }
            APPROX_COUNT_DISTINCT => AggregateFunction::ApproxCountDistinct,
            "sum" => AggregateFunction::Sum,
            "avg" => AggregateFunction::Avg,
            "min" => AggregateFunction::Min,
            "max" => AggregateFunction::Max,
            "first_value" => AggregateFunction::FirstValue,
            "last_value" => AggregateFunction::LastValue,
            "array_agg" => AggregateFunction::ArrayAgg,
            "collect" => AggregateFunction::Collect,
            "stddev_pop" => spread(false, true),
            "stddev_samp" | "stddev" => spread(true, true),
            "var_pop" => spread(false, false),
            "var_samp" | "variance" => spread(true, false),
            "json_arrayagg" => AggregateFunction::JsonArray,
            "json_objectagg" => AggregateFunction::JsonObject,
            "percentile" => {
                let fractions = args.get(1).and_then(fractions).ok_or_else(|| {
                    let message = "PERCENTILE takes fractions from 0 to 1 that are literals";
                    self.extent.error_at(&["PERCENTILE"], message).hint("0.5, or ARRAY[0.5, 0.9]")
                })?;
                args.remove(1);
                AggregateFunction::Percentile(fractions)
            }
            "listagg" => {
                let separator = match args.get(1) {
                    None => ",".to_owned(),
                    Some(Expr::Literal(ScalarValue::Utf8(Some(separator)), _)) => separator.clone(),
                    Some(_) => {
                        let message = "the separator of LISTAGG must be a string literal";
                        return Err(self.extent.error_at(&["LISTAGG"], message));
                    }
                };
                args.truncate(1);
                AggregateFunction::ListAgg { separator }
            }
            other => {
                let name = other.to_uppercase();
                return Err(self
                    .extent
                    .error_at(&[&name], format!("{name} is not supported here"))
                    .hint("ML_FORECAST and ML_NOWCAST are for OVER"));
            }
        };
        Ok((function, args))
    }
}

/// The literal fractions of PERCENTILE, one or an array; `None` where they are none.
fn fractions(expr: &Expr) -> Option<Vec<Fraction>> {
    let Expr::Literal(value, _) = expr else { return None };
    let column = match value {
        ScalarValue::List(list) if list.is_valid(0) => list.value(0),
        value => value.to_array().ok()?,
    };
    if !column.data_type().is_numeric() {
        return None;
    }
    let column = arrow::compute::cast(&column, &DataType::Float64).ok()?;
    let fractions = column.as_primitive::<Float64Type>().iter();
    let fractions: Vec<Fraction> = fractions.map(|f| Fraction::new(f?)).collect::<Option<_>>()?;
    (!fractions.is_empty()).then_some(fractions)
}

/// Position of an expression among `wanted`, added where it is not there.
pub(super) fn place(wanted: &mut Vec<Expr>, expr: Expr) -> usize {
    let expr = expr.unalias();
    match wanted.iter().position(|known| *known == expr) {
        Some(place) => place,
        None => {
            wanted.push(expr);
            wanted.len() - 1
        }
    }
}

/// The window function below `plan`, where only projections and filters that do not read the window
/// are between.
fn inline(plan: &LogicalPlan) -> Option<Inlined<'_>> {
    if let Some(node) = FlinkNode::of(plan) {
        let FlinkOp::Window(function) = &node.op else { return None };
        let below = node.input.schema().iter().map(|column| Slot::Below(Expr::from(column)));
        let columns = below.chain([Slot::Start, Slot::End, Slot::Time]).collect();
        return Some(Inlined { function, below: &node.input, columns, filters: vec![] });
    }
    match plan {
        LogicalPlan::SubqueryAlias(alias) => inline(&alias.input),
        LogicalPlan::Projection(projection) => {
            let inlined = inline(&projection.input)?;
            let schema = projection.input.schema();
            let slots = projection.expr.iter().map(|expr| slot_of(expr, schema, &inlined.columns));
            let columns = slots.collect::<Option<Vec<_>>>()?;
            Some(Inlined { columns, ..inlined })
        }
        LogicalPlan::Filter(filter) => {
            let mut inlined = inline(&filter.input)?;
            let predicate =
                substitute(filter.predicate.clone(), filter.input.schema(), &inlined.columns)?;
            inlined.filters.push(predicate);
            Some(inlined)
        }
        _ => None,
    }
}

fn slot_of(expr: &Expr, schema: &DFSchema, columns: &[Slot]) -> Option<Slot> {
    match expr.clone().unalias() {
        Expr::Column(column) => Some(columns[schema.index_of_column(&column).ok()?].clone()),
        other => substitute(other, schema, columns).map(Slot::Below),
    }
}

/// The expression over the rows below the window; `None` where it reads the window.
fn substitute(expr: Expr, schema: &DFSchema, columns: &[Slot]) -> Option<Expr> {
    let mut reads_window = false;
    let replaced = expr.transform_up(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        match &columns[schema.index_of_column(column)?] {
            Slot::Below(below) => Ok(Transformed::yes(below.clone())),
            Slot::Start | Slot::End | Slot::Time => {
                reads_window = true;
                Ok(Transformed::no(expr))
            }
        }
    });
    let replaced = replaced.ok()?.data;
    (!reads_window).then_some(replaced)
}
