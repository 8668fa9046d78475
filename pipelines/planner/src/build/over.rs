//! OVER in the order of a time attribute: aggregates, ROW_NUMBER, LAG, ML_FORECAST and ML_NOWCAST.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{Sort, WindowFunction, WindowFunctionParams};
use datafusion_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Window, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowFunctionDefinition,
};
use nowcast_engine::Route;
use nowcast_transforms::{
    AggregateCall, AggregateFunction, ForecastCall, Frame, NowcastCall, Over, OverFunction,
    OverOrder, OverSpec,
};
use serde_json::Value;

use super::aggregate::place;
use super::{Lowered, Lowering, boxed, by};
use crate::catalog::Role;
use crate::error::{SqlError, SqlResult};
use crate::evaluate::compile;
use crate::functions::aggregate::{FORECAST, NOWCAST};
use crate::functions::clock::is_proctime;
use crate::functions::window::{DENSE_RANK, LAG, RANK, ROW_NUMBER};

impl Lowering<'_> {
    pub(super) fn over(&mut self, window: &Window) -> SqlResult<Lowered> {
        if let Some(chained) = chained(window).map_err(|error| self.extent.translate(error))? {
            return self.lower(&chained);
        }
        let input = self.lower(&window.input)?;
        if !in_order_of_time(window, &input) {
            return self.sorted_over(window, input);
        }
        self.inserts_only(&input, &["OVER"], "OVER by a time attribute")?;
        let below = window.input.schema();
        let columns = below.fields().len();
        let mut wanted: Vec<Expr> = below.iter().map(Expr::from).collect();
        let mut functions = vec![];
        let mut fields = vec![];
        let mut shape: Option<(Vec<usize>, OverOrder, Frame)> = None;
        for expr in &window.window_expr {
            let Expr::WindowFunction(function) = expr.clone().unalias() else {
                return Err(self
                    .extent
                    .error_at(&["OVER"], format!("{expr} is not an OVER function")));
            };
            let (_, field) = expr.to_field(below).map_err(|error| self.extent.translate(error))?;
            fields.push(Arc::new(Field::new(
                expr.qualified_name().1,
                field.data_type().clone(),
                true,
            )));
            let frame = self.frame(&frame_of(&function))?;
            let WindowFunction { fun, params } = *function;
            let partition: Vec<usize> =
                params.partition_by.iter().map(|expr| place(&mut wanted, expr.clone())).collect();
            let order = self.order(&params.order_by, below, &input)?;
            match &shape {
                None => shape = Some((partition, order, frame)),
                Some(known) if *known == (partition, order, frame) => {}
                Some(_) => {
                    return Err(self.extent.error_at(&["OVER"], "OVER by different windows"));
                }
            }
            functions.push(self.over_function(
                &fun,
                params,
                field.data_type(),
                below,
                &mut wanted,
            )?);
        }
        let Some((partition, order, frame)) = shape else {
            return Err(self.extent.error_at(&["OVER"], "OVER without a function"));
        };
        let prepared = match wanted.len() == columns {
            true => input,
            false => self.arguments(input, below, None, &wanted)?,
        };
        let mut all: Vec<_> = prepared.schema.fields().to_vec();
        all.extend(fields.iter().cloned());
        let schema: SchemaRef = Arc::new(Schema::new(all));
        let mut roles = prepared.roles.clone();
        roles.resize(schema.fields().len(), Role::Plain);
        let text =
            window.window_expr.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let ttl_ms = match keeps_forever(&partition, frame, &functions) {
            true => {
                let fields = prepared.schema.fields();
                let names = partition.iter().map(|column| fields[*column].name().as_str());
                let names = names.collect::<Vec<_>>().join(", ");
                self.state_ttl(
                    &format!("OVER (PARTITION BY {names} …)"),
                    "the number of partitions",
                )
            }
            false => self.state_ttl_ms,
        };
        let spec = OverSpec {
            order,
            partition: partition.clone(),
            frame,
            functions,
            ttl_ms,
            input_schema: Arc::clone(&prepared.schema),
            schema: Arc::clone(&schema),
        };
        let make = move |_| Ok(boxed(Over::new(spec.clone())?));
        let over = self.operator(
            "Over",
            &text,
            vec![(prepared.node, by(&partition))],
            schema,
            roles,
            Arc::new(make),
        )?;
        if wanted.len() == columns {
            return Ok(over);
        }
        self.without_arguments(over, window, columns, wanted.len())
    }

    /// Drops the columns that were there for arguments alone.
    pub(super) fn without_arguments(
        &mut self,
        over: Lowered,
        window: &Window,
        columns: usize,
        with_arguments: usize,
    ) -> SqlResult<Lowered> {
        let kept: Vec<usize> = (0..columns).chain(with_arguments..over.roles.len()).collect();
        let fields: Vec<_> = kept
            .iter()
            .zip(window.schema.fields())
            .map(|(column, field)| {
                Field::new(field.name(), over.schema.field(*column).data_type().clone(), true)
            })
            .collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let roles = kept.iter().map(|column| over.roles[*column]).collect();
        let evaluate = kept.iter().map(|column| {
            Arc::new(nowcast_engine::evaluate::ColumnAt(*column))
                as Arc<dyn nowcast_engine::Evaluate>
        });
        let columns = evaluate.collect();
        let projection =
            nowcast_engine::evaluate::Projection { schema: Arc::clone(&schema), columns };
        let make =
            move |_| Ok(boxed(nowcast_transforms::Calc::new(None, Some(projection.clone()))));
        self.operator(
            "Calc",
            "columns in order",
            vec![(over.node, Route::Forward)],
            schema,
            roles,
            Arc::new(make),
        )
    }

    fn order(&self, order_by: &[Sort], schema: &DFSchema, input: &Lowered) -> SqlResult<OverOrder> {
        let ascending = order_by.iter().all(|sort| sort.asc);
        match (time_attribute(order_by, schema, input), order_by) {
            (Some(order), _) if ascending => Ok(order),
            (None, [Sort { expr: Expr::Column(column), .. }]) => {
                Err(self.not_event_time(&column.name))
            }
            _ => Err(self
                .extent
                .error_at(&["ORDER"], "OVER needs ORDER BY a time attribute, ascending")
                .hint("ORDER BY one time attribute, ascending")),
        }
    }

    fn frame(&self, frame: &WindowFrame) -> SqlResult<Frame> {
        let refused = |message: &str| {
            Err(self
                .extent
                .error_at(&["ROWS", "RANGE", "OVER"], message)
                .hint("frames go from UNBOUNDED PRECEDING or some PRECEDING to CURRENT ROW"))
        };
        if !matches!(frame.end_bound, WindowFrameBound::CurrentRow) {
            return refused("a frame must end at CURRENT ROW");
        }
        let preceding = match &frame.start_bound {
            WindowFrameBound::Preceding(preceding) => preceding,
            WindowFrameBound::CurrentRow => &ScalarValue::UInt64(Some(0)),
            WindowFrameBound::Following(_) => {
                return refused("a frame cannot begin with FOLLOWING");
            }
        };
        match (frame.units, preceding) {
            (WindowFrameUnits::Rows, value) if value.is_null() => {
                Ok(Frame::Rows { preceding: None })
            }
            (WindowFrameUnits::Range, value) if value.is_null() => {
                Ok(Frame::Range { preceding_ms: None })
            }
            (WindowFrameUnits::Rows, ScalarValue::UInt64(preceding)) => {
                Ok(Frame::Rows { preceding: *preceding })
            }
            (WindowFrameUnits::Range, ScalarValue::IntervalMonthDayNano(Some(interval)))
                if interval.months == 0 =>
            {
                let days = i64::from(interval.days) * 86_400_000;
                Ok(Frame::Range { preceding_ms: Some(days + interval.nanoseconds / 1_000_000) })
            }
            (WindowFrameUnits::Range, ScalarValue::UInt64(Some(0))) => {
                Ok(Frame::Range { preceding_ms: Some(0) })
            }
            (WindowFrameUnits::Groups, _) => refused("GROUPS frames are not supported"),
            (_, other) => refused(&format!("a frame of {other} PRECEDING is not supported")),
        }
    }

    fn over_function(
        &self,
        function: &WindowFunctionDefinition,
        params: WindowFunctionParams,
        output: &arrow::datatypes::DataType,
        schema: &DFSchema,
        wanted: &mut Vec<Expr>,
    ) -> SqlResult<OverFunction> {
        let mut put = |expr: Expr| place(wanted, expr);
        let mut args = params.args;
        match function.name() {
            LAG => {
                let offset = match args.get(1) {
                    None => 1,
                    Some(expr) => match self.constant(expr, schema)? {
                        ScalarValue::Int64(Some(offset)) if offset >= 0 => offset as u64,
                        ScalarValue::Int32(Some(offset)) if offset >= 0 => offset as u64,
                        other => {
                            return Err(self.extent.error_at(&["LAG"], format!("LAG by {other}")));
                        }
                    },
                };
                Ok(OverFunction::Lag { arg: put(args.swap_remove(0)), offset })
            }
            ROW_NUMBER => Ok(OverFunction::Aggregate(AggregateCall {
                function: AggregateFunction::Count,
                args: vec![],
                distinct: false,
                filter: None,
                output: output.clone(),
            })),
            name @ (RANK | DENSE_RANK) => {
                let upper = name.to_uppercase();
                let message = format!("{upper} does not take ORDER BY a time attribute");
                Err(self
                    .extent
                    .error_at(&[&upper], message)
                    .hint("ROW_NUMBER does, or CAST the time AS TIMESTAMP(3)"))
            }
            FORECAST => {
                let options = self.options(FORECAST, args.pop(), schema)?;
                let double =
                    |expr: Expr| datafusion_expr::cast(expr, arrow::datatypes::DataType::Float64);
                let mut args = args.into_iter();
                let (Some(value), Some(time)) = (args.next(), args.next()) else {
                    return Err(self.arguments_of(FORECAST));
                };
                let (value, time) = (put(double_of(value, schema, double)), put(time));
                let regressors = args.map(|expr| put(double_of(expr, schema, double))).collect();
                Ok(OverFunction::Forecast(ForecastCall { value, time, regressors, options }))
            }
            NOWCAST => {
                let options = self.options(NOWCAST, args.pop(), schema)?;
                let double =
                    |expr: Expr| datafusion_expr::cast(expr, arrow::datatypes::DataType::Float64);
                let mut args = args.into_iter();
                let (Some(value), Some(start), Some(end)) = (args.next(), args.next(), args.next())
                else {
                    return Err(self.arguments_of(NOWCAST));
                };
                let value = put(double_of(value, schema, double));
                let (window_start, window_end) = (put(start), put(end));
                let regressors = args.map(|expr| put(double_of(expr, schema, double))).collect();
                Ok(OverFunction::Nowcast(NowcastCall {
                    value,
                    window_start,
                    window_end,
                    regressors,
                    options,
                }))
            }
            name => {
                let (function, args) = self.function(name, args)?;
                let args = args.into_iter().map(&mut put).collect();
                let filter = params.filter.map(|filter| put(*filter));
                let output = output.clone();
                Ok(OverFunction::Aggregate(AggregateCall {
                    function,
                    args,
                    distinct: params.distinct,
                    filter,
                    output,
                }))
            }
        }
    }

    fn arguments_of(&self, name: &str) -> SqlError {
        let upper = name.to_uppercase();
        let form = match name == FORECAST {
            true => "ML_FORECAST(value, ts [, regressor …], JSON_OBJECT('horizon' VALUE 24, …))",
            false => {
                "ML_NOWCAST(value, window_start, window_end [, regressor …], JSON_OBJECT('period' VALUE 3600, …))"
            }
        };
        self.extent.error_at(&[&upper], format!("{upper} lacks arguments")).hint(form)
    }

    /// The options that end an ML function's arguments.
    fn options(&self, name: &str, last: Option<Expr>, schema: &DFSchema) -> SqlResult<Value> {
        let upper = name.to_uppercase();
        let text = last.map(|expr| self.constant(&expr, schema)).transpose()?;
        let text = text.and_then(|value| match value {
            ScalarValue::Utf8(text) => text,
            _ => None,
        });
        let options = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        match options {
            Some(options @ Value::Object(_)) => Ok(options),
            _ => Err(self
                .extent
                .error_at(&[&upper], format!("the last argument of {upper} must be its options"))
                .hint("JSON_OBJECT('season' VALUE 24, …) of constants")),
        }
    }

    fn constant(&self, expr: &Expr, schema: &DFSchema) -> SqlResult<ScalarValue> {
        if let Expr::Literal(value, _) = expr {
            return Ok(value.clone());
        }
        let refused = |error: &dyn std::fmt::Display| {
            self.extent.error_at(&[], format!("{expr} is not a constant: {error}"))
        };
        if !expr.column_refs().is_empty() {
            return Err(refused(&"it reads a column"));
        }
        let (compiled, _) = compile(expr, schema).map_err(|error| self.extent.translate(error))?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options);
        let row = row.map_err(|error| refused(&error))?;
        let value = compiled.evaluate(&row).map_err(|error| refused(&error))?;
        ScalarValue::try_from_array(&value, 0).map_err(|error| refused(&error))
    }
}

