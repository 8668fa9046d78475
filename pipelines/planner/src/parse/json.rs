//! The JSON functions of standard SQL, whose clauses become plain arguments.

use sqlparser::ast::{BinaryOperator, Expr, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::dialect::{call, call_ident, text};

type Parsed<T> = Result<T, ParserError>;

/// `JSON_VALUE(…)`, `JSON_QUERY(…)` or `JSON_EXISTS(…)`.
pub fn path_function(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let json = parser.parse_expr()?;
    parser.expect_token(&Token::Comma)?;
    let path = parser.parse_expr()?;
    let mut clauses = Clauses::default();
    while !parser.consume_token(&Token::RParen) {
        clauses.take(parser)?;
    }
    let Clauses { returning, wrapper, on_empty, on_error } = clauses;
    let mut arguments = vec![json, path];
    match name.value.to_ascii_uppercase().as_str() {
        "JSON_VALUE" => {
            for (action, default) in [on_empty, on_error] {
                arguments.extend([text(action), default.map_or_else(null, as_text)]);
            }
        }
        "JSON_QUERY" => arguments.extend([text(wrapper), text(on_empty.0), text(on_error.0)]),
        _ => arguments.push(text(on_error.0)),
    }
    let value = call_ident(name, arguments);
    Ok(match returning {
        Some(ty) => call("__try_cast", vec![value, text(ty)]),
        None => value,
    })
}

/// What is done, and the value of DEFAULT.
type Action = (String, Option<Expr>);

#[derive(Default)]
struct Clauses {
    returning: Option<String>,
    wrapper: String,
    on_empty: Action,
    on_error: Action,
}

impl Clauses {
    fn take(&mut self, parser: &mut Parser) -> Parsed<()> {
        match word(parser).as_str() {
            "RETURNING" => {
                parser.next_token();
                let mut ty = vec![];
                while !ends_type(parser) {
                    ty.push(parser.next_token().to_string());
                }
                self.returning = Some(ty.join(" "));
            }
            "WITHOUT" => {
                parser.next_token();
                take_word(parser, "ARRAY");
                expect_word(parser, "WRAPPER")?;
            }
            "WITH" => {
                parser.next_token();
                let conditional = take_word(parser, "CONDITIONAL");
                take_word(parser, "UNCONDITIONAL");
                take_word(parser, "ARRAY");
                expect_word(parser, "WRAPPER")?;
                self.wrapper = if conditional { "CONDITIONAL" } else { "UNCONDITIONAL" }.to_owned();
            }
            "DEFAULT" => {
                parser.next_token();
                let value = parser.parse_expr()?;
                self.on(parser, ("DEFAULT".to_owned(), Some(value)))?;
            }
            "EMPTY" => {
                parser.next_token();
                let kind = word(parser);
                if !matches!(kind.as_str(), "ARRAY" | "OBJECT") {
                    return parser.expected("ARRAY or OBJECT", parser.peek_token());
                }
                parser.next_token();
                self.on(parser, (format!("EMPTY {kind}"), None))?;
            }
            action @ ("NULL" | "ERROR" | "TRUE" | "FALSE" | "UNKNOWN") => {
                let action = action.to_owned();
                parser.next_token();
                self.on(parser, (action, None))?;
            }
            _ => return parser.expected("a clause of a JSON function or )", parser.peek_token()),
        }
        Ok(())
    }

    fn on(&mut self, parser: &mut Parser, action: Action) -> Parsed<()> {
        parser.expect_keyword(Keyword::ON)?;
        match word(parser).as_str() {
            "EMPTY" => self.on_empty = action,
            "ERROR" => self.on_error = action,
            _ => return parser.expected("EMPTY or ERROR", parser.peek_token()),
        }
        parser.next_token();
        Ok(())
    }
}

fn word(parser: &Parser) -> String {
    match &parser.peek_token_ref().token {
        Token::Word(word) => word.value.to_ascii_uppercase(),
        _ => String::new(),
    }
}

fn take_word(parser: &mut Parser, wanted: &str) -> bool {
    let is = word(parser) == wanted;
    if is {
        parser.next_token();
    }
    is
}

fn expect_word(parser: &mut Parser, wanted: &str) -> Parsed<()> {
    match take_word(parser, wanted) {
        true => Ok(()),
        false => parser.expected(wanted, parser.peek_token()),
    }
}

fn ends_type(parser: &Parser) -> bool {
    let clauses = ["WITH", "WITHOUT", "NULL", "ERROR", "DEFAULT", "EMPTY"];
    matches!(parser.peek_token_ref().token, Token::RParen | Token::EOF)
        || clauses.contains(&word(parser).as_str())
}

fn null() -> Expr {
    Expr::Value(sqlparser::ast::Value::Null.into())
}

fn as_text(value: Expr) -> Expr {
    call("__cast", vec![value, text("STRING")])
}

/// `JSON_OBJECT([KEY] 'k' VALUE v, … [NULL | ABSENT ON NULL])`.
pub fn object(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let mut values = Values::default();
    while !closes(parser) {
        let (key, value) = member(parser)?;
        values.push(key);
        values.push(value);
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    values.call(name, "NULL", parser)
}

/// `JSON_ARRAY(v, … [NULL | ABSENT ON NULL])`.
pub fn array(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let mut values = Values::default();
    while !closes(parser) {
        values.push(parser.parse_expr()?);
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    values.call(name, "ABSENT", parser)
}

/// At `)`, or at a clause without values before it.
fn closes(parser: &Parser) -> bool {
    parser.peek_token_ref().token == Token::RParen
        || matches!(word(parser).as_str(), "NULL" | "ABSENT")
            && matches!(&parser.peek_nth_token_ref(1).token, Token::Word(on) if on.keyword == Keyword::ON)
}

#[derive(Default)]
struct Values {
    values: Vec<Expr>,
    /// A digit each: whether it is JSON that stands as it is.
    raw: String,
}

impl Values {
    fn push(&mut self, value: Expr) {
        self.raw.push(if is_raw(&value) { '1' } else { '0' });
        self.values.push(value);
    }

    /// The rest of the call. What becomes of nulls and `raw` are its first argument.
    fn call(self, name: Ident, nulls: &'static str, parser: &mut Parser) -> Parsed<Expr> {
        let nulls = on_null(nulls, parser)?;
        let plan = text(format!("{nulls} {}", self.raw));
        Ok(call_ident(name, [vec![plan], self.values].concat()))
    }
}

/// `[NULL | ABSENT ON NULL])`, and which of the two holds.
fn on_null(unless_said: &'static str, parser: &mut Parser) -> Parsed<&'static str> {
    let nulls = match word(parser).as_str() {
        "NULL" => "NULL",
        "ABSENT" => "ABSENT",
        _ => unless_said,
    };
    if parser.peek_token_ref().token != Token::RParen {
        parser.next_token();
        parser.expect_keywords(&[Keyword::ON, Keyword::NULL])?;
    }
    parser.expect_token(&Token::RParen)?;
    Ok(nulls)
}

/// Whether a value is JSON that stands as it is.
fn is_raw(value: &Expr) -> bool {
    let Expr::Function(function) = value else { return false };
    let name = function.name.to_string().to_ascii_uppercase();
    matches!(name.as_str(), "JSON" | "JSON_OBJECT" | "JSON_ARRAY")
}

/// `JSON_ARRAYAGG(v [NULL | ABSENT ON NULL])`: its argument becomes JSON, null where it is left out.
pub fn array_of_rows(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let item = as_json(parser.parse_expr()?);
    let item = match on_null("ABSENT", parser)? {
        "NULL" => or_null(item),
        _ => item,
    };
    Ok(call_ident(name, vec![item]))
}

/// `JSON_OBJECTAGG([KEY] k VALUE v [NULL | ABSENT ON NULL])`: its arguments become the key and the
/// member, which is null where it is left out.
pub fn object_of_rows(parser: &mut Parser) -> Parsed<Expr> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let (key, value) = member(parser)?;
    let value = match on_null("NULL", parser)? {
        "NULL" => or_null(as_json(value)),
        _ => as_json(value),
    };
    let quoted = call("json_string", vec![key.clone()]);
    let colon = joined(quoted, text(":"));
    Ok(call_ident(name, vec![key, joined(colon, value)]))
}

/// `[KEY] k VALUE v`.
fn member(parser: &mut Parser) -> Parsed<(Expr, Expr)> {
    // A key may be called KEY.
    if word(parser) == "KEY" && !matches!(parser.peek_nth_token_ref(1).token, Token::Colon) {
        parser.next_token();
    }
    let key = parser.parse_expr()?;
    if !parser.parse_keyword(Keyword::VALUE) && !parser.consume_token(&Token::Colon) {
        return parser.expected("VALUE", parser.peek_token());
    }
    Ok((key, parser.parse_expr()?))
}

fn as_json(value: Expr) -> Expr {
    match is_raw(&value) {
        true => value,
        false => call("json_string", vec![value]),
    }
}

fn or_null(json: Expr) -> Expr {
    call("coalesce", vec![json, text("null")])
}

fn joined(left: Expr, right: Expr) -> Expr {
    let (left, right) = (Box::new(left), Box::new(right));
    Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right }
}

/// `s IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT]`, where the next tokens are these.
pub fn is_json(parser: &mut Parser, value: &Expr) -> Option<Expr> {
    let at = |place: usize| match &parser.peek_nth_token_ref(place).token {
        Token::Word(word) => word.value.to_ascii_uppercase(),
        _ => String::new(),
    };
    let negated = at(1) == "NOT";
    let json = 1 + usize::from(negated);
    if at(0) != "IS" || at(json) != "JSON" {
        return None;
    }
    let kind = Some(at(json + 1));
    let kind = kind.filter(|k| matches!(k.as_str(), "VALUE" | "SCALAR" | "ARRAY" | "OBJECT"));
    for _ in 0..=json + usize::from(kind.is_some()) {
        parser.next_token();
    }
    let kind = kind.unwrap_or_else(|| "VALUE".to_owned());
    let test = call("is_json", vec![value.clone(), text(kind)]);
    Some(match negated {
        true => Expr::UnaryOp { op: sqlparser::ast::UnaryOperator::Not, expr: Box::new(test) },
        false => test,
    })
}
