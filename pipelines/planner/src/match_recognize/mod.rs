//! MATCH_RECOGNIZE: its clauses as one node of the plan, and a projection with the measures over it.

mod node;
mod pattern;
mod references;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::AggregateFunctionParams;
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use nowcast_transforms::{End, Skip, SortKey};
use sqlparser::ast::{
    self, AfterMatchSkip, Ident, MatchRecognizePattern, Measure, OrderByExpr, RowsPerMatch,
    Spanned, SymbolDefinition,
};

use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::{SqlError, SqlResult};
use crate::node::{FlinkNode, FlinkOp};
use crate::parse::tokens::WITHIN;
use crate::relation::milliseconds_of;
pub use node::{
    Match, MatchAggregate, MatchArgument, MatchCondition, MatchReference, MatchVariable,
};
use pattern::{Variable, variables};
use references::{For, Read, Rows, replace};

/// `t MATCH_RECOGNIZE (…)` without the table.
pub struct Clauses {
    pub partition_by: Vec<ast::Expr>,
    pub order_by: Vec<OrderByExpr>,
    pub measures: Vec<Measure>,
    pub rows_per_match: Option<RowsPerMatch>,
    pub after_match_skip: Option<AfterMatchSkip>,
    pub pattern: MatchRecognizePattern,
    pub symbols: Vec<SymbolDefinition>,
}

/// The rows of `input` that the clauses match.
pub fn match_recognize(
    clauses: Clauses,
    input: LogicalPlan,
    catalog: &Arc<Catalog>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    // Conditions are compiled by the types that the columns have in the end.
    let input = Context::new(catalog).settled(input)?;
    if let Some(RowsPerMatch::AllRows(_)) = clauses.rows_per_match {
        let message = "`ALL` ROWS PER MATCH is not supported, in Flink neither";
        return Err(SqlError::nowhere(message).hint("ONE ROW PER MATCH is").into());
    }
    if clauses.measures.is_empty() {
        let message = "`MATCH_RECOGNIZE` without MEASURES is not supported, in Flink neither";
        return Err(SqlError::nowhere(message).hint("MEASURES A.id AS first_id").into());
    }
    let variables = variables(&clauses.pattern)?;
    let skip = skip(clauses.after_match_skip.as_ref(), &variables)?;
    let partition = clauses.partition_by.iter().map(|key| column(key, "PARTITION BY", &input));
    let partition = partition.collect::<SqlResult<Vec<_>>>()?;
    let (time, order) = order(&clauses.order_by, &input)?;
    let mut building = Building {
        catalog,
        schema: Arc::clone(input.schema()),
        arguments: vec![],
        variables: &variables,
    };
    let (within_ms, mut conditions) = building.defined(clauses.symbols, context)?;
    let (read, outputs) = building.measured(&partition, clauses.measures, context)?;

    let arguments = std::mem::take(&mut building.arguments);
    let input = with_arguments(input, arguments)?;
    let variables = variables.into_iter().map(|Variable { name, quantifier }| MatchVariable {
        condition: conditions.remove(&name.value),
        name: name.value,
        quantifier,
    });
    let (measures, fields) = read.references.into_iter().unzip();
    let mut matching = Match {
        columns: input.schema().columns(),
        partition,
        time,
        order,
        variables: variables.collect(),
        within_ms,
        skip,
        measures,
        fields,
        text: format!("PATTERN ({})", clauses.pattern),
    };
    matching.keep_used_columns();
    let matched = FlinkNode::plan(FlinkOp::Match(matching), input)?;
    let schema = Arc::clone(matched.schema());
    let outputs = outputs
        .into_iter()
        .map(|Measure { expr, alias }| Ok(context.sql_to_expr(expr, &schema)?.alias(alias.value)));
    let outputs = outputs.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(matched).project(outputs)?.build()
}

/// What expressions are built over.
struct Building<'a> {
    catalog: &'a Arc<Catalog>,
    /// Of the rows.
    schema: Arc<DFSchema>,
    /// Arguments of aggregates that are no columns: they become columns behind those of the rows.
    arguments: Vec<Expr>,
    variables: &'a [Variable],
}

