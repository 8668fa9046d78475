//! Flink SQL for sqlparser: what its expressions and relations have that standard SQL has not.

use std::any::TypeId;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Value,
};
use sqlparser::dialect::{Dialect, GenericDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

type Parsed<T> = Result<T, ParserError>;

/// `TABLE t` as an argument of a table function is parsed as a call of this name.
pub const TABLE_ARGUMENT: &str = "__table";
/// `PARTITION BY` of a table argument.
pub const PARTITION_BY: &str = "__partition_by";
/// `ORDER BY` of a table argument.
pub const ORDER_BY: &str = "__order_by";
/// `MODEL m` as an argument.
pub const MODEL_ARGUMENT: &str = "__model";

#[derive(Debug, Default)]
pub struct FlinkDialect;

impl Dialect for FlinkDialect {
    /// The parser asks for dialects by type where it has no flag (UNNEST and others).
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`' || ch == '"'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch == '$'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_match_recognize(&self) -> bool {
        true
    }

    /// `FOR SYSTEM_TIME AS OF`.
    fn supports_table_versioning(&self) -> bool {
        true
    }

    /// `/*+ OPTIONS(…) */`, which arrives rewritten as `WITH (…)`.
    fn supports_table_hints(&self) -> bool {
        true
    }

    /// `SELECT /*+ LOOKUP(…) */`.
    fn supports_comment_optimizer_hint(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_subquery_as_function_arg(&self) -> bool {
        true
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        false
    }

    fn supports_limit_comma(&self) -> bool {
        false
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        keyword == Keyword::INTERVAL
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Parsed<Expr>> {
        let Token::Word(word) = &parser.peek_token_ref().token else { return None };
        if word.quote_style.is_some() {
            return None;
        }
        let next = &parser.peek_nth_token_ref(1).token;
        match word.value.to_ascii_uppercase().as_str() {
            "TABLE" if matches!(next, Token::Word(_)) => Some(table_argument(parser)),
            "MODEL" if matches!(next, Token::Word(_)) => Some(model_argument(parser)),
            "MAP" if *next == Token::LBracket => Some(map_literal(parser)),
            "JSON_VALUE" | "JSON_QUERY" | "JSON_EXISTS" if *next == Token::LParen => {
                Some(json_path_function(parser))
            }
            "JSON_OBJECT" if *next == Token::LParen => Some(json_object(parser)),
            _ => None,
        }
    }
}

/// A call of `name` with positional arguments.
pub fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    call_ident(Ident::new(name), arguments)
}

/// [`call`], where the name carries its place in the text.
pub fn call_ident(name: Ident, arguments: Vec<Expr>) -> Expr {
    let argument = |value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value));
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

pub fn text(value: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).into())
}

/// `TABLE t [PARTITION BY k | (k, j)] [ORDER BY …]`; the name stays an identifier, with its place.
fn table_argument(parser: &mut Parser) -> Parsed<Expr> {
    parser.next_token();
    let mut arguments = vec![Expr::Identifier(parser.parse_identifier()?)];
    let clauses = [(Keyword::PARTITION, PARTITION_BY), (Keyword::ORDER, ORDER_BY)];
    for (keyword, name) in clauses {
        if !parser.parse_keywords(&[keyword, Keyword::BY]) {
            continue;
        }
        let keys = match parser.consume_token(&Token::LParen) {
            true => {
                let keys = parser.parse_comma_separated(Parser::parse_expr)?;
                parser.expect_token(&Token::RParen)?;
                keys
            }
            false => vec![parser.parse_expr()?],
        };
        arguments.push(call(name, keys));
    }
    Ok(call(TABLE_ARGUMENT, arguments))
}

fn model_argument(parser: &mut Parser) -> Parsed<Expr> {
    parser.next_token();
    Ok(call(MODEL_ARGUMENT, vec![Expr::Identifier(parser.parse_identifier()?)]))
}

/// `MAP['key', value, …]`.
fn map_literal(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LBracket)?;
    let entries = parser.parse_comma_separated0(Parser::parse_expr, Token::RBracket)?;
    parser.expect_token(&Token::RBracket)?;
    Ok(call_ident(name, entries))
}

/// `JSON_VALUE(j, 'path' [RETURNING type] [… ON EMPTY] [… ON ERROR])`: what follows the path
/// becomes one more argument, its text.
fn json_path_function(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let mut arguments = parser.parse_comma_separated(Parser::parse_expr)?;
    let mut clauses = vec![];
    let mut depth = 0;
    loop {
        let token = parser.next_token();
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => break,
            Token::RParen => depth -= 1,
            Token::EOF => return parser.expected(")", token),
            _ => {}
        }
        clauses.push(token.to_string());
    }
    if !clauses.is_empty() {
        arguments.push(text(clauses.join(" ")));
    }
    Ok(call_ident(name, arguments))
}

/// `JSON_OBJECT([KEY] 'k' VALUE v, … [NULL | ABSENT ON NULL])` as `JSON_OBJECT('k', v, …)`, with a
/// last argument where nulls are left out.
fn json_object(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let mut arguments = vec![];
    while parser.peek_token_ref().token != Token::RParen {
        let _ = parser.parse_keyword(Keyword::KEY);
        arguments.push(parser.parse_expr()?);
        if !parser.parse_keyword(Keyword::VALUE) && !parser.consume_token(&Token::Colon) {
            return parser.expected("VALUE", parser.peek_token());
        }
        arguments.push(parser.parse_expr()?);
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    if parser.parse_keywords(&[Keyword::ABSENT, Keyword::ON, Keyword::NULL]) {
        arguments.push(text("ABSENT ON NULL"));
    } else {
        let _ = parser.parse_keywords(&[Keyword::NULL, Keyword::ON, Keyword::NULL]);
    }
    parser.expect_token(&Token::RParen)?;
    Ok(call_ident(name, arguments))
}
