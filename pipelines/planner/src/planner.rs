//! A SQL file to a job: runs DDL against the catalog, plans every INSERT into one graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion_expr::LogicalPlan;
use nowcast_engine::{
    Connectors, ErrorPolicy, FunctionProvider, Graph, ModelProvider, SinkFactory, StagePlan,
    TableDefinition,
};
use sqlparser::ast::Query;

use crate::as_of;
use crate::build::{
    GraphBuilder, Lowering, Materialize, NodeNote, SinkRules, enforcing, state_ttl_ms,
};
use crate::catalog::{Catalog, Relation, View};
use crate::context::Context;
use crate::describe;
use crate::error::{SqlError, SqlResult};
use crate::explain::{self, Format};
use crate::functions::user::create_function;
use crate::insert::{into_columns_of, with_partition};
use crate::models::create_model;
use crate::on_error;
use crate::parse;
use crate::parse::ast::{
    CreateFunction, CreateView, Drop, DropKind, Explain, ExplainDetail, Insert, Located, Setting,
    Statement,
};
use crate::parse::rewrite::rewrite_query;
use crate::parse::tokens::Places;
use crate::tables::create_table;
use crate::translate::Extent;
use crate::warnings::of_watermarks;

/// Settings by key, as of `SET 'key' = 'value'`.
pub type Settings = BTreeMap<String, String>;

/// What a SQL file asks for.
pub struct Job {
    /// All INSERTs, sharing their sources.
    pub graph: Graph,
    /// One note a node of the graph, for people.
    pub notes: Vec<NodeNote>,
    /// What the operators do and are found by in another version of the file.
    pub stages: Vec<StagePlan>,
    pub settings: Settings,
    /// What becomes of rows that cannot be processed.
    pub errors: ErrorPolicy,
    /// All declared tables.
    pub tables: Vec<TableDefinition>,
    /// What each EXPLAIN, SHOW and DESCRIBE says, in the order of the file.
    pub explain: Vec<String>,
    pub warnings: Vec<String>,
    /// What Flink 2.3 would refuse of the plan; [`crate::portability`] finds the rest.
    pub unportable: Vec<SqlError>,
    /// Names of the declared models.
    pub models: Vec<String>,
}

/// Plans SQL. Tables, views, models, functions and settings stay for the next text.
pub struct Planner {
    connectors: Arc<dyn Connectors>,
    models: Arc<dyn ModelProvider>,
    functions: Option<Arc<dyn FunctionProvider>>,
    catalog: Arc<Catalog>,
    initial: Settings,
    settings: Settings,
    queries: Option<Arc<dyn SinkFactory>>,
}

/// The sink stage of a query that stands alone.
pub const QUERY: &str = "query";

impl Planner {
    /// `settings` hold until a `SET` of the same key, and again after its `RESET`.
    pub fn new(
        connectors: Arc<dyn Connectors>,
        models: Arc<dyn ModelProvider>,
        settings: Settings,
    ) -> Self {
        let initial = settings.clone();
        Self {
            connectors,
            models,
            functions: None,
            catalog: Arc::default(),
            initial,
            settings,
            queries: None,
        }
    }

    /// Lets CREATE FUNCTION open libraries.
    pub fn set_functions(&mut self, functions: Arc<dyn FunctionProvider>) {
        self.functions = Some(functions);
    }

    /// Lets queries stand alone: their rows go to `sink`, as the stage [`QUERY`].
    pub fn set_query_sink(&mut self, sink: Arc<dyn SinkFactory>) {
        self.queries = Some(sink);
    }

    /// The tables and views by name, with the names of their columns.
    pub fn relations(&self) -> BTreeMap<String, Vec<String>> {
        let columns = |relation| {
            let schema = describe::columns(relation);
            schema.fields().iter().map(|field| field.name().clone()).collect()
        };
        let relations = self.catalog.relations.iter();
        relations.map(|(name, relation)| (name.clone(), columns(relation))).collect()
    }

    pub fn models(&self) -> Vec<String> {
        self.catalog.models.keys().cloned().collect()
    }

    /// Parses and plans a whole file. Statements are run in order; all INSERTs become one graph.
    ///
    /// # Errors
    /// The first thing that is wrong or not supported, with its place.
    pub fn plan(&mut self, sql: &str) -> SqlResult<Job> {
        let (statements, places) = parse::parse(sql)?;
        let mut run =
            Run { graph: GraphBuilder::default(), places, explain: vec![], warnings: vec![] };
        for statement in statements {
            let start = statement.start;
            self.statement(statement, &mut run).map_err(|error| error.or_at(start))?;
        }
        let tables = self.catalog.relations.values().filter_map(|relation| match relation {
            Relation::Table(table) => Some(table.definition.clone()),
            Relation::View(_) => None,
        });
        let unportable = run.graph.take_unportable();
        let errors = on_error::policy(&self.settings, run.graph.take_on_error())?;
        let stages = run.graph.stages();
        let (graph, notes, warnings) = run.graph.finish();
        run.warnings.extend(warnings);
        run.warnings.extend(of_watermarks(&graph, &notes, &self.catalog, &self.settings));
        Ok(Job {
            graph,
            notes,
            stages,
            settings: self.settings.clone(),
            errors,
            tables: tables.collect(),
            explain: run.explain,
            warnings: run.warnings,
            unportable,
            models: self.catalog.models.keys().cloned().collect(),
        })
    }

