//! Flink SQL text to statements, on sqlparser without a fork.

pub mod ast;
mod create_table;
pub mod dialect;
pub mod group_windows;
mod json;
mod names;
mod pattern_depth;
mod query;
pub mod rewrite;
mod row_in;
mod statements;
pub mod tokens;
mod types;

use crate::error::SqlResult;
use ast::Located;
use tokens::Places;

pub use query::check_query;

/// Parses a whole file.
pub fn parse(sql: &str) -> SqlResult<(Vec<Located>, Places)> {
    let tokens = tokens::tokenize(sql)?;
    let places = Places::new(&tokens);
    Ok((statements::StatementParser::new(tokens).all()?, places))
}

/// The type of a CAST, whose text the parser has kept.
pub fn cast_type(text: &str) -> SqlResult<ast::FlinkType> {
    statements::StatementParser::new(tokens::tokenize(text)?).only_type()
}
