//! The one custom node of the logical plan: what Flink SQL has and DataFusion has not.
//!
//! `expressions()` lists every column that the operator itself reads, so the optimizer keeps them;
//! `necessary_children_exprs` only has to map output columns back to input columns.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Column, DFSchema, DFSchemaRef, Result, TableReference, internal_err};
use datafusion_expr::{Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use nowcast_transforms::{Window, WindowKind};

use crate::lateral::element_fields;
use crate::match_recognize::Match;
use crate::types::WINDOW_BOUND;

/// A window table-valued function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFunction {
    pub span: WindowSpan,
    /// The time, then the columns that have sessions of their own.
    pub columns: Vec<Column>,
    pub time_type: DataType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSpan {
    Sliced(Window),
    Session { gap_ms: i64 },
}

impl WindowFunction {
    pub fn time(&self) -> &Column {
        &self.columns[0]
    }
}

/// `ML_PREDICT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Predict {
    pub model: String,
    /// One for each input of the model, in its order.
    pub features: Vec<Column>,
    pub output: Vec<(String, DataType)>,
    /// In the lateral form, the aliases of input and outputs.
    pub aliases: Option<(String, String)>,
}

/// `UNNEST`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unnest {
    /// The array or map, over the input.
    pub of: Expr,
    /// The columns of an element, and of its position.
    pub output: Vec<(Option<TableReference>, FieldRef)>,
    pub ordinality: bool,
    /// Whether a row without elements stays.
    pub outer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlinkOp {
    Window(WindowFunction),
    Predict(Predict),
    Unnest(Unnest),
    Match(Match),
    /// The right side of a join with `FOR SYSTEM_TIME AS OF`: nothing moves across it.
    AsOf,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlinkNode {
    pub op: FlinkOp,
    pub input: LogicalPlan,
    schema: DFSchemaRef,
}

impl std::hash::Hash for WindowFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self.span {
            WindowSpan::Sliced(Window { kind, offset_ms }) => {
                offset_ms.hash(state);
                match kind {
                    WindowKind::Tumble { size_ms } => (size_ms, 0).hash(state),
                    WindowKind::Hop { size_ms, slide_ms } => (size_ms, slide_ms).hash(state),
                    WindowKind::Cumulate { max_ms, step_ms } => (max_ms, step_ms).hash(state),
                }
            }
            WindowSpan::Session { gap_ms } => gap_ms.hash(state),
        }
        self.columns.hash(state);
    }
}

impl FlinkNode {
    pub fn plan(op: FlinkOp, input: LogicalPlan) -> Result<LogicalPlan> {
        let node = Arc::new(Self::try_new(op, input)?);
        Ok(LogicalPlan::Extension(Extension { node }))
    }

    fn try_new(op: FlinkOp, input: LogicalPlan) -> Result<Self> {
        let schema = output_schema(&op, input.schema())?;
        Ok(Self { op, input, schema })
    }

    /// The node of an extension plan; the planner makes no other extension nodes.
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
            _ => None,
        }
    }
}

fn output_schema(op: &FlinkOp, input: &DFSchema) -> Result<DFSchemaRef> {
    let mut input_alias = None;
    let mut output_alias = None;
    let extra = match op {
        FlinkOp::Window(window) => vec![
            Field::new("window_start", WINDOW_BOUND, false),
            Field::new("window_end", WINDOW_BOUND, false),
            Field::new("window_time", window.time_type.clone(), false),
        ],
        FlinkOp::Predict(predict) => {
            if let Some((input, output)) = &predict.aliases {
                input_alias = Some(TableReference::bare(input.as_str()));
                output_alias = Some(TableReference::bare(output.as_str()));
            }
            let outputs = predict.output.iter();
            outputs.map(|(name, ty)| Field::new(name, ty.clone(), true)).collect()
        }
        FlinkOp::Unnest(unnest) => {
            // The type of the array may have become another since the columns were named.
            let elements = element_fields(&unnest.of.get_type(input)?).unwrap_or_default();
            let types = elements.iter().map(|field| field.data_type().clone());
            let mut types = types.chain(unnest.ordinality.then_some(DataType::Int32));
            let typed = |(table, field): &(Option<TableReference>, FieldRef)| {
                let ty = types.next().unwrap_or_else(|| field.data_type().clone());
                (table.clone(), Arc::new(field.as_ref().clone().with_data_type(ty)))
            };
            let output: Vec<_> = unnest.output.iter().map(typed).collect();
            let kept = input.iter().map(|(table, field)| (table.cloned(), Arc::clone(field)));
            let fields = kept.chain(output).collect();
            return Ok(Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?));
        }
        FlinkOp::Match(matching) => {
            let fields = matching.fields.iter().map(|field| (None, Arc::new(field.clone())));
            let schema = DFSchema::new_with_metadata(fields.collect(), HashMap::new())?;
            return Ok(Arc::new(schema));
        }
        FlinkOp::AsOf => vec![],
    };
    let kept = input.iter().map(|(qualifier, field)| {
        (input_alias.clone().or_else(|| qualifier.cloned()), Arc::clone(field))
    });
    let extra = extra.into_iter().map(|field| (output_alias.clone(), Arc::new(field)));
    let fields = kept.chain(extra).collect();
    Ok(Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?))
}

