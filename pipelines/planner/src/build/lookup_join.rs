//! Lookup joins: the right side is asked by key, at the processing time of the left side's rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{Column, DFSchema};
use datafusion_expr::{Expr, Join, LogicalPlan};
use nowcast_transforms::{JoinKind, LookupJoin, LookupJoinSpec};

use super::as_of_join::{peel, substitute};
use super::join::{Conditions, text};
use super::watermark_options::watermark_options;
use super::{Lowered, Lowering, boxed, by};
use crate::catalog::{Role, Scanned, Table};
use crate::error::{SqlError, SqlResult};

impl Lowering<'_> {
    pub(super) fn lookup_join(
        &mut self,
        join: &Join,
        mut conditions: Conditions,
        left: Lowered,
    ) -> SqlResult<Lowered> {
        let (outer, node) = self.right_of(join)?;
        let scanned = peel(&node.input, &|plan| matches!(plan, LogicalPlan::TableScan(_)));
        let table = match scanned.as_ref().map(|scanned| scanned.below) {
            Some(LogicalPlan::TableScan(scan)) => scan.source.downcast_ref::<Scanned>(),
            _ => None,
        };
        let (Some(scanned), Some(Scanned(table))) = (scanned, table) else {
            let message = "by processing time a table is looked up, not a view";
            return Err(self.extent.error_at(&["SYSTEM_TIME"], message).hint(
                "FOR SYSTEM_TIME AS OF the time of WATERMARK FOR reads the versions of a view",
            ));
        };
        if table.computed.is_some() {
            let message = format!("`{}` has computed columns, a look-up has none", table.name());
            return Err(self.extent.error_at(&[table.name()], message));
        }
        let over = |expr: &Expr| substitute(expr.clone(), node.input.schema(), &scanned.columns);
        let columns = outer.columns.iter().map(over).collect::<SqlResult<Vec<_>>>()?;
        let filters = outer.filters.iter().chain(&scanned.filters);
        let filters = filters.map(over).collect::<SqlResult<Vec<_>>>()?;

        // The columns of the right side, then the table's other ones.
        let mut places = vec![];
        let mut fields = vec![];
        for ((qualifier, field), expr) in join.right.schema().iter().zip(&columns) {
            places.push(self.place_of(expr, table)?);
            fields.push((qualifier.cloned(), Arc::clone(field)));
        }
        let visible = places.len();
        let names = table.definition.schema.fields();
        for (place, field) in names.iter().enumerate() {
            if !places.contains(&place) {
                let name = format!("$looked_up_{}", field.name());
                let field = field.as_ref().clone().with_name(name).with_nullable(true);
                places.push(place);
                fields.push((None, Arc::new(field)));
            }
        }
        let schema = DFSchema::new_with_metadata(fields, HashMap::new());
        let schema = schema.map_err(|error| self.extent.translate(error))?;
        let by_place: Vec<Expr> = (0..names.len())
            .map(|place| {
                let at = places.iter().position(|held| *held == place).unwrap_or_default();
                Expr::from(schema.qualified_field(at))
            })
            .collect();
        let own = DFSchema::try_from(table.definition.schema.as_ref().clone());
        let own = own.map_err(|error| self.extent.translate(error))?;
        for filter in filters {
            let filter = unqualified(filter)?;
            conditions.all.push(substitute(filter, &own, &by_place)?);
        }

        let arranged: Vec<Field> =
            places.iter().map(|place| names[*place].as_ref().clone().with_nullable(true)).collect();
        let right = Lowered {
            node: left.node,
            schema: Arc::new(arrow::datatypes::Schema::new(arranged)),
            roles: vec![Role::Plain; places.len()],
            retracts: false,
            keys: vec![],
        };
        let left_schema = join.left.schema().as_ref();
        let mut parts = self.parts(join, conditions, (left, left_schema), (right, &schema))?;
        parts.right.columns = visible;
        if !matches!(parts.kind, JoinKind::Inner | JoinKind::Left) {
            let message = "lookup joins are JOIN or LEFT JOIN";
            return Err(self.extent.error_at(&["SYSTEM_TIME"], message));
        }
        if parts.right.keys.is_empty() || parts.right.rows.schema.fields().len() != places.len() {
            let message = format!("a lookup join equates columns of `{}`", table.name());
            return Err(self
                .extent
                .error_at(&["SYSTEM_TIME"], message)
                .hint("columns themselves, not expressions of them"));
        }
        let keys: Vec<usize> = parts.right.keys.iter().map(|key| places[*key]).collect();
        let (_, definition) = watermark_options(table)?;
        let lookup = self.connectors.lookup(&definition, &keys);
        let lookup =
            lookup.map_err(|error| SqlError::new(table.place(&error.to_string()), error))?;
        let spec = LookupJoinSpec { join: self.join_spec(&parts)?, lookup, columns: places };
        let output = Arc::clone(&spec.join.schema);
        let mut roles = parts.left.rows.roles.clone();
        roles.resize(output.fields().len(), Role::Plain);
        let input = vec![(parts.left.rows.node, by(&parts.left.keys))];
        let make = move |_| Ok(boxed(LookupJoin::new(spec.clone())?));
        let text = format!("{} {}", table.name(), text(join));
        let rows = self.operator("LookupJoin", &text, input, output, roles, Arc::new(make))?;
        self.without_keys(join, &parts, rows)
    }

    /// Which of the table's columns an expression is.
    fn place_of(&self, expr: &Expr, table: &Table) -> SqlResult<usize> {
        let found = match expr.clone().unalias() {
            Expr::Column(column) => table.definition.schema.index_of(&column.name).ok(),
            _ => None,
        };
        found.ok_or_else(|| {
            let message = format!("{expr} is no column of `{}`", table.name());
            self.extent.error_at(&["SYSTEM_TIME"], message)
        })
    }
}

/// Columns by their names alone: they are those of one table.
fn unqualified(expr: Expr) -> SqlResult<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name))))
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
    .map_err(SqlError::nowhere)
}
