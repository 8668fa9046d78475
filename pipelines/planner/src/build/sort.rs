//! `ORDER BY` and `LIMIT` of a query.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion_common::ScalarValue;
use datafusion_expr::{Expr, Limit, LogicalPlan, Sort, SortExpr, lit};
use nowcast_engine::Route;
use nowcast_transforms::{Rank, RankSpec, SortKey, TemporalSort, TemporalSortSpec, Ties};

use super::aggregate::place;
use super::{Lowered, Lowering, boxed};
use crate::catalog::Role;
use crate::error::SqlResult;

/// What `LIMIT` and `OFFSET` leave: row numbers, from 1.
#[derive(Clone, Copy)]
struct Numbers {
    first: usize,
    last: usize,
}

impl Lowering<'_> {
    /// The first rows of a query, or those after an offset: as a changelog, where rows come that
    /// belong before others.
    pub(super) fn limit(&mut self, limit: &Limit) -> SqlResult<Lowered> {
        let skip = limit.skip.as_deref().map_or(Ok(0), |skip| self.number(skip, "OFFSET"))?;
        let Some(fetch) = limit.fetch.as_deref() else {
            return Err(self
                .extent
                .error_at(&["OFFSET"], "OFFSET without LIMIT has no end on a stream")
                .hint("add LIMIT n, or FETCH NEXT n ROWS ONLY"));
        };
        let fetch = self.number(fetch, "LIMIT")?;
        if fetch == 0 {
            let rows = self.lower(&limit.input)?;
            let schema = limit.input.schema();
            let all: Vec<Expr> = schema.iter().map(Expr::from).collect();
            return self.calc(rows, schema, Some(&lit(false)), &all);
        }
        let numbers = Numbers { first: skip.saturating_add(1), last: skip.saturating_add(fetch) };
        self.numbered_rows(&limit.input, numbers)
    }

    fn number(&self, expr: &Expr, word: &str) -> SqlResult<usize> {
        let number = match expr {
            Expr::Literal(ScalarValue::Int64(Some(number)), _) => usize::try_from(*number).ok(),
            _ => None,
        };
        number.ok_or_else(|| {
            let message = format!("{word} {expr}: a whole number is expected, of 0 or more");
            self.extent.error_at(&[word, "FETCH"], message)
        })
    }

    fn numbered_rows(&mut self, plan: &LogicalPlan, numbers: Numbers) -> SqlResult<Lowered> {
        match plan {
            // The columns that are sorted by are dropped above the sort.
            LogicalPlan::Projection(projection) if is_sorted(&projection.input) => {
                let rows = self.numbered_rows(&projection.input, numbers)?;
                self.calc(rows, projection.input.schema(), None, &projection.expr)
            }
            LogicalPlan::Sort(sort) => self.first_sorted(sort, numbers),
            other => {
                let rows = self.lower(other)?;
                let columns = rows.roles.len();
                let ttl_ms = match rows.retracts {
                    true => self.state_ttl("LIMIT", "the number of rows"),
                    false => self.state_ttl_ms,
                };
                self.ranked("Limit", "", rows, (vec![], columns), ttl_ms, numbers)
            }
        }
    }

    fn first_sorted(&mut self, sort: &Sort, numbers: Numbers) -> SqlResult<Lowered> {
        let (rows, order, columns) = self.sort_input(sort)?;
        let text = in_words(&sort.expr);
        let ttl_ms = match rows.retracts {
            true => self.state_ttl(&format!("ORDER BY {text} LIMIT"), "the number of rows"),
            false => self.state_ttl_ms,
        };
        self.ranked("SortLimit", &format!("by {text}"), rows, (order, columns), ttl_ms, numbers)
    }

    fn ranked(
        &mut self,
        kind: &str,
        text: &str,
        rows: Lowered,
        (order, columns): (Vec<SortKey>, usize),
        ttl_ms: Option<i64>,
        Numbers { first, last }: Numbers,
    ) -> SqlResult<Lowered> {
        // Without an order the first to come stay the first.
        let retracts = rows.retracts || !order.is_empty();
        let schema = Arc::new(Schema::new(rows.schema.fields()[..columns].to_vec()));
        let mut roles = rows.roles[..columns].to_vec();
        if retracts {
            roles.fill(Role::Plain);
        }
        let spec = RankSpec {
            partition: vec![],
            order,
            ties: Ties::EarlierFirst,
            first,
            last,
            numbered: false,
            retracts: rows.retracts,
            ttl_ms,
            kept: columns,
            input_schema: Arc::clone(&rows.schema),
            schema: Arc::clone(&schema),
        };
        let text = format!("rows {first} to {last} {text}");
        let make = move |_| Ok(boxed(Rank::new(spec.clone())?));
        let inputs = vec![(rows.node, Route::Single)];
        let mut numbered =
            self.operator(kind, text.trim_end(), inputs, schema, roles, Arc::new(make))?;
        self.graph.set_retracts(numbered.node, retracts);
        numbered.retracts = retracts;
        let whole = |key: &&Vec<usize>| key.iter().all(|column| *column < columns);
        Ok(numbered.with_keys(rows.keys.iter().filter(whole).cloned().collect()))
    }

    /// All rows in the order of an event time, ascending, and then of other columns.
    pub(super) fn sort(&mut self, sort: &Sort) -> SqlResult<Lowered> {
        if let Some(fetch) = sort.fetch {
            return self.first_sorted(sort, Numbers { first: 1, last: fetch });
        }
        let (rows, order, columns) = self.sort_input(sort)?;
        let time = order.first().filter(|key| {
            let is_time = matches!(rows.roles[key.column], Role::EventTime | Role::WindowedTime);
            is_time && !key.descending && !rows.retracts
        });
        let Some(time) = time.map(|key| key.column) else {
            return Err(self
                .extent
                .error_at(
                    &["ORDER"],
                    "ORDER BY on a stream begins with a time attribute of new rows, ascending: \
                     no other order is ever final",
                )
                .hint("with LIMIT n any order goes"));
        };
        let spec =
            TemporalSortSpec { time, then: order[1..].to_vec(), schema: Arc::clone(&rows.schema) };
        let make = move |_| Ok(boxed(TemporalSort::new(spec.clone())?));
        let (schema, roles) = (Arc::clone(&rows.schema), rows.roles.clone());
        let inputs = vec![(rows.node, Route::Single)];
        let text = in_words(&sort.expr);
        let sorted = self.operator("TemporalSort", &text, inputs, schema, roles, Arc::new(make))?;
        let sorted = sorted.with_keys(rows.keys);
        if columns == sorted.roles.len() {
            return Ok(sorted);
        }
        let schema = sort.input.schema();
        let all: Vec<Expr> = schema.iter().map(Expr::from).collect();
        self.calc(sorted, schema, None, &all)
    }

    /// The rows below, with what they are sorted by; so many first columns are the query's.
    fn sort_input(&mut self, sort: &Sort) -> SqlResult<(Lowered, Vec<SortKey>, usize)> {
        let rows = self.lower(&sort.input)?;
        let below = sort.input.schema();
        let columns = below.fields().len();
        let mut wanted: Vec<Expr> = below.iter().map(Expr::from).collect();
        let order = sort.expr.iter().map(|sort| SortKey {
            column: place(&mut wanted, sort.expr.clone()),
            descending: !sort.asc,
            nulls_first: sort.nulls_first,
        });
        let order = order.collect();
        let rows = match wanted.len() == columns {
            true => rows,
            false => self.arguments(rows, below, None, &wanted)?,
        };
        Ok((rows, order, columns))
    }
}

/// The plan without an order that nothing hangs on: that of a subquery or view without LIMIT.
pub(super) fn without_order(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => &sort.input,
        other => other,
    }
}

fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_sorted(&projection.input),
        LogicalPlan::Sort(_) => true,
        _ => false,
    }
}

fn in_words(order: &[SortExpr]) -> String {
    order.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
