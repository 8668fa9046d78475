//! `GROUP BY TUMBLE(ts, …)`, HOP and SESSION as the table functions of the same names.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments,
    GroupByExpr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions, visit_expressions_mut,
};
use sqlparser::tokenizer::Location;

use super::dialect::{PARTITION_BY, TABLE_ARGUMENT, call, call_ident, text};
use super::rewrite::positional;
use crate::error::{SqlError, SqlResult};

/// Argument of HOP: its size may be no multiple of its slide, which Flink allows in GROUP BY alone.
pub const UNEVEN: &str = "__UNEVEN";

/// What `TUMBLE_PROCTIME(…)` is, whatever its window.
const PROCTIME: &str = "PROCTIME";

/// In front of the columns that stand for session keys which are no columns.
const KEY: &str = "$session_key_";

/// `FROM t WHERE c GROUP BY k, TUMBLE(ts, i)` becomes `FROM TABLE(TUMBLE((SELECT * FROM t WHERE c),
/// DESCRIPTOR(ts), i)) GROUP BY k, window_start, window_end, window_time`.
pub fn rewrite_group_windows(query: &mut Query) -> SqlResult<()> {
    match query.visit(&mut Rewrite) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewrite;

impl VisitorMut for Rewrite {
    type Break = SqlError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        match rewrite(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The window of a GROUP BY.
struct GroupWindow {
    /// `TUMBLE`, `HOP` or `SESSION`.
    name: String,
    at: Location,
    /// The time column, then lengths.
    arguments: Vec<Expr>,
}

impl GroupWindow {
    fn of(expr: &Expr) -> Option<Self> {
        let Expr::Function(function) = expr else { return None };
        let (name, at) = name_of(function)?;
        matches!(name.as_str(), "TUMBLE" | "HOP" | "SESSION").then(|| Self {
            name,
            at,
            arguments: positional(function),
        })
    }

    fn check(&self) -> SqlResult<()> {
        let (count, lengths) = match self.name.as_str() {
            "HOP" => (3, "a slide and a size"),
            "SESSION" => (2, "a gap"),
            _ => (2, "a size"),
        };
        let time = self.arguments.first();
        let is_column = matches!(time, Some(Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
        match is_column && self.arguments.len() == count {
            true => Ok(()),
            false => Err(SqlError::new(
                self.at,
                format!("{} in GROUP BY takes a time column and {lengths}", self.name),
            )),
        }
    }

    /// The window's column that `TUMBLE_START(…)` and the like are; `None` for other functions.
    fn column(&self, function: &Function) -> SqlResult<Option<&'static str>> {
        let Some((name, at)) = name_of(function) else { return Ok(None) };
        let Some((window, what)) = name.split_once('_') else { return Ok(None) };
        let column = match (window, what) {
            ("TUMBLE" | "HOP" | "SESSION", "START") => "window_start",
            ("TUMBLE" | "HOP" | "SESSION", "END") => "window_end",
            ("TUMBLE" | "HOP" | "SESSION", "ROWTIME") => "window_time",
            ("TUMBLE" | "HOP" | "SESSION", "PROCTIME") => PROCTIME,
            _ => return Ok(None),
        };
        match window == self.name && positional(function) == self.arguments {
            true => Ok(Some(column)),
            false => Err(SqlError::new(at, format!("{name} is not of the window in GROUP BY"))
                .hint(format!("{window} with the same arguments stands in GROUP BY"))),
        }
    }
}

fn rewrite(select: &mut Select) -> SqlResult<()> {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return Ok(()) };
    let Some(window) = keys.iter().find_map(GroupWindow::of) else { return Ok(()) };
    window.check()?;
    keys.retain(|key| GroupWindow::of(key).is_none());
    let session_keys = match window.name.as_str() {
        "SESSION" => keys.clone(),
        _ => vec![],
    };
    keys.extend(["window_start", "window_end", "window_time"].map(column));

    let with_columns = |expr: &mut Expr| {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        match window.column(function) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(name)) => {
                *expr = match name {
                    PROCTIME => call(PROCTIME, vec![]),
                    name => column(name),
                };
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    };
    let above = (&mut select.projection, &mut select.having);
    if let ControlFlow::Break(error) = visit_expressions_mut(&mut Above(above), with_columns) {
        return Err(error);
    }

    let mut projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    let mut partition = vec![];
    for key in session_keys {
        match key {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => partition.push(key),
            expr => {
                let name = format!("{KEY}{}", partition.len());
                partition.push(column(&name));
                projection.push(SelectItem::ExprWithAlias { expr, alias: Ident::new(name) });
            }
        }
    }
    let rows = Select {
        projection,
        from: std::mem::take(&mut select.from),
        selection: select.selection.take(),
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        having: None,
        distinct: None,
        named_window: vec![],
        ..select.clone()
    };
    let mut table = vec![Expr::Subquery(Box::new(query_of(rows)))];
    if !partition.is_empty() {
        table.push(call(PARTITION_BY, partition));
    }
    let mut lengths = window.arguments;
    let time = lengths.remove(0);
    let mut arguments = vec![call(TABLE_ARGUMENT, table), call("DESCRIPTOR", vec![time])];
    arguments.append(&mut lengths);
    let is_hop = window.name == "HOP";
    let name = Ident {
        span: sqlparser::tokenizer::Span::new(window.at, window.at),
        ..Ident::new(window.name)
    };
    let mut function = call_ident(name, arguments);
    if is_hop
        && let Expr::Function(hop) = &mut function
        && let FunctionArguments::List(list) = &mut hop.args
    {
        list.args.push(FunctionArg::Named {
            name: Ident::new(UNEVEN),
            arg: FunctionArgExpr::Expr(text("true")),
            operator: FunctionArgOperator::RightArrow,
        });
    }
    select.from = vec![TableWithJoins {
        relation: TableFactor::TableFunction { expr: function, alias: None },
        joins: vec![],
    }];
    Ok(())
}

/// The parts of a SELECT that see its groups.
struct Above<'a>((&'a mut Vec<SelectItem>, &'a mut Option<Expr>));

impl VisitMut for Above<'_> {
    fn visit<V: VisitorMut>(&mut self, visitor: &mut V) -> ControlFlow<V::Break> {
        self.0.0.visit(visitor)?;
        self.0.1.visit(visitor)
    }
}

fn name_of(function: &Function) -> Option<(String, Location)> {
    let ObjectName(parts) = &function.name;
    let [name] = parts.as_slice() else { return None };
    let name = name.as_ident()?;
    Some((name.value.to_uppercase(), name.span.start))
}

fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::new(name))
}

pub(super) fn query_of(select: Select) -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    }
}
