//! Scans: a table as a source with its computed columns and its watermark.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, TableScan};
use nowcast_engine::evaluate::{ColumnAt, Projection};
use nowcast_engine::graph::{SourceNode, WatermarkStrategy};
use nowcast_engine::{ChangelogMode, Evaluate, Node, NodeKind, Route};
use nowcast_transforms::{Calc, ChangelogNormalize, ChangelogNormalizeSpec};

use super::watermark_options::watermark_options;
use super::{Lowered, Lowering, NodeNote, Scanned, boxed, columns};
use crate::catalog::Table;
use crate::error::{SqlError, SqlResult};
use crate::evaluate::compile;
use crate::on_error;

impl Lowering<'_> {
    pub(super) fn scan(&mut self, scan: &TableScan) -> SqlResult<Lowered> {
        let Some(Scanned(table)) = scan.source.downcast_ref::<Scanned>() else {
            return Err(SqlError::new(self.extent.start, "this relation cannot be read"));
        };
        let whole = match self.graph.scan_of(table.name()) {
            Some(whole) => whole,
            None => {
                let whole = self.source(table)?;
                self.graph.share_scan(table.name(), whole.clone());
                whole
            }
        };
        let Some(kept) = &scan.projection else { return Ok(whole) };
        if kept.iter().copied().eq(0..whole.roles.len()) {
            return Ok(whole);
        }
        let fields: Vec<_> =
            kept.iter().map(|column| whole.schema.fields()[*column].clone()).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let roles = kept.iter().map(|column| whole.roles[*column]).collect();
        let keys = columns::kept_keys(kept, &whole.keys);
        let columns = kept.iter().map(|column| Arc::new(ColumnAt(*column)) as Arc<dyn Evaluate>);
        let projection = Projection { schema: Arc::clone(&schema), columns: columns.collect() };
        let text = schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
        let make = move |_| Ok(boxed(Calc::new(None, Some(projection.clone()))));
        self.operator(
            "Calc",
            &text,
            vec![(whole.node, Route::Forward)],
            schema,
            roles,
            Arc::new(make),
        )
        .map(|rows| rows.with_keys(keys))
    }

    fn source(&mut self, table: &Table) -> SqlResult<Lowered> {
        let (options, definition) = watermark_options(table)?;
        let factory = self.connectors.source(&definition);
        let factory =
            factory.map_err(|error| SqlError::new(table.place(&error.to_string()), error))?;
        let computed =
            table.computed.as_ref().map(|exprs| self.computed(table, exprs)).transpose()?;
        let watermark = match &table.watermark {
            Some((column, bound)) => {
                let schema = self.named(table.schema.as_ref().clone())?;
                let (bound, _) =
                    compile(bound, &schema).map_err(|error| self.extent.translate(error))?;
                Some(WatermarkStrategy { column: *column, bound })
            }
            None => None,
        };
        let on_error = on_error::of_table(&table.definition.options);
        let on_error = on_error
            .map_err(|error| error.or_at(table.place(&format!("'{}'", on_error::OPTION))))?;
        let name = self.graph.free_name(table.name());
        self.graph.set_on_error(&name, on_error);
        let text = match &table.watermark {
            Some((column, bound)) => {
                format!(
                    "{}, watermark of {}: {bound}",
                    table.name(),
                    table.schema.field(*column).name()
                )
            }
            None => format!("{}, no watermark", table.name()),
        };
        let mode = factory.changelog_mode();
        let retracts = mode != ChangelogMode::Append;
        let source = SourceNode {
            factory,
            computed,
            watermark,
            idle_timeout: options.idle_timeout,
            alignment: options.alignment,
        };
        let node = Node {
            name,
            kind: NodeKind::Source(source),
            inputs: vec![],
            schema: Arc::clone(&table.schema),
        };
        let node = self.graph.add(node, NodeNote::new("Source", &text, retracts));
        let names = table.definition.schema.fields();
        let key = table.definition.primary_key.iter();
        let key: Vec<usize> =
            key.filter_map(|column| table.schema.index_of(names[*column].name()).ok()).collect();
        let rows = Lowered {
            node,
            schema: Arc::clone(&table.schema),
            roles: table.roles.clone(),
            retracts,
            keys: vec![],
        };
        let rows = match mode {
            ChangelogMode::Upsert => self.normalized(rows, table.name(), &key)?,
            ChangelogMode::Append | ChangelogMode::Retract => rows,
        };
        Ok(rows.with_keys((!key.is_empty()).then_some(key).into_iter().collect()))
    }

    /// Rows that replace each other by key, as changes of whole rows.
    fn normalized(&mut self, rows: Lowered, table: &str, key: &[usize]) -> SqlResult<Lowered> {
        let ttl_ms = self.state_ttl(&format!("`{table}` behind its upserts"), "its number of keys");
        let Lowered { node, schema, roles, .. } = rows;
        let spec =
            ChangelogNormalizeSpec { keys: key.to_vec(), ttl_ms, schema: Arc::clone(&schema) };
        let make = move |_| Ok(boxed(ChangelogNormalize::new(spec.clone())?));
        self.operator(
            "ChangelogNormalize",
            table,
            vec![(node, Route::Hash(key.to_vec()))],
            schema,
            roles,
            Arc::new(make),
        )
    }

    fn computed(&self, table: &Table, exprs: &[Expr]) -> SqlResult<Projection> {
        let stored = self.named(table.definition.schema.as_ref().clone())?;
        let columns = exprs.iter().map(|expr| compile(expr, &stored).map(|(column, _)| column));
        let columns = columns.collect::<datafusion_common::Result<Vec<_>>>();
        let columns = columns.map_err(|error| self.extent.translate(error))?;
        Ok(Projection { schema: Arc::clone(&table.schema), columns })
    }

    fn named(&self, schema: Schema) -> SqlResult<DFSchema> {
        DFSchema::try_from(schema).map_err(|error| self.extent.translate(error))
    }
}