impl Building<'_> {
    /// `WITHIN`, and the condition of each variable that has one.
    fn defined(
        &mut self,
        symbols: Vec<SymbolDefinition>,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<(Option<i64>, HashMap<String, MatchCondition>)> {
        let mut within_ms = None;
        let mut conditions = HashMap::new();
        for SymbolDefinition { symbol, definition } in symbols {
            let at = symbol.span.start;
            if symbol.value == WITHIN {
                within_ms = milliseconds_of(definition, context)?;
                if within_ms.is_none() {
                    return Err(SqlError::new(
                        at,
                        "WITHIN takes a constant interval in days or less",
                    )
                    .hint("an interval such as INTERVAL '5' MINUTE")
                    .into());
                }
                continue;
            }
            // A variable that is not in PATTERN is never asked, as in Flink.
            let known = self.variables.iter().position(|known| known.name.value == symbol.value);
            let Some(variable) = known else { continue };
            let condition = self.condition(variable, &symbol, definition, context)?;
            if conditions.insert(symbol.value.clone(), condition).is_some() {
                let message = format!("variable `{}` is defined twice", symbol.value);
                return Err(SqlError::new(at, message).into());
            }
        }
        // Flink's patterns without a length have the length 0.
        Ok((within_ms.filter(|within_ms| *within_ms > 0), conditions))
    }

    /// What is read of a match, and the columns of the output over it: the keys, then the measures.
    fn measured(
        &mut self,
        partition: &[usize],
        measures: Vec<Measure>,
        context: &dyn RelationPlannerContext,
    ) -> Result<(Read, Vec<Measure>)> {
        let mut read = Read::default();
        let mut outputs = vec![];
        for key in partition {
            let field = self.schema.field(*key);
            let (name, ty) = (field.name().clone(), field.data_type().clone());
            let end = End::First;
            let reference = MatchReference::Row { variable: None, end, offset: 0, column: *key };
            let named = Ident::with_quote('`', read.reference(reference, name.clone(), ty));
            outputs.push(Measure { expr: ast::Expr::Identifier(named), alias: Ident::new(name) });
        }
        for Measure { mut expr, alias } in measures {
            self.replace(&mut expr, For::Measure, &mut read, context)?;
            if outputs.iter().any(|known| known.alias.value == alias.value) {
                let message = format!("MATCH_RECOGNIZE gives two columns `{}`", alias.value);
                return Err(SqlError::new(alias.span.start, message)
                    .hint("give the measure another name")
                    .into());
            }
            outputs.push(Measure { expr, alias });
        }
        Ok((read, outputs))
    }

    fn replace(
        &mut self,
        expr: &mut ast::Expr,
        of: For,
        read: &mut Read,
        context: &dyn RelationPlannerContext,
    ) -> Result<()> {
        let functions = context.context_provider();
        let is_aggregate = |name: &str| functions.get_aggregate_meta(name).is_some();
        let (catalog, schema) = (self.catalog, &self.schema);
        let arguments = &mut self.arguments;
        let mut aggregate = |expr| aggregated(expr, catalog, schema, arguments);
        let mut rows = Rows {
            variables: self.variables,
            schema,
            is_aggregate: &is_aggregate,
            aggregate: &mut aggregate,
        };
        Ok(replace(expr, of, &mut rows, read)?)
    }

    fn condition(
        &mut self,
        variable: usize,
        name: &Ident,
        mut definition: ast::Expr,
        context: &dyn RelationPlannerContext,
    ) -> Result<MatchCondition> {
        let mut read = Read::default();
        self.replace(&mut definition, For::Condition(variable), &mut read, context)?;
        let fields: Vec<Field> = read.fields().cloned().collect();
        let fields = fields.into_iter().map(|field| (None, Arc::new(field))).collect();
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        let condition = Context::new(self.catalog).expression(definition, &schema)?;
        if condition.get_type(&schema)? != DataType::Boolean {
            let message = format!("what defines `{}` is no condition", name.value);
            return Err(SqlError::new(name.span.start, message)
                .hint("a condition is true or false, as in A.price > 10")
                .into());
        }
        let columns = read.columns.into_iter().map(|(column, _)| column).collect();
        let references = read.references.into_iter().map(|(reference, _)| reference).collect();
        Ok(MatchCondition { columns, references, schema, condition })
    }
}

