//! `INTERSECT ALL` and `EXCEPT ALL`, which DataFusion plans as joins of all columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion_common::{DFSchema, JoinType, NullEquality};
use datafusion_expr::{Distinct, Expr, Join, LogicalPlan, cast};
use nowcast_transforms::{SetAll, SetAllSpec, SetKind};

use super::{Lowered, Lowering, boxed, by};
use crate::catalog::Role;
use crate::error::SqlResult;

/// What a join is, where it is no join: its left side is DISTINCT where the ALL is missing.
pub(super) fn set_kind(join: &Join) -> Option<SetKind> {
    let is_set = join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && !is_distinct(&join.left);
    match join.join_type {
        JoinType::LeftSemi if is_set => Some(SetKind::Intersect),
        JoinType::LeftAnti if is_set => Some(SetKind::Except),
        _ => None,
    }
}

fn is_distinct(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Distinct(Distinct::All(_)) => true,
        LogicalPlan::Projection(projection) => is_distinct(&projection.input),
        LogicalPlan::Filter(filter) => is_distinct(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_distinct(&alias.input),
        _ => false,
    }
}

impl Lowering<'_> {
    pub(super) fn set_all(&mut self, join: &Join, kind: SetKind) -> SqlResult<Lowered> {
        let (left, right): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
        let rows = self.lower(&join.left)?;
        let left = self.calc(rows, join.left.schema(), None, &left)?;
        let rows = self.lower(&join.right)?;
        let right = self.calc(rows, join.right.schema(), None, &right)?;
        let (word, text) = match kind {
            SetKind::Intersect => ("INTERSECT", "INTERSECT ALL"),
            SetKind::Except => ("EXCEPT", "EXCEPT ALL"),
        };
        let types = |schema: &Schema| -> Vec<_> {
            schema.fields().iter().map(|field| field.data_type().clone()).collect()
        };
        // The analyzer has cast both sides to their common types.
        let common = types(&left.schema);
        if types(&right.schema) != common {
            return Err(self
                .extent
                .error_at(&[word], format!("{text} of columns of different types"))
                .hint("CAST the columns of both sides to one type"));
        }
        let wanted = join.schema.fields();
        let fields = wanted.iter().zip(&common).map(|(field, ty)| {
            field.as_ref().clone().with_data_type(ty.clone()).with_nullable(true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let ttl_ms = self.state_ttl(text, "the number of different rows");
        let spec = SetAllSpec { kind, ttl_ms, schema: Arc::clone(&schema) };
        let make = move |_| Ok(boxed(SetAll::new(spec.clone())?));
        let route = by(&(0..common.len()).collect::<Vec<_>>());
        let inputs = vec![(left.node, route.clone()), (right.node, route)];
        let roles = vec![Role::Plain; common.len()];
        let mut rows = self.operator(word, "ALL", inputs, schema, roles, Arc::new(make))?;
        self.graph.set_retracts(rows.node, true);
        rows.retracts = true;
        if wanted.iter().zip(&common).all(|(field, ty)| field.data_type() == ty) {
            return Ok(rows);
        }
        // The rows are the left side's: they fit its types again.
        let pairs = join.schema.iter().zip(&common).map(|((table, field), ty)| {
            (table.cloned(), Arc::new(field.as_ref().clone().with_data_type(ty.clone())))
        });
        let below = DFSchema::new_with_metadata(pairs.collect(), HashMap::new())
            .map_err(|error| self.extent.translate(error))?;
        let back = below.iter().zip(wanted).map(|(column, field)| {
            cast(Expr::from(column), field.data_type().clone()).alias(field.name())
        });
        let back: Vec<Expr> = back.collect();
        self.calc(rows, &below, None, &back)
    }
}
