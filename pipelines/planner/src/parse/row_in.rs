//! Rows IN a list or a subquery, column by column.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, Select, SelectFlavor, SelectItem, Spanned,
    TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, UnaryOperator, Value,
};

use super::group_windows::query_of;
use crate::error::{SqlError, SqlResult};

/// What the subquery's rows are called, and its columns after a number.
const ROW: &str = "__row";

/// `(a, b) IN (SELECT x, y …)` as `EXISTS (… WHERE a = x AND b = y)`; `None` for other expressions.
pub fn row_in(expr: &Expr) -> SqlResult<Option<Expr>> {
    match expr {
        Expr::InSubquery { expr, subquery, negated } => {
            Ok(tuple(expr).map(|row| in_subquery(row, subquery, *negated)))
        }
        Expr::InList { expr, list, negated } => match tuple(expr) {
            Some(row) => in_list(row, list, *negated).map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn tuple(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Tuple(row) => Some(row),
        _ => None,
    }
}

fn in_subquery(row: &[Expr], subquery: &Query, negated: bool) -> Expr {
    let names = (0..row.len()).map(|column| Ident::new(format!("{ROW}_{column}")));
    let names: Vec<Ident> = names.collect();
    let columns: Vec<Expr> = names
        .iter()
        .map(|name| Expr::CompoundIdentifier(vec![Ident::new(ROW), name.clone()]))
        .collect();
    let equal = equal(row, &columns);
    // Unknown, where a null is compared, excludes a row of NOT IN as true does.
    let selection = match negated {
        true => Expr::IsNotFalse(Box::new(Expr::Nested(Box::new(equal)))),
        false => equal,
    };
    let named = |name| TableAliasColumnDef { name, data_type: None };
    let alias = TableAlias {
        explicit: true,
        name: Ident::new(ROW),
        columns: names.into_iter().map(named).collect(),
        at: None,
    };
    let relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery.clone()),
        alias: Some(alias),
        sample: None,
    };
    let rows = select_one(TableWithJoins { relation, joins: vec![] }, selection);
    Expr::Exists { subquery: Box::new(query_of(rows)), negated }
}

/// `(a, b) IN ((1, 2), (3, 4))`.
fn in_list(row: &[Expr], list: &[Expr], negated: bool) -> SqlResult<Expr> {
    let mut any: Option<Expr> = None;
    for item in list {
        let values = tuple(item).filter(|values| values.len() == row.len()).ok_or_else(|| {
            let message = format!("{item} is compared with a row of {} columns", row.len());
            SqlError::new(item.span().start, message)
        })?;
        let one = Expr::Nested(Box::new(equal(row, values)));
        any = Some(match any {
            Some(any) => pair(any, BinaryOperator::Or, one),
            None => one,
        });
    }
    let any = any.unwrap_or_else(|| Expr::value(Value::Boolean(false)));
    let any = Expr::Nested(Box::new(any));
    Ok(match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(any) },
        false => any,
    })
}

fn equal(row: &[Expr], other: &[Expr]) -> Expr {
    let equals = row.iter().zip(other);
    let equals = equals.map(|(left, right)| pair(left.clone(), BinaryOperator::Eq, right.clone()));
    let all = equals.reduce(|all, one| pair(all, BinaryOperator::And, one));
    all.unwrap_or_else(|| Expr::value(Value::Boolean(true)))
}

fn pair(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// `SELECT 1 FROM … WHERE …`.
fn select_one(from: TableWithJoins, selection: Expr) -> Select {
    Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: vec![],
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![SelectItem::UnnamedExpr(Expr::value(Value::Number("1".into(), false)))],
        exclude: None,
        into: None,
        from: vec![from],
        lateral_views: vec![],
        prewhere: None,
        selection: Some(selection),
        connect_by: vec![],
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        cluster_by: vec![],
        distribute_by: vec![],
        sort_by: vec![],
        having: None,
        named_window: vec![],
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    }
}
