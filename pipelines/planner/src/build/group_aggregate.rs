//! GROUP BY without a window, SELECT DISTINCT and UNION.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_expr::{Aggregate, Expr, LogicalPlan};
use nowcast_transforms::{AggregateCall, AggregateFunction, GroupAggregate, GroupAggregateSpec};

use super::aggregate::parts;
use super::{Lowered, Lowering, boxed, by};
use crate::catalog::Role;
use crate::error::SqlResult;

impl Lowering<'_> {
    /// Groups of `rows`, whose columns at `places` are what `aggregate` groups by.
    pub(super) fn group_aggregate(
        &mut self,
        aggregate: &Aggregate,
        rows: Lowered,
        places: &[usize],
        calls: Vec<AggregateCall>,
    ) -> SqlResult<Lowered> {
        let approximate =
            calls.iter().any(|call| call.function == AggregateFunction::ApproxCountDistinct);
        if approximate && rows.retracts {
            let message = "APPROX_COUNT_DISTINCT takes new rows alone, and these change";
            return Err(self
                .extent
                .error_at(&["APPROX_COUNT_DISTINCT"], message)
                .hint("write COUNT(DISTINCT …)"));
        }
        let mut keys = places.to_vec();
        keys.sort_unstable();
        keys.dedup();
        let mut fields: Vec<_> =
            keys.iter().map(|key| rows.schema.fields()[*key].clone()).collect();
        fields.extend(calls.iter().enumerate().map(|(number, call)| {
            Arc::new(Field::new(format!("aggregate_{number}"), call.output.clone(), true))
        }));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let names: Vec<String> = aggregate.group_expr.iter().map(ToString::to_string).collect();
        let what = match names.is_empty() {
            true => "aggregation of all rows".to_owned(),
            false => format!("GROUP BY {}", names.join(", ")),
        };
        let ttl_ms = match (names.is_empty(), rows.retracts) {
            // One row of state, unless its aggregates hold values that can be taken back.
            (true, false) if calls.iter().all(|call| !call.distinct) => self.state_ttl_ms,
            _ => self.state_ttl(&what, "the number of groups and their values"),
        };
        let changes = rows.retracts || !calls.is_empty();
        let parts = parts(aggregate, &calls, &rows.schema);
        let order = places.iter().map(|place| {
            let key = keys.binary_search(place).unwrap_or_default();
            (key, Role::Plain)
        });
        let aggregates = (0..calls.len()).map(|number| (keys.len() + number, Role::Plain));
        let order: Vec<(usize, Role)> = order.chain(aggregates).collect();
        let spec = GroupAggregateSpec {
            keys: keys.clone(),
            aggregates: calls,
            retracts: rows.retracts,
            ttl_ms,
            input_schema: Arc::clone(&rows.schema),
            schema: Arc::clone(&schema),
        };
        let make = move |_| Ok(boxed(GroupAggregate::new(spec.clone())?));
        let roles = vec![Role::Plain; schema.fields().len()];
        let mut grouped = self.operator(
            "GroupAggregate",
            &what,
            vec![(rows.node, by(&keys))],
            schema,
            roles,
            Arc::new(make),
        )?;
        self.graph.set_parts(grouped.node, parts);
        self.graph.set_retracts(grouped.node, changes);
        grouped.retracts = changes;
        let key = keys.iter().map(|key| places.iter().position(|place| place == key));
        let key = key.collect::<Option<Vec<usize>>>();
        let ordered = self.ordered(grouped, order, aggregate)?;
        Ok(ordered.with_keys(key.into_iter().collect()))
    }

    /// `SELECT DISTINCT`, and `UNION` above a `UNION ALL`: each row once.
    pub(super) fn distinct(&mut self, input: &Arc<LogicalPlan>) -> SqlResult<Lowered> {
        let columns: Vec<Expr> = input.schema().iter().map(Expr::from).collect();
        let aggregate = Aggregate::try_new(Arc::clone(input), columns, vec![])
            .map_err(|error| self.extent.translate(error))?;
        self.aggregate(&aggregate)
    }
}
