//! `INSERT INTO`: rows into a table, one at a time of each key of the table.

use std::collections::BTreeSet;
use std::sync::Arc;

use nowcast_engine::{
    ChangelogMode, Input, KeptRows, Node, NodeKind, Route, SinkFactory, TableDefinition,
};
use nowcast_transforms::{
    ChangelogNormalize, ChangelogNormalizeSpec, UpsertMaterialize, UpsertMaterializeSpec, Written,
};

use super::sink_rules::Materialize;
use super::{Lowered, Lowering, NodeNote, boxed, columns};
use crate::error::SqlResult;
use crate::parse::ast::Conflict;

impl Lowering<'_> {
    /// Ends a statement: rows into a table.
    pub fn sink(
        &mut self,
        rows: Lowered,
        table: &TableDefinition,
        sink: Arc<dyn SinkFactory>,
        conflict: Option<Conflict>,
        materialize: Materialize,
    ) -> SqlResult<()> {
        if sink.changelog_mode() == ChangelogMode::Upsert && table.primary_key.is_empty() {
            let message = format!("`{}` replaces rows by key and has none", table.name);
            return Err(self
                .extent
                .error_at(&[&table.name], message)
                .hint("declare PRIMARY KEY (…) NOT ENFORCED"));
        }
        if sink.changelog_mode() == ChangelogMode::Append && rows.retracts {
            let message = format!("`{}` takes new rows alone, this query changes rows", table.name);
            return Err(self.extent.error_at(&[&table.name], message).hint(
                "a table that replaces rows by key takes them, as of redis or upsert-kafka",
            ));
        }
        if conflict.is_some() && table.primary_key.is_empty() {
            let message = format!("`{}` has no primary key to conflict with", table.name);
            return Err(self
                .extent
                .error_at(&["CONFLICT"], message)
                .hint("declare PRIMARY KEY (…) NOT ENFORCED"));
        }
        let key: BTreeSet<usize> = table.primary_key.iter().copied().collect();
        let same = |of: &Vec<usize>| of.iter().copied().collect::<BTreeSet<_>>() == key;
        let mixed = rows.retracts && !key.is_empty() && !rows.keys.iter().any(same);
        if mixed && conflict.is_none() && materialize != Materialize::Never {
            let message = format!(
                "the PRIMARY KEY of `{}` is not the key by which the query changes rows",
                table.name
            );
            let error = self.extent.error_at(&[&table.name], message);
            self.graph.unportable(error.hint("Flink 2.3 wants ON CONFLICT DO DEDUPLICATE"));
        }
        if conflict.is_some() && !rows.retracts {
            let message = "ON CONFLICT of a query that only inserts";
            let error = self.extent.error_at(&["CONFLICT"], message);
            self.graph.unportable(error.hint("Flink takes it of queries whose rows change"));
        }
        let rows = match written(&rows, &table.primary_key, conflict, materialize) {
            Some(written) => self.upsert_materialize(rows, table, written)?,
            None => {
                self.warn_apart(&rows, table);
                rows
            }
        };
        let rows = match sink.keeps_rows().filter(|_| !table.primary_key.is_empty()) {
            Some(kept) => self.keep_rows(rows, table, kept)?,
            None => rows,
        };
        // Rows of one key are written by one worker, in the order in which they reach it.
        let route = match table.primary_key.is_empty() {
            true => Route::Forward,
            false => Route::Hash(table.primary_key.clone()),
        };
        let name = self.scope.to_owned();
        let node = Node {
            name,
            kind: NodeKind::Sink(sink),
            inputs: vec![Input { from: rows.node, route }],
            schema: rows.schema,
        };
        self.graph.add(node, NodeNote::new("Sink", &table.name, rows.retracts));
        Ok(())
    }

    /// Warns of rows that replace one another in the table and are no versions of one thing.
    fn warn_apart(&mut self, rows: &Lowered, table: &TableDefinition) {
        let Some(apart) = rows.apart_from(&table.primary_key) else { return };
        let key = columns::names(&rows.schema, &table.primary_key);
        let apart = columns::names(&rows.schema, &apart);
        let message = format!(
            "the key of `{}` is ({key}), the query changes rows by ({apart}): rows of one key \
             replace one another as they come",
            table.name
        );
        let warning = self.extent.error_at(&[&table.name], message);
        self.graph.warn(warning.hint("make the PRIMARY KEY that of the query").to_string());
    }

    /// Keeps the last row of each key of `table`.
    fn keep_rows(
        &mut self,
        rows: Lowered,
        table: &TableDefinition,
        kept: KeptRows,
    ) -> SqlResult<Lowered> {
        let Lowered { node, schema, roles, keys, .. } = rows;
        let ttl_ms = kept.ttl.map(|ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let by = table.primary_key.clone();
        let spec = ChangelogNormalizeSpec { keys: by.clone(), ttl_ms, schema: Arc::clone(&schema) };
        let make = move |_| Ok(boxed(ChangelogNormalize::new(spec.clone())?));
        let inputs = vec![(node, Route::Hash(by))];
        let make = Arc::new(make);
        let mut last = self.operator(KeptRows::STAGE, &table.name, inputs, schema, roles, make)?;
        self.graph.set_retracts(last.node, true);
        last.retracts = true;
        Ok(last.with_keys(keys))
    }

    /// Of the rows of a key of `table` that stand, one alone.
    fn upsert_materialize(
        &mut self,
        rows: Lowered,
        table: &TableDefinition,
        written: Written,
    ) -> SqlResult<Lowered> {
        let what =
            format!("`{}`, of which rows of several keys of the query share one", table.name);
        let ttl_ms = self.state_ttl(&what, "the number of rows");
        let Lowered { node, schema, roles, .. } = rows;
        let keys = table.primary_key.clone();
        let spec = UpsertMaterializeSpec {
            keys: keys.clone(),
            written,
            table: table.name.clone(),
            ttl_ms,
            schema: Arc::clone(&schema),
        };
        let make = move |_| Ok(boxed(UpsertMaterialize::new(spec.clone())?));
        let text = format!("{written:?} row of each key");
        let inputs = vec![(node, Route::Hash(keys.clone()))];
        let mut one =
            self.operator("UpsertMaterialize", &text, inputs, schema, roles, Arc::new(make))?;
        self.graph.set_retracts(one.node, true);
        one.retracts = true;
        Ok(one.with_keys(vec![keys]))
    }
}

/// Which of the rows that share a key of the table is written; `None` where the sink finds it by
/// itself: rows of a key of the query within that of the table never stand together, and of inserts
/// the last one replaces the others.
fn written(
    rows: &Lowered,
    key: &[usize],
    conflict: Option<Conflict>,
    materialize: Materialize,
) -> Option<Written> {
    let alone = rows.keys.iter().any(|own| own.iter().all(|column| key.contains(column)));
    match conflict {
        _ if key.is_empty() || materialize == Materialize::Never => None,
        None if materialize == Materialize::Always => Some(Written::Last),
        _ if alone => None,
        Some(Conflict::Nothing) => Some(Written::First),
        Some(Conflict::Error) => Some(Written::Only),
        Some(Conflict::Deduplicate) | None => rows.retracts.then_some(Written::Last),
    }
}
