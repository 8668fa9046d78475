//! Heads of statements; queries, expressions and plain types are left to sqlparser.

use sqlparser::ast::{Ident, Query};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::ast::{
    Conflict, CreateFunction, CreateModel, CreateView, Drop, DropKind, Explain, ExplainDetail,
    Insert, Located, ModelColumn, Setting, ShowKind, Statement, TableOption,
};
use super::dialect::FlinkDialect;
use crate::error::{SqlError, SqlResult, nearest};

const STATEMENTS: [&str; 11] = [
    "CREATE", "INSERT", "EXECUTE", "BEGIN", "SET", "RESET", "EXPLAIN", "DROP", "SELECT", "SHOW",
    "DESCRIBE",
];

pub struct StatementParser<'a> {
    pub(super) parser: Parser<'a>,
}

impl StatementParser<'_> {
    pub fn new(tokens: Vec<TokenWithSpan>) -> Self {
        Self { parser: Parser::new(&FlinkDialect).with_tokens_with_locations(tokens) }
    }

    pub fn all(mut self) -> SqlResult<Vec<Located>> {
        let mut statements = vec![];
        loop {
            while self.parser.consume_token(&Token::SemiColon) {}
            if self.at_end() {
                return Ok(statements);
            }
            let start = self.place();
            let statement = self.statement().map_err(|error| error.or_at(start))?;
            let end = self.parser.get_current_token().span.end;
            statements.push(Located { statement, start, end });
            if !self.at_end() {
                self.expect(&Token::SemiColon)?;
            }
        }
    }

    fn statement(&mut self) -> SqlResult<Statement> {
        let at = self.place();
        Ok(match (self.word(0).as_str(), self.word(1).as_str()) {
            ("CREATE", _) => self.create()?,
            ("INSERT", _) => Statement::Insert(self.insert()?),
            ("EXECUTE", "STATEMENT") => {
                self.need("EXECUTE STATEMENT SET BEGIN")?;
                Statement::StatementSet(self.statement_set()?)
            }
            ("BEGIN", "STATEMENT") => {
                self.need("BEGIN STATEMENT SET")?;
                self.expect(&Token::SemiColon)?;
                Statement::StatementSet(self.statement_set()?)
            }
            ("EXECUTE", "INSERT") => {
                self.need("EXECUTE")?;
                Statement::Insert(self.insert()?)
            }
            ("SET", _) => self.set()?,
            ("RESET", _) => {
                self.need("RESET")?;
                let key = match self.at_statement_end() {
                    true => None,
                    false => Some(self.setting_part()?),
                };
                Statement::Reset(key)
            }
            ("EXPLAIN", _) => self.explain()?,
            ("DROP", _) => self.drop_statement()?,
            ("SHOW", _) => self.show()?,
            ("DESCRIBE" | "DESC", _) => {
                self.parser.next_token();
                Statement::Describe(self.name()?)
            }
            ("SELECT" | "WITH" | "VALUES" | "", _) => Statement::Query(self.query()?),
            (head, next) => return Err(unsupported(head, next, at)),
        })
    }

    fn create(&mut self) -> SqlResult<Statement> {
        self.need("CREATE")?;
        self.refuse("OR", "CREATE OR REPLACE", "DROP it first")?;
        let temporary = self.keywords("TEMPORARY");
        self.system(temporary)?;
        let at = self.place();
        let kind = self.word(0);
        if !matches!(kind.as_str(), "TABLE" | "VIEW" | "MODEL" | "FUNCTION") {
            return Err(unsupported("CREATE", &kind, at));
        }
        self.parser.next_token();
        let if_not_exists = self.keywords("IF NOT EXISTS");
        Ok(match kind.as_str() {
            "TABLE" => Statement::CreateTable(Box::new(self.create_table(if_not_exists)?)),
            "VIEW" => Statement::CreateView(self.create_view(if_not_exists)?),
            "FUNCTION" => Statement::CreateFunction(self.create_function(if_not_exists)?),
            _ => Statement::CreateModel(self.create_model(if_not_exists)?),
        })
    }

    fn create_view(&mut self, if_not_exists: bool) -> SqlResult<CreateView> {
        let name = self.name()?;
        let columns = match self.peek(0) {
            Token::LParen => self.parenthesised(|parser| {
                let column = parser.parser.parse_identifier()?;
                parser.comment()?;
                Ok(column)
            })?,
            _ => vec![],
        };
        self.comment()?;
        self.need("AS")?;
        Ok(CreateView { name, if_not_exists, columns, query: self.query()? })
    }

    fn create_model(&mut self, if_not_exists: bool) -> SqlResult<CreateModel> {
        let name = self.name()?;
        let columns = |parser: &mut Self| {
            parser.parenthesised(|parser| {
                let name = parser.parser.parse_identifier()?;
                let ty = parser.data_type()?;
                parser.comment()?;
                Ok(ModelColumn { name, ty })
            })
        };
        let input = if self.keywords("INPUT") { columns(self)? } else { vec![] };
        let output = if self.keywords("OUTPUT") { columns(self)? } else { vec![] };
        self.comment()?;
        Ok(CreateModel { name, if_not_exists, input, output, options: self.with_options()? })
    }

    /// The word SYSTEM of `TEMPORARY SYSTEM FUNCTION`. There is one catalog: all functions are alike.
    fn system(&mut self, temporary: bool) -> SqlResult<()> {
        let at = self.place();
        if (self.word(0).as_str(), self.word(1).as_str()) != ("SYSTEM", "FUNCTION") {
            return Ok(());
        }
        self.need("SYSTEM")?;
        match temporary {
            true => Ok(()),
            false => Err(SqlError::new(at, "a SYSTEM FUNCTION is a temporary one")
                .hint("write TEMPORARY SYSTEM FUNCTION")),
        }
    }

    fn create_function(&mut self, if_not_exists: bool) -> SqlResult<CreateFunction> {
        let name = self.name()?;
        self.need("AS")?;
        let symbol = self.parser.parse_literal_string()?;
        let at = self.place();
        if !self.keywords("LANGUAGE RUST") {
            let language = match self.keywords("LANGUAGE") {
                true => self.word(0),
                false => "JAVA".into(),
            };
            return Err(SqlError::new(at, format!("functions in {language} are not supported"))
                .hint("LANGUAGE RUST USING LIBRARY '/path/libmine.so', made with nowcast-udf"));
        }
        self.need("USING")?;
        if !["LIBRARY", "JAR", "ARTIFACT"].iter().any(|word| self.keywords(word)) {
            self.need("LIBRARY")?;
        }
        let at = self.place();
        let library = self.parser.parse_literal_string()?;
        if self.peek(0) == Token::Comma {
            return Err(SqlError::new(self.place(), "a function is in one library")
                .hint("link what it needs into it"));
        }
        Ok(CreateFunction { name, if_not_exists, symbol, library, at })
    }

    fn statement_set(&mut self) -> SqlResult<Vec<Insert>> {
        let mut inserts = vec![];
        loop {
            while self.parser.consume_token(&Token::SemiColon) {}
            if self.keywords("END") {
                return Ok(inserts);
            }
            inserts.push(self.insert()?);
        }
    }

    fn insert(&mut self) -> SqlResult<Insert> {
        self.need("INSERT")?;
        self.refuse("OVERWRITE", "INSERT OVERWRITE", "INSERT INTO is")?;
        self.need("INTO")?;
        self.keywords("TABLE");
        let target = self.name()?;
        let hints = self.hints()?;
        let partition = match self.keywords("PARTITION") {
            true => self.parenthesised(Self::partition_value)?,
            false => vec![],
        };
        let columns = match self.peek(0) {
            Token::LParen if !matches!(self.word(1).as_str(), "SELECT" | "WITH" | "VALUES") => {
                self.parenthesised(|parser| Ok(parser.parser.parse_identifier()?))?
            }
            _ => vec![],
        };
        let query = self.query()?;
        let conflict = self.conflict()?;
        Ok(Insert { target, columns, partition, hints, query, conflict })
    }

    /// `column = 'value'`.
    fn partition_value(&mut self) -> SqlResult<(Ident, String)> {
        let column = self.parser.parse_identifier()?;
        self.expect(&Token::Eq)?;
        let value = match self.peek(0) {
            Token::SingleQuotedString(text) | Token::Number(text, _) => text,
            other => {
                let message = format!("a PARTITION has literal values, not {other}");
                return Err(SqlError::new(self.place(), message)
                    .hint("select the value as a column and leave PARTITION out"));
            }
        };
        self.parser.next_token();
        Ok((column, value))
    }

    fn conflict(&mut self) -> SqlResult<Option<Conflict>> {
        if !self.keywords("ON CONFLICT") {
            return Ok(None);
        }
        self.need("DO")?;
        if self.keywords("ERROR") {
            return Ok(Some(Conflict::Error));
        }
        if self.keywords("NOTHING") {
            return Ok(Some(Conflict::Nothing));
        }
        self.need("DEDUPLICATE")?;
        Ok(Some(Conflict::Deduplicate))
    }

    fn set(&mut self) -> SqlResult<Statement> {
        self.need("SET")?;
        if self.at_statement_end() {
            return Ok(Statement::Set(None));
        }
        let at = self.place();
        let key = self.setting_part()?;
        self.expect(&Token::Eq)?;
        Ok(Statement::Set(Some(Setting { key, value: self.setting_part()?, at })))
    }

    /// A quoted string, or everything up to `=` or the end of the statement.
    fn setting_part(&mut self) -> SqlResult<String> {
        if let Token::SingleQuotedString(text) = self.peek(0) {
            self.parser.next_token();
            return Ok(text);
        }
        let mut text = String::new();
        while !self.at_statement_end() && self.peek(0) != Token::Eq {
            text.push_str(&self.parser.next_token().to_string());
        }
        Ok(text)
    }

    fn explain(&mut self) -> SqlResult<Statement> {
        self.need("EXPLAIN")?;
        let mut details = vec![];
        if !self.keywords("PLAN FOR") {
            loop {
                details.push(match self.word(0).as_str() {
                    "CHANGELOG_MODE" => ExplainDetail::ChangelogMode,
                    "ESTIMATED_COST" => ExplainDetail::EstimatedCost,
                    "JSON_EXECUTION_PLAN" => ExplainDetail::JsonExecutionPlan,
                    "PLAN_ADVICE" => ExplainDetail::PlanAdvice,
                    _ => break,
                });
                self.parser.next_token();
                if !self.parser.consume_token(&Token::Comma) {
                    break;
                }
            }
        }
        let at = self.place();
        match self.statement()? {
            explained @ (Statement::Query(_)
            | Statement::Insert(_)
            | Statement::StatementSet(_)) => {
                Ok(Statement::Explain(Explain { details, statement: Box::new(explained) }))
            }
            _ => Err(SqlError::new(at, "EXPLAIN is for queries")
                .hint("SELECT, INSERT INTO or a STATEMENT SET")),
        }
    }

    fn show(&mut self) -> SqlResult<Statement> {
        self.need("SHOW")?;
        if self.keywords("USER FUNCTIONS") {
            return Ok(Statement::Show(ShowKind::UserFunctions));
        }
        let at = self.place();
        let kind = match self.word(0).as_str() {
            "TABLES" => ShowKind::Tables,
            "VIEWS" => ShowKind::Views,
            "FUNCTIONS" => ShowKind::Functions,
            "MODELS" => ShowKind::Models,
            other => {
                return Err(SqlError::new(at, format!("SHOW {other} is not supported"))
                    .hint("SHOW TABLES, VIEWS, FUNCTIONS or MODELS"));
            }
        };
        self.parser.next_token();
        Ok(Statement::Show(kind))
    }

    fn drop_statement(&mut self) -> SqlResult<Statement> {
        self.need("DROP")?;
        let temporary = self.keywords("TEMPORARY");
        self.system(temporary)?;
        let at = self.place();
        let kind = match self.word(0).as_str() {
            "TABLE" => DropKind::Table,
            "VIEW" => DropKind::View,
            "MODEL" => DropKind::Model,
            "FUNCTION" => DropKind::Function,
            other => return Err(unsupported("DROP", other, at)),
        };
        self.parser.next_token();
        let if_exists = self.keywords("IF EXISTS");
        Ok(Statement::Drop(Drop { kind, name: self.name()?, if_exists }))
    }

    pub(super) fn query(&mut self) -> SqlResult<Box<Query>> {
        Ok(self.parser.parse_query()?)
    }

    /// A table's name. There is one catalog with one database.
    pub(super) fn name(&mut self) -> SqlResult<Ident> {
        let name = self.parser.parse_identifier()?;
        if *self.parser.peek_token_ref() == Token::Period {
            return Err(SqlError::new(name.span.start, "there is one catalog with one database")
                .hint("write the name alone"));
        }
        Ok(name)
    }

    pub(super) fn comment(&mut self) -> SqlResult<()> {
        if self.keywords("COMMENT") {
            self.parser.parse_literal_string()?;
        }
        Ok(())
    }

    pub(super) fn with_options(&mut self) -> SqlResult<Vec<TableOption>> {
        match self.keywords("WITH") {
            true => self.options(),
            false => Ok(vec![]),
        }
    }

    /// `/*+ OPTIONS(…) */`, which the tokens have as `WITH (…)`. A WITH of common table expressions
    /// has no parenthesis.
    fn hints(&mut self) -> SqlResult<Vec<TableOption>> {
        match self.word(0) == "WITH" && self.peek(1) == Token::LParen {
            true => self.with_options(),
            false => Ok(vec![]),
        }
    }

    fn options(&mut self) -> SqlResult<Vec<TableOption>> {
        self.parenthesised(|parser| {
            let at = parser.place();
            let key = parser.parser.parse_literal_string()?;
            parser.expect(&Token::Eq)?;
            Ok(TableOption { key, value: parser.parser.parse_literal_string()?, at })
        })
    }

    pub(super) fn parenthesised<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<Vec<T>> {
        self.expect(&Token::LParen)?;
        let mut items = vec![];
        if self.parser.consume_token(&Token::RParen) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if !self.parser.consume_token(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::RParen)?;
        Ok(items)
    }

    /// The word `ahead` of here in upper case; empty where there is none.
    pub(super) fn word(&self, ahead: usize) -> String {
        match &self.parser.peek_nth_token_ref(ahead).token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    /// Takes these words, or none.
    pub(super) fn keywords(&mut self, words: &str) -> bool {
        let count = words.split(' ').count();
        if !words.split(' ').enumerate().all(|(ahead, word)| self.word(ahead) == word) {
            return false;
        }
        for _ in 0..count {
            self.parser.next_token();
        }
        true
    }

    pub(super) fn need(&mut self, words: &str) -> SqlResult<()> {
        match self.keywords(words) {
            true => Ok(()),
            false => Ok(self.parser.expected_ref(words, self.parser.peek_token_ref())?),
        }
    }

    /// Fails where the next word is `word`, which begins `what`.
    pub(super) fn refuse(&mut self, word: &str, what: &str, instead: &str) -> SqlResult<()> {
        match self.word(0) == word {
            true => {
                Err(SqlError::new(self.place(), format!("{what} is not supported yet"))
                    .hint(instead))
            }
            false => Ok(()),
        }
    }

    pub(super) fn expect(&mut self, token: &Token) -> SqlResult<()> {
        self.parser.expect_token(token)?;
        Ok(())
    }

    pub(super) fn peek(&self, ahead: usize) -> Token {
        self.parser.peek_nth_token_ref(ahead).token.clone()
    }

    pub(super) fn place(&self) -> Location {
        self.parser.peek_token_ref().span.start
    }

    fn at_end(&self) -> bool {
        self.parser.peek_token_ref().token == Token::EOF
    }

    fn at_statement_end(&self) -> bool {
        matches!(self.parser.peek_token_ref().token, Token::SemiColon | Token::EOF)
    }
}

