//! GROUPING SETS, ROLLUP and CUBE: a GROUP BY for each set, one after another.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TransformedResult};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    Aggregate, Expr, ExprSchemable, GroupingSet, LogicalPlan, LogicalPlanBuilder, lit, union,
};

use crate::error::SqlError;
use crate::functions::aggregate::{GROUPING, GROUPING_ID};

/// More sets than this are taken for a slip: each is an aggregation of its own.
const SETS_MAX: usize = 64;

/// The number of a set as a key of its groups: so that the set without columns, too, has groups
/// that come and go.
const SET: &str = "$grouping_set";

/// The plan without grouping sets, GROUPING and GROUPING_ID.
pub fn separated(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(aggregate) if has_sets(&aggregate) => {
            Ok(Transformed::yes(sets_of(&aggregate)?))
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn has_sets(aggregate: &Aggregate) -> bool {
    matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)])
        || aggregate.aggr_expr.iter().any(|expr| grouping_of(expr).is_some())
}

/// The arguments of a call of GROUPING or GROUPING_ID.
fn grouping_of(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Alias(alias) => grouping_of(&alias.expr),
        Expr::AggregateFunction(function) => {
            matches!(function.func.name(), GROUPING | GROUPING_ID).then_some(&function.params.args)
        }
        _ => None,
    }
}

/// A union of one aggregation a set, with the columns of `aggregate`.
fn sets_of(aggregate: &Aggregate) -> Result<LogicalPlan> {
    let (columns, sets): (Vec<Expr>, Vec<Vec<Expr>>) = match aggregate.group_expr.as_slice() {
        [Expr::GroupingSet(grouping)] => {
            let columns = grouping.distinct_expr().into_iter().cloned().collect();
            (columns, sets(grouping)?)
        }
        keys => (keys.to_vec(), vec![keys.to_vec()]),
    };
    if sets.len() > SETS_MAX {
        let message = format!("GROUP BY has {} grouping sets, more than {SETS_MAX}", sets.len());
        return Err(SqlError::nowhere(message).into());
    }
    let parts = sets
        .iter()
        .enumerate()
        .map(|(number, set)| part(aggregate, &columns, number as i64, set))
        .collect::<Result<Vec<_>>>()?;
    let Some(all) = parts.into_iter().map(Ok).reduce(|all, part| union(all?, part?)) else {
        return Err(SqlError::nowhere("GROUPING SETS () has no set").into());
    };
    let all = all?;
    // The number of the grouping is no column of a query.
    let wanted = aggregate
        .schema
        .iter()
        .filter(|(_, field)| *field.name() != Aggregate::INTERNAL_GROUPING_ID);
    let named: Vec<Expr> = all
        .schema()
        .iter()
        .map(Expr::from)
        .zip(wanted)
        .map(|(column, (table, field))| column.alias_qualified(table.cloned(), field.name()))
        .collect();
    LogicalPlanBuilder::from(all).project(named)?.build()
}

fn sets(grouping: &GroupingSet) -> Result<Vec<Vec<Expr>>> {
    Ok(match grouping {
        GroupingSet::GroupingSets(sets) => sets.clone(),
        GroupingSet::Rollup(columns) => {
            (0..=columns.len()).rev().map(|length| columns[..length].to_vec()).collect()
        }
        GroupingSet::Cube(columns) if columns.len() < 7 => (0..1_usize << columns.len())
            .map(|left_out| {
                let kept = |(nth, column): (usize, &Expr)| {
                    (left_out >> nth & 1 == 0).then(|| column.clone())
                };
                columns.iter().enumerate().filter_map(kept).collect()
            })
            .collect(),
        GroupingSet::Cube(columns) => {
            let message =
                format!("CUBE of {} columns has more than {SETS_MAX} sets", columns.len());
            return Err(SqlError::nowhere(message).into());
        }
    })
}

/// The groups of one set; columns that are not in it are null.
fn part(aggregate: &Aggregate, columns: &[Expr], number: i64, set: &[Expr]) -> Result<LogicalPlan> {
    let input = &aggregate.input;
    let calls: Vec<Expr> =
        aggregate.aggr_expr.iter().filter(|expr| grouping_of(expr).is_none()).cloned().collect();
    let mut keys: Vec<Expr> =
        columns.iter().filter(|column| set.contains(column)).cloned().collect();
    let kept = keys.len();
    keys.push(lit(number).alias(SET));
    let groups = LogicalPlan::Aggregate(Aggregate::try_new(Arc::clone(input), keys, calls)?);
    let grouped: Vec<Expr> = groups.schema().iter().map(Expr::from).collect();
    let mut key = grouped[..kept].iter().cloned();
    let mut value = grouped[kept + 1..].iter().cloned();
    let mut made = vec![];
    for column in columns {
        made.push(match set.contains(column) {
            true => key.next(),
            false => {
                let ty = column.get_type(input.schema())?;
                Some(Expr::Literal(ScalarValue::try_from(&ty)?, None))
            }
        });
    }
    for call in &aggregate.aggr_expr {
        made.push(match grouping_of(call) {
            Some(of) => Some(lit(grouping_id(of, columns, set)?)),
            None => value.next(),
        });
    }
    let named = made.into_iter().flatten().enumerate();
    let named: Vec<Expr> =
        named.map(|(nth, expr)| expr.alias(format!("$grouping_{nth}"))).collect();
    LogicalPlanBuilder::from(groups).project(named)?.build()
}

/// A bit for each argument, the first the highest: whether the set is without it.
fn grouping_id(of: &[Expr], columns: &[Expr], set: &[Expr]) -> Result<i64> {
    let mut id = 0;
    for column in of {
        if !columns.contains(column) {
            let message = format!("GROUPING of {column}, which is not in GROUP BY");
            return Err(SqlError::nowhere(message).into());
        }
        id = id << 1 | i64::from(!set.contains(column));
    }
    Ok(id)
}
