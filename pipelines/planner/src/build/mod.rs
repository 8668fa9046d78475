//! Logical plans to the engine's graph: one file for each kind of node that is more than a line.

mod aggregate;
mod as_of_join;
mod columns;
mod enforce;
mod graph;
mod group_aggregate;
mod interval_join;
mod join;
mod lookup_join;
mod match_recognize;
mod over;
mod reads;
mod set_all;
mod sink;
mod sink_rules;
mod sort;
mod sorted_over;
mod source;
mod state;
mod top_n;
mod unnest;
mod watermark_options;
mod window_join;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_expr::{Distinct, Expr, LogicalPlan};
use nowcast_engine::evaluate::Projection;
use nowcast_engine::graph::{OperatorContext, OperatorFactory};
use nowcast_engine::{Connectors, Input, Node, NodeKind, Operator, Route};
use nowcast_transforms::{
    Calc, Clock, Score, ScoreSpec, SessionAssign, SessionAssignSpec, Union, WindowAssign,
    WindowAssignSpec, WindowClock,
};

use crate::catalog::{Catalog, Role, Scanned, Windowed};
use crate::error::{SqlError, SqlResult};
use crate::evaluate::compile;
use crate::node::{FlinkNode, FlinkOp, Predict, WindowFunction, WindowSpan};
use crate::translate::Extent;
use crate::types::WINDOW_BOUND;
use reads::FieldsRead;

pub use enforce::enforcing;
pub use graph::{GraphBuilder, NodeNote};
pub use sink_rules::{Materialize, SinkRules};
pub use state::state_ttl_ms;
pub use watermark_options::PREFIX as OF_WATERMARKS;

/// The rows of a lowered plan: a node of the graph, and what its columns mean.
#[derive(Clone)]
pub struct Lowered {
    pub node: usize,
    pub schema: SchemaRef,
    pub roles: Vec<Role>,
    /// Whether rows are taken back: an update is the old row with weight -1, then the new one.
    pub retracts: bool,
    /// Upsert keys: sets of columns in which no two rows that stand at one time are equal.
    pub keys: Vec<Vec<usize>>,
}

impl Lowered {
    pub fn with_keys(mut self, keys: Vec<Vec<usize>>) -> Self {
        self.keys = keys;
        self
    }

    /// The upsert key of these rows where rows with one `primary_key` may differ in it: they would
    /// replace one another in a table with that key. Windows of a key follow one another and may.
    fn apart_from(&self, primary_key: &[usize]) -> Option<Vec<usize>> {
        let windowed = |column: &usize| {
            matches!(
                self.roles[*column],
                Role::WindowStart(_) | Role::WindowEnd(_) | Role::EventTime
            )
        };
        let within = |key: &Vec<usize>| {
            key.iter().all(|column| primary_key.contains(column) || windowed(column))
        };
        if primary_key.is_empty() || self.keys.iter().any(within) {
            return None;
        }
        self.keys.first().cloned()
    }
}

/// Lowers the plans of one statement.
pub struct Lowering<'a> {
    graph: &'a mut GraphBuilder,
    connectors: &'a dyn Connectors,
    catalog: &'a Catalog,
    extent: Extent<'a>,
    /// In front of the names of this statement's operators.
    scope: &'a str,
    state_ttl_ms: Option<i64>,
    /// The views and named subqueries around what is lowered.
    views: Vec<String>,
    /// Of the whole statement.
    fields_read: FieldsRead,
}

impl<'a> Lowering<'a> {
    pub fn new(
        graph: &'a mut GraphBuilder,
        connectors: &'a dyn Connectors,
        catalog: &'a Catalog,
        extent: Extent<'a>,
        scope: &'a str,
        state_ttl_ms: Option<i64>,
    ) -> Self {
        let (views, fields_read) = (vec![], FieldsRead::default());
        Self { graph, connectors, catalog, extent, scope, state_ttl_ms, views, fields_read }
    }

    /// Lowers the plan of the whole statement.
    pub fn query(&mut self, plan: &LogicalPlan) -> SqlResult<Lowered> {
        self.fields_read = FieldsRead::of(plan);
        self.lower(plan)
    }

