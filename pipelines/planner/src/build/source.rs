//! Scans: a table as a source with its computed columns and its watermark.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, TableScan};
use nowcast_engine::evaluate::{ColumnAt, Projection};
use nowcast_engine::graph::{SourceNode, WatermarkStrategy};
use nowcast_engine::{ChangelogMode, Evaluate, Node, NodeKind, Route};
use nowcast_transforms::{Calc, ChangelogNormalize, ChangelogNormalizeSpec};

use super::reads::{FieldsRead, Reads, Unread};
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
        let kept = scan.projection.as_deref();
        let whole = match self.graph.scan_of(table.name()) {
            Some((whole, reads)) => {
                self.read_more(reads, kept)?;
                whole
            }
            None => self.source(table, kept)?,
        };
        let Some(kept) = kept else { return Ok(whole) };
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

    /// A source of which `kept` is read, and what it takes to make whole changes of its rows.
    fn source(&mut self, table: &Arc<Table>, kept: Option<&[usize]>) -> SqlResult<Lowered> {
        let mut reads = Reads::new(table);
        reads.add(kept, &self.fields_read);
        let mut source = self.source_node(&reads)?;
        let mode = source.factory.changelog_mode();
        // What is kept of a row to tell its changes is all of it.
        if mode == ChangelogMode::Upsert && reads.add(None, &FieldsRead::default()) {
            source = self.source_node(&reads)?;
        }
        let on_error = on_error::of_table(&table.definition.options);
        let on_error = on_error
            .map_err(|error| error.or_at(table.place(&format!("'{}'", on_error::OPTION))))?;
        let name = self.graph.free_name(table.name());
        self.graph.set_on_error(&name, on_error);
        let retracts = mode != ChangelogMode::Append;
        let node = Node {
            name,
            kind: NodeKind::Source(source),
            inputs: vec![],
            schema: Arc::clone(&table.schema),
        };
        let node = self.graph.add(node, NodeNote::new("Source", &described(&reads), retracts));
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
        let rows = rows.with_keys((!key.is_empty()).then_some(key).into_iter().collect());
        self.graph.share_scan(node, rows.clone(), reads);
        Ok(rows)
    }

    /// Has a source that another scan reads too read `kept` as well.
    fn read_more(&mut self, mut reads: Reads, kept: Option<&[usize]>) -> SqlResult<()> {
        if reads.add(kept, &self.fields_read) {
            let source = self.source_node(&reads)?;
            let text = described(&reads);
            self.graph.widen_scan(source, text, reads);
        }
        Ok(())
    }

    fn source_node(&self, reads: &Reads) -> SqlResult<SourceNode> {
        let table = reads.table();
        let (options, mut definition) = watermark_options(table)?;
        (definition.unread, definition.unread_fields) = reads.unread();
        let factory = self.connectors.source(&definition);
        let factory =
            factory.map_err(|error| SqlError::new(table.place(&error.to_string()), error))?;
        let computed =
            table.computed.as_ref().map(|exprs| self.computed(reads, exprs)).transpose()?;
        let watermark = match &table.watermark {
            Some((column, bound)) => {
                let schema = self.named(table.schema.as_ref().clone())?;
                let (bound, _) =
                    compile(bound, &schema).map_err(|error| self.extent.translate(error))?;
                Some(WatermarkStrategy { column: *column, bound })
            }
            None => None,
        };
        Ok(SourceNode {
            factory,
            computed,
            watermark,
            idle_timeout: options.idle_timeout,
            alignment: options.alignment,
        })
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

    fn computed(&self, reads: &Reads, exprs: &[Expr]) -> SqlResult<Projection> {
        let table = reads.table();
        let stored = self.named(table.definition.schema.as_ref().clone())?;
        let column = |(at, expr): (usize, &Expr)| match reads.has(at) {
            true => Ok(compile(expr, &stored)?.0),
            // What it is computed from may not be there.
            false => {
                let ty = table.schema.field(at).data_type().clone();
                Ok(Arc::new(Unread(ty)) as Arc<dyn Evaluate>)
            }
        };
        let columns = exprs.iter().enumerate().map(column);
        let columns = columns.collect::<datafusion_common::Result<Vec<_>>>();
        let columns = columns.map_err(|error| self.extent.translate(error))?;
        Ok(Projection { schema: Arc::clone(&table.schema), columns })
    }

    fn named(&self, schema: Schema) -> SqlResult<DFSchema> {
        DFSchema::try_from(schema).map_err(|error| self.extent.translate(error))
    }
}

/// What `EXPLAIN` says of a source.
fn described(reads: &Reads) -> String {
    let table = reads.table();
    let mut text = match &table.watermark {
        Some((column, bound)) => {
            let time = table.schema.field(*column).name();
            format!("{}, watermark of {time}: {bound}", table.name())
        }
        None => format!("{}, no watermark", table.name()),
    };
    if let Some(names) = reads.names() {
        text.push_str(&format!(", reads {names}"));
    }
    text
}
