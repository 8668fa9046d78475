//! DataFusion's SQL planner with Flink's catalog, functions, types and operators.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use chrono_tz::Tz;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, DataFusionError, Result, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions_aggregate::planner::AggregateFunctionPlanner;
use datafusion_functions_window::planner::WindowFunctionPlanner;
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion_optimizer::simplify_expressions::{ExprSimplifier, SimplifyExpressions};
use datafusion_optimizer::{Analyzer, Optimizer, OptimizerContext, OptimizerRule};
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use sqlparser::ast::{self, Query, Statement};

use crate::as_of;
use crate::catalog::Catalog;
use crate::error::SqlError;
use crate::expressions::FlinkExprPlanner;
use crate::functions;
use crate::functions::{Body, cast};
use crate::grouping_sets;
use crate::lateral;
use crate::relation::FlinkRelationPlanner;
use crate::types::plain_to_arrow;
use crate::typing::{flink_casts, in_plan, typed};

/// The functions of SQL by name, the same for all statements.
struct Functions {
    scalar: HashMap<String, Arc<ScalarUDF>>,
    /// Those that depend on the session's time zone; in `scalar` they are those of UTC.
    zoned: HashMap<String, functions::Function>,
    aggregate: HashMap<String, Arc<AggregateUDF>>,
    window: HashMap<String, Arc<WindowUDF>>,
}

static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
    let mut scalar = HashMap::new();
    let mut zoned = HashMap::new();
    for function in functions::scalar_functions() {
        scalar.insert(function.name.to_owned(), Arc::new(function.udf(Tz::UTC)));
        if let Body::Zoned(_) = function.body {
            zoned.insert(function.name.to_owned(), function);
        }
    }
    // These are Flink's own, types and nulls alike.
    for function in [datafusion_functions::core::coalesce(), datafusion_functions::core::nullif()] {
        scalar.insert(function.name().to_owned(), function);
    }
    let aggregate = functions::aggregate::aggregate_functions().into_iter();
    let window = functions::window::window_functions().into_iter();
    Functions {
        scalar,
        zoned,
        aggregate: aggregate.map(|f| (f.name().to_owned(), Arc::new(f))).collect(),
        window: window.map(|f| (f.name().to_owned(), Arc::new(f))).collect(),
    }
});

/// What `SessionState` is to the `datafusion` crate, for one statement.
pub struct Context {
    catalog: Arc<Catalog>,
    options: Arc<ConfigOptions>,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
}

impl Context {
    pub fn new(catalog: &Arc<Catalog>) -> Self {
        let mut options = ConfigOptions::default();
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.parse_float_as_decimal = true;
        options.sql_parser.default_null_ordering = "nulls_min".into();
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.collect_spans = true;
        // Scalar subqueries become joins, whether they are correlated or not.
        options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        Self {
            catalog: Arc::clone(catalog),
            options: Arc::new(options),
            expr_planners: vec![
                Arc::new(FlinkExprPlanner),
                Arc::new(CoreFunctionPlanner::default()),
                Arc::new(AggregateFunctionPlanner),
                Arc::new(WindowFunctionPlanner),
            ],
            relation_planners: vec![Arc::new(FlinkRelationPlanner {
                catalog: Arc::clone(catalog),
            })],
        }
    }

    /// The plan of a query, not optimised, with Flink's types.
    pub fn query(&self, query: Query) -> Result<LogicalPlan> {
        let options = ParserOptions::from(&self.options.sql_parser);
        let planner = SqlToRel::new_with_options(self, options);
        self.settled(planner.sql_statement_to_plan(Statement::Query(Box::new(query)))?)
    }

    /// The plan with Flink's types, as DataFusion's SQL planner gives it.
    pub fn settled(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        self.analysed(in_plan(grouping_sets::separated(lateral::joined(plan)?)?, typed)?)
    }

    /// The plan with all casts in place.
    fn analysed(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = Analyzer::new().execute_and_check(plan, &self.options, |_, _| {})?;
        in_plan(plan, |expr, schema| flink_casts(expr, schema, self.catalog.zone))
    }

    /// An expression over `schema`, with all casts in place.
    pub fn expression(&self, expr: ast::Expr, schema: &Arc<DFSchema>) -> Result<Expr> {
        let options = ParserOptions::from(&self.options.sql_parser);
        let planner = SqlToRel::new_with_options(self, options);
        let expr = planner.sql_to_expr(expr, schema, &mut PlannerContext::new())?;
        let expr = typed(expr, schema)?;
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(schema))
            .with_config_options(Arc::clone(&self.options))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let expr = flink_casts(simplifier.coerce(expr, schema)?, schema, self.catalog.zone)?;
        simplifier.simplify(expr)
    }

    pub fn optimize(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = self.analysed(plan)?;
        // Without a start time nothing about the clock is folded into a constant.
        let context = OptimizerContext::new_with_config_options(Arc::clone(&self.options))
            .without_query_execution_start_time();
        optimizer().optimize(plan, &context, |_, _| {})
    }
}

/// The few rules that pay on a streaming plan. Others assume that input ends, add work that a
/// keyed operator does anyway, or replace nodes that the lowering looks for.
fn optimizer() -> Optimizer {
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
        Arc::new(EliminateCrossJoin::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(OptimizeProjections::new()),
    ];
    Optimizer::with_rules(rules)
}

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        let ty = plain_to_arrow(sql_type)?;
        Ok(Some(Arc::new(Field::new("", ty, true))))
    }
}

#[derive(Debug)]
struct Types;

impl ContextProvider for Context {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        match name.schema() {
            None => self.catalog.table_source(name.table()),
            Some(_) => Err(DataFusionError::from(
                SqlError::nowhere(format!("`{name}`: there is one catalog with one database"))
                    .hint(format!("write `{}` alone", name.table())),
            )),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if name == as_of::AS_OF {
            return Some(Arc::clone(&as_of::FUNCTION));
        }
        let name = name.to_lowercase();
        if let Some(cast) = cast::named::function(&name) {
            return Some(cast);
        }
        match (self.catalog.zone, FUNCTIONS.zoned.get(&name)) {
            (Tz::UTC, _) | (_, None) => {
                let known =
                    FUNCTIONS.scalar.get(&name).or_else(|| self.catalog.functions.get(&name));
                known.cloned()
            }
            (zone, Some(function)) => Some(Arc::new(function.udf(zone))),
        }
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        FUNCTIONS.aggregate.get(&name.to_lowercase()).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        FUNCTIONS.window.get(&name.to_lowercase()).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        FUNCTIONS.scalar.keys().chain(self.catalog.functions.keys()).cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        vec![]
    }

    fn udaf_names(&self) -> Vec<String> {
        FUNCTIONS.aggregate.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        FUNCTIONS.window.keys().cloned().collect()
    }
}

/// Whether SQL knows a function or a form of this name, written in any case.
pub fn is_built_in(name: &str) -> bool {
    let Functions { scalar, aggregate, window, .. } = &*FUNCTIONS;
    let lower = name.to_lowercase();
    scalar.contains_key(&lower)
        || aggregate.contains_key(&lower)
        || window.contains_key(&lower)
        || functions::table::names().contains(&name.to_uppercase())
}

/// The scalar function of a name that is known to be there.
pub fn scalar(name: &str) -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTIONS.scalar[name])
}
