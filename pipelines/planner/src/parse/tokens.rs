//! The words of a SQL text and where they stand.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{
    Location, Span, Token, TokenWithSpan, Tokenizer, TokenizerError, Whitespace,
};

use super::dialect::FlinkDialect;

/// Reads a text into tokens that sqlparser understands:
/// * `t /*+ OPTIONS('k' = 'v') */` becomes `t WITH ('k' = 'v')`;
/// * `>>` becomes `> >`, for nested type lists;
/// * `PATTERN (…) WITHIN i DEFINE` of MATCH_RECOGNIZE becomes `PATTERN (…) DEFINE __within AS i,`.
pub fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let tokens = Tokenizer::new(&FlinkDialect, sql).tokenize_with_location()?;
    let mut made: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut within = false;
    for token in tokens {
        match &token.token {
            Token::Whitespace(Whitespace::MultiLineComment(comment)) => {
                match options_hint(comment) {
                    Some(options) => push_hint(&mut made, options, token.span)?,
                    None => made.push(token),
                }
            }
            Token::ShiftRight => {
                let start = Span::new(token.span.start, token.span.start);
                made.push(TokenWithSpan { token: Token::Gt, span: start });
                made.push(TokenWithSpan { token: Token::Gt, span: token.span });
            }
            Token::Word(word)
                if word.value.eq_ignore_ascii_case("WITHIN") && ends_pattern(&made) =>
            {
                for part in [
                    Token::make_keyword("DEFINE"),
                    Token::make_word("__within", None),
                    Token::make_keyword("AS"),
                ] {
                    made.push(TokenWithSpan { token: part, span: token.span });
                }
                within = true;
            }
            Token::Word(word) if within && word.keyword == Keyword::DEFINE => {
                within = false;
                made.push(TokenWithSpan { token: Token::Comma, span: token.span });
            }
            _ => made.push(token),
        }
    }
    Ok(made)
}

/// The list of a comment `/*+ OPTIONS(…) */`.
fn options_hint(comment: &str) -> Option<&str> {
    let hint = comment.strip_prefix('+')?.trim();
    let head = hint.get(.."OPTIONS".len())?;
    head.eq_ignore_ascii_case("OPTIONS").then(|| hint["OPTIONS".len()..].trim())
}

fn push_hint(
    made: &mut Vec<TokenWithSpan>,
    options: &str,
    span: Span,
) -> Result<(), TokenizerError> {
    made.push(TokenWithSpan { token: Token::make_keyword("WITH"), span });
    for token in Tokenizer::new(&FlinkDialect, options).tokenize()? {
        made.push(TokenWithSpan { token, span });
    }
    Ok(())
}

fn ends_pattern(before: &[TokenWithSpan]) -> bool {
    let last = before.iter().rev().find(|token| !matches!(token.token, Token::Whitespace(_)));
    last.is_some_and(|token| token.token == Token::RParen)
}

/// Finds words and literals in a text again, for errors that come without a place.
#[derive(Debug, Default, Clone)]
pub struct Places(Vec<(Token, Location)>);

impl Places {
    pub fn new(tokens: &[TokenWithSpan]) -> Self {
        let kept = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
        Self(kept.map(|token| (token.token.clone(), token.span.start)).collect())
    }

    /// The first place of `word` between two places: as written, else in other case.
    pub fn find(&self, word: &str, from: Location, to: Location) -> Option<Location> {
        let within = || self.0.iter().filter(|(_, at)| (from..=to).contains(at));
        let exact = within().find(|(token, _)| text(token) == Some(word));
        let any_case = || {
            within()
                .find(|(token, _)| text(token).is_some_and(|text| text.eq_ignore_ascii_case(word)))
        };
        exact.or_else(any_case).map(|(_, at)| *at)
    }
}

fn text(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) => Some(&word.value),
        Token::SingleQuotedString(text) => Some(text),
        Token::Number(digits, _) => Some(digits),
        _ => None,
    }
}

/// Where a keyword that sqlparser keeps stands.
pub fn place_of(token: &AttachedToken) -> Location {
    token.0.span.start
}
