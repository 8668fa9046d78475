//! What conditions and measures read of a match: `A.price`, `LAST(A.price, 1)`, `SUM(A.price)`. Each
//! becomes a column that the operator fills in, so that the rest is a plain expression.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Field};
use datafusion_common::{DFSchema, Result};
use nowcast_transforms::End;
use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    Spanned, Value, VisitMut, VisitorMut,
};
use sqlparser::tokenizer::Location;

use super::node::{MatchAggregate, MatchReference};
use super::pattern::Variable;
use crate::error::{SqlError, SqlResult, nearest};
use crate::parse::rewrite::positional;
use crate::types::{WINDOW_BOUND, timestamp_ltz};

/// What the rows of a match have.
pub struct Rows<'a> {
    pub variables: &'a [Variable],
    pub schema: &'a DFSchema,
    /// Whether a function is an aggregate.
    pub is_aggregate: &'a dyn Fn(&str) -> bool,
    /// An aggregate over the columns of the rows alone.
    pub aggregate: &'a mut dyn FnMut(Expr) -> Result<MatchAggregate>,
}

/// The columns that an expression reads instead.
#[derive(Default)]
pub struct Read {
    /// Of the row itself, by position.
    pub columns: Vec<(usize, Field)>,
    pub references: Vec<(MatchReference, Field)>,
}

impl Read {
    /// The fields of all: first the row's own columns.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        let own = self.columns.iter().map(|(_, field)| field);
        own.chain(self.references.iter().map(|(_, field)| field))
    }

    /// The name of a reference, which is read from now on.
    pub fn reference(&mut self, reference: MatchReference, name: String, ty: DataType) -> String {
        let known = self
            .references
            .iter()
            .find(|(known, field)| *known == reference && *field.data_type() == ty);
        if let Some((_, field)) = known {
            return field.name().clone();
        }
        let name = self.free_name(name);
        self.references.push((reference, Field::new(&name, ty, true)));
        name
    }

    /// The name of a column of the row itself, which is read from now on.
    fn own(&mut self, position: usize, name: &str, ty: DataType) -> String {
        if let Some((_, field)) = self.columns.iter().find(|(known, _)| *known == position) {
            return field.name().clone();
        }
        let name = self.free_name(name.to_owned());
        self.columns.push((position, Field::new(&name, ty, true)));
        name
    }

    fn free_name(&self, mut name: String) -> String {
        while self.fields().any(|field| *field.name() == name) {
            name.push('\'');
        }
        name
    }
}

/// Which rows an expression is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// A row that this variable would take, and those before it.
    Condition(usize),
    /// The rows of a match.
    Measure,
}

/// Puts the columns that `expr` reads into `read`, and their names into `expr`.
pub fn replace(expr: &mut Expr, of: For, rows: &mut Rows<'_>, read: &mut Read) -> SqlResult<()> {
    let mut replacing = Replacing { of, rows, read, row: None };
    match expr.visit(&mut replacing) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Replacing<'a, 'b> {
    of: For,
    rows: &'a mut Rows<'b>,
    read: &'a mut Read,
    /// Inside FIRST or LAST: which of the rows.
    row: Option<(End, u32)>,
}

impl VisitorMut for Replacing<'_, '_> {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        match self.replaced(expr) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(replaced)) => {
                *expr = replaced;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }

    /// What FIRST and LAST are of stays.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if let Expr::Function(function) = expr
            && is_navigation(function)
            && let Some(of) = positional(function).into_iter().next()
        {
            self.row = None;
            *expr = Expr::Nested(Box::new(of));
        }
        ControlFlow::Continue(())
    }
}

fn is_navigation(function: &Function) -> bool {
    let name = function.name.to_string().to_uppercase();
    matches!(name.as_str(), "FIRST" | "LAST" | "PREV" | "NEXT")
}

impl Replacing<'_, '_> {
    fn replaced(&mut self, expr: &Expr) -> SqlResult<Option<Expr>> {
        match expr {
            Expr::Identifier(name) => self.column(None, name).map(Some),
            Expr::CompoundIdentifier(parts) => self.compound(parts),
            Expr::Function(function) => self.function(expr, function),
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => {
                Err(SqlError::new(expr.span().start, "a subquery inside MATCH_RECOGNIZE")
                    .hint("join the rows before MATCH_RECOGNIZE, or after it"))
            }
            _ => Ok(None),
        }
    }