/// An aggregate over the rows; arguments that are no columns are added to `arguments`.
fn aggregated(
    expr: ast::Expr,
    catalog: &Arc<Catalog>,
    schema: &Arc<DFSchema>,
    arguments: &mut Vec<Expr>,
) -> Result<MatchAggregate> {
    let planned = Context::new(catalog).expression(expr, schema)?;
    let output = planned.get_type(schema)?;
    let Expr::AggregateFunction(function) = planned.clone().unalias() else {
        return Err(SqlError::nowhere(format!("{planned} is no aggregate function")).into());
    };
    let AggregateFunctionParams { args, .. } = function.params;
    let mut placed = vec![];
    for arg in args {
        placed.push(match arg {
            Expr::Literal(value, _) => MatchArgument::Constant(value),
            Expr::Column(column) => MatchArgument::Column(schema.index_of_column(&column)?),
            other => {
                let known = arguments.iter().position(|known| *known == other);
                let place = known.unwrap_or_else(|| {
                    arguments.push(other);
                    arguments.len() - 1
                });
                MatchArgument::Column(schema.fields().len() + place)
            }
        });
    }
    Ok(MatchAggregate { function: function.func.name().to_owned(), args: placed, output })
}

/// The rows with arguments of aggregates as further columns.
fn with_arguments(input: LogicalPlan, arguments: Vec<Expr>) -> Result<LogicalPlan> {
    if arguments.is_empty() {
        return Ok(input);
    }
    let mut columns: Vec<Expr> = input.schema().iter().map(Expr::from).collect();
    let named = arguments.into_iter().enumerate();
    columns.extend(named.map(|(nth, argument)| argument.alias(format!("$argument{nth}"))));
    LogicalPlanBuilder::from(input).project(columns)?.build()
}

/// The position of the column that an expression is.
fn column(expr: &ast::Expr, clause: &str, input: &LogicalPlan) -> SqlResult<usize> {
    let at = expr.span().start;
    let name = match expr {
        ast::Expr::Identifier(name) => name,
        ast::Expr::CompoundIdentifier(parts) if parts.len() == 2 => &parts[1],
        _ => {
            return Err(SqlError::new(at, format!("{clause} in MATCH_RECOGNIZE takes columns"))
                .hint("compute the column in a view before it"));
        }
    };
    let fields = input.schema().fields();
    let found = fields.iter().position(|field| *field.name() == name.value);
    found.ok_or_else(|| {
        let error = SqlError::new(name.span.start, format!("unknown column `{}`", name.value));
        match crate::error::nearest(&name.value, fields.iter().map(|f| f.name().as_str())) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        }
    })
}

/// The time, and how rows of one time are sorted.
fn order(order_by: &[OrderByExpr], input: &LogicalPlan) -> SqlResult<(usize, Vec<SortKey>)> {
    let key = |key: &OrderByExpr| {
        let descending = key.options.asc == Some(false);
        Ok(SortKey {
            column: column(&key.expr, "ORDER BY", input)?,
            descending,
            nulls_first: key.options.nulls_first.unwrap_or(!descending),
        })
    };
    let mut keys = order_by.iter().map(key).collect::<SqlResult<Vec<SortKey>>>()?;
    let Some(first) = keys.first() else {
        return Err(SqlError::nowhere("`MATCH_RECOGNIZE` needs ORDER BY a time attribute")
            .hint("write ORDER BY with the column of the table's WATERMARK"));
    };
    if first.descending {
        return Err(SqlError::new(
            order_by[0].expr.span().start,
            "MATCH_RECOGNIZE needs its time in ascending order",
        )
        .hint("leave DESC out"));
    }
    let time = keys.remove(0).column;
    Ok((time, keys))
}

fn skip(after: Option<&AfterMatchSkip>, variables: &[Variable]) -> SqlResult<Skip> {
    let variable = |name: &Ident| {
        let known = variables.iter().position(|variable| variable.name.value == name.value);
        known.ok_or_else(|| {
            let message = format!("`{}` is no variable of PATTERN", name.value);
            SqlError::new(name.span.start, message)
        })
    };
    let nowhere = |name: &Ident| {
        let message =
            format!("after a match the search would go on with its first row, a `{}`", name.value);
        Err(SqlError::new(name.span.start, message)
            .hint("AFTER MATCH SKIP TO NEXT ROW, or TO a later variable"))
    };
    match after {
        // Flink's own default; its documentation names none.
        None | Some(AfterMatchSkip::ToNextRow) => Ok(Skip::ToNextRow),
        Some(AfterMatchSkip::PastLastRow) => Ok(Skip::PastLastRow),
        Some(AfterMatchSkip::ToFirst(name)) => match variable(name)? {
            0 if variables[0].quantifier.least > 0 => nowhere(name),
            variable => Ok(Skip::ToFirst(variable)),
        },
        Some(AfterMatchSkip::ToLast(name)) => match variable(name)? {
            0 if variables[0].quantifier.least == 1 && variables[0].quantifier.most == Some(1) => {
                nowhere(name)
            }
            variable => Ok(Skip::ToLast(variable)),
        },
    }
}
