//! Errors of DataFusion in the words of people who write SQL, with a place in the text.

use std::collections::BTreeSet;

use datafusion_common::{Column, DataFusionError, SchemaError};
use regex::Regex;
use sqlparser::tokenizer::Location;

use crate::error::{SqlError, nearest};
use crate::parse::tokens::Places;

impl From<SqlError> for DataFusionError {
    /// Carries an error with its place through DataFusion's planner.
    fn from(error: SqlError) -> Self {
        Self::External(Box::new(error))
    }
}

/// Where in the text a statement stands.
#[derive(Clone, Copy)]
pub struct Extent<'a> {
    pub places: &'a Places,
    pub start: Location,
    pub end: Location,
}

impl Extent<'_> {
    pub fn find(&self, word: &str) -> Option<Location> {
        self.places.find(word, self.start, self.end)
    }

    /// At the first of `words` found, else at the statement.
    pub fn error_at(&self, words: &[&str], message: impl std::fmt::Display) -> SqlError {
        let place = words.iter().find_map(|word| self.find(word)).unwrap_or(self.start);
        SqlError::new(place, message)
    }

    /// DataFusion's error as ours.
    pub fn translate(&self, error: DataFusionError) -> SqlError {
        let error = translated(error);
        if error.has_place() {
            return error;
        }
        // The first quoted name is what the error is about.
        let named = error.message.split('`').nth(1).and_then(|name| self.find(name));
        error.or_at(named.unwrap_or(self.start))
    }
}

/// The same error in our words, perhaps without a place.
pub fn translated(error: DataFusionError) -> SqlError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<SqlError>() {
            Ok(error) => *error,
            Err(other) => SqlError::nowhere(other),
        },
        DataFusionError::Context(_, inner) => translated(*inner),
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let error = translated(*inner);
            match diagnostic.span {
                Some(span) => {
                    error.or_at(Location { line: span.start.line, column: span.start.column })
                }
                None => error,
            }
        }
        DataFusionError::Shared(inner) => of_text(&inner.strip_backtrace()),
        DataFusionError::Collection(mut errors) if !errors.is_empty() => {
            translated(errors.swap_remove(0))
        }
        DataFusionError::SQL(error, _) => SqlError::from(*error),
        DataFusionError::SchemaError(error, _) => of_schema(&error),
        other => of_text(&other.strip_backtrace()),
    }
}

fn of_schema(error: &SchemaError) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            at(field, format!("column `{}` is ambiguous", field.name))
                .hint("put the table's name in front of it")
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            SqlError::nowhere(format!("there are two columns `{name}`"))
                .hint("give one another name with AS")
        }
    }
}

fn at(field: &Column, message: String) -> SqlError {
    match field.spans.first() {
        Some(span) => {
            SqlError::new(Location { line: span.start.line, column: span.start.column }, message)
        }
        None => SqlError::nowhere(message),
    }
}

fn unknown_column(field: &Column, known: &[Column]) -> SqlError {
    let qualified = field.relation.as_ref().map(|table| table.to_string());
    let tables: BTreeSet<String> = known
        .iter()
        .filter_map(|column| column.relation.as_ref().map(ToString::to_string))
        .collect();
    if let Some(table) = &qualified
        && !tables.contains(table)
    {
        let tables: Vec<_> = tables.into_iter().collect();
        let error =
            at(field, format!("unknown table or column `{table}` in `{table}.{}`", field.name));
        return match tables.is_empty() {
            true => error,
            false => error.hint(format!("FROM has {}", tables.join(", "))),
        };
    }
    let names: BTreeSet<&str> = known.iter().map(|column| column.name.as_str()).collect();
    let error = at(field, format!("unknown column `{}`", field.name));
    match nearest(&field.name, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if names.is_empty() => error,
        None => {
            error.hint(format!("there are {}", names.into_iter().collect::<Vec<_>>().join(", ")))
        }
    }
}

/// Errors that DataFusion gives as text.
fn of_text(text: &str) -> SqlError {
    let first = text.lines().next().unwrap_or_default();
    let mut message = first;
    for prefix in [
        "DataFusion error: ",
        "External error: ",
        "Error during planning: ",
        "This feature is not implemented: ",
        "Arrow error: ",
        "Schema error: ",
        "Execution error: ",
        "type_coercion\ncaused by\n",
    ] {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    // What a function's own check of its arguments says, with its hint.
    if let Some(found) = captures(
        text,
        r"user-defined coercion failed with: External error: (.+?)(?: \(hint: (.+)\))?\. No function matches",
    ) {
        let error = SqlError::nowhere(&found[0]);
        return found.iter().skip(1).fold(error, |error, hint| error.hint(hint));
    }
    if let Some(found) = captures(text, r"Invalid function '([^']+)'") {
        return unknown_function(&found[0], captures(text, r"Did you mean '([^']+)'"));
    }
    if let Some(found) = captures(text, r#"column "?([^"\s]+)"? must appear in the GROUP BY clause"#)
        .or_else(|| captures(text, r"Column in (?:SELECT|HAVING|ORDER BY) must be in GROUP BY or an aggregate function: .*?[Cc]olumn \W*([\w.`$]+)"))
    {
        let column = found[0].trim_matches('`').rsplit('.').next().unwrap_or_default().to_owned();
        return SqlError::nowhere(format!(
            "column `{column}` is neither in GROUP BY nor inside an aggregate function"
        ));
    }
    if let Some(found) = captures(
        text,
        r"Cannot (?:infer common argument type for \w+ operation|coerce arithmetic expression) (.+?) (\S+) (.+?)(?: to valid types.*)?$",
    ) {
        let [left, operator, right] = [0, 1, 2].map(|part: usize| found[part].clone());
        return SqlError::nowhere(format!(
            "{} {operator} {} is not defined",
            arrow_name(&left),
            arrow_name(&right)
        ))
        .hint("CAST one side to the type of the other");
    }
    let mut message = message.trim_end_matches('.').to_owned();
    if message.starts_with(|c: char| c.is_ascii_uppercase())
        && !message[1..].starts_with(|c: char| c.is_ascii_uppercase())
    {
        message = message[..1].to_lowercase() + &message[1..];
    }
    SqlError::nowhere(message)
}

fn unknown_function(name: &str, near: Option<Vec<String>>) -> SqlError {
    let upper = name.to_uppercase();
    let error = SqlError::nowhere(format!("unknown function `{upper}`"));
    match near {
        Some(near) if nearest(name, [near[0].as_str()]).is_some() => {
            error.hint(format!("did you mean {}?", near[0].to_uppercase()))
        }
        _ => error,
    }
}

fn captures(text: &str, pattern: &str) -> Option<Vec<String>> {
    let found = Regex::new(pattern).ok()?.captures(text)?;
    Some(found.iter().skip(1).flatten().map(|group| group.as_str().to_owned()).collect())
}

/// The SQL name of a type that DataFusion has written as text.
fn arrow_name(text: &str) -> String {
    use std::str::FromStr;
    arrow::datatypes::DataType::from_str(text)
        .map_or_else(|_| text.to_owned(), |ty| crate::types::sql_name(&ty))
}