/// Functions of several windows as one node a window, each over the one before; `None` where there
/// is one window.
fn chained(window: &Window) -> datafusion_common::Result<Option<LogicalPlan>> {
    let mut windows: Vec<Vec<Expr>> = vec![];
    for expr in &window.window_expr {
        let known = windows.iter_mut().find(|known| window_of(&known[0]) == window_of(expr));
        match known {
            Some(known) => known.push(expr.clone()),
            None => windows.push(vec![expr.clone()]),
        }
    }
    if windows.len() < 2 {
        return Ok(None);
    }
    let mut plan = Arc::clone(&window.input);
    for functions in windows {
        plan = Arc::new(LogicalPlan::Window(Window::try_new(functions, plan)?));
    }
    let columns: Vec<Expr> = window.schema.iter().map(Expr::from).collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build().map(Some)
}

/// PARTITION BY, ORDER BY and frame of an OVER function.
fn window_of(expr: &Expr) -> Option<(Vec<Expr>, Vec<Sort>, WindowFrame)> {
    let Expr::WindowFunction(function) = expr.clone().unalias() else { return None };
    let frame = frame_of(&function);
    let WindowFunctionParams { partition_by, order_by, .. } = function.params;
    Some((partition_by, order_by, frame))
}

/// Whether what is kept of partitions grows with their number: a stretch of time passes, and who forecasts wants each
/// series kept.
fn keeps_forever(partition: &[usize], frame: Frame, functions: &[OverFunction]) -> bool {
    let passes = matches!(frame, Frame::Range { preceding_ms: Some(_) });
    !partition.is_empty()
        && functions.iter().any(|function| match function {
            OverFunction::Aggregate(_) => !passes,
            OverFunction::Lag { .. } => true,
            OverFunction::Forecast(_) | OverFunction::Nowcast(_) => false,
        })
}

