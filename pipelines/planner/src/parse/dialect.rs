//! Flink SQL for sqlparser: what its expressions and relations have that standard SQL has not.

use std::any::TypeId;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Value,
};
use sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::json;

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

    /// `U&'\00fc'`.
    fn supports_unicode_string_literal(&self) -> bool {
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
                Some(json::path_function(parser))
            }
            "CAST" | "TRY_CAST" if *next == Token::LParen => Some(cast(parser)),
            "JSON_OBJECT" if *next == Token::LParen => Some(json::object(parser)),
            "JSON_ARRAY" if *next == Token::LParen => Some(json::array(parser)),
            "JSON_ARRAYAGG" if *next == Token::LParen => Some(json::array_of_rows(parser)),
            "JSON_OBJECTAGG" if *next == Token::LParen => Some(json::object_of_rows(parser)),
            _ => None,
        }
    }

    /// `(SELECT …) PARTITION BY k`, which stands for a table.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Parsed<u8>> {
        let at_clause = at_words(parser, ["PARTITION", "BY"]);
        at_clause.then(|| Ok(self.prec_value(Precedence::Period)))
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, _: u8) -> Option<Parsed<Expr>> {
        if matches!(expr, Expr::Subquery(_)) && at_words(parser, ["PARTITION", "BY"]) {
            return Some(with_clauses(parser, expr.clone()));
        }
        if let Some(test) = json::is_json(parser, expr) {
            return Some(Ok(test));
        }
        let at = |place: usize| match &parser.peek_nth_token_ref(place).token {
            Token::Word(word) => word.value.to_ascii_uppercase(),
            _ => String::new(),
        };
        let negated = at(0) == "NOT";
        let between = usize::from(negated);
        match (at(between).as_str(), at(between + 1).as_str()) {
            ("BETWEEN", symmetry @ ("SYMMETRIC" | "ASYMMETRIC")) => {
                let symmetric = symmetry == "SYMMETRIC";
                for _ in 0..between + 2 {
                    parser.next_token();
                }
                Some(bounds(self, parser, expr, negated, symmetric))
            }
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
    let name = Expr::Identifier(parser.parse_identifier()?);
    with_clauses(parser, name)
}

fn at_words(parser: &Parser, words: [&str; 2]) -> bool {
    words.into_iter().enumerate().all(|(nth, wanted)| {
        matches!(&parser.peek_nth_token_ref(nth).token,
            Token::Word(word) if word.value.eq_ignore_ascii_case(wanted))
    })
}

/// The clauses behind a table or subquery that is an argument.
fn with_clauses(parser: &mut Parser, table: Expr) -> Parsed<Expr> {
    let mut arguments = vec![table];
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

/// `CAST(x AS type)`: sqlparser does not know all types, so the text of the type is kept.
fn cast(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let value = parser.parse_expr()?;
    parser.expect_keyword(Keyword::AS)?;
    let ty = until_closed(parser)?.join(" ");
    Ok(call_ident(
        Ident { value: format!("__{}", name.value.to_lowercase()), ..name },
        vec![value, text(ty)],
    ))
}

/// The tokens up to the parenthesis that closes the one before them.
fn until_closed(parser: &mut Parser) -> Parsed<Vec<String>> {
    let mut made = vec![];
    let mut depth = 0;
    loop {
        let token = parser.next_token();
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return Ok(made),
            Token::RParen => depth -= 1,
            Token::EOF => return parser.expected(")", token),
            _ => {}
        }
        made.push(token.to_string());
    }
}

/// `MAP['key', value, …]`.
fn map_literal(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LBracket)?;
    let entries = parser.parse_comma_separated0(Parser::parse_expr, Token::RBracket)?;
    parser.expect_token(&Token::RBracket)?;
    Ok(call_ident(name, entries))
}

/// What follows `BETWEEN [A]SYMMETRIC`.
fn bounds(
    dialect: &FlinkDialect,
    parser: &mut Parser,
    expr: &Expr,
    negated: bool,
    symmetric: bool,
) -> Parsed<Expr> {
    let precedence = dialect.prec_value(Precedence::Between);
    let low = parser.parse_subexpr(precedence)?;
    parser.expect_keyword(Keyword::AND)?;
    let high = parser.parse_subexpr(precedence)?;
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(expr.clone()),
        negated,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    if !symmetric {
        return Ok(between(&low, &high));
    }
    let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
    Ok(Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(between(&low, &high)),
        op,
        right: Box::new(between(&high, &low)),
    })))
}
