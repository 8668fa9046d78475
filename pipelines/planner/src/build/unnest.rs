//! UNNEST, and the rows that stand in the text.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_empty_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::Case;
use datafusion_expr::{Expr, UserDefinedLogicalNodeCore, Values, cast as cast_to, lit};
use nowcast_engine::graph::SourceNode;
use nowcast_engine::{Node, NodeKind, Route};
use nowcast_transforms::UnnestSpec;

use super::{Lowered, Lowering, NodeNote, boxed};
use crate::catalog::Role;
use crate::error::{SqlError, SqlResult};
use crate::evaluate::compile;
use crate::functions::clock;
use crate::node::{FlinkNode, Unnest};

impl Lowering<'_> {
    pub(super) fn unnest(&mut self, unnest: &Unnest, node: &FlinkNode) -> SqlResult<Lowered> {
        let input = self.lower(&node.input)?;
        let below = node.input.schema();
        let kept = input.schema.fields().len();
        let retracts = input.retracts;
        let mut exprs: Vec<Expr> = below.iter().map(Expr::from).collect();
        let column = match exprs.iter().position(|expr| *expr == unnest.of) {
            Some(column) => column,
            None => {
                exprs.push(unnest.of.clone().alias("$unnest"));
                kept
            }
        };
        let input = match column == kept {
            true => self.calc(input, below, None, &exprs)?,
            false => input,
        };
        let mut fields: Vec<_> = input.schema.fields()[..kept].to_vec();
        fields.extend(node.schema().fields()[kept..].iter().cloned());
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut roles = input.roles[..kept].to_vec();
        roles.resize(schema.fields().len(), Role::Plain);
        let spec = UnnestSpec {
            column,
            kept,
            outer: unnest.outer,
            ordinality: unnest.ordinality,
            schema: Arc::clone(&schema),
        };
        // A row and the position within it are unique where the row is.
        let keys = match unnest.ordinality {
            true => input.keys.iter().map(|key| [&key[..], &[roles.len() - 1]].concat()).collect(),
            false => vec![],
        };
        let make = move |_| Ok(boxed(nowcast_transforms::Unnest::new(spec.clone())));
        let from = vec![(input.node, Route::Forward)];
        let text = unnest.of.to_string();
        let mut rows = self.operator("Unnest", &text, from, schema, roles, Arc::new(make))?;
        rows.retracts = retracts;
        Ok(rows.with_keys(keys))
    }

    /// Rows of constants; a column with a value that reads the clock is made behind them, by the
    /// number of the row.
    pub(super) fn values(&mut self, values: &Values) -> SqlResult<Lowered> {
        let cells = |column: usize| values.values.iter().map(move |row| &row[column]);
        let said = |column: usize| cells(column).any(clock::is_read);
        let fields = values.schema.fields();
        if !(0..fields.len()).any(said) {
            return self.constants(values);
        }
        let null = |field: &Field| cast_to(lit(ScalarValue::Null), field.data_type().clone());
        let (mut rows, mut exprs) = (vec![], vec![]);
        for (nth, cells) in values.values.iter().enumerate() {
            let mut row = vec![lit(nth as i32)];
            for (column, field) in fields.iter().enumerate() {
                row.push(match said(column) {
                    true => null(field),
                    false => cells[column].clone(),
                });
            }
            rows.push(row);
        }
        let number = Field::new("$row", DataType::Int32, false);
        let numbered = std::iter::once((None, Arc::new(number)));
        let columns = values.schema.iter().map(|(table, field)| (table.cloned(), field.clone()));
        let schema = DFSchema::new_with_metadata(numbered.chain(columns).collect(), HashMap::new());
        let schema = Arc::new(schema.map_err(|error| self.extent.translate(error))?);
        for (column, field) in fields.iter().enumerate() {
            let expr = match said(column) {
                false => Expr::from(schema.qualified_field(column + 1)),
                true => {
                    let when = cells(column).enumerate().map(|(nth, cell)| {
                        let then = cast_to(cell.clone(), field.data_type().clone());
                        (Box::new(lit(nth as i32)), Box::new(then))
                    });
                    let number = Expr::from(schema.qualified_field(0));
                    Expr::Case(Case::new(Some(Box::new(number)), when.collect(), None))
                }
            };
            exprs.push(expr.alias(field.name()));
        }
        let numbered = Values { schema: Arc::clone(&schema), values: rows };
        let rows = self.constants(&numbered)?;
        self.calc(rows, &schema, None, &exprs)
    }

    fn constants(&mut self, values: &Values) -> SqlResult<Lowered> {
        let schema: SchemaRef = Arc::clone(values.schema.inner());
        let one = one_row()?;
        let empty = DFSchema::empty();
        let mut columns = vec![];
        for (column, field) in schema.fields().iter().enumerate() {
            let mut parts: Vec<ArrayRef> = vec![new_empty_array(field.data_type())];
            for row in &values.values {
                let (value, _) =
                    compile(&row[column], &empty).map_err(|error| self.extent.translate(error))?;
                let value = value.evaluate(&one).map_err(|error| self.in_values(error))?;
                let value = cast(&value, field.data_type())
                    .map_err(|error| self.in_values(error.into()))?;
                parts.push(value);
            }
            let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
            columns.push(concat(&parts).map_err(|error| self.in_values(error.into()))?);
        }
        let fields = schema.fields().iter();
        let fields: Vec<Field> =
            fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(values.values.len()));
        let rows =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
        let rows = rows.map_err(|error| self.in_values(error.into()))?;
        Ok(self.rows(rows))
    }

    /// A query without FROM: one row without columns.
    pub(super) fn no_table(&mut self, rows: usize) -> SqlResult<Lowered> {
        let one = one_row()?;
        Ok(self.rows(one.slice(0, rows)))
    }

    fn in_values(&self, error: nowcast_engine::Error) -> SqlError {
        self.extent.error_at(&["VALUES"], format!("VALUES: {error}"))
    }

    fn rows(&mut self, rows: RecordBatch) -> Lowered {
        let schema = rows.schema();
        let text = format!("{} rows", rows.num_rows());
        let name = self.graph.free_name(&format!("{}/Values", self.scope));
        let source = SourceNode {
            factory: Arc::new(crate::values::Values { rows }),
            computed: None,
            watermark: None,
            idle_timeout: None,
            alignment: None,
        };
        let node = Node {
            name,
            kind: NodeKind::Source(source),
            inputs: vec![],
            schema: Arc::clone(&schema),
        };
        let node = self.graph.add(node, NodeNote::new("Values", &text, false));
        let roles = vec![Role::Plain; schema.fields().len()];
        Lowered { node, schema, roles, retracts: false, keys: vec![] }
    }
}

fn one_row() -> SqlResult<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)
        .map_err(SqlError::nowhere)
}
