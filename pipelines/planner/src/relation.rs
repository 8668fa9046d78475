//! Items of FROM which DataFusion does not plan: window functions, ML_PREDICT, row patterns, tables
//! with OPTIONS.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Column, DFSchema, ExprSchema, Result, ScalarValue, TableReference};
use datafusion_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use nowcast_transforms::{Window, WindowKind};
use sqlparser::ast::{
    self, BinaryOperator, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    Spanned, TableAlias, TableFactor,
};
use sqlparser::tokenizer::Location;

use crate::catalog::{Catalog, Relation, Scanned, Table};
use crate::error::SqlError;
use crate::lateral::unnest;
use crate::match_recognize::{Clauses, match_recognize};
use crate::node::{FlinkNode, FlinkOp, Predict, WindowFunction, WindowSpan};
use crate::parse::dialect::{MODEL_ARGUMENT, PARTITION_BY, TABLE_ARGUMENT};
use crate::parse::group_windows::UNEVEN;
use crate::parse::rewrite::{LATERAL_INPUT, LATERAL_OUTPUT};
use crate::parse::tokens::ROWS;
use crate::types::sql_name;

const DAY_MS: i64 = 86_400_000;

#[derive(Debug)]
pub struct FlinkRelationPlanner {
    pub catalog: Arc<Catalog>,
}

impl RelationPlanner for FlinkRelationPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let planned: Option<(LogicalPlan, Option<TableAlias>)> = match &relation {
            // JOIN t FOR SYSTEM_TIME AS OF …
            TableFactor::Table { version: Some(_), .. } => Some(as_of(&relation, context)?),
            // FROM TABLE(TUMBLE(…))
            TableFactor::TableFunction { expr: ast::Expr::Function(function), alias } => {
                Some((self.table_function(function, context)?, alias.clone()))
            }
            TableFactor::TableFunction { expr, .. } => {
                return Err(fail(expr.span().start, "TABLE(…) takes a function").into());
            }
            // FROM (SELECT …) MATCH_RECOGNIZE (…)
            TableFactor::Table { name, args: Some(args), alias, .. }
                if name.to_string() == ROWS =>
            {
                let function = Call { name: name.clone(), arguments: args.args.clone() }.into();
                let [rows] = bind(&function, ["QUERY"])?;
                Some((table_argument(&function, rows, context)?, alias.clone()))
            }
            // FROM TUMBLE(…)
            TableFactor::Table { name, args: Some(args), alias, .. } => {
                let function = Call { name: name.clone(), arguments: args.args.clone() };
                Some((self.table_function(&function.into(), context)?, alias.clone()))
            }
            TableFactor::UNNEST { array_exprs, alias, with_ordinality, .. } => {
                Some((unnest(array_exprs, *with_ordinality, context)?, alias.clone()))
            }
            TableFactor::MatchRecognize {
                table,
                partition_by,
                order_by,
                measures,
                rows_per_match,
                after_match_skip,
                pattern,
                symbols,
                alias,
            } => {
                let clauses = Clauses {
                    partition_by: partition_by.clone(),
                    order_by: order_by.clone(),
                    measures: measures.clone(),
                    rows_per_match: rows_per_match.clone(),
                    after_match_skip: after_match_skip.clone(),
                    pattern: pattern.clone(),
                    symbols: symbols.clone(),
                };
                let input = context.plan(table.as_ref().clone())?;
                let matched = match_recognize(clauses, input, &self.catalog, context)?;
                Some((matched, alias.clone()))
            }
            TableFactor::Table { name, alias, with_hints, .. } if !with_hints.is_empty() => {
                Some((self.with_options(name, with_hints)?, alias.clone()))
            }
            _ => None,
        };
        Ok(match planned {
            Some((plan, alias)) => {
                RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias)))
            }
            None => RelationPlanning::Original(Box::new(relation)),
        })
    }
}