/// The frame of a function: no two rows have one ROW_NUMBER, whatever the window says.
pub(super) fn frame_of(function: &WindowFunction) -> WindowFrame {
    match function.fun.name() {
        ROW_NUMBER => WindowFrame::new_bounds(
            WindowFrameUnits::Rows,
            WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
            WindowFrameBound::CurrentRow,
        ),
        _ => function.params.window_frame.clone(),
    }
}

/// Whether the functions of a window go by a time attribute, or by one that was one.
fn in_order_of_time(window: &Window, input: &Lowered) -> bool {
    let Some((_, order_by, _)) = window.window_expr.first().and_then(window_of) else {
        return true;
    };
    let schema = window.input.schema();
    let [Sort { expr, .. }] = order_by.as_slice() else { return false };
    let was_time = match expr {
        Expr::Column(column) => schema
            .index_of_column(column)
            .is_ok_and(|index| input.roles[index] == Role::WindowedTime),
        _ => false,
    };
    was_time || time_attribute(&order_by, schema, input).is_some()
}

/// The one time attribute that rows are ordered by.
fn time_attribute(order_by: &[Sort], schema: &DFSchema, input: &Lowered) -> Option<OverOrder> {
    let [Sort { expr, .. }] = order_by else { return None };
    if is_proctime(expr) {
        return Some(OverOrder::ProcessingTime);
    }
    let Expr::Column(column) = expr else { return None };
    let index = schema.index_of_column(column).ok()?;
    match input.roles[index] {
        Role::EventTime => Some(OverOrder::EventTime(index)),
        Role::ProcessingTime => Some(OverOrder::ProcessingTime),
        _ => None,
    }
}

/// The expression as DOUBLE, with a cast where it needs one.
fn double_of(expr: Expr, schema: &DFSchema, double: impl Fn(Expr) -> Expr) -> Expr {
    match expr.get_type(schema) {
        Ok(arrow::datatypes::DataType::Float64) => expr,
        _ => double(expr),
    }
}