    fn statement(&mut self, located: Located, run: &mut Run) -> SqlResult<()> {
        let Run { graph, places, explain, warnings } = run;
        let extent = Extent { places, start: located.start, end: located.end };
        match located.statement {
            Statement::CreateTable(declared) => {
                let name = declared.name.clone();
                if !self.is_new(&name, declared.if_not_exists)? {
                    return Ok(());
                }
                let context = Context::new(&self.catalog);
                let table = create_table(*declared, &self.catalog, &context, &extent)?;
                let table = Relation::Table(Arc::new(table));
                Arc::make_mut(&mut self.catalog).relations.insert(name.value, table);
                Ok(())
            }
            Statement::CreateView(view) => self.create_view(view, &extent),
            Statement::CreateModel(declared) => {
                let name = declared.name.value.clone();
                if self.catalog.models.contains_key(&name) {
                    return match declared.if_not_exists {
                        true => Ok(()),
                        false => Err(SqlError::new(
                            declared.name.span.start,
                            format!("there is a model `{name}` already"),
                        )),
                    };
                }
                let model = create_model(&declared, self.models.as_ref())?;
                Arc::make_mut(&mut self.catalog).models.insert(name, model);
                Ok(())
            }
            Statement::CreateFunction(declared) => self.create_function(&declared),
            Statement::Insert(insert) => self.insert(insert, &extent, graph),
            Statement::StatementSet(inserts) => self.inserts(inserts, &extent, graph),
            Statement::Query(query) => match &self.queries {
                Some(sink) => self.select(*query, Arc::clone(sink), &extent, graph),
                None => Err(SqlError::new(located.start, "a query without a sink")
                    .hint("write INSERT INTO table SELECT …, or EXPLAIN SELECT …")),
            },
            Statement::Explain(statement) => {
                explain.push(self.explain(statement, &extent)?);
                Ok(())
            }
            Statement::Show(kind) => {
                explain.push(describe::show(&self.catalog, kind));
                Ok(())
            }
            Statement::Describe(name) => {
                let described = describe::describe(&self.catalog, &name.value);
                explain.push(described.map_err(|error| error.or_at(name.span.start))?);
                Ok(())
            }
            Statement::Set(setting) => self.set(setting, warnings),
            Statement::Reset(key) => {
                self.reset(key);
                Ok(())
            }
            Statement::Drop(drop) => {
                graph.forget_shared();
                self.drop_relation(&drop)
            }
        }
    }

    /// Whether the name is free; an error where it is not and must be.
    fn is_new(&self, name: &sqlparser::ast::Ident, if_not_exists: bool) -> SqlResult<bool> {
        match self.catalog.relations.contains_key(&name.value) {
            false => Ok(true),
            true if if_not_exists => Ok(false),
            true => Err(SqlError::new(
                name.span.start,
                format!("there is a table or view `{}` already", name.value),
            )),
        }
    }

    fn create_view(&mut self, view: CreateView, extent: &Extent) -> SqlResult<()> {
        if !self.is_new(&view.name, view.if_not_exists)? {
            return Ok(());
        }
        let mut plan = self.query(*view.query, extent)?;
        if !view.columns.is_empty() {
            plan = renamed(plan, &view.name, &view.columns, extent)?;
        }
        // What the analyser finds wrong is better said here than where the view is used.
        Context::new(&self.catalog)
            .optimize(plan.clone())
            .map_err(|error| extent.translate(error))?;
        let relation = Relation::View(Arc::new(View::new(plan)));
        Arc::make_mut(&mut self.catalog).relations.insert(view.name.value, relation);
        Ok(())
    }

    fn create_function(&mut self, declared: &CreateFunction) -> SqlResult<()> {
        let name = declared.name.value.to_lowercase();
        if self.catalog.functions.contains_key(&name) {
            return match declared.if_not_exists {
                true => Ok(()),
                false => {
                    let message = format!("there is a function `{name}` already");
                    Err(SqlError::new(declared.name.span.start, message))
                }
            };
        }
        let Some(provider) = &self.functions else {
            return Err(SqlError::new(declared.at, "libraries are not opened here"));
        };
        let function = create_function(declared, provider.as_ref())?;
        Arc::make_mut(&mut self.catalog).functions.insert(name, Arc::new(function));
        Ok(())
    }

