//! MATCH_RECOGNIZE as a node of the plan.

use arrow::datatypes::{DataType, Field};
use datafusion_common::{Column, DFSchemaRef, ScalarValue};
use datafusion_expr::Expr;
use nowcast_transforms::{End, Quantifier, Skip, SortKey};

/// MATCH_RECOGNIZE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Those of the input; the rest refers to them by position.
    pub columns: Vec<Column>,
    pub partition: Vec<usize>,
    pub time: usize,
    /// Sorts rows of one time.
    pub order: Vec<SortKey>,
    /// The pattern.
    pub variables: Vec<MatchVariable>,
    pub within_ms: Option<i64>,
    pub skip: Skip,
    /// The columns of the output, and their names and types.
    pub measures: Vec<MatchReference>,
    pub fields: Vec<Field>,
    /// The pattern, for people.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchVariable {
    pub name: String,
    pub quantifier: Quantifier,
    pub condition: Option<MatchCondition>,
}

/// Over the columns of the row and references, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchCondition {
    pub columns: Vec<usize>,
    pub references: Vec<MatchReference>,
    pub schema: DFSchemaRef,
    pub condition: Expr,
}

/// What is read of the rows of a match; without a variable, of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchReference {
    Row {
        variable: Option<usize>,
        end: End,
        offset: u32,
        column: usize,
    },
    Aggregate {
        variable: Option<usize>,
        aggregate: MatchAggregate,
    },
    /// `MATCH_ROWTIME()`.
    Time,
    /// `MATCH_PROCTIME()`.
    ProcessingTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchAggregate {
    pub function: String,
    pub args: Vec<MatchArgument>,
    pub output: DataType,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchArgument {
    Column(usize),
    Constant(ScalarValue),
}

impl Match {
    /// Drops the columns that nothing refers to.
    pub fn keep_used_columns(&mut self) {
        let mut used: Vec<usize> = vec![];
        self.each_column(|column| used.push(*column));
        used.sort_unstable();
        used.dedup();
        self.each_column(|column| *column = used.partition_point(|used| *used < *column));
        self.columns = used.into_iter().map(|column| self.columns[column].clone()).collect();
    }

    fn each_column(&mut self, mut apply: impl FnMut(&mut usize)) {
        self.partition.iter_mut().for_each(&mut apply);
        apply(&mut self.time);
        self.order.iter_mut().for_each(|key| apply(&mut key.column));
        for condition in self.variables.iter_mut().filter_map(|of| of.condition.as_mut()) {
            condition.columns.iter_mut().for_each(&mut apply);
            condition.references.iter_mut().for_each(|of| of.each_column(&mut apply));
        }
        self.measures.iter_mut().for_each(|of| of.each_column(&mut apply));
    }
}

impl MatchReference {
    fn each_column(&mut self, apply: &mut impl FnMut(&mut usize)) {
        match self {
            Self::Row { column, .. } => apply(column),
            Self::Aggregate { aggregate, .. } => {
                for argument in &mut aggregate.args {
                    if let MatchArgument::Column(column) = argument {
                        apply(column);
                    }
                }
            }
            Self::Time | Self::ProcessingTime => {}
        }
    }
}

impl std::hash::Hash for Match {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.columns.hash(state);
        self.text.hash(state);
    }
}
