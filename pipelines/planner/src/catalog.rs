//! Tables, views, models and functions that the statements so far have made.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use chrono_tz::Tz;
use datafusion_common::Result;
use datafusion_expr::{Expr, LogicalPlan, ScalarUDF, TableSource};
use nowcast_engine::{Model, TableDefinition};
use sqlparser::tokenizer::Location;

use crate::error::{SqlError, nearest};
use crate::parse::ast::CreateTable;

/// What a column means to operators that work by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    #[default]
    Plain,
    /// An event-time attribute: the watermark speaks of it.
    EventTime,
    /// What was an event-time attribute before the rows were put into windows.
    WindowedTime,
    ProcessingTime,
    WindowStart(Windowed),
    WindowEnd(Windowed),
}

/// By what time rows were put into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windowed {
    Watermark,
    /// By an event time with a zone, cut on the clock of the session's.
    Zoned,
    /// By the wall clock, cut on that of the session's zone.
    Wall,
}

impl Windowed {
    /// The role of `window_time`.
    pub fn time(self) -> Role {
        match self {
            Self::Watermark | Self::Zoned => Role::EventTime,
            Self::Wall => Role::ProcessingTime,
        }
    }
}

/// `CREATE TABLE`.
pub struct Table {
    /// As connectors see it: physical and metadata columns.
    pub definition: TableDefinition,
    /// All columns, as queries see them.
    pub schema: SchemaRef,
    pub roles: Vec<Role>,
    /// What makes the columns of `schema`, over those of the definition; absent
    /// where there are no computed columns.
    pub computed: Option<Vec<Expr>>,
    /// The event-time column and its bound over `schema`.
    pub watermark: Option<(usize, Expr)>,
    /// As parsed, for `LIKE`.
    pub declared: CreateTable,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Table").field(&self.definition.name).finish()
    }
}

impl Table {
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// Where the option that a connector's error names stands, else the table's name.
    pub fn place(&self, error: &str) -> Location {
        let named = self.declared.options.iter().find(|option| {
            [
                format!("'{}'", option.key),
                format!("\"{}\"", option.key),
                format!("`{}`", option.key),
            ]
            .iter()
            .any(|quoted| error.contains(quoted.as_str()))
        });
        named.map_or(self.declared.name.span.start, |option| option.at)
    }
}

/// What DataFusion scans where a query names a table.
pub struct Scanned(pub Arc<Table>);

impl TableSource for Scanned {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }
}

/// `CREATE VIEW`: its plan takes the place of the scan.
#[derive(Debug)]
pub struct View {
    plan: LogicalPlan,
}

impl View {
    pub fn new(plan: LogicalPlan) -> Self {
        Self { plan }
    }
}

impl TableSource for View {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

/// `CREATE MODEL`, loaded and checked.
#[derive(Clone)]
pub struct ModelEntry {
    pub model: Arc<dyn Model>,
    /// For each of the model's inputs, which declared input column it is.
    pub inputs: Vec<usize>,
    /// The declared input columns.
    pub input: Vec<(String, DataType)>,
    /// The declared output columns, in the order of the model's outputs.
    pub output: Vec<(String, DataType)>,
}

#[derive(Debug, Clone)]
pub enum Relation {
    Table(Arc<Table>),
    View(Arc<View>),
}

#[derive(Clone)]
pub struct Catalog {
    pub relations: BTreeMap<String, Relation>,
    pub models: BTreeMap<String, ModelEntry>,
    /// Those of CREATE FUNCTION, by their names in small letters.
    pub functions: BTreeMap<String, Arc<ScalarUDF>>,
    /// `table.local-time-zone`.
    pub zone: Tz,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            relations: BTreeMap::new(),
            models: BTreeMap::new(),
            functions: BTreeMap::new(),
            zone: Tz::UTC,
        }
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Catalog").field("relations", &self.relations).finish_non_exhaustive()
    }
}

impl Catalog {
    pub fn table_source(&self, name: &str) -> Result<Arc<dyn TableSource>> {
        match self.relations.get(name) {
            Some(Relation::Table(table)) => Ok(Arc::new(Scanned(Arc::clone(table)))),
            Some(Relation::View(view)) => Ok(Arc::clone(view) as Arc<dyn TableSource>),
            None => Err(self.unknown_table(name).into()),
        }
    }

    pub fn unknown_table(&self, name: &str) -> SqlError {
        unknown("table", name, self.relations.keys())
    }

    pub fn unknown_model(&self, name: &str) -> SqlError {
        unknown("model", name, self.models.keys())
    }

    pub fn unknown_function(&self, name: &str) -> SqlError {
        unknown("function", name, self.functions.keys())
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> SqlError {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let error = SqlError::nowhere(format!("unknown {what} `{name}`"));
    match (nearest(name, known.iter().copied()), known.as_slice()) {
        (Some(near), _) => error.hint(format!("did you mean `{near}`?")),
        (None, []) => error.hint(format!("declare it with CREATE {}", what.to_uppercase())),
        (None, known) => error.hint(format!("there are {}", known.join(", "))),
    }
}
