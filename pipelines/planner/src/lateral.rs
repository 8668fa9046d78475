//! UNNEST, which reads the tables before it: the join with it becomes one node over them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{DFSchema, JoinType, Result, ScalarValue};
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::{Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{self, Spanned};

use crate::error::SqlError;
use crate::node::{FlinkNode, FlinkOp, Unnest};
use crate::types::sql_name;

/// `UNNEST(array)` over no rows of its own; columns of the tables before it are outer ones.
pub fn unnest(
    arrays: &[ast::Expr],
    ordinality: bool,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let [array] = arrays else {
        return Err(SqlError::nowhere("UNNEST takes one array or map").into());
    };
    let at = array.span().start;
    let schema = DFSchema::empty();
    let of = expression(array, context)?.unalias();
    let ty = of.get_type(&schema)?;
    let Some(mut fields) = element_fields(&ty) else {
        let message = format!("UNNEST takes an array or a map, this is {}", sql_name(&ty));
        return Err(SqlError::new(at, message).into());
    };
    if ordinality {
        fields.push(Field::new("ORDINALITY", DataType::Int32, true));
    }
    let output = fields.into_iter().map(|field| (None, Arc::new(field))).collect();
    let op = FlinkOp::Unnest(Unnest { of, output, ordinality, outer: false });
    FlinkNode::plan(op, LogicalPlanBuilder::empty(true).build()?)
}

/// The columns of an element of an array or map; `None` for other types.
pub fn element_fields(ty: &DataType) -> Option<Vec<Field>> {
    let one = |name: &str, ty: &DataType| Field::new(name, ty.clone(), true);
    match ty {
        DataType::List(element) => Some(match element.data_type() {
            DataType::Struct(fields) => {
                fields.iter().map(|field| field.as_ref().clone().with_nullable(true)).collect()
            }
            ty => vec![one("EXPR$0", ty)],
        }),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let (key, value) = (fields[0].data_type(), fields[1].data_type());
                Some(vec![one("KEY", key), one("VALUE", value)])
            }
            _ => None,
        },
        _ => None,
    }
}

/// An expression over outer columns; `t.row.field` too, which DataFusion does not know there.
fn expression(expr: &ast::Expr, context: &mut dyn RelationPlannerContext) -> Result<Expr> {
    let schema = DFSchema::empty();
    let ast::Expr::CompoundIdentifier(parts) = expr else {
        return context.sql_to_expr(expr.clone(), &schema);
    };
    let planned = context.sql_to_expr(expr.clone(), &schema);
    if planned.is_ok() || parts.len() < 2 {
        return planned;
    }
    let (field, row) = match parts.split_last() {
        Some((field, [column])) => (field, ast::Expr::Identifier(column.clone())),
        Some((field, row)) => (field, ast::Expr::CompoundIdentifier(row.to_vec())),
        None => return planned,
    };
    match expression(&row, context) {
        Ok(row) if matches!(row.get_type(&schema), Ok(DataType::Struct(_))) => {
            Ok(datafusion_functions::core::expr_fn::get_field(row, field.value.as_str()))
        }
        _ => planned,
    }
}

/// Puts each UNNEST over the tables whose columns it reads.
pub fn joined(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) => match unnest_of(&join.right).cloned() {
            Some(unnest) => Ok(Transformed::yes(over(&join, unnest)?)),
            None => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// The UNNEST that a side of a join is, under another name or not.
fn unnest_of(plan: &LogicalPlan) -> Option<&Unnest> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => unnest_of(&alias.input),
        LogicalPlan::Subquery(subquery) => unnest_of(&subquery.subquery),
        LogicalPlan::Projection(renamed) => unnest_of(&renamed.input),
        other => match FlinkNode::of(other) {
            Some(FlinkNode {
                op: FlinkOp::Unnest(unnest),
                input: LogicalPlan::EmptyRelation(_),
                ..
            }) => Some(unnest),
            _ => None,
        },
    }
}

fn over(join: &Join, unnest: Unnest) -> Result<LogicalPlan> {
    let of = unnest.of.transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    });
    let right = join.right.schema();
    let output = right.iter().map(|(table, field)| (table.cloned(), Arc::clone(field))).collect();
    let outer = join.join_type == JoinType::Left;
    let truth = Expr::Literal(ScalarValue::Boolean(Some(true)), None);
    let condition = join.filter.clone().filter(|condition| *condition != truth);
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left)
        || (outer && condition.is_some())
        || !join.on.is_empty()
    {
        return Err(SqlError::nowhere("UNNEST is joined by CROSS JOIN or LEFT JOIN … ON TRUE")
            .hint("put a condition into WHERE")
            .into());
    }
    let op = FlinkOp::Unnest(Unnest { of: of.data()?, output, outer, ..unnest });
    let plan = FlinkNode::plan(op, join.left.as_ref().clone())?;
    match condition {
        Some(condition) => LogicalPlanBuilder::from(plan).filter(condition)?.build(),
        None => Ok(plan),
    }
}
