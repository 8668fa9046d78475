//! Bounds how deep a row pattern is nested: sqlparser goes down as deep as the text does.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, TokenizerError};

/// Parentheses and alternatives in one another, more than anybody writes.
const DEPTH_MAX: usize = 64;

/// `A{2,3}?` has two, and no variable more.
const QUANTIFIERS_MAX: usize = 2;

/// Watches the tokens of a text for `PATTERN (…)`.
#[derive(Default)]
pub struct PatternDepth {
    /// Open parentheses since the word, and alternatives. 0: outside of a pattern.
    depth: usize,
    parentheses: usize,
    after_word: bool,
    /// In a row.
    quantifiers: usize,
    counting: bool,
}

impl PatternDepth {
    /// # Errors
    /// At the token that goes too deep.
    pub fn see(&mut self, token: &TokenWithSpan) -> Result<(), TokenizerError> {
        if matches!(token.token, Token::Whitespace(_)) {
            return Ok(());
        }
        let begins = std::mem::take(&mut self.after_word) && token.token == Token::LParen;
        if self.parentheses == 0 && !begins {
            self.after_word =
                matches!(&token.token, Token::Word(word) if word.keyword == Keyword::PATTERN);
            return Ok(());
        }
        match &token.token {
            Token::LParen => {
                self.parentheses += 1;
                self.depth += 1;
            }
            Token::Pipe => self.depth += 1,
            Token::RParen => {
                self.parentheses -= 1;
                self.depth = self.depth.saturating_sub(1);
                if self.parentheses == 0 {
                    *self = Self::default();
                    return Ok(());
                }
            }
            _ => {}
        }
        match &token.token {
            Token::Mul | Token::Plus | Token::Placeholder(_) => self.quantifiers += 1,
            Token::LBrace => {
                self.quantifiers += 1;
                self.counting = true;
            }
            Token::RBrace => self.counting = false,
            _ if self.counting => {}
            _ => self.quantifiers = 0,
        }
        match self.depth > DEPTH_MAX || self.quantifiers > QUANTIFIERS_MAX {
            true => Err(TokenizerError {
                message: "PATTERN is nested too deeply".to_owned(),
                location: token.span.start,
            }),
            false => Ok(()),
        }
    }
}
