//! Joins with `FOR SYSTEM_TIME AS OF`: versioned tables by event time, look-ups by processing time.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    BinaryExpr, Expr, ExprSchemable, Join, LogicalPlan, Operator, SortExpr, Window,
};
use nowcast_transforms::{JoinKind, TemporalJoin, TemporalJoinSpec};

use super::join::{Conditions, text};
use super::{Lowered, Lowering, boxed};
use crate::as_of::time_of;
use crate::catalog::{Role, Scanned, Table};
use crate::error::{SqlError, SqlResult};
use crate::functions::window::ROW_NUMBER;
use crate::node::{FlinkNode, FlinkOp};

/// Columns of a plan in terms of one below it, and the filters between the two.
pub(super) struct Peeled<'a> {
    pub columns: Vec<Expr>,
    pub filters: Vec<Expr>,
    pub below: &'a LogicalPlan,
}

/// Where the versions of a table come from.
struct Versions {
    rows: Lowered,
    /// The columns of the table over `schema`.
    columns: Vec<Expr>,
    schema: DFSchema,
    /// From when a version holds.
    time: Expr,
    /// The table's key.
    key: Vec<Expr>,
    /// Whether an older version than the newest is passed over.
    newest: bool,
}

impl Lowering<'_> {
    /// A join whose condition holds `time`, as of which the right side is read.
    pub(super) fn as_of_join(
        &mut self,
        join: &Join,
        conditions: Conditions,
        time: &Expr,
    ) -> SqlResult<Lowered> {
        let left = self.lower(&join.left)?;
        let column = match time {
            Expr::Column(column) => join.left.schema().index_of_column(column).ok(),
            _ => None,
        };
        match column.map(|column| (column, left.roles[column])) {
            Some((column, Role::EventTime)) => self.temporal_join(join, conditions, left, column),
            Some((_, Role::ProcessingTime)) => self.lookup_join(join, conditions, left),
            _ => Err(self
                .extent
                .error_at(&["SYSTEM_TIME"], format!("{time} is no time attribute of the left side"))
                .hint("the column of WATERMARK FOR, or one declared AS PROCTIME()")),
        }
    }

    fn temporal_join(
        &mut self,
        join: &Join,
        conditions: Conditions,
        left: Lowered,
        time: usize,
    ) -> SqlResult<Lowered> {
        self.inserts_only(&left, &["SYSTEM_TIME"], "the left side of a temporal join")?;
        let (outer, node) = self.right_of(join)?;
        let versions = self.versions(&node.input)?;
        let table = node.input.schema();
        let over = |expr: &Expr| substitute(expr.clone(), table, &versions.columns);
        let columns = outer.columns.iter().map(over).collect::<SqlResult<Vec<_>>>()?;
        let filters = outer.filters.iter().map(over).collect::<SqlResult<Vec<_>>>()?;

        // The columns of the right side, then what the join reads beside them.
        let named = join.right.schema().iter().zip(columns.iter().cloned());
        let mut wanted: Vec<Expr> =
            named.map(|((_, field), expr)| expr.unalias().alias(field.name())).collect();
        let mut fields: Vec<_> = join
            .right
            .schema()
            .iter()
            .map(|(of, field)| (of.cloned(), Arc::clone(field)))
            .collect();
        let visible = wanted.len();
        let mut add = |name: &str, expr: Expr, ty: DataType| {
            fields.push((None, Arc::new(Field::new(name, ty, true))));
            wanted.push(expr.alias(name));
            wanted.len() - 1
        };
        let ty = versions.time.get_type(&versions.schema);
        let ty = ty.map_err(|error| self.extent.translate(error))?;
        let version_time = add("$version_time", versions.time.clone(), ty);
        let mut conditions = conditions;
        if let Some(filter) = conjunction(filters) {
            add("$version_matches", filter, DataType::Boolean);
            let column = datafusion_common::Column::from_name("$version_matches");
            conditions.all.push(Expr::Column(column));
        }
        let right = self.calc(versions.rows, &versions.schema, None, &wanted)?;
        let schema = DFSchema::new_with_metadata(fields, HashMap::new());
        let schema = schema.map_err(|error| self.extent.translate(error))?;
        let left = (left, join.left.schema().as_ref());
        let mut parts = self.parts(join, conditions, left, (right, &schema))?;
        parts.right.columns = visible;

        let keys: Vec<&Expr> =
            parts.right.keys.iter().filter_map(|key| columns.get(*key)).collect();
        let has = |key: &Expr| keys.iter().any(|column| (*column).clone().unalias() == *key);
        if !versions.key.iter().all(has) {
            let key: Vec<String> =
                versions.key.iter().map(|key| key.schema_name().to_string()).collect();
            let message =
                format!("a temporal join equates the key of its table: {}", key.join(", "));
            return Err(self.extent.error_at(&["SYSTEM_TIME"], message));
        }
        if !matches!(parts.kind, JoinKind::Inner | JoinKind::Left) {
            return Err(self
                .extent
                .error_at(&["SYSTEM_TIME"], "temporal joins are JOIN or LEFT JOIN"));
        }
        let spec = TemporalJoinSpec {
            join: self.join_spec(&parts)?,
            times: [time, version_time],
            newest: versions.newest,
        };
        let output = Arc::clone(&spec.join.schema);
        let mut roles = parts.left.rows.roles.clone();
        roles.resize(output.fields().len(), Role::Plain);
        let make = move |_| Ok(boxed(TemporalJoin::new(spec.clone())?));
        let inputs = Self::exchanged(&parts);
        let text = text(join);
        let mut rows =
            self.operator("TemporalJoin", &text, inputs, output, roles, Arc::new(make))?;
        rows.retracts = false;
        self.graph.set_retracts(rows.node, false);
        let keys = parts.left.rows.keys.clone();
        self.without_keys(join, &parts, rows.with_keys(keys))
    }

    /// The right side of a join, down to the mark of `FOR SYSTEM_TIME AS OF`.
    pub(super) fn right_of<'a>(&self, join: &'a Join) -> SqlResult<(Peeled<'a>, &'a FlinkNode)> {
        let outer = peel(&join.right, &|plan| {
            FlinkNode::of(plan).is_some_and(|node| node.op == FlinkOp::AsOf)
        });
        let found = outer.and_then(|outer| FlinkNode::of(outer.below).map(|node| (outer, node)));
        found.ok_or_else(|| {
            let message = "FOR SYSTEM_TIME AS OF goes with the right side of a join";
            self.extent.error_at(&["SYSTEM_TIME"], message)
        })
    }

    /// The versions of a table with a key and a watermark, or of a view that keeps the last row of
    /// each key.
    fn versions(&mut self, plan: &LogicalPlan) -> SqlResult<Versions> {
        let found =
            peel(plan, &|plan| matches!(plan, LogicalPlan::Window(_) | LogicalPlan::TableScan(_)));
        let versions = match &found {
            Some(Peeled { columns, filters, below: LogicalPlan::Window(window) }) => {
                self.last_rows(window, columns, filters)?
            }
            Some(Peeled { columns, filters, below: LogicalPlan::TableScan(scan) })
                if filters.is_empty() =>
            {
                match scan.source.downcast_ref::<Scanned>() {
                    Some(Scanned(table)) => self.keyed_table(table, plan, columns)?,
                    None => None,
                }
            }
            _ => None,
        };
        versions.ok_or_else(|| {
            self.extent.error_at(&["SYSTEM_TIME"], "this table has no versions").hint(
                "a table with PRIMARY KEY and WATERMARK has, and a view of the rows where \
                     ROW_NUMBER() OVER (PARTITION BY key ORDER BY rowtime DESC) = 1",
            )
        })
    }

    fn keyed_table(
        &mut self,
        table: &Table,
        plan: &LogicalPlan,
        columns: &[Expr],
    ) -> SqlResult<Option<Versions>> {
        let rows = self.lower(plan)?;
        let time = rows.roles.iter().position(|role| *role == Role::EventTime);
        let Some(time) = time.filter(|_| !table.definition.primary_key.is_empty()) else {
            return Ok(None);
        };
        let schema = plan.schema().as_ref().clone();
        let own: Vec<Expr> = schema.iter().map(Expr::from).collect();
        let names = table.definition.schema.fields();
        let key = table.definition.primary_key.iter().map(|key| {
            let named = |column: &Expr| {
                matches!(column.clone().unalias(), Expr::Column(column) if column.name == *names[*key].name())
            };
            columns.iter().position(named).map(|column| own[column].clone())
        });
        let Some(key) = key.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let time = own[time].clone();
        Ok(Some(Versions { rows, columns: own, schema, time, key, newest: false }))
    }

    /// `WHERE row_number = 1` around `ROW_NUMBER() OVER (PARTITION BY key ORDER BY rowtime DESC)`:
    /// every row that was the last one once is a version.
    fn last_rows(
        &mut self,
        window: &Window,
        columns: &[Expr],
        filters: &[Expr],
    ) -> SqlResult<Option<Versions>> {
        let [Expr::WindowFunction(function)] = window.window_expr.as_slice() else {
            return Ok(None);
        };
        let schema = window.input.schema();
        let number = Expr::from(window.schema.qualified_field(schema.fields().len()));
        let [filter] = filters else { return Ok(None) };
        if function.fun.name() != ROW_NUMBER || !is_first(filter, &number) {
            return Ok(None);
        }
        let [SortExpr { expr: time, asc: false, .. }] = function.params.order_by.as_slice() else {
            return Ok(None);
        };
        let rows = self.lower(&window.input)?;
        let is_time = match time {
            Expr::Column(column) => schema
                .index_of_column(column)
                .is_ok_and(|column| rows.roles[column] == Role::EventTime),
            _ => false,
        };
        if !is_time {
            return Ok(None);
        }
        self.inserts_only(&rows, &["SYSTEM_TIME"], "a view of versions")?;
        // Every version was number 1.
        let first = Expr::Literal(ScalarValue::Int64(Some(1)), None);
        let mut own: Vec<Expr> = schema.iter().map(Expr::from).collect();
        own.push(first);
        let columns = columns.iter().map(|column| substitute(column.clone(), &window.schema, &own));
        Ok(Some(Versions {
            rows,
            columns: columns.collect::<SqlResult<_>>()?,
            schema: schema.as_ref().clone(),
            time: time.clone(),
            key: function.params.partition_by.clone(),
            newest: true,
        }))
    }
}

