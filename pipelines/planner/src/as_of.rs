//! `FOR SYSTEM_TIME AS OF`: the time becomes a part of the join's condition, so that it is planned
//! like any other expression and nothing forgets it.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion_common::{Result, internal_err};
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TableSource,
    Volatility,
};
use sqlparser::ast::{
    self, Ident, JoinConstraint, JoinOperator, Query, Select, Spanned, TableFactor, TableVersion,
    VisitMut, VisitorMut,
};

use crate::catalog::{Catalog, Relation, Scanned};
use crate::error::{SqlError, SqlResult};
use crate::parse::dialect::call;

/// `__as_of(time, column)` in a join's condition: the right side as of `time`, which the left side
/// has. The column is any one of the right side: nothing that reads both sides leaves the join.
pub const AS_OF: &str = "__as_of";

/// Adds the marks to the joins of a query.
pub fn mark(query: &mut Query, catalog: &Catalog) -> SqlResult<()> {
    match query.visit(&mut Marks { catalog }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Marks<'a> {
    catalog: &'a Catalog,
}

impl VisitorMut for Marks<'_> {
    type Break = SqlError;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        for join in select.from.iter_mut().flat_map(|table| &mut table.joins) {
            if let Err(error) = self.join(join) {
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }
}

impl Marks<'_> {
    fn join(&self, join: &mut ast::Join) -> SqlResult<()> {
        let TableFactor::Table { name, alias, version: Some(version), .. } = &join.relation else {
            return Ok(());
        };
        let at = name.span().start;
        let TableVersion::ForSystemTimeAsOf(time) = version else {
            return Err(SqlError::new(at, "a table version is FOR SYSTEM_TIME AS OF a time"));
        };
        let table = name.to_string();
        let table = table.trim_matches('`');
        let schema = match self.catalog.relations.get(table) {
            Some(Relation::Table(table)) => Scanned(Arc::clone(table)).schema(),
            Some(Relation::View(view)) => view.schema(),
            None => {
                return Err(self.catalog.unknown_table(table).or_at(at));
            }
        };
        let known = alias.as_ref().map_or(table, |alias| alias.name.value.as_str());
        let column = match alias.as_ref().and_then(|alias| alias.columns.first()) {
            Some(column) => column.name.clone(),
            None => Ident::with_quote('`', schema.field(0).name()),
        };
        let column = ast::Expr::CompoundIdentifier(vec![Ident::with_quote('`', known), column]);
        let mark = call(AS_OF, vec![time.clone(), column]);
        match &mut join.join_operator {
            JoinOperator::Join(JoinConstraint::On(on))
            | JoinOperator::Inner(JoinConstraint::On(on))
            | JoinOperator::Left(JoinConstraint::On(on))
            | JoinOperator::LeftOuter(JoinConstraint::On(on)) => {
                let condition = std::mem::replace(on, ast::Expr::Nested(Box::new(mark.clone())));
                *on = ast::Expr::BinaryOp {
                    left: Box::new(ast::Expr::Nested(Box::new(condition))),
                    op: ast::BinaryOperator::And,
                    right: Box::new(mark),
                };
                Ok(())
            }
            _ => Err(SqlError::new(
                at,
                "FOR SYSTEM_TIME AS OF goes with JOIN … ON or LEFT JOIN … ON",
            )),
        }
    }
}

/// The time of a mark; `None` for other expressions.
pub fn time_of(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.name() == AS_OF => call.args.first(),
        _ => None,
    }
}

pub static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(AsOf::new())));

#[derive(Debug, PartialEq, Eq, Hash)]
struct AsOf {
    signature: Signature,
}

impl AsOf {
    fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for AsOf {
    fn name(&self) -> &str {
        AS_OF
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("the join takes {AS_OF} out of its condition")
    }
}
