//! Refuses the clauses of a query that no operator runs yet, so that none is ignored in silence.

use sqlparser::ast::{
    Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Query, Select,
    SetExpr, Spanned, TableFactor, TableVersion, TableWithJoins, visit_expressions,
};
use sqlparser::tokenizer::Location;

use crate::error::{SqlError, SqlResult};
use std::ops::ControlFlow;

use super::tokens::{Places, place_of};

/// Checks a query and its subqueries. `from` and `to` are the places of its statement.
pub fn check_query(query: &Query, places: &Places, from: Location, to: Location) -> SqlResult<()> {
    Check { places, from, to }.query(query)
}

struct Check<'a> {
    places: &'a Places,
    from: Location,
    to: Location,
}

impl Check<'_> {
    fn query(&self, query: &Query) -> SqlResult<()> {
        if let Some(with) = &query.with {
            if with.recursive {
                return Err(self.at_word("RECURSIVE", "a recursive query", "plain WITH is"));
            }
            for table in &with.cte_tables {
                self.query(&table.query)?;
            }
        }
        if let Some(fetch) = &query.fetch
            && (fetch.with_ties || fetch.percent)
        {
            return Err(self.at_word("FETCH", "FETCH with ties or percent", "a number of rows is"));
        }
        let others = [
            (!query.locks.is_empty(), "FOR"),
            (query.for_clause.is_some(), "FOR"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
            (!query.pipe_operators.is_empty(), "|>"),
        ];
        for (present, word) in others {
            if present {
                return Err(self.at_word(word, &format!("the clause {word}"), "leave it out"));
            }
        }
        self.set_expr(&query.body)
    }

    fn set_expr(&self, body: &SetExpr) -> SqlResult<()> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.set_expr(left)?;
                self.set_expr(right)
            }
            SetExpr::Values(_) => Ok(()),
            other => Err(SqlError::nowhere(format!("{other} is not supported here"))),
        }
    }

    fn select(&self, select: &Select) -> SqlResult<()> {
        let at = place_of(&select.select_token);
        if let Some(hint) = select.optimizer_hints.first() {
            return Err(refused(
                at,
                &format!("the hint {}", hint.text.trim()),
                "OPTIONS after a table is",
            ));
        }
        if let Some(Distinct::On(_)) = &select.distinct {
            return Err(refused(
                at,
                "SELECT DISTINCT ON",
                "ROW_NUMBER() … WHERE row_number = 1 is",
            ));
        }
        let others = [
            (select.top.is_some(), "TOP"),
            (
                select.select_modifiers.as_ref().is_some_and(|m| m.is_any_set()),
                "modifiers of SELECT",
            ),
            (select.exclude.is_some(), "EXCLUDE"),
            (select.into.is_some(), "INTO"),
            (!select.lateral_views.is_empty(), "LATERAL VIEW"),
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!select.cluster_by.is_empty(), "CLUSTER BY"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
            (!select.sort_by.is_empty(), "SORT BY"),
            (select.qualify.is_some(), "QUALIFY"),
            (select.value_table_mode.is_some(), "AS VALUE"),
        ];
        for (present, what) in others {
            if present {
                return Err(refused(at, what, "Flink SQL has none"));
            }
        }
        self.group_by(&select.group_by)?;
        self.from(&select.from)?;
        self.subqueries(select)
    }

    fn group_by(&self, group_by: &GroupByExpr) -> SqlResult<()> {
        let GroupByExpr::Expressions(_, modifiers) = group_by else {
            return Err(self.at_word("ALL", "GROUP BY ALL", "name the columns"));
        };
        match modifiers.first() {
            Some(modifier) => {
                Err(self.at_word("GROUP", &format!("GROUP BY {modifier}"), "plain keys are"))
            }
            None => Ok(()),
        }
    }

    fn from(&self, from: &[TableWithJoins]) -> SqlResult<()> {
        for table in from {
            self.table(&table.relation)?;
            for join in &table.joins {
                self.table(&join.relation)?;
            }
        }
        Ok(())
    }

    fn table(&self, table: &TableFactor) -> SqlResult<()> {
        match table {
            TableFactor::Table {
                name,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
                ..
            } => {
                let at = name.span().start;
                if let Some(version) = version
                    && !matches!(version, TableVersion::ForSystemTimeAsOf(_))
                {
                    return Err(refused(at, "a table version", "FOR SYSTEM_TIME AS OF is"));
                }
                let extra = *with_ordinality
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || sample.is_some()
                    || !index_hints.is_empty();
                match extra {
                    true => Err(refused(at, &format!("what follows {name}"), "OPTIONS(…) is")),
                    false => Ok(()),
                }
            }
            TableFactor::Derived { lateral: false, subquery, sample: None, .. } => {
                self.query(subquery)
            }
            TableFactor::Derived { .. } => {
                Err(self.at_word("LATERAL", "LATERAL", "a plain subquery is"))
            }
            TableFactor::TableFunction { .. } => Ok(()),
            TableFactor::UNNEST { .. } => Ok(()),
            TableFactor::MatchRecognize { table, .. } => self.table(table),
            TableFactor::Function { name, .. } => {
                let instead = "LATERAL TABLE(ML_PREDICT(…)) on the table before it is";
                Err(refused(name.span().start, "a lateral table function", instead))
            }
            other => Err(refused(other.span().start, &format!("FROM {other}"), "a table is")),
        }
    }

    /// Queries inside expressions.
    fn subqueries(&self, select: &Select) -> SqlResult<()> {
        let found = visit_expressions(select, |expr| match expr {
            Expr::InSubquery { subquery, .. }
            | Expr::Exists { subquery, .. }
            | Expr::Subquery(subquery) => match self.query(subquery) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            },
            Expr::Function(function) => match self.function(function) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            },
            _ => ControlFlow::Continue(()),
        });
        match found {
            ControlFlow::Break(error) => Err(error.or_at(place_of(&select.select_token))),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn function(&self, function: &sqlparser::ast::Function) -> SqlResult<()> {
        let at = function.name.span().start;
        if !function.within_group.is_empty() {
            return Err(refused(at, "WITHIN GROUP", "leave it out"));
        }
        if function.null_treatment.is_some() {
            return Err(refused(at, "IGNORE NULLS and RESPECT NULLS", "leave it out"));
        }
        let FunctionArguments::List(list) = &function.args else { return Ok(()) };
        if let Some(clause) = list.clauses.first() {
            return Err(refused(at, &format!("{clause} inside a call"), "leave it out"));
        }
        for argument in &list.args {
            let (FunctionArg::Unnamed(value) | FunctionArg::Named { arg: value, .. }) = argument
            else {
                continue;
            };
            if let FunctionArgExpr::Expr(Expr::Subquery(query)) = value {
                self.query(query)?;
            }
        }
        Ok(())
    }

    fn word(&self, word: &str) -> Location {
        self.places.find(word, self.from, self.to).unwrap_or(self.from)
    }

    fn at_word(&self, word: &str, what: &str, instead: &str) -> SqlError {
        refused(self.word(word), what, instead)
    }
}

fn refused(at: Location, what: &str, instead: &str) -> SqlError {
    SqlError::new(at, format!("{what} is not supported yet")).hint(instead)
}