impl FlinkRelationPlanner {
    fn table_function(
        &self,
        function: &ast::Function,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<LogicalPlan> {
        match function.name.to_string().to_uppercase().as_str() {
            "TUMBLE" => tumble(function, context),
            "HOP" => sliced(function, "SLIDE", context),
            "CUMULATE" => sliced(function, "STEP", context),
            "SESSION" => session(function, context),
            "ML_PREDICT" => self.predict(function, context),
            name => Err(fail(place(function), format!("unknown table function {name}"))
                .hint("TUMBLE, HOP, CUMULATE, SESSION and ML_PREDICT are there")
                .into()),
        }
    }

    fn predict(
        &self,
        function: &ast::Function,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<LogicalPlan> {
        let parameters = ["INPUT", "MODEL", "ARGS", "CONFIG", LATERAL_INPUT, LATERAL_OUTPUT];
        let [input, model, args, _config, left, right] = bind(function, parameters)?;
        let input = table_argument(function, input, context)?;
        let model = model_argument(function, model)?;
        let Some(entry) = self.catalog.models.get(&model.value) else {
            return Err(self.catalog.unknown_model(&model.value).or_at(model.span.start).into());
        };
        let given = descriptor(function, args, input.schema(), context)?;
        if given.len() != entry.input.len() {
            let columns: Vec<_> = entry.input.iter().map(|(name, _)| name.as_str()).collect();
            return Err(fail(
                place(function),
                format!("DESCRIPTOR has {} columns for model `{}`", given.len(), model.value),
            )
            .hint(format!("its INPUT has {}: {}", columns.len(), columns.join(", ")))
            .into());
        }
        for (column, (name, wanted)) in given.iter().zip(&entry.input) {
            let found = input.schema().data_type(column)?;
            if !feeds(found, wanted) {
                return Err(fail(
                    place(function),
                    format!(
                        "column `{}` is {}, input `{name}` of model `{}` is {}",
                        column.name,
                        sql_name(found),
                        model.value,
                        sql_name(wanted)
                    ),
                )
                .into());
            }
        }
        let features = entry.inputs.iter().map(|column| given[*column].clone()).collect();
        let aliases = literal_text(left).zip(literal_text(right));
        let output = entry.output.clone();
        let op = FlinkOp::Predict(Predict { model: model.value, features, output, aliases });
        FlinkNode::plan(op, input)
    }

    /// `t /*+ OPTIONS('k' = 'v') */`: another table, known by the same name.
    fn with_options(&self, name: &ObjectName, hints: &[ast::Expr]) -> Result<LogicalPlan> {
        let at = name.span().start;
        let name = name.to_string();
        let name = name.trim_matches('`');
        let table = match self.catalog.relations.get(name) {
            Some(Relation::Table(table)) => table,
            Some(Relation::View(_)) => {
                return Err(fail(at, format!("`{name}` is a view"))
                    .hint("OPTIONS are for tables")
                    .into());
            }
            None => return Err(self.catalog.unknown_table(name).or_at(at).into()),
        };
        let mut options = table.definition.options.clone();
        for hint in hints {
            let (key, value) =
                option(hint).ok_or_else(|| fail(at, "OPTIONS takes 'key' = 'value'"))?;
            options.insert(key, value);
        }
        let scanned = format!("{name} OPTIONS {options:?}");
        let table = Arc::new(table_with(table, options));
        LogicalPlanBuilder::scan(TableReference::bare(scanned), Arc::new(Scanned(table)), None)?
            .alias(TableReference::bare(name))?
            .build()
    }
}

/// A table whose versions a join reads: nothing of the join moves into it.
fn as_of(
    relation: &TableFactor,
    context: &mut dyn RelationPlannerContext,
) -> Result<(LogicalPlan, Option<TableAlias>)> {
    let mut table = relation.clone();
    let mut known = None;
    if let TableFactor::Table { name, version, alias, .. } = &mut table {
        *version = None;
        let own = || TableAlias {
            explicit: true,
            name: name
                .0
                .last()
                .and_then(|part| part.as_ident())
                .cloned()
                .unwrap_or_else(|| Ident::new(name.to_string())),
            columns: vec![],
            at: None,
        };
        known = Some(alias.take().unwrap_or_else(own));
    }
    Ok((FlinkNode::plan(FlinkOp::AsOf, context.plan(table)?)?, known))
}

/// The same table with other options.
fn table_with(table: &Table, options: std::collections::BTreeMap<String, String>) -> Table {
    Table {
        definition: nowcast_engine::TableDefinition { options, ..table.definition.clone() },
        schema: Arc::clone(&table.schema),
        roles: table.roles.clone(),
        computed: table.computed.clone(),
        watermark: table.watermark.clone(),
        declared: table.declared.clone(),
    }
}

/// Whether a column can feed a declared model input: numbers where numbers are wanted.
fn feeds(found: &DataType, wanted: &DataType) -> bool {
    match (found, wanted) {
        (DataType::List(found), DataType::List(wanted)) => {
            feeds(found.data_type(), wanted.data_type())
        }
        (found, wanted) => found == wanted || (found.is_numeric() && wanted.is_numeric()),
    }
}

fn option(hint: &ast::Expr) -> Option<(String, String)> {
    let ast::Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = hint else { return None };
    Some((literal_text(Some(*left.clone()))?, literal_text(Some(*right.clone()))?))
}

fn literal_text(expr: Option<ast::Expr>) -> Option<String> {
    match expr? {
        ast::Expr::Value(value) => value.value.into_string(),
        _ => None,
    }
}

fn fail(at: Location, message: impl std::fmt::Display) -> SqlError {
    SqlError::new(at, message)
}

fn place(function: &ast::Function) -> Location {
    function.name.span().start
}

fn tumble(
    function: &ast::Function,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let [data, time, size, offset] = bind(function, ["DATA", "TIMECOL", "SIZE", "OFFSET"])?;
    let size_ms = milliseconds(function, "a size", size, context)?;
    let kind = WindowKind::Tumble { size_ms };
    window(function, data, time, kind, offset, context)
}

/// HOP and CUMULATE: a slide or step, then the size.
fn sliced(
    function: &ast::Function,
    slice: &str,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let parameters = ["DATA", "TIMECOL", slice, "SIZE", "OFFSET", UNEVEN];
    let [data, time, step, size, offset, uneven] = bind(function, parameters)?;
    let step_ms = milliseconds(function, "a slide or step", step, context)?;
    let size_ms = milliseconds(function, "a size", size, context)?;
    if slice == "SLIDE" && uneven.is_none() && step_ms > 0 && size_ms % step_ms != 0 {
        let message =
            format!("HOP: size {size_ms} ms must be an integral multiple of slide {step_ms} ms");
        return Err(fail(place(function), message).into());
    }
    let kind = match slice {
        "SLIDE" => WindowKind::Hop { size_ms, slide_ms: step_ms },
        _ => WindowKind::Cumulate { max_ms: size_ms, step_ms },
    };
    window(function, data, time, kind, offset, context)
}

fn session(
    function: &ast::Function,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let [data, time, gap] = bind(function, ["DATA", "TIMECOL", "GAP"])?;
    let gap_ms = milliseconds(function, "a gap", gap, context)?;
    if gap_ms <= 0 {
        return Err(
            fail(place(function), format!("SESSION: gap {gap_ms} ms must be positive")).into()
        );
    }
    let (data, keys) = partitioned(data)?;
    let input = table_argument(function, data, context)?;
    let (time, time_type) = time_column(function, time, &input, context)?;
    let mut columns = vec![time];
    for key in keys {
        let at = key.span().start;
        match context.sql_to_expr(key, input.schema())? {
            Expr::Column(column) => columns.push(column),
            _ => return Err(fail(at, "PARTITION BY inside SESSION takes names of columns").into()),
        }
    }
    let span = WindowSpan::Session { gap_ms };
    FlinkNode::plan(FlinkOp::Window(WindowFunction { span, columns, time_type }), input)
}

/// `TABLE t PARTITION BY …` as `TABLE t`, and the keys.
fn partitioned(data: Option<ast::Expr>) -> Result<(Option<ast::Expr>, Vec<ast::Expr>)> {
    let Some(ast::Expr::Function(mut table)) = data else { return Ok((data, vec![])) };
    let mut keys = vec![];
    if table.name.to_string() == TABLE_ARGUMENT
        && let FunctionArguments::List(list) = &mut table.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Function(clause)))) =
            list.args.get(1)
        && clause.name.to_string() == PARTITION_BY
    {
        keys = arguments(clause)?.into_iter().map(|argument| argument.value).collect();
        list.args.remove(1);
    }
    Ok((Some(ast::Expr::Function(table)), keys))
}