    fn query(&self, mut query: Query, extent: &Extent) -> SqlResult<LogicalPlan> {
        rewrite_query(&mut query)?;
        as_of::mark(&mut query, &self.catalog)?;
        parse::check_query(&query, extent.places, extent.start, extent.end)?;
        Context::new(&self.catalog).query(query).map_err(|error| extent.translate(error))
    }

    fn inserts(
        &self,
        inserts: Vec<Insert>,
        extent: &Extent,
        graph: &mut GraphBuilder,
    ) -> SqlResult<()> {
        let starts: Vec<_> = inserts.iter().map(|insert| insert.target.span.start).collect();
        for (nth, insert) in inserts.into_iter().enumerate() {
            let end = starts.get(nth + 1).copied().unwrap_or(extent.end);
            let extent = Extent { start: starts[nth], end, ..*extent };
            self.insert(insert, &extent, graph)?;
        }
        Ok(())
    }

    fn insert(&self, insert: Insert, extent: &Extent, graph: &mut GraphBuilder) -> SqlResult<()> {
        let target = &insert.target;
        let table = match self.catalog.relations.get(&target.value) {
            Some(Relation::Table(table)) => table,
            Some(Relation::View(_)) => {
                let message = format!("`{}` is a view", target.value);
                return Err(SqlError::new(target.span.start, message).hint("insert into a table"));
            }
            None => {
                return Err(self.catalog.unknown_table(&target.value).or_at(target.span.start));
            }
        };
        let mut definition = crate::insert::written(&table.definition);
        for hint in &insert.hints {
            definition.options.insert(hint.key.clone(), hint.value.clone());
        }
        let on_error = on_error::of_table(&definition.options);
        let on_error = on_error
            .map_err(|error| error.or_at(table.place(&format!("'{}'", on_error::OPTION))))?;
        definition.options.remove(on_error::OPTION);
        let rows = self.query(*insert.query, extent)?;
        let (rows, listed) =
            with_partition(&definition, rows, insert.columns, &insert.partition, target, extent)?;
        let rows = into_columns_of(&definition, rows, &listed, target, extent)?;
        let context = Context::new(&self.catalog);
        let plan = context.optimize(rows).map_err(|error| extent.translate(error))?;
        let sink = self
            .connectors
            .sink(&definition)
            .map_err(|error| SqlError::new(table.place(&error.to_string()), error))?;
        let rules =
            SinkRules::read(&self.settings).map_err(|error| error.or_at(target.span.start))?;
        let lengths = crate::insert::lengths(&definition, &table.declared)?;
        let sink = enforcing(sink, &definition, rules.nulls, lengths);
        let scope = graph.free_name(&target.value);
        graph.set_on_error(&scope, on_error);
        let ttl_ms = state_ttl_ms(&self.settings)?;
        let connectors = self.connectors.as_ref();
        let mut lowering = Lowering::new(graph, connectors, &self.catalog, *extent, &scope, ttl_ms);
        let rows = lowering.query(&plan)?;
        lowering.sink(rows, &definition, sink, insert.conflict, rules.materialize)
    }

    fn select(
        &self,
        query: Query,
        sink: Arc<dyn SinkFactory>,
        extent: &Extent,
        graph: &mut GraphBuilder,
    ) -> SqlResult<()> {
        let plan = self.query(query, extent)?;
        let context = Context::new(&self.catalog);
        let plan = context.optimize(plan).map_err(|error| extent.translate(error))?;
        let scope = graph.free_name(QUERY);
        let ttl_ms = state_ttl_ms(&self.settings)?;
        let connectors = self.connectors.as_ref();
        let mut lowering = Lowering::new(graph, connectors, &self.catalog, *extent, &scope, ttl_ms);
        let rows = lowering.query(&plan)?;
        let table = TableDefinition {
            name: scope.clone(),
            schema: Arc::clone(&rows.schema),
            metadata: vec![],
            // Changes of a row stay in order.
            primary_key: rows.keys.first().cloned().filter(|_| rows.retracts).unwrap_or_default(),
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options: BTreeMap::new(),
        };
        lowering.sink(rows, &table, sink, None, Materialize::Auto)
    }

