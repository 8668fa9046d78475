//! Joins: the keys and the condition out of the logical plan, then the operator that fits them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::{DFSchema, JoinType, NullEquality};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Join, Operator};
use nowcast_engine::Route;
use nowcast_engine::evaluate::{ColumnAt, Projection};
use nowcast_transforms::{Calc, JoinKind, JoinSpec};

use super::as_of_join::take_as_of;
use super::interval_join::take_interval;
use super::set_all::set_kind;
use super::window_join::window_ends;
use super::{Lowered, Lowering, boxed, by};
use crate::catalog::Role;
use crate::error::SqlResult;
use crate::evaluate::compile;

/// A join taken apart: its inputs with the keys among their columns.
pub(super) struct Parts {
    pub kind: JoinKind,
    pub left: Input,
    pub right: Input,
    pub null_safe: Vec<bool>,
    /// What else must be true, over `pairs`.
    pub conditions: Vec<Expr>,
    /// The columns of the left and of the right input, computed keys among them.
    pub pairs: DFSchema,
}

/// One input of a join.
pub(super) struct Input {
    pub rows: Lowered,
    pub keys: Vec<usize>,
    /// Columns before those that were computed as keys.
    pub columns: usize,
}

/// What a join's condition says, all of which must be true.
pub(super) struct Conditions {
    pub all: Vec<Expr>,
    /// Whether the first one is the equality of NOT IN.
    not_in: bool,
}

fn conditions(join: &Join) -> Conditions {
    let both = join.null_equality == NullEquality::NullEqualsNull;
    let operator = if both { Operator::IsNotDistinctFrom } else { Operator::Eq };
    let on = join.on.iter().map(|(left, right)| {
        Expr::BinaryExpr(BinaryExpr::new(Box::new(left.clone()), operator, Box::new(right.clone())))
    });
    let mut all: Vec<Expr> = on.collect();
    all.extend(join.filter.clone().into_iter().flat_map(split_conjunction_owned));
    Conditions { all, not_in: join.null_aware }
}