fn window(
    function: &ast::Function,
    data: Option<ast::Expr>,
    time: Option<ast::Expr>,
    kind: WindowKind,
    offset: Option<ast::Expr>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let input = table_argument(function, data, context)?;
    let (time, time_type) = time_column(function, time, &input, context)?;
    let offset_ms = match offset {
        Some(offset) => milliseconds(function, "an offset", Some(offset), context)?,
        None => 0,
    };
    let window = Window { kind, offset_ms };
    window.check().map_err(|error| fail(place(function), error))?;
    let (span, columns) = (WindowSpan::Sliced(window), vec![time]);
    FlinkNode::plan(FlinkOp::Window(WindowFunction { span, columns, time_type }), input)
}

/// The column of `DESCRIPTOR(ts)` and its type.
fn time_column(
    function: &ast::Function,
    time: Option<ast::Expr>,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<(Column, DataType)> {
    let columns = descriptor(function, time, input.schema(), context)?;
    let [time] = <[Column; 1]>::try_from(columns).map_err(|_| {
        fail(place(function), format!("{} takes one time column in DESCRIPTOR", function.name))
    })?;
    let time_type = input.schema().data_type(&time)?.clone();
    if !matches!(time_type, DataType::Timestamp(_, _)) {
        let message = format!("column `{}` is {}, not a time", time.name, sql_name(&time_type));
        return Err(SqlError::nowhere(message).into());
    }
    Ok((time, time_type))
}

/// The rows of `TABLE t` or of a subquery.
fn table_argument(
    function: &ast::Function,
    argument: Option<ast::Expr>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let expected = || {
        fail(place(function), format!("{} takes TABLE and a name, or a subquery", function.name))
    };
    let table = match argument {
        Some(ast::Expr::Function(call)) if call.name.to_string() == TABLE_ARGUMENT => call,
        Some(ast::Expr::Subquery(query)) => return context.plan(derived(query)),
        Some(ast::Expr::Nested(nested)) => {
            return table_argument(function, Some(*nested), context);
        }
        _ => return Err(expected().into()),
    };
    match arguments(&table)?.as_slice() {
        [Argument { value: ast::Expr::Identifier(name), .. }] => context.plan(named(name.clone())),
        [Argument { value: ast::Expr::Subquery(query), .. }] => {
            context.plan(derived(query.clone()))
        }
        [_, _, ..] => Err(fail(
            place(function),
            format!("PARTITION BY and ORDER BY inside {} are not supported yet", function.name),
        )
        .hint("GROUP BY and OVER (PARTITION BY …) are")
        .into()),
        _ => Err(expected().into()),
    }
}

fn model_argument(function: &ast::Function, argument: Option<ast::Expr>) -> Result<Ident> {
    if let Some(ast::Expr::Function(call)) = &argument
        && call.name.to_string() == MODEL_ARGUMENT
        && let [Argument { value: ast::Expr::Identifier(name), .. }] = arguments(call)?.as_slice()
    {
        return Ok(name.clone());
    }
    Err(fail(place(function), "ML_PREDICT takes MODEL and a name as its second argument").into())
}

/// The columns of `DESCRIPTOR(a, b)`.
fn descriptor(
    function: &ast::Function,
    argument: Option<ast::Expr>,
    schema: &DFSchema,
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<Column>> {
    let call = match argument {
        Some(ast::Expr::Function(call))
            if call.name.to_string().eq_ignore_ascii_case("DESCRIPTOR") =>
        {
            call
        }
        _ => {
            let message = format!("{} takes DESCRIPTOR(column, …)", function.name);
            return Err(fail(place(function), message).into());
        }
    };
    let mut columns = vec![];
    for Argument { value, .. } in arguments(&call)? {
        let at = value.span().start;
        match context.sql_to_expr(value, schema)? {
            Expr::Column(column) => columns.push(column),
            _ => return Err(fail(at, "DESCRIPTOR takes names of columns").into()),
        }
    }
    Ok(columns)
}

fn milliseconds(
    function: &ast::Function,
    what: &str,
    expr: Option<ast::Expr>,
    context: &mut dyn RelationPlannerContext,
) -> Result<i64> {
    let expected = |at: Location| {
        fail(at, format!("{} needs {what} in days or less", function.name))
            .hint("an interval such as INTERVAL '5' MINUTE")
    };
    let Some(expr) = expr else { return Err(expected(place(function)).into()) };
    let at = expr.span().start;
    match milliseconds_of(expr, context)? {
        Some(milliseconds) => Ok(milliseconds),
        None => Err(expected(if at.line > 0 { at } else { place(function) }).into()),
    }
}

/// A constant interval of days or less; `None` for other expressions.
pub fn milliseconds_of(
    expr: ast::Expr,
    context: &mut dyn RelationPlannerContext,
) -> Result<Option<i64>> {
    Ok(match context.sql_to_expr(expr, &DFSchema::empty())? {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _)
            if interval.months == 0 =>
        {
            Some(i64::from(interval.days) * DAY_MS + interval.nanoseconds / 1_000_000)
        }
        _ => None,
    })
}

/// One argument of a call, `name => value` or just `value`.
struct Argument {
    name: Option<String>,
    value: ast::Expr,
}

fn arguments(function: &ast::Function) -> Result<Vec<Argument>> {
    let FunctionArguments::List(list) = &function.args else {
        return Err(fail(place(function), format!("{} takes arguments", function.name)).into());
    };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => {
                Ok(Argument { name: None, value: value.clone() })
            }
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                Ok(Argument { name: Some(name.value.to_uppercase()), value: value.clone() })
            }
            other => {
                Err(fail(place(function), format!("{} takes no {other}", function.name)).into())
            }
        })
        .collect()
}