    fn compound(&mut self, parts: &[Ident]) -> SqlResult<Option<Expr>> {
        let (variable, column, rest) = match (parts, self.rows.variable(&parts[0])) {
            ([_, column, rest @ ..], Some(variable)) => (Some(variable), column, rest),
            ([column, rest @ ..], None) if self.rows.has(column) => (None, column, rest),
            _ => return Err(self.rows.unknown_variable(&parts[0])),
        };
        let column = self.column(variable, column)?;
        Ok(Some(match (column, rest) {
            (column, []) => column,
            (Expr::Identifier(row), rest) => {
                Expr::CompoundIdentifier(std::iter::once(row).chain(rest.iter().cloned()).collect())
            }
            (column, _) => column,
        }))
    }

    /// A column of a variable, or of all.
    fn column(&mut self, variable: Option<usize>, column: &Ident) -> SqlResult<Expr> {
        let (position, ty) = self.rows.column(column)?;
        let (end, offset) = self.row.unwrap_or((End::Last, 0));
        let is_own = match self.of {
            For::Condition(own) => variable.is_none_or(|variable| variable == own),
            For::Measure => false,
        };
        if is_own && (end, offset) == (End::Last, 0) {
            let name = self.read.own(position, &column.value, ty);
            return Ok(named(name, column.span.start));
        }
        let of = self.rows.name(variable);
        let column_name = &column.value;
        let name = match (end, offset) {
            (End::Last, 0) => format!("{of}{column_name}"),
            (End::Last, offset) => format!("LAST({of}{column_name}, {offset})"),
            (End::First, offset) => format!("FIRST({of}{column_name}, {offset})"),
        };
        let reference = MatchReference::Row { variable, end, offset, column: position };
        Ok(named(self.read.reference(reference, name, ty), column.span.start))
    }

    fn function(&mut self, expr: &Expr, function: &Function) -> SqlResult<Option<Expr>> {
        let name = function.name.to_string().to_uppercase();
        let at = function.name.span().start;
        match name.as_str() {
            _ if is_navigation(function) => self.navigation(&name, function).map(|()| None),
            "MATCH_ROWTIME" => self.time(function).map(Some),
            "MATCH_PROCTIME" => {
                let (reference, ty) = (MatchReference::ProcessingTime, timestamp_ltz());
                Ok(Some(named(self.read.reference(reference, expr.to_string(), ty), at)))
            }
            _ if (self.rows.is_aggregate)(&name) => self.aggregate(expr, function).map(Some),
            _ => Ok(None),
        }
    }

    /// `FIRST(expr, offset)`: the columns in it are of that row.
    fn navigation(&mut self, name: &str, function: &Function) -> SqlResult<()> {
        let at = function.name.span().start;
        if self.row.is_some() {
            return Err(SqlError::new(at, format!("{name} inside FIRST or LAST"))
                .hint("one offset is enough: LAST(A.price, 1)"));
        }
        let arguments = positional(function);
        let offset = match arguments.as_slice() {
            [_] if matches!(name, "FIRST" | "LAST") => Some(0),
            [_] => Some(1),
            [_, Expr::Value(value)] => match &value.value {
                Value::Number(digits, _) => digits.parse().ok(),
                _ => None,
            },
            _ => None,
        };
        let (Some(offset), Some(of)) = (offset, arguments.first()) else {
            return Err(SqlError::new(at, format!("{name} takes an expression and an offset"))
                .hint(format!("as in {name}(A.price, 1)")));
        };
        if matches!(name, "PREV" | "NEXT") && offset > 0 {
            let message = format!("{name}, which counts rows of the table, is not supported");
            return Err(SqlError::new(at, format!("{message}, in Flink neither"))
                .hint("LAST(A.price, 1) counts rows of the variable, from its last"));
        }
        self.rows.one_variable(of, name, at)?;
        self.row = Some((if name == "FIRST" { End::First } else { End::Last }, offset));
        Ok(())
    }

    fn time(&mut self, function: &Function) -> SqlResult<Expr> {
        let at = function.name.span().start;
        let ty = match positional(function).as_slice() {
            [] => WINDOW_BOUND,
            [Expr::Identifier(column)] => self.rows.column(column)?.1,
            _ => return Err(SqlError::new(at, "MATCH_ROWTIME takes a time attribute or nothing")),
        };
        let name = function.to_string();
        Ok(named(self.read.reference(MatchReference::Time, name, ty), at))
    }