fn unsupported(head: &str, next: &str, at: Location) -> SqlError {
    let (what, hint) = match (head, next) {
        ("CREATE", "MATERIALIZED") => {
            ("CREATE MATERIALIZED TABLE".into(), "CREATE TABLE and INSERT INTO are")
        }
        ("CREATE" | "DROP", "CATALOG" | "DATABASE") => {
            (format!("{head} {next}"), "there is one catalog with one database")
        }
        ("CREATE" | "DROP", _) => (format!("{head} {next}"), "TABLE, VIEW, MODEL and FUNCTION are"),
        ("USE", _) => ("USE".into(), "there is one catalog with one database"),
        ("ADD" | "REMOVE", "JAR") => (format!("{head} JAR"), "connectors and models are built in"),
        ("ALTER", _) => (format!("ALTER {next}"), "DROP it and CREATE it again"),
        ("COMPILE" | "EXECUTE", "PLAN") => (format!("{head} PLAN"), "EXPLAIN shows the plan"),
        _ => {
            let error = SqlError::new(at, format!("`{head}` begins no statement"));
            return match nearest(head, STATEMENTS) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint(format!("one of {}", STATEMENTS.join(", "))),
            };
        }
    };
    SqlError::new(at, format!("{what} is not supported")).hint(hint)
}