/// The arguments in the order of `parameters`, whether they are given by name or by position.
fn bind<const N: usize>(
    function: &ast::Function,
    parameters: [&str; N],
) -> Result<[Option<ast::Expr>; N]> {
    let mut bound = [const { None }; N];
    for (position, argument) in arguments(function)?.into_iter().enumerate() {
        let slot = match &argument.name {
            Some(name) => parameters.iter().position(|parameter| parameter == name),
            None => (position < N).then_some(position),
        };
        match slot {
            Some(slot) => bound[slot] = Some(argument.value),
            None => {
                let names: Vec<_> =
                    parameters.iter().filter(|name| !name.starts_with("__")).copied().collect();
                let what = argument.name.unwrap_or_else(|| argument.value.to_string());
                return Err(fail(place(function), format!("{} takes no {what}", function.name))
                    .hint(format!("its parameters are {}", names.join(", ")))
                    .into());
            }
        }
    }
    Ok(bound)
}

/// `FROM f(…)` without TABLE, as a call.
struct Call {
    name: ObjectName,
    arguments: Vec<FunctionArg>,
}

impl From<Call> for ast::Function {
    fn from(call: Call) -> Self {
        ast::Function {
            name: call.name,
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(ast::FunctionArgumentList {
                duplicate_treatment: None,
                args: call.arguments,
                clauses: vec![],
            }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: vec![],
        }
    }
}

fn named(table: Ident) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(vec![table]),
        alias: None,
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}

fn derived(subquery: Box<ast::Query>) -> TableFactor {
    TableFactor::Derived { lateral: false, subquery, alias: None, sample: None }
}