    fn aggregate(&mut self, expr: &Expr, function: &Function) -> SqlResult<Expr> {
        let at = function.name.span().start;
        let refused = |what: &str| {
            Err(SqlError::new(at, format!("{what} inside MATCH_RECOGNIZE is not supported"))
                .hint("Flink has none there either"))
        };
        if let FunctionArguments::List(list) = &function.args {
            if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
                return refused("an aggregate of DISTINCT values");
            }
            if !list.clauses.is_empty() {
                return refused("ORDER BY in an aggregate");
            }
            let of_all = |arg: &FunctionArg| {
                matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)))
            };
            if list.args.iter().any(of_all) {
                return refused("`*` of a variable");
            }
        }
        if self.row.is_some() {
            return refused("an aggregate inside FIRST or LAST");
        }
        if function.filter.is_some() {
            return refused("FILTER");
        }
        if function.over.is_some() {
            return refused("OVER");
        }
        let variable = self.rows.one_variable(expr, &function.name.to_string(), at)?;
        let mut over_rows = expr.clone();
        self.rows.without_variable(&mut over_rows);
        let name = expr.to_string();
        let aggregate = (self.rows.aggregate)(over_rows).map_err(crate::translate::translated)?;
        let ty = aggregate.output.clone();
        let reference = MatchReference::Aggregate { variable, aggregate };
        Ok(named(self.read.reference(reference, name, ty), at))
    }
}

impl Rows<'_> {
    fn variable(&self, name: &Ident) -> Option<usize> {
        self.variables.iter().position(|variable| variable.name.value == name.value)
    }

    /// In front of a column, for people.
    fn name(&self, variable: Option<usize>) -> String {
        variable.map(|variable| format!("{}.", self.variables[variable].name)).unwrap_or_default()
    }

    fn has(&self, column: &Ident) -> bool {
        self.schema.fields().iter().any(|field| *field.name() == column.value)
    }

    fn column(&self, column: &Ident) -> SqlResult<(usize, DataType)> {
        let fields = self.schema.fields();
        match fields.iter().position(|field| *field.name() == column.value) {
            Some(position) => Ok((position, fields[position].data_type().clone())),
            None => {
                let message = format!("unknown column `{}`", column.value);
                let error = SqlError::new(column.span.start, message);
                Err(match nearest(&column.value, fields.iter().map(|f| f.name().as_str())) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error,
                })
            }
        }
    }

    fn unknown_variable(&self, name: &Ident) -> SqlError {
        let names: Vec<_> = self.variables.iter().map(|v| v.name.value.as_str()).collect();
        let message = format!("`{}` is no variable of PATTERN", name.value);
        SqlError::new(name.span.start, message).hint(format!("there are {}", names.join(", ")))
    }

    /// The variable whose columns an expression reads; `None`: it names none.
    fn one_variable(&self, expr: &Expr, what: &str, at: Location) -> SqlResult<Option<usize>> {
        let mut named = vec![];
        let _ = sqlparser::ast::visit_expressions(expr, |expr| {
            match expr {
                Expr::CompoundIdentifier(parts) => {
                    named.push(self.variable(&parts[0]));
                }
                Expr::Identifier(_) => named.push(None),
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
        named.dedup();
        match named.as_slice() {
            [] => Ok(None),
            [variable] => Ok(*variable),
            _ => Err(SqlError::new(at, format!("{what} of several variables"))
                .hint("one call a variable")),
        }
    }

    /// Leaves variables, and which row of them is meant, out of an aggregate's arguments.
    fn without_variable(&self, expr: &mut Expr) {
        let _ = sqlparser::ast::visit_expressions_mut(expr, |expr| {
            match expr {
                Expr::CompoundIdentifier(parts) if self.variable(&parts[0]).is_some() => {
                    parts.remove(0);
                    if let [column] = parts.as_slice() {
                        *expr = Expr::Identifier(column.clone());
                    }
                }
                Expr::Function(function) if is_navigation(function) => {
                    if let Some(of) = positional(function).first() {
                        *expr = of.clone();
                    }
                }
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
    }
}

fn named(name: String, at: Location) -> Expr {
    let mut ident = Ident::with_quote('`', name);
    ident.span.start = at;
    ident.span.end = at;
    Expr::Identifier(ident)
}
