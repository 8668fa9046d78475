//! Statements of Flink SQL as parsed. Queries and expressions are sqlparser's.

use sqlparser::ast::{DataType, Expr, Ident, Query};
use sqlparser::tokenizer::Location;

/// A statement and the place of its first and last token.
#[derive(Debug, Clone)]
pub struct Located {
    pub statement: Statement,
    pub start: Location,
    pub end: Location,
}

#[derive(Debug, Clone)]
#[allow(clippy::enum_variant_names)] // a STATEMENT SET is called that
pub enum Statement {
    CreateTable(Box<CreateTable>),
    CreateView(CreateView),
    CreateModel(CreateModel),
    CreateFunction(CreateFunction),
    Insert(Insert),
    StatementSet(Vec<Insert>),
    Query(Box<Query>),
    /// `SET` without arguments shows the settings.
    Set(Option<Setting>),
    Reset(Option<String>),
    Explain(Explain),
    Show(ShowKind),
    /// `DESCRIBE name`.
    Describe(Ident),
    Drop(Drop),
}

#[derive(Debug, Clone)]
pub struct Setting {
    pub key: String,
    pub value: String,
    pub at: Location,
}

#[derive(Debug, Clone)]
pub struct CreateTable {
    pub name: Ident,
    pub if_not_exists: bool,
    pub columns: Vec<Column>,
    pub primary_key: Vec<Ident>,
    pub partitioned_by: Vec<Ident>,
    pub watermark: Option<Watermark>,
    pub options: Vec<TableOption>,
    pub like: Option<Like>,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: Ident,
    pub kind: ColumnKind,
}

#[derive(Debug, Clone)]
pub enum ColumnKind {
    Physical { ty: FlinkType, not_null: bool },
    Metadata { ty: FlinkType, from: Option<String>, is_virtual: bool },
    Computed(Expr),
}

#[derive(Debug, Clone)]
pub struct Watermark {
    pub column: Ident,
    pub bound: Expr,
}

/// `'key' = 'value'` of a WITH clause.
#[derive(Debug, Clone)]
pub struct TableOption {
    pub key: String,
    pub value: String,
    pub at: Location,
}

/// `LIKE table (INCLUDING …, EXCLUDING …)`.
#[derive(Debug, Clone)]
pub struct Like {
    pub table: Ident,
    pub options: Vec<LikeOption>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LikeOption {
    pub action: LikeAction,
    /// `ALL`, `OPTIONS`, `GENERATED`, `WATERMARKS`, `CONSTRAINTS`, `METADATA`.
    pub feature: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikeAction {
    Including,
    Excluding,
    Overwriting,
}

/// `EXPLAIN details statement`.
#[derive(Debug, Clone)]
pub struct Explain {
    pub details: Vec<ExplainDetail>,
    pub statement: Box<Statement>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainDetail {
    ChangelogMode,
    /// Streams have no statistics: there is nothing to add.
    EstimatedCost,
    JsonExecutionPlan,
    /// What the plan may run into.
    PlanAdvice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowKind {
    Tables,
    Views,
    Functions,
    /// Those of CREATE FUNCTION alone.
    UserFunctions,
    Models,
}

#[derive(Debug, Clone)]
pub struct CreateView {
    pub name: Ident,
    pub if_not_exists: bool,
    pub columns: Vec<Ident>,
    pub query: Box<Query>,
}

#[derive(Debug, Clone)]
pub struct CreateModel {
    pub name: Ident,
    pub if_not_exists: bool,
    pub input: Vec<ModelColumn>,
    pub output: Vec<ModelColumn>,
    pub options: Vec<TableOption>,
}

#[derive(Debug, Clone)]
pub struct ModelColumn {
    pub name: Ident,
    pub ty: FlinkType,
}

/// `CREATE FUNCTION name AS 'symbol' LANGUAGE RUST USING LIBRARY 'library'`.
#[derive(Debug, Clone)]
pub struct CreateFunction {
    pub name: Ident,
    pub if_not_exists: bool,
    pub symbol: String,
    pub library: String,
    /// Where the library is named.
    pub at: Location,
}

#[derive(Debug, Clone)]
pub struct Insert {
    pub target: Ident,
    pub columns: Vec<Ident>,
    /// `PARTITION (column = 'value', …)`.
    pub partition: Vec<(Ident, String)>,
    /// `/*+ OPTIONS(…) */` of the target.
    pub hints: Vec<TableOption>,
    pub query: Box<Query>,
    pub conflict: Option<Conflict>,
}

/// `ON CONFLICT DO …`: which row is written where several of one primary key stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// None: that there are several is an error.
    Error,
    /// The last one.
    Deduplicate,
    /// The first one.
    Nothing,
}

#[derive(Debug, Clone)]
pub struct Drop {
    pub kind: DropKind,
    pub name: Ident,
    pub if_exists: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropKind {
    Table,
    View,
    Model,
    Function,
}

/// A column type; sqlparser knows only some of Flink's.
#[derive(Debug, Clone, PartialEq)]
pub enum FlinkType {
    Row(Vec<(Ident, FlinkType)>),
    Map(Box<FlinkType>, Box<FlinkType>),
    Array(Box<FlinkType>),
    Multiset(Box<FlinkType>),
    /// With its precision.
    TimestampLtz(u8),
    Timestamp(u8),
    Bytes,
    Text,
    Plain(DataType),
    NotNull(Box<FlinkType>),
}