    fn explain(&self, asked: Explain, extent: &Extent) -> SqlResult<String> {
        let mut graph = GraphBuilder::default();
        match *asked.statement {
            Statement::Insert(insert) => self.insert(insert, extent, &mut graph)?,
            Statement::StatementSet(inserts) => self.inserts(inserts, extent, &mut graph)?,
            Statement::Query(query) => {
                let plan = self.query(*query, extent)?;
                let context = Context::new(&self.catalog);
                let plan = context.optimize(plan).map_err(|error| extent.translate(error))?;
                Lowering::new(
                    &mut graph,
                    self.connectors.as_ref(),
                    &self.catalog,
                    *extent,
                    QUERY,
                    state_ttl_ms(&self.settings)?,
                )
                .query(&plan)?;
            }
            _ => return Err(SqlError::new(extent.start, "EXPLAIN is for queries")),
        }
        let (graph, notes, mut advice) = graph.finish();
        let wants = |detail| asked.details.contains(&detail);
        let ttl = self.settings.get(explain::TTL).cloned();
        let plan = explain::Plan { graph: &graph, notes: &notes, ttl };
        let mut text = plan.write(match wants(ExplainDetail::JsonExecutionPlan) {
            true => Format::Json,
            false => Format::Text { changelog: wants(ExplainDetail::ChangelogMode) },
        });
        if wants(ExplainDetail::PlanAdvice) {
            advice.extend(of_watermarks(&graph, &notes, &self.catalog, &self.settings));
            match advice.is_empty() {
                true => text.push_str("no advice\n"),
                false => {
                    advice.iter().for_each(|advice| text.push_str(&format!("advice: {advice}\n")))
                }
            }
        }
        Ok(text)
    }

    fn set(&mut self, setting: Option<Setting>, warnings: &mut Vec<String>) -> SqlResult<()> {
        let Some(Setting { key, value, at }) = setting else {
            warnings.push("SET without a key shows nothing here".to_owned());
            return Ok(());
        };
        if key == TIME_ZONE {
            let zone = zone(&value).map_err(|error| error.or_at(at))?;
            Arc::make_mut(&mut self.catalog).zone = zone;
        }
        on_error::check(&key, &value).map_err(|error| error.or_at(at))?;
        self.settings.insert(key, value);
        Ok(())
    }

    fn reset(&mut self, key: Option<String>) {
        match key {
            None => self.settings = self.initial.clone(),
            Some(key) => match self.initial.get(&key) {
                Some(value) => drop(self.settings.insert(key, value.clone())),
                None => drop(self.settings.remove(&key)),
            },
        }
        let zone = self.settings.get(TIME_ZONE).and_then(|name| zone(name).ok());
        Arc::make_mut(&mut self.catalog).zone = zone.unwrap_or(Tz::UTC);
    }

    fn drop_relation(&mut self, dropped: &Drop) -> SqlResult<()> {
        let name = &dropped.name.value;
        let catalog = Arc::make_mut(&mut self.catalog);
        let found = match (dropped.kind, catalog.relations.get(name)) {
            (DropKind::Model, _) => catalog.models.remove(name).is_some(),
            (DropKind::Function, _) => catalog.functions.remove(&name.to_lowercase()).is_some(),
            (DropKind::Table, Some(Relation::Table(_)))
            | (DropKind::View, Some(Relation::View(_))) => catalog.relations.remove(name).is_some(),
            _ => false,
        };
        if found || dropped.if_exists {
            return Ok(());
        }
        let error = match dropped.kind {
            DropKind::Model => catalog.unknown_model(name),
            DropKind::Function => catalog.unknown_function(name),
            DropKind::Table | DropKind::View => catalog.unknown_table(name),
        };
        Err(error.or_at(dropped.name.span.start))
    }
}

const TIME_ZONE: &str = "table.local-time-zone";

fn zone(name: &str) -> SqlResult<Tz> {
    match name {
        "default" => Ok(Tz::UTC),
        name => name.parse().map_err(|_| {
            SqlError::nowhere(format!("unknown time zone {name}"))
                .hint("a name such as UTC or Europe/Berlin")
        }),
    }
}

/// What one file has made so far.
struct Run {
    graph: GraphBuilder,
    places: Places,
    explain: Vec<String>,
    warnings: Vec<String>,
}

/// `CREATE VIEW v (a, b) AS …`.
fn renamed(
    plan: LogicalPlan,
    view: &sqlparser::ast::Ident,
    names: &[sqlparser::ast::Ident],
    extent: &Extent,
) -> SqlResult<LogicalPlan> {
    let columns = plan.schema().fields().len();
    if columns != names.len() {
        let message = format!("view `{}` names {} columns of {columns}", view.value, names.len());
        return Err(SqlError::new(view.span.start, message));
    }
    let named: Vec<_> = plan
        .schema()
        .iter()
        .zip(names)
        .map(|(column, name)| datafusion_expr::Expr::from(column).alias(&name.value))
        .collect();
    datafusion_expr::LogicalPlanBuilder::from(plan)
        .project(named)
        .and_then(|builder| builder.build())
        .map_err(|error| extent.translate(error))
}
