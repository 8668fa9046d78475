//! Completion of keywords, functions, tables and columns.

use std::collections::BTreeSet;

use nowcast_planner::{Planner, function_names};
use rustyline::completion::Completer;
use rustyline::{Context, Helper, Highlighter, Hinter, Result, Validator};

const KEYWORDS: [&str; 64] = [
    "ALL",
    "AND",
    "AS",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASE",
    "CREATE",
    "CROSS",
    "CUMULATE",
    "CURRENT",
    "DESCRIBE",
    "DESCRIPTOR",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXECUTE",
    "EXISTS",
    "EXPLAIN",
    "FILTER",
    "FROM",
    "FULL",
    "FUNCTION",
    "FUNCTIONS",
    "GROUP",
    "HAVING",
    "HOP",
    "IN",
    "INNER",
    "INSERT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOBS",
    "JOIN",
    "KEY",
    "LANGUAGE",
    "LEFT",
    "LIBRARY",
    "LIKE",
    "LIMIT",
    "MODEL",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "PRIMARY",
    "RUST",
    "SELECT",
    "SET",
    "SHOW",
    "STOP",
    "TABLE",
    "TABLES",
    "TUMBLE",
    "UNION",
    "VALUES",
    "WATERMARK",
    "WHERE",
    "WITH",
];

#[derive(Default, Helper, Highlighter, Hinter, Validator)]
pub struct Completion {
    /// Names as they are written: tables, columns, models.
    names: BTreeSet<String>,
}

impl Completion {
    /// Takes in what the statements so far have made.
    pub fn learn(&mut self, planner: &Planner) {
        self.names = planner.models().into_iter().collect();
        for (relation, columns) in planner.relations() {
            self.names.insert(relation);
            self.names.extend(columns);
        }
    }

    fn candidates(&self, word: &str) -> Vec<String> {
        let names = self.names.iter().filter(|name| name.starts_with(word)).cloned();
        let upper = word.to_uppercase();
        let keywords = KEYWORDS.iter().map(|keyword| (*keyword).to_owned());
        let keywords: BTreeSet<String> =
            keywords.chain(function_names()).filter(|name| name.starts_with(&upper)).collect();
        names.chain(keywords).collect()
    }
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(&self, line: &str, end: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let start = line[..end]
            .rfind(|c| !is_part(c))
            .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        Ok((start, self.candidates(&line[start..end])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_before_keywords_and_functions() {
        let completion = Completion { names: ["clicks".to_owned()].into() };
        assert_eq!(completion.candidates("cl"), ["clicks"]);
        let found = completion.candidates("co");
        assert!(found.contains(&"COUNT".to_owned()), "{found:?}");
        assert_eq!(completion.candidates("SELE"), ["SELECT"]);
    }
}