/// The order of plans is meaningless; the trait asks for one.
impl PartialOrd for FlinkNode {
    fn partial_cmp(&self, _other: &Self) -> Option<Ordering> {
        None
    }
}

impl UserDefinedLogicalNodeCore for FlinkNode {
    fn name(&self) -> &str {
        match &self.op {
            FlinkOp::Window(_) => "Window",
            FlinkOp::Predict(_) => "Predict",
            FlinkOp::Unnest(_) => "Unnest",
            FlinkOp::Match(_) => "Match",
            FlinkOp::AsOf => "AsOf",
        }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let columns = match &self.op {
            FlinkOp::Window(window) => &window.columns,
            FlinkOp::Predict(predict) => &predict.features,
            FlinkOp::Match(matching) => &matching.columns,
            FlinkOp::Unnest(unnest) => return vec![unnest.of.clone()],
            FlinkOp::AsOf => return vec![],
        };
        columns.iter().map(|column| Expr::Column(column.clone())).collect()
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut op = self.op.clone();
        let mut exprs = exprs;
        let columns = match &mut op {
            FlinkOp::Window(window) => window.columns.as_mut_slice(),
            FlinkOp::Predict(predict) => predict.features.as_mut_slice(),
            FlinkOp::Match(matching) => matching.columns.as_mut_slice(),
            FlinkOp::Unnest(unnest) => {
                unnest.of = match exprs.pop() {
                    Some(of) => of,
                    None => return internal_err!("an optimizer rule dropped an expression"),
                };
                &mut []
            }
            FlinkOp::AsOf => &mut [],
        };
        if columns.len() != exprs.len() {
            return internal_err!("an optimizer rule dropped an expression");
        }
        for (column, expr) in columns.iter_mut().zip(exprs) {
            match expr {
                Expr::Column(moved) => *column = moved,
                other => return internal_err!("an optimizer rule replaced a column by {other}"),
            }
        }
        match <[LogicalPlan; 1]>::try_from(inputs) {
            Ok([input]) => Self::try_new(op, input),
            Err(_) => internal_err!("one input expected"),
        }
    }

    /// Only what the node adds blocks a filter; everything does where its output is renamed. Flink
    /// too filters rows before it makes sessions of them.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let closed = match &self.op {
            FlinkOp::Predict(predict) => predict.aliases.is_some(),
            FlinkOp::AsOf | FlinkOp::Match(_) => true,
            FlinkOp::Window(_) | FlinkOp::Unnest(_) => false,
        };
        let first = if closed { 0 } else { self.input.schema().fields().len() };
        self.schema.fields()[first..].iter().map(|field| field.name().clone()).collect()
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let inputs = self.input.schema().fields().len();
        // The time of the versions is read by the join above.
        if matches!(self.op, FlinkOp::AsOf) {
            return Some(vec![(0..inputs).collect()]);
        }
        if matches!(self.op, FlinkOp::Match(_)) {
            return Some(vec![vec![]]);
        }
        Some(vec![output_columns.iter().copied().filter(|column| *column < inputs).collect()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.op {
            FlinkOp::Window(window) => write!(f, "{:?} on {}", window.span, window.time()),
            FlinkOp::Predict(predict) => write!(f, "Predict {}", predict.model),
            FlinkOp::Unnest(unnest) => write!(f, "Unnest {}", unnest.of),
            FlinkOp::Match(matching) => write!(f, "Match {}", matching.text),
            FlinkOp::AsOf => write!(f, "AsOf"),
        }
    }
}