/// `row_number = 1`, in any way to say it.
fn is_first(filter: &Expr, number: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return false };
    let (op, value) = match (left.as_ref(), right.as_ref()) {
        (column, Expr::Literal(value, _)) if column == number => (*op, value),
        (Expr::Literal(value, _), column) if column == number => match op.swap() {
            Some(op) => (op, value),
            None => return false,
        },
        _ => return false,
    };
    let n = match value {
        ScalarValue::Int64(Some(n)) => *n,
        ScalarValue::Int32(Some(n)) => i64::from(*n),
        _ => return false,
    };
    matches!((op, n), (Operator::Eq | Operator::LtEq, 1) | (Operator::Lt, 2))
}

/// Projections, filters and names above the plan that `stop` names, taken off.
pub(super) fn peel<'a>(
    plan: &'a LogicalPlan,
    stop: &dyn Fn(&LogicalPlan) -> bool,
) -> Option<Peeled<'a>> {
    if stop(plan) {
        let columns = plan.schema().iter().map(Expr::from).collect();
        return Some(Peeled { columns, filters: vec![], below: plan });
    }
    match plan {
        LogicalPlan::SubqueryAlias(alias) => peel(&alias.input, stop),
        LogicalPlan::Projection(projection) => {
            let inner = peel(&projection.input, stop)?;
            let schema = projection.input.schema();
            let exprs = projection.expr.iter();
            let columns = exprs.map(|expr| substitute(expr.clone(), schema, &inner.columns).ok());
            Some(Peeled { columns: columns.collect::<Option<_>>()?, ..inner })
        }
        LogicalPlan::Filter(filter) => {
            let mut inner = peel(&filter.input, stop)?;
            let schema = filter.input.schema();
            inner.filters.push(substitute(filter.predicate.clone(), schema, &inner.columns).ok()?);
            Some(inner)
        }
        _ => None,
    }
}

/// An expression over `schema`, whose columns are these.
pub(super) fn substitute(expr: Expr, schema: &DFSchema, columns: &[Expr]) -> SqlResult<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            let at = schema.index_of_column(&column)?;
            Ok(Transformed::yes(columns[at].clone().unalias()))
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
    .map_err(SqlError::nowhere)
}

/// The conditions of a join without the mark of `FOR SYSTEM_TIME AS OF`, and its time.
pub(super) fn take_as_of(conditions: &mut Conditions) -> Option<Expr> {
    let at = conditions.all.iter().position(|condition| time_of(condition).is_some())?;
    time_of(&conditions.all.remove(at)).cloned()
}
