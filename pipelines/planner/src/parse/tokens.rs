//! The words of a SQL text and where they stand.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{
    Location, Span, Token, TokenWithSpan, Tokenizer, TokenizerError, Whitespace, Word,
};

use super::dialect::FlinkDialect;
use super::pattern_depth::PatternDepth;

/// The variable whose definition is the interval of `WITHIN`.
pub const WITHIN: &str = "__within";

/// The function that makes a table of a query.
pub const ROWS: &str = "__rows";

/// Reads a text into tokens that sqlparser understands:
/// * `t /*+ OPTIONS('k' = 'v') */` becomes `t WITH ('k' = 'v')`;
/// * `>>` becomes `> >`, for nested type lists;
/// * in MATCH_RECOGNIZE `PATTERN (…) WITHIN i DEFINE` becomes `PATTERN (…) DEFINE __within AS i,`,
///   `SKIP TO v` becomes `SKIP TO LAST v`, and FINAL before FIRST and LAST, which says what they are
///   anyway, is left out;
/// * `(SELECT …) MATCH_RECOGNIZE` becomes `__rows((SELECT …)) MATCH_RECOGNIZE`.
pub fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let tokens = Tokenizer::new(&FlinkDialect, sql).tokenize_with_location()?;
    let mut made: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut within = false;
    let mut pattern = PatternDepth::default();
    for token in tokens {
        pattern.see(&token)?;
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
                    Token::make_word(WITHIN, None),
                    Token::make_keyword("AS"),
                ] {
                    made.push(TokenWithSpan { token: part, span: token.span });
                }
                within = true;
            }
            Token::Word(word)
                if word.value.eq_ignore_ascii_case("SUBSET") && (within || ends_pattern(&made)) =>
            {
                let message = "SUBSET in MATCH_RECOGNIZE is not supported".to_owned();
                return Err(TokenizerError { message, location: token.span.start });
            }
            Token::Word(word) if word.keyword == Keyword::MATCH_RECOGNIZE => {
                close_rows(&mut made, token.span);
                made.push(token);
            }
            Token::Word(word) if skips_to(&made, word) => {
                made.push(TokenWithSpan { token: Token::make_keyword("LAST"), span: token.span });
                made.push(token);
            }
            Token::Word(word) if matches!(word.keyword, Keyword::FIRST | Keyword::LAST) => {
                if let Some(last) = last_word(&made, "FINAL") {
                    made.truncate(last);
                }
                made.push(token);
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
    // Places in it count from its own beginning.
    let placed = |error| TokenizerError { location: span.start, ..error };
    for token in Tokenizer::new(&FlinkDialect, options).tokenize().map_err(placed)? {
        made.push(TokenWithSpan { token, span });
    }
    Ok(())
}

/// Whether what was read ends with `PATTERN (…)`.
fn ends_pattern(before: &[TokenWithSpan]) -> bool {
    opening(before).is_some_and(|open| last_word(&before[..open], "PATTERN").is_some())
}

/// Whether a word is the variable of `AFTER MATCH SKIP TO v`.
fn skips_to(before: &[TokenWithSpan], word: &Word) -> bool {
    let how = ["FIRST", "LAST", "NEXT"];
    let follows = last_word(before, "TO").and_then(|to| last_word(&before[..to], "SKIP"));
    follows.is_some() && !how.iter().any(|how| word.value.eq_ignore_ascii_case(how))
}

/// Puts a query that ends here into `__rows((…))`: sqlparser takes MATCH_RECOGNIZE after a name.
fn close_rows(made: &mut Vec<TokenWithSpan>, span: Span) {
    let Some(open) = opening(made) else { return };
    let begins = made[open + 1..].iter().find(|token| !is_space(token));
    let is_query = begins.is_some_and(|token| match &token.token {
        Token::Word(word) => {
            matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES)
        }
        _ => false,
    });
    if is_query {
        let at = made[open].span;
        let call = [Token::make_word(ROWS, None), Token::LParen];
        made.splice(open..open, call.map(|token| TokenWithSpan { token, span: at }));
        made.push(TokenWithSpan { token: Token::RParen, span });
    }
}

/// The position of the parenthesis that the last token closes.
fn opening(before: &[TokenWithSpan]) -> Option<usize> {
    let last = before.iter().rposition(|token| !is_space(token))?;
    if before[last].token != Token::RParen {
        return None;
    }
    let mut depth = 0;
    before[..=last].iter().rposition(|token| {
        match token.token {
            Token::RParen => depth += 1,
            Token::LParen => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

/// The position of the last token, where it is this word.
fn last_word(before: &[TokenWithSpan], wanted: &str) -> Option<usize> {
    let last = before.iter().rposition(|token| !is_space(token))?;
    match &before[last].token {
        Token::Word(word) if word.value.eq_ignore_ascii_case(wanted) => Some(last),
        _ => None,
    }
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
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
