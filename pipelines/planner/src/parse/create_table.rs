//! `CREATE TABLE`.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Token;

use super::ast::{
    Column, ColumnKind, CreateTable, FlinkType, Like, LikeAction, LikeOption, Watermark,
};
use super::statements::StatementParser;
use crate::error::{SqlError, SqlResult};

impl StatementParser<'_> {
    /// From the name on.
    pub(super) fn create_table(&mut self, if_not_exists: bool) -> SqlResult<CreateTable> {
        let mut table = CreateTable {
            name: self.name()?,
            if_not_exists,
            columns: vec![],
            primary_key: vec![],
            partitioned_by: vec![],
            watermark: None,
            options: vec![],
            like: None,
        };
        if self.parser.consume_token(&Token::LParen) {
            loop {
                self.table_element(&mut table)?;
                if !self.parser.consume_token(&Token::Comma) {
                    break;
                }
            }
            self.expect(&Token::RParen)?;
        }
        self.comment()?;
        self.refuse("DISTRIBUTED", "DISTRIBUTED BY", "leave it out: the connector decides")?;
        if self.keywords("PARTITIONED BY") {
            let column = |parser: &mut Self| Ok(parser.parser.parse_identifier()?);
            table.partitioned_by = self.parenthesised(column)?;
        }
        table.options = self.with_options()?;
        if self.keywords("LIKE") {
            table.like = Some(self.like()?);
        }
        self.refuse("AS", "CREATE TABLE … AS SELECT", "write CREATE TABLE and INSERT INTO")?;
        Ok(table)
    }

    fn table_element(&mut self, table: &mut CreateTable) -> SqlResult<()> {
        let at = self.place();
        if self.keywords("WATERMARK FOR") {
            if table.watermark.is_some() {
                return Err(SqlError::new(at, "a table has one WATERMARK"));
            }
            let column = self.name()?;
            self.need("AS")?;
            table.watermark = Some(Watermark { column, bound: self.parser.parse_expr()? });
            return Ok(());
        }
        if matches!(self.word(0).as_str(), "PRIMARY" | "CONSTRAINT") {
            if self.keywords("CONSTRAINT") {
                self.parser.parse_identifier()?;
            }
            self.need("PRIMARY KEY")?;
            let key = self.parenthesised(|parser| Ok(parser.parser.parse_identifier()?))?;
            return self.primary_key(table, key);
        }
        self.column(table)
    }

    fn primary_key(&mut self, table: &mut CreateTable, key: Vec<Ident>) -> SqlResult<()> {
        let at = self.place();
        if !self.keywords("NOT ENFORCED") {
            return Err(SqlError::new(at, "a PRIMARY KEY is not enforced")
                .hint("write PRIMARY KEY … NOT ENFORCED"));
        }
        if !table.primary_key.is_empty() {
            return Err(SqlError::new(at, "a table has one PRIMARY KEY"));
        }
        table.primary_key = key;
        Ok(())
    }

    fn column(&mut self, table: &mut CreateTable) -> SqlResult<()> {
        let name = self.parser.parse_identifier()?;
        if matches!(self.peek(0), Token::Comma | Token::RParen) {
            return Err(SqlError::new(
                name.span.start,
                format!("column `{}` has no type", name.value),
            ));
        }
        let kind = if self.keywords("AS") {
            ColumnKind::Computed(self.parser.parse_expr()?)
        } else {
            let ty = self.data_type()?;
            match self.keywords("METADATA") {
                true => self.metadata(ty)?,
                false => self.physical(table, &name, ty)?,
            }
        };
        self.comment()?;
        table.columns.push(Column { name, kind });
        Ok(())
    }

    fn metadata(&mut self, ty: FlinkType) -> SqlResult<ColumnKind> {
        let from = match self.keywords("FROM") {
            true => Some(self.parser.parse_literal_string()?),
            false => None,
        };
        Ok(ColumnKind::Metadata { ty, from, is_virtual: self.keywords("VIRTUAL") })
    }

    fn physical(
        &mut self,
        table: &mut CreateTable,
        name: &Ident,
        ty: FlinkType,
    ) -> SqlResult<ColumnKind> {
        let (ty, mut not_null) = match ty {
            FlinkType::NotNull(inner) => (*inner, true),
            nullable => (nullable, false),
        };
        loop {
            if self.keywords("NOT NULL") {
                not_null = true;
            } else if self.keywords("PRIMARY KEY") {
                self.primary_key(table, vec![name.clone()])?;
            } else {
                return Ok(ColumnKind::Physical { ty, not_null });
            }
        }
    }

    fn like(&mut self) -> SqlResult<Like> {
        let table = self.name()?;
        let mut options = vec![];
        if self.parser.consume_token(&Token::LParen) {
            while !self.parser.consume_token(&Token::RParen) {
                options.push(self.like_option()?);
            }
        }
        Ok(Like { table, options })
    }

    fn like_option(&mut self) -> SqlResult<LikeOption> {
        let at = self.place();
        let action = match self.word(0).as_str() {
            "INCLUDING" => LikeAction::Including,
            "EXCLUDING" => LikeAction::Excluding,
            "OVERWRITING" => LikeAction::Overwriting,
            other => {
                return Err(SqlError::new(
                    at,
                    format!("expected INCLUDING, EXCLUDING or OVERWRITING, found {other}"),
                ));
            }
        };
        self.parser.next_token();
        let at = self.place();
        let feature = self.word(0);
        const FEATURES: [&str; 8] = [
            "ALL",
            "OPTIONS",
            "GENERATED",
            "WATERMARKS",
            "CONSTRAINTS",
            "METADATA",
            "PARTITIONS",
            "DISTRIBUTION",
        ];
        if !FEATURES.contains(&feature.as_str()) {
            return Err(SqlError::new(at, format!("LIKE knows no {feature}"))
                .hint(format!("one of {}", FEATURES.join(", "))));
        }
        self.parser.next_token();
        Ok(LikeOption { action, feature })
    }
}