    fn lower(&mut self, plan: &LogicalPlan) -> SqlResult<Lowered> {
        if let Some(node) = FlinkNode::of(plan) {
            return match &node.op {
                FlinkOp::Window(window) => self.assign_window(window, node),
                FlinkOp::Predict(predict) => self.predict(predict, node),
                FlinkOp::Unnest(unnest) => self.unnest(unnest, node),
                FlinkOp::Match(matching) => self.match_recognize(matching, node),
                FlinkOp::AsOf => Err(self.extent.error_at(
                    &["SYSTEM_TIME"],
                    "FOR SYSTEM_TIME AS OF stands on the right side of JOIN or LEFT JOIN",
                )),
            };
        }
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => {
                self.views.push(alias.alias.table().to_owned());
                let lowered = self.lower(sort::without_order(&alias.input));
                self.views.pop();
                lowered
            }
            LogicalPlan::Projection(projection) => {
                if let Some(first_rows) = self.top_n_without_number(projection)? {
                    return Ok(first_rows);
                }
                let LogicalPlan::Filter(filter) = projection.input.as_ref() else {
                    let input = self.lower(&projection.input)?;
                    return self.calc(input, projection.input.schema(), None, &projection.expr);
                };
                // One operator for both: what is not projected need not be filtered.
                match self.top_n(filter)? {
                    Some(rows) => {
                        self.calc(rows, projection.input.schema(), None, &projection.expr)
                    }
                    None => {
                        let input = self.lower(&filter.input)?;
                        let condition = Some(&filter.predicate);
                        self.calc(input, filter.input.schema(), condition, &projection.expr)
                    }
                }
            }
            LogicalPlan::Filter(filter) => {
                if let Some(first_rows) = self.top_n(filter)? {
                    return Ok(first_rows);
                }
                let input = self.lower(&filter.input)?;
                let schema = filter.input.schema();
                let all: Vec<Expr> = schema.iter().map(Expr::from).collect();
                self.calc(input, schema, Some(&filter.predicate), &all)
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.over(window),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input),
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::EmptyRelation(empty) if empty.schema.fields().is_empty() => {
                self.no_table(usize::from(empty.produce_one_row))
            }
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Union(union) => self.union(&union.inputs),
            other => Err(self.unsupported(other)),
        }
    }

    /// Filters and projects; `exprs` are over `input`, whose columns are those of `schema`.
    fn calc(
        &mut self,
        input: Lowered,
        schema: &DFSchema,
        filter: Option<&Expr>,
        exprs: &[Expr],
    ) -> SqlResult<Lowered> {
        let fail = |error| self.extent.translate(error);
        let mut columns: Vec<Arc<dyn nowcast_engine::Evaluate>> = vec![];
        let mut fields = vec![];
        let mut roles = vec![];
        for expr in exprs {
            let (column, ty) = compile(expr, schema).map_err(fail)?;
            let name = expr.qualified_name().1;
            fields.push(Field::new(name, ty, true));
            roles.push(columns::role(expr, schema, &input.roles));
            columns.push(column);
        }
        let condition = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        let filter = filter.map(|filter| compile(filter, schema).map_err(fail)).transpose()?;
        let filter = filter.map(|(filter, _)| filter);
        let schema_of_rows = schema;
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let projection = Projection { schema: Arc::clone(&schema), columns };
        let keys = columns::keys(exprs, schema_of_rows, &input.keys);
        let mut text = exprs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        text.push_str(&condition);
        let make = move |_| Ok(boxed(Calc::new(filter.clone(), Some(projection.clone()))));
        self.operator(
            "Calc",
            &text,
            vec![(input.node, Route::Forward)],
            schema,
            roles,
            Arc::new(make),
        )
        .map(|rows| rows.with_keys(keys))
    }

    /// Adds an operator. What it emits is taken to be a changelog where an input is one, and to have
    /// no keys.
    fn operator(
        &mut self,
        kind: &str,
        text: &str,
        inputs: Vec<(usize, Route)>,
        schema: SchemaRef,
        roles: Vec<Role>,
        make: OperatorFactory,
    ) -> SqlResult<Lowered> {
        // What the operator refuses is refused now, not when the job starts.
        make(OperatorContext { worker: 0, workers: 1 })
            .map_err(|error| SqlError::new(self.extent.start, error))?;
        let name = self.graph.free_name(&format!("{}/{}", self.scope, kind));
        let retracts = inputs.iter().any(|(from, _)| self.graph.retracts(*from));
        let inputs = inputs.into_iter().map(|(from, route)| Input { from, route }).collect();
        let node =
            Node { name, kind: NodeKind::Operator(make), inputs, schema: Arc::clone(&schema) };
        let node = self.graph.add(node, NodeNote::new(kind, text, retracts));
        self.graph.set_views(node, &self.views);
        Ok(Lowered { node, schema, roles, retracts, keys: vec![] })
    }

    /// # Errors
    /// Where `rows` are a changelog: `what` takes new rows alone.
    fn inserts_only(&self, rows: &Lowered, words: &[&str], what: &str) -> SqlResult<()> {
        match rows.retracts {
            false => Ok(()),
            true => Err(self
                .extent
                .error_at(words, format!("{what} takes new rows alone, its input changes rows"))
                .hint("put it before the GROUP BY, join or Top-N that changes them")),
        }
    }

    fn assign_window(&mut self, window: &WindowFunction, node: &FlinkNode) -> SqlResult<Lowered> {
        let input = self.lower(&node.input)?;
        let (time, windowed) = self.window_time(window, &node.input, &input)?;
        let clock = self.window_clock(windowed);
        let mut fields: Vec<_> = input.schema.fields().to_vec();
        let bounds = ["window_start", "window_end"];
        fields.extend(bounds.map(|name| Arc::new(Field::new(name, WINDOW_BOUND, true))));
        fields.push(Arc::new(Field::new("window_time", window.time_type.clone(), true)));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut roles: Vec<Role> =
            input.roles.iter().map(|role| columns::not_event_time(*role)).collect();
        roles.extend([Role::WindowStart(windowed), Role::WindowEnd(windowed), windowed.time()]);
        let text = format!("{:?}", window.span);
        let out = Arc::clone(&schema);
        let (kind, route, make): (_, _, OperatorFactory) = match window.span {
            WindowSpan::Sliced(window) => {
                let spec = WindowAssignSpec { window, clock, time, schema };
                let make = move |_: OperatorContext| Ok(boxed(WindowAssign::new(spec.clone())?));
                ("Window", Route::Forward, Arc::new(make))
            }
            WindowSpan::Session { gap_ms } => {
                self.inserts_only(&input, &["SESSION"], "a SESSION window")?;
                let keys = window.columns[1..]
                    .iter()
                    .map(|key| node.input.schema().index_of_column(key))
                    .collect::<datafusion_common::Result<Vec<_>>>()
                    .map_err(|error| self.extent.translate(error))?;
                let route = by(&keys);
                let input_schema = Arc::clone(&input.schema);
                let spec = SessionAssignSpec { gap_ms, clock, time, keys, input_schema, schema };
                let make = move |_: OperatorContext| Ok(boxed(SessionAssign::new(spec.clone())?));
                ("Session", route, Arc::new(make))
            }
        };
        self.operator(kind, &text, vec![(input.node, route)], out, roles, make)
    }

    /// The position of a window's time column, which must be a time attribute.
    fn window_time(
        &self,
        window: &WindowFunction,
        plan: &LogicalPlan,
        input: &Lowered,
    ) -> SqlResult<(usize, Windowed)> {
        let index = plan.schema().index_of_column(window.time());
        let index = index.map_err(|error| self.extent.translate(error))?;
        match input.roles[index] {
            Role::EventTime => match window.time_type {
                DataType::Timestamp(_, Some(_)) => Ok((index, Windowed::Zoned)),
                _ => Ok((index, Windowed::Watermark)),
            },
            Role::ProcessingTime => Ok((index, Windowed::Wall)),
            _ => Err(self.not_event_time(&window.time().name)),
        }
    }

    /// # Errors
    /// Where the windows of `what` go by the wall clock: Flink has none either.
    fn by_watermark(&self, windowed: Windowed, words: &[&str], what: &str) -> SqlResult<()> {
        match windowed {
            Windowed::Watermark | Windowed::Zoned => Ok(()),
            Windowed::Wall => Err(self
                .extent
                .error_at(words, format!("{what} takes windows of event time, not of PROCTIME()"))
                .hint("declare WATERMARK FOR a time column and cut the windows by it")),
        }
    }

    fn window_clock(&self, windowed: Windowed) -> WindowClock {
        match windowed {
            Windowed::Watermark => WindowClock::EVENT_TIME,
            Windowed::Zoned => WindowClock::new(Clock::Watermark, self.catalog.zone),
            Windowed::Wall => WindowClock::new(Clock::Wall, self.catalog.zone),
        }
    }

    fn not_event_time(&self, name: &str) -> SqlError {
        let message = format!("column `{name}` is not an event-time attribute");
        self.extent.error_at(&[name], message).hint(format!(
            "declare WATERMARK FOR {name} in its table, and pass the column on unchanged"
        ))
    }

    fn predict(&mut self, predict: &Predict, node: &FlinkNode) -> SqlResult<Lowered> {
        let input = self.lower(&node.input)?;
        let entry = self.catalog.models.get(&predict.model);
        let entry = entry.ok_or_else(|| self.catalog.unknown_model(&predict.model))?;
        let features =
            predict.features.iter().map(|column| node.input.schema().index_of_column(column));
        let features = features.collect::<datafusion_common::Result<Vec<_>>>();
        let features = features.map_err(|error| self.extent.translate(error))?;
        let mut fields: Vec<_> = input.schema.fields().to_vec();
        fields.extend(
            predict.output.iter().map(|(name, ty)| Arc::new(Field::new(name, ty.clone(), true))),
        );
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut roles = input.roles.clone();
        roles.resize(schema.fields().len(), Role::Plain);
        let spec =
            ScoreSpec { model: Arc::clone(&entry.model), features, schema: Arc::clone(&schema) };
        let text = predict.model.clone();
        let make = move |_| Ok(boxed(Score::new(spec.clone())?));
        self.operator(
            "Predict",
            &text,
            vec![(input.node, Route::Forward)],
            schema,
            roles,
            Arc::new(make),
        )
    }

    fn union(&mut self, plans: &[Arc<LogicalPlan>]) -> SqlResult<Lowered> {
        let inputs = plans.iter().map(|plan| self.lower(plan)).collect::<SqlResult<Vec<_>>>()?;
        let first = inputs[0].clone();
        let roles = (0..first.roles.len()).map(|column| {
            let role = first.roles[column];
            match inputs.iter().all(|input| input.roles[column] == role) {
                true => role,
                false => Role::Plain,
            }
        });
        let roles = roles.collect();
        let from = inputs.iter().map(|input| (input.node, Route::Forward)).collect();
        self.operator("Union", "", from, first.schema, roles, Arc::new(|_| Ok(boxed(Union))))
    }

    fn unsupported(&self, plan: &LogicalPlan) -> SqlError {
        let (words, message, hint): (&[&str], _, _) = match plan {
            LogicalPlan::Subquery(_) => (
                &[],
                "subqueries in expressions are not supported yet",
                "filter on the columns of FROM",
            ),
            _ => (
                &[],
                "this query is not supported yet",
                "projections, filters, windows, OVER, UNION ALL and ML functions are",
            ),
        };
        self.extent.error_at(words, message).hint(hint)
    }
}

fn boxed(operator: impl Operator + 'static) -> Box<dyn Operator> {
    Box::new(operator)
}

/// Exchange by `columns`; all rows to one worker where there are none.
fn by(columns: &[usize]) -> Route {
    match columns.is_empty() {
        true => Route::Single,
        false => Route::Hash(columns.to_vec()),
    }
}
