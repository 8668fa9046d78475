//! The names of a query's columns as Flink gives them: `EXPR$0` where an item has none of its own,
//! `a0` where there is an `a` already.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{AccessExpr, Expr, Ident, Query, Select, SelectItem, VisitMut, VisitorMut};

/// Names every item of every SELECT, so that no two columns of a query share one.
pub fn name_columns(query: &mut Query) {
    let _ = query.visit(&mut Namer);
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut taken: HashSet<String> = HashSet::new();
        for (position, item) in select.projection.iter_mut().enumerate() {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let own = own_name(expr);
                    let wanted = own.clone().unwrap_or_else(|| format!("EXPR${position}"));
                    let name = free(&mut taken, &wanted);
                    if own.as_ref() != Some(&name) {
                        let expr = expr.clone();
                        *item = SelectItem::ExprWithAlias { expr, alias: Ident::new(name) };
                    }
                }
                SelectItem::ExprWithAlias { alias, .. } => {
                    alias.value = free(&mut taken, &alias.value);
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// `a`, `t.a` and `t.r.a` are columns called `a`.
fn own_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last()? {
            AccessExpr::Dot(Expr::Identifier(name)) => Some(name.value.clone()),
            _ => None,
        },
        Expr::Nested(inner) => own_name(inner),
        _ => None,
    }
}

fn free(taken: &mut HashSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    let mut next = 0;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}{next}");
        next += 1;
    }
    name
}
