//! Column types: `ROW<…>`, `MAP<…>`, `TIMESTAMP_LTZ(3)`, … and those that sqlparser knows.

use sqlparser::tokenizer::Token;

use super::ast::FlinkType;
use super::statements::StatementParser;
use crate::error::{SqlError, SqlResult};

/// Flink's precision of TIMESTAMP without one.
const DEFAULT_PRECISION: u8 = 6;

impl StatementParser<'_> {
    pub(super) fn data_type(&mut self) -> SqlResult<FlinkType> {
        let base = self.nullable_type()?;
        if self.keywords("NOT NULL") {
            return Ok(FlinkType::NotNull(Box::new(base)));
        }
        self.keywords("NULL");
        Ok(base)
    }

    /// A type and nothing else.
    pub(super) fn only_type(mut self) -> SqlResult<FlinkType> {
        let ty = self.data_type()?;
        self.expect(&Token::EOF)?;
        Ok(ty)
    }

    fn nullable_type(&mut self) -> SqlResult<FlinkType> {
        let nested = matches!(self.peek(1), Token::Lt | Token::LParen);
        Ok(match self.word(0).as_str() {
            "ROW" if nested => FlinkType::Row(self.nested(Self::row_fields)?),
            "MAP" if nested => self.nested(|parser| {
                let key = parser.data_type()?;
                parser.expect(&Token::Comma)?;
                Ok(FlinkType::Map(Box::new(key), Box::new(parser.data_type()?)))
            })?,
            "ARRAY" if nested => FlinkType::Array(Box::new(self.nested(Self::data_type)?)),
            "MULTISET" if nested => FlinkType::Multiset(Box::new(self.nested(Self::data_type)?)),
            "TIMESTAMP_LTZ" => {
                self.keywords("TIMESTAMP_LTZ");
                FlinkType::TimestampLtz(self.precision()?)
            }
            "TIMESTAMP" => {
                self.keywords("TIMESTAMP");
                let precision = self.precision()?;
                if self.keywords("WITH LOCAL TIME ZONE") {
                    FlinkType::TimestampLtz(precision)
                } else {
                    self.keywords("WITHOUT TIME ZONE");
                    FlinkType::Timestamp(precision)
                }
            }
            "STRING" => {
                self.keywords("STRING");
                FlinkType::Text
            }
            "BYTES" => {
                self.keywords("BYTES");
                FlinkType::Bytes
            }
            _ => FlinkType::Plain(self.parser.parse_data_type()?),
        })
    }

    /// What is between `<` and `>`, or `(` and `)`, after the current word.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        self.parser.next_token();
        let close = match self.parser.consume_token(&Token::LParen) {
            true => Token::RParen,
            false => {
                self.expect(&Token::Lt)?;
                Token::Gt
            }
        };
        let inner = parse(self)?;
        self.expect(&close)?;
        Ok(inner)
    }

    fn row_fields(&mut self) -> SqlResult<Vec<(sqlparser::ast::Ident, FlinkType)>> {
        let mut fields = vec![];
        loop {
            let name = self.parser.parse_identifier()?;
            let ty = self.data_type()?;
            self.comment()?;
            fields.push((name, ty));
            if !self.parser.consume_token(&Token::Comma) {
                return Ok(fields);
            }
        }
    }

    fn precision(&mut self) -> SqlResult<u8> {
        if !self.parser.consume_token(&Token::LParen) {
            return Ok(DEFAULT_PRECISION);
        }
        let at = self.place();
        let precision = self.parser.parse_literal_uint()?;
        self.expect(&Token::RParen)?;
        match u8::try_from(precision) {
            Ok(precision @ 0..=9) => Ok(precision),
            _ => Err(SqlError::new(
                at,
                format!("the precision of a TIMESTAMP is 0 to 9, not {precision}"),
            )),
        }
    }
}
