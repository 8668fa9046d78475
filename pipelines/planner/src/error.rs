//! Errors in SQL, with the place in the text and the nearest thing that is supported.

use std::fmt;

use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, TokenizerError};

/// What is wrong with a SQL text, and where.
///
/// Displayed as `line 3, column 14: unknown column "titel" (hint: did you mean "title"?)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// Counted from 1; 0 where no place can be named.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    pub message: String,
    /// The nearest thing that is supported.
    pub hint: Option<String>,
}

pub type SqlResult<T> = Result<T, SqlError>;

impl SqlError {
    pub fn new(at: Location, message: impl fmt::Display) -> Self {
        Self {
            line: at.line as usize,
            column: at.column as usize,
            message: message.to_string(),
            hint: None,
        }
    }

    /// An error whose place is not known yet.
    pub fn nowhere(message: impl fmt::Display) -> Self {
        Self::new(Location { line: 0, column: 0 }, message)
    }

    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    pub fn has_place(&self) -> bool {
        self.line > 0
    }

    /// The same error at `place`, where it has none of its own.
    pub fn or_at(mut self, place: Location) -> Self {
        if !self.has_place() {
            self.line = place.line as usize;
            self.column = place.column as usize;
        }
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.has_place() {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SqlError {}

impl From<TokenizerError> for SqlError {
    fn from(error: TokenizerError) -> Self {
        Self::new(error.location, lower_first(&error.message))
    }
}

impl From<ParserError> for SqlError {
    /// sqlparser writes the place into the text.
    fn from(error: ParserError) -> Self {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
            ParserError::RecursionLimitExceeded => {
                return Self::nowhere("the statement is nested too deeply");
            }
        };
        let (message, at) = match text.rfind(" at Line: ") {
            Some(cut) => (&text[..cut], location(&text[cut..])),
            None => (text.as_str(), None),
        };
        let message = match message.strip_prefix("Expected: ") {
            Some(rest) => format!("expected {}", rest.replacen(", found:", ", found", 1)),
            None => lower_first(message),
        };
        Self::new(at.unwrap_or(Location { line: 0, column: 0 }), message)
    }
}

/// Reads ` at Line: 3, Column: 14`.
fn location(text: &str) -> Option<Location> {
    let numbers = text.strip_prefix(" at Line: ")?;
    let (line, column) = numbers.split_once(", Column: ")?;
    Some(Location { line: line.parse().ok()?, column: column.trim().parse().ok()? })
}

fn lower_first(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    match chars.next() {
        // An abbreviation stays as it is.
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.trim_end_matches('.').to_owned(),
    }
}

/// The candidate that `name` was most likely meant to be: at most a third of its letters differ.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let distances =
        candidates.into_iter().map(|other| (distance(&name, &other.to_lowercase()), other));
    let best = distances.min_by_key(|(distance, _)| *distance)?;
    (best.0 <= name.chars().count().div_ceil(3)).then_some(best.1)
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_parser_error_becomes_line_and_column() {
        let text = "Expected: ), found: FROM at Line: 3, Column: 14";
        let error = SqlError::from(ParserError::ParserError(text.into()));
        assert_eq!(error.to_string(), "line 3, column 14: expected ), found FROM");
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("titel", ["country", "title"]), Some("title"));
        assert_eq!(nearest("Title", ["title"]), Some("title"));
        assert_eq!(nearest("profile", ["country", "title"]), None);
    }
}
