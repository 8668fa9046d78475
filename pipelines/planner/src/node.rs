//! The one custom node of the logical plan: what Flink SQL has and DataFusion has not.
//!
//! `expressions()` lists every column that the operator itself reads, so the optimizer keeps them;
//! `necessary_children_exprs` only has to map output columns back to input columns.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::{Column, DFSchema, DFSchemaRef, Result, TableReference, internal_err};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use nowcast_transforms::{Window, WindowKind};

use crate::types::WINDOW_BOUND;

/// A window table-valued function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFunction {
    pub window: Window,
    pub time: Column,
    pub time_type: DataType,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlinkOp {
    Window(WindowFunction),
    Predict(Predict),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlinkNode {
    pub op: FlinkOp,
    pub input: LogicalPlan,
    schema: DFSchemaRef,
}

impl std::hash::Hash for WindowFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.window.offset_ms.hash(state);
        match self.window.kind {
            WindowKind::Tumble { size_ms } => (size_ms, 0).hash(state),
            WindowKind::Hop { size_ms, slide_ms } => (size_ms, slide_ms).hash(state),
            WindowKind::Cumulate { max_ms, step_ms } => (max_ms, step_ms).hash(state),
        }
        self.time.hash(state);
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
            FlinkOp::Window(window) => std::slice::from_ref(&window.time),
            FlinkOp::Predict(predict) => &predict.features,
        };
        columns.iter().map(|column| Expr::Column(column.clone())).collect()
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut op = self.op.clone();
        let columns = match &mut op {
            FlinkOp::Window(window) => std::slice::from_mut(&mut window.time),
            FlinkOp::Predict(predict) => &mut predict.features,
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

    /// Only what the node adds blocks a filter; where its output is renamed, everything does.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let renamed = matches!(&self.op, FlinkOp::Predict(Predict { aliases: Some(_), .. }));
        let first = if renamed { 0 } else { self.input.schema().fields().len() };
        self.schema.fields()[first..].iter().map(|field| field.name().clone()).collect()
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let inputs = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|column| *column < inputs).collect()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.op {
            FlinkOp::Window(window) => write!(f, "{:?} on {}", window.window, window.time),
            FlinkOp::Predict(predict) => write!(f, "Predict {}", predict.model),
        }
    }
}