impl Lowering<'_> {
    pub(super) fn join(&mut self, join: &Join) -> SqlResult<Lowered> {
        let mut conditions = conditions(join);
        if let Some(time) = take_as_of(&mut conditions) {
            return self.as_of_join(join, conditions, &time);
        }
        if let Some(kind) = set_kind(join) {
            return self.set_all(join, kind);
        }
        let left = self.lower(&join.left)?;
        let right = self.lower(&join.right)?;
        let (left, right) =
            ((left, join.left.schema().as_ref()), (right, join.right.schema().as_ref()));
        let mut parts = self.parts(join, conditions, left, right)?;
        if let Some(window_ends) = window_ends(&parts) {
            return self.window_join(join, parts, window_ends);
        }
        match take_interval(&mut parts) {
            Some(interval) => self.interval_join(join, parts, interval),
            None => self.regular_join(join, parts),
        }
    }

    fn kind(&self, join: &Join) -> SqlResult<JoinKind> {
        match join.join_type {
            JoinType::Inner => Ok(JoinKind::Inner),
            JoinType::Left => Ok(JoinKind::Left),
            JoinType::Right => Ok(JoinKind::Right),
            JoinType::Full => Ok(JoinKind::Full),
            JoinType::LeftSemi => Ok(JoinKind::Semi),
            JoinType::LeftAnti => Ok(JoinKind::Anti),
            JoinType::LeftMark | JoinType::RightMark => Err(self
                .extent
                .error_at(&["EXISTS", "IN"], "a subquery within OR or CASE is not supported")
                .hint("EXISTS, IN and their negations are, joined to other conditions by AND")),
            JoinType::RightSemi | JoinType::RightAnti => {
                Err(self.extent.error_at(&["JOIN"], "Flink SQL has no such join"))
            }
        }
    }

    /// The parts of a join whose inputs are lowered.
    pub(super) fn parts(
        &mut self,
        join: &Join,
        all: Conditions,
        (left, left_schema): (Lowered, &DFSchema),
        (right, right_schema): (Lowered, &DFSchema),
    ) -> SqlResult<Parts> {
        let kind = self.kind(join)?;
        let (mut left_keys, mut right_keys, mut null_safe) = (vec![], vec![], vec![]);
        let mut conditions = vec![];
        let mut not_in = all.not_in;
        for expr in all.all {
            // NOT IN is the first equality: unknown, where one side is null, excludes as true does.
            if std::mem::take(&mut not_in) {
                conditions.push(Expr::IsNotFalse(Box::new(expr)));
                continue;
            }
            match key(&expr, left_schema, right_schema) {
                Some((left, right, safe)) => {
                    left_keys.push(left);
                    right_keys.push(right);
                    null_safe.push(safe);
                }
                None => conditions.push(expr),
            }
        }
        let (left, left_schema) = self.keyed(left, left_schema, left_keys, "left")?;
        let (right, right_schema) = self.keyed(right, right_schema, right_keys, "right")?;
        let pairs = left_schema.join(&right_schema);
        let pairs = pairs.map_err(|error| self.extent.translate(error))?;
        Ok(Parts { kind, left, right, null_safe, conditions, pairs })
    }

    /// Rows with `keys` among their columns; those that are no plain columns are computed.
    fn keyed(
        &mut self,
        rows: Lowered,
        schema: &DFSchema,
        keys: Vec<Expr>,
        side: &str,
    ) -> SqlResult<(Input, DFSchema)> {
        let columns = rows.schema.fields().len();
        let mut wanted: Vec<Expr> = schema.iter().map(Expr::from).collect();
        let mut fields: Vec<_> =
            schema.iter().map(|(table, field)| (table.cloned(), Arc::clone(field))).collect();
        let mut places = vec![];
        for key in keys {
            let known = wanted.iter().position(|expr| *expr == key || is_alias_of(expr, &key));
            places.push(match known {
                Some(known) => known,
                None => {
                    let ty = key.get_type(schema);
                    let ty = ty.map_err(|error| self.extent.translate(error))?;
                    let name = format!("${side}_key_{}", wanted.len());
                    fields.push((None, Arc::new(Field::new(&name, ty, true))));
                    wanted.push(key.alias(name));
                    wanted.len() - 1
                }
            });
        }
        let rows = match wanted.len() == columns {
            true => rows,
            false => self.calc(rows, schema, None, &wanted)?,
        };
        let schema = DFSchema::new_with_metadata(fields, HashMap::new());
        let schema = schema.map_err(|error| self.extent.translate(error))?;
        Ok((Input { rows, keys: places, columns }, schema))
    }

    /// The spec of a join over its parts, whose output has all columns of both inputs.
    pub(super) fn join_spec(&self, parts: &Parts) -> SqlResult<JoinSpec> {
        let condition = conjunction(parts.conditions.iter().cloned());
        let condition = condition.map(|condition| compile(&condition, &parts.pairs)).transpose();
        let condition = condition.map_err(|error| self.extent.translate(error))?;
        let left = &parts.left.rows.schema;
        let right = &parts.right.rows.schema;
        let mut fields = left.fields().to_vec();
        if !parts.kind.left_only() {
            fields.extend(right.fields().iter().cloned());
        }
        let fields: Vec<_> =
            fields.iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        Ok(JoinSpec {
            kind: parts.kind,
            left_keys: parts.left.keys.clone(),
            right_keys: parts.right.keys.clone(),
            null_safe: parts.null_safe.clone(),
            condition: condition.map(|(condition, _)| condition),
            left: Arc::clone(left),
            right: Arc::clone(right),
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// Both inputs of a join, exchanged by its keys.
    pub(super) fn exchanged(parts: &Parts) -> Vec<(usize, Route)> {
        let sides = [&parts.left, &parts.right];
        sides.iter().map(|side| (side.rows.node, by(&side.keys))).collect()
    }

    fn regular_join(&mut self, join: &Join, parts: Parts) -> SqlResult<Lowered> {
        let ttl_ms = self.state_ttl("a join", "the rows of its inputs");
        let spec = self.join_spec(&parts)?;
        let roles = vec![Role::Plain; spec.schema.fields().len()];
        let text = text(join);
        let schema = Arc::clone(&spec.schema);
        let keys = upsert_keys(&parts);
        let make = {
            let spec = spec.clone();
            move |_| Ok(boxed(nowcast_transforms::Join::new(spec.clone(), ttl_ms)?))
        };
        let inputs = Self::exchanged(&parts);
        let mut rows = self.operator("Join", &text, inputs, schema, roles, Arc::new(make))?;
        if !matches!(parts.kind, JoinKind::Inner | JoinKind::Semi) {
            rows.retracts = true;
            self.graph.set_retracts(rows.node, true);
        }
        self.without_keys(join, &parts, rows.with_keys(keys))
    }

    /// The columns of the logical plan: without computed keys, under the plan's names.
    pub(super) fn without_keys(
        &mut self,
        join: &Join,
        parts: &Parts,
        rows: Lowered,
    ) -> SqlResult<Lowered> {
        let lefts = parts.left.rows.schema.fields().len();
        let mut kept: Vec<usize> = (0..parts.left.columns).collect();
        if !parts.kind.left_only() {
            kept.extend(lefts..lefts + parts.right.columns);
        }
        if kept.len() == rows.schema.fields().len() {
            return Ok(rows);
        }
        let fields = kept.iter().zip(join.schema.fields());
        let fields: Vec<_> = fields
            .map(|(column, field)| {
                let ty = rows.schema.field(*column).data_type();
                Field::new(field.name(), ty.clone(), true)
            })
            .collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let columns = kept.iter().map(|column| Arc::new(ColumnAt(*column)) as _);
        let projection = Projection { schema: Arc::clone(&schema), columns: columns.collect() };
        let roles = kept.iter().map(|column| rows.roles[*column]).collect();
        let keys = super::columns::kept_keys(&kept, &rows.keys);
        let make = move |_| Ok(boxed(Calc::new(None, Some(projection.clone()))));
        let from = vec![(rows.node, Route::Forward)];
        self.operator("Calc", "without keys", from, schema, roles, Arc::new(make))
            .map(|rows| rows.with_keys(keys))
    }
}

/// `left = right` where each side reads its own input alone: the two and whether null equals null.
fn key(expr: &Expr, left: &DFSchema, right: &DFSchema) -> Option<(Expr, Expr, bool)> {
    let Expr::BinaryExpr(BinaryExpr { left: one, op, right: other }) = expr else { return None };
    let safe = match op {
        Operator::Eq => false,
        Operator::IsNotDistinctFrom => true,
        _ => return None,
    };
    let reads = |expr: &Expr, schema: &DFSchema| {
        let columns = expr.column_refs();
        !columns.is_empty() && columns.into_iter().all(|column| schema.has_column(column))
    };
    let (one, other) = (one.as_ref().clone(), other.as_ref().clone());
    let (one, other) = if reads(&one, left) && reads(&other, right) {
        (one, other)
    } else if reads(&one, right) && reads(&other, left) {
        (other, one)
    } else {
        return None;
    };
    let same = one.get_type(left).ok()? == other.get_type(right).ok()?;
    (same && !one.is_volatile() && !other.is_volatile()).then_some((one, other, safe))
}

fn is_alias_of(expr: &Expr, key: &Expr) -> bool {
    matches!(expr, Expr::Alias(alias) if *alias.expr == *key)
}

/// Sets of columns in which no two rows of a join are equal.
fn upsert_keys(parts: &Parts) -> Vec<Vec<usize>> {
    let (left, right) = (&parts.left, &parts.right);
    if parts.kind.left_only() {
        return left.rows.keys.clone();
    }
    let lefts = left.rows.schema.fields().len();
    let moved: Vec<Vec<usize>> = right
        .rows
        .keys
        .iter()
        .map(|key| key.iter().map(|column| column + lefts).collect())
        .collect();
    let one = |side: &Input| {
        let of: BTreeSet<usize> = side.keys.iter().copied().collect();
        side.rows.keys.iter().any(|key| key.iter().all(|column| of.contains(column)))
    };
    let mut keys = vec![];
    // A row with one partner at most is known by its own key, unless partners come without it.
    if one(right) && matches!(parts.kind, JoinKind::Inner | JoinKind::Left) {
        keys.extend(left.rows.keys.iter().cloned());
    }
    if one(left) && matches!(parts.kind, JoinKind::Inner | JoinKind::Right) {
        keys.extend(moved.iter().cloned());
    }
    for left in &left.rows.keys {
        keys.extend(moved.iter().map(|right| [left.as_slice(), right].concat()));
    }
    keys
}

/// A join for people who read its plan.
pub(super) fn text(join: &Join) -> String {
    let on = join.on.iter().map(|(left, right)| format!("{left} = {right}"));
    let all: Vec<String> = on.chain(join.filter.iter().map(ToString::to_string)).collect();
    match all.is_empty() {
        true => format!("{}", join.join_type),
        false => format!("{}, {}", join.join_type, all.join(" AND ")),
    }
}
