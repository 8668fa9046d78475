//! Interval joins: both bounds between the times of the two sides stand in the condition.

use std::sync::Arc;

use datafusion_common::DFSchema;
use datafusion_expr::utils::split_conjunction_owned;
use datafusion_expr::{Between, BinaryExpr, Expr, Join, Operator};
use nowcast_transforms::{Clock, IntervalJoin, IntervalJoinSpec, JoinKind};

use super::join::{Parts, text};
use super::{Lowered, Lowering, boxed};
use crate::catalog::Role;
use crate::error::SqlResult;
use crate::time_shift::shifted;

/// What the condition of a join says of the times of its sides.
pub(super) struct Interval {
    times: [usize; 2],
    lower_ms: i64,
    upper_ms: i64,
    clock: Clock,
}

/// A bound that one part of a condition sets: `right time - left time` is at least or at most that.
#[derive(Debug, Clone, Copy)]
struct Bound {
    times: [usize; 2],
    lower_ms: Option<i64>,
    upper_ms: Option<i64>,
}

/// Takes the bounds out of the conditions, where both are there and all rows are new ones.
pub(super) fn take_interval(parts: &mut Parts) -> Option<Interval> {
    let kinds = [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];
    if !kinds.contains(&parts.kind) || parts.left.rows.retracts || parts.right.rows.retracts {
        return None;
    }
    let lefts = parts.left.rows.schema.fields().len();
    let mut roles = parts.left.rows.roles.clone();
    roles.extend(parts.right.rows.roles.iter().copied());
    let keys = parts.left.keys.iter().zip(&parts.right.keys);
    let mut bounds: Vec<Bound> = keys
        .filter(|(left, right)| is_time(roles[**left]) && roles[**left] == roles[lefts + **right])
        .map(|(left, right)| Bound { times: [*left, *right], lower_ms: Some(0), upper_ms: Some(0) })
        .collect();
    let conditions = parts.conditions.iter().cloned();
    let conditions: Vec<Expr> =
        conditions.map(without_between).flat_map(split_conjunction_owned).collect();
    let mut rest = vec![];
    for condition in conditions {
        match bound(&condition, &parts.pairs, &roles, lefts) {
            Some(bound) => bounds.push(bound),
            None => rest.push(condition),
        }
    }
    let times = bounds.first()?.times;
    if bounds.iter().any(|bound| bound.times != times) {
        return None;
    }
    let lower_ms = bounds.iter().filter_map(|bound| bound.lower_ms).max()?;
    let upper_ms = bounds.iter().filter_map(|bound| bound.upper_ms).min()?;
    parts.conditions = rest;
    let clock = match roles[times[0]] {
        Role::EventTime => Clock::Watermark,
        _ => Clock::Wall,
    };
    Some(Interval { times, lower_ms, upper_ms, clock })
}

fn is_time(role: Role) -> bool {
    matches!(role, Role::EventTime | Role::ProcessingTime)
}

fn without_between(expr: Expr) -> Expr {
    match expr {
        Expr::Between(Between { expr, negated: false, low, high }) => {
            expr.as_ref().clone().gt_eq(*low).and(expr.lt_eq(*high))
        }
        other => other,
    }
}

fn bound(condition: &Expr, pairs: &DFSchema, roles: &[Role], lefts: usize) -> Option<Bound> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let (one, one_ms) = shifted(left, pairs)?;
    let (other, other_ms) = shifted(right, pairs)?;
    if !is_time(roles[one]) || roles[one] != roles[other] {
        return None;
    }
    // As `left + a op right + b`, which is `right - left swapped-op a - b`.
    let (op, times, apart) = if one < lefts && other >= lefts {
        (*op, [one, other - lefts], one_ms.checked_sub(other_ms)?)
    } else if one >= lefts && other < lefts {
        (op.swap()?, [other, one - lefts], other_ms.checked_sub(one_ms)?)
    } else {
        return None;
    };
    let (lower_ms, upper_ms) = match op {
        Operator::GtEq => (None, Some(apart)),
        Operator::Gt => (None, Some(apart.checked_sub(1)?)),
        Operator::LtEq => (Some(apart), None),
        Operator::Lt => (Some(apart.checked_add(1)?), None),
        Operator::Eq => (Some(apart), Some(apart)),
        _ => return None,
    };
    Some(Bound { times, lower_ms, upper_ms })
}

impl Lowering<'_> {
    pub(super) fn interval_join(
        &mut self,
        join: &Join,
        parts: Parts,
        interval: Interval,
    ) -> SqlResult<Lowered> {
        let Interval { times, lower_ms, upper_ms, clock } = interval;
        let spec =
            IntervalJoinSpec { join: self.join_spec(&parts)?, times, lower_ms, upper_ms, clock };
        let schema = Arc::clone(&spec.join.schema);
        let mut roles = parts.left.rows.roles.clone();
        roles.extend(parts.right.rows.roles.iter().copied());
        let text = format!("{}, {lower_ms} to {upper_ms} ms apart", text(join));
        let make = move |_| Ok(boxed(IntervalJoin::new(spec.clone())?));
        let inputs = Self::exchanged(&parts);
        let rows = self.operator("IntervalJoin", &text, inputs, schema, roles, Arc::new(make))?;
        self.without_keys(join, &parts, rows)
    }
}
