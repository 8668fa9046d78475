//! Which columns of its table a source has to read, and which fields of those that are rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, FieldRef, Fields};
use datafusion_common::tree_node::TreeNode as _;
use datafusion_expr::{Expr, LogicalPlan, TableScan};
use nowcast_engine::{Evaluate, Result};

use crate::catalog::{Scanned, Table};
use crate::evaluate::FIELD;

/// Names of fields from outside to inside, a column's first.
pub type Way = Vec<String>;

/// What the scans of a plan read of the columns of each table, where that is known more closely than by
/// column: of a table that is not in it, whole columns.
#[derive(Default)]
pub struct FieldsRead(BTreeMap<String, Option<BTreeSet<Way>>>);

impl FieldsRead {
    pub fn of(plan: &LogicalPlan) -> Self {
        let mut read = Self::default();
        read.visit(plan, None);
        read
    }

    /// The fields of a column that are read; `None`: it is read whole.
    fn within(&self, table: &str, column: &str) -> Option<Vec<&Way>> {
        let ways = self.0.get(table)?.as_ref()?;
        let ways: Vec<_> = ways.iter().filter(|way| way[0] == column).collect();
        (!ways.is_empty()).then_some(ways)
    }

    /// `above` are the expressions over the rows of `plan`, if nothing else is done with them.
    fn visit(&mut self, plan: &LogicalPlan, above: Option<Vec<&Expr>>) {
        match (plan, above) {
            (LogicalPlan::TableScan(scan), above) => self.scan(scan, above),
            (LogicalPlan::SubqueryAlias(alias), above) => self.visit(&alias.input, above),
            (LogicalPlan::Projection(projection), _) => {
                self.visit(&projection.input, Some(projection.expr.iter().collect()));
            }
            (LogicalPlan::Filter(filter), Some(mut above)) => {
                above.push(&filter.predicate);
                self.visit(&filter.input, Some(above));
            }
            (LogicalPlan::Aggregate(aggregate), _) => {
                let exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
                self.visit(&aggregate.input, Some(exprs.collect()));
            }
            (other, _) => other.inputs().into_iter().for_each(|input| self.visit(input, None)),
        }
    }

    fn scan(&mut self, scan: &TableScan, above: Option<Vec<&Expr>>) {
        let Some(Scanned(table)) = scan.source.downcast_ref::<Scanned>() else { return };
        let mut ways = above.map(|above| {
            let mut ways = BTreeSet::new();
            above.into_iter().for_each(|expr| add_ways(expr, &mut ways));
            ways
        });
        match self.0.get_mut(table.name()) {
            Some(Some(known)) if ways.is_some() => known.append(ways.get_or_insert_default()),
            Some(known) => *known = None,
            None => _ = self.0.insert(table.name().to_owned(), ways),
        }
    }
}

/// Adds the columns and fields that an expression reads.
fn add_ways(expr: &Expr, ways: &mut BTreeSet<Way>) {
    if let Some(way) = way(expr) {
        ways.insert(way);
        return;
    }
    // Without an error and to the end, for the closure has none and never stops.
    let _ = expr.apply_children(|child| {
        add_ways(child, ways);
        Ok(datafusion_common::tree_node::TreeNodeRecursion::Continue)
    });
}

/// The way to a column or to a field in one.
fn way(expr: &Expr) -> Option<Way> {
    match expr {
        Expr::Column(column) => Some(vec![column.name.clone()]),
        Expr::Alias(alias) => way(&alias.expr),
        Expr::ScalarFunction(call) if call.name() == FIELD => {
            let [from, names @ ..] = call.args.as_slice() else { return None };
            let name = |name: &Expr| match name {
                Expr::Literal(name, _) => name.try_as_str().flatten().map(str::to_owned),
                _ => None,
            };
            let mut way = way(from)?;
            way.extend(names.iter().map(name).collect::<Option<Vec<_>>>()?);
            Some(way)
        }
        _ => None,
    }
}

/// Columns as queries see them that are read, and fields of them: what the scans ask for, and what the
/// watermark does. The positions of columns do not depend on it.
#[derive(Clone)]
pub struct Reads {
    table: Arc<Table>,
    /// None begins with another one.
    ways: BTreeSet<Way>,
}

impl Reads {
    /// Those of the watermark.
    pub fn new(table: &Arc<Table>) -> Self {
        let mut reads = Self { table: Arc::clone(table), ways: BTreeSet::new() };
        if let Some((column, bound)) = &table.watermark {
            let mut ways = BTreeSet::from([vec![table.schema.field(*column).name().clone()]]);
            add_ways(bound, &mut ways);
            reads.add_ways(ways);
        }
        reads
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Adds what a scan asks for, of which `fields` may know more; whether something of it is new.
    pub fn add(&mut self, kept: Option<&[usize]>, fields: &FieldsRead) -> bool {
        let all = self.table.schema.fields();
        let kept = kept.map_or_else(|| (0..all.len()).collect(), <[usize]>::to_vec);
        let ways = kept.into_iter().flat_map(|column| {
            let name = all[column].name();
            match fields.within(self.table.name(), name) {
                Some(ways) => ways.into_iter().cloned().collect(),
                None => vec![vec![name.clone()]],
            }
        });
        self.add_ways(ways.collect())
    }

    fn add_ways(&mut self, mut ways: BTreeSet<Way>) -> bool {
        ways.extend(self.ways.iter().cloned());
        let ways = shortest(ways);
        let more = ways != self.ways;
        self.ways = ways;
        more
    }

    /// Whether something of the column is read.
    pub fn has(&self, column: usize) -> bool {
        let name = self.table.schema.field(column).name();
        self.ways.iter().any(|way| way[0] == *name)
    }

    /// The columns that the connector need not read, by their positions in the definition: neither
    /// read themselves nor by a computed column that is; and the fields of others, by name.
    pub fn unread(&self) -> (Vec<usize>, Vec<Way>) {
        let read = match &self.table.computed {
            None => self.ways.clone(),
            Some(exprs) => shortest(self.stored(exprs)),
        };
        let (mut columns, mut fields) = (vec![], vec![]);
        for (at, field) in self.table.definition.schema.fields().iter().enumerate() {
            let within = within(&read.iter().map(Vec::as_slice).collect::<Vec<_>>(), field.name());
            match within.is_empty() {
                true => columns.push(at),
                false => add_unread(vec![field.name().clone()], field, &within, &mut fields),
            }
        }
        (columns, fields)
    }

    /// What is read of the stored columns that `exprs` make the table's of.
    fn stored(&self, exprs: &[Expr]) -> BTreeSet<Way> {
        let mut stored = BTreeSet::new();
        for (field, expr) in self.table.schema.fields().iter().zip(exprs) {
            for read in self.ways.iter().filter(|read| read[0] == *field.name()) {
                match way(expr) {
                    // A column as it is: of it only what is read.
                    Some(mut way) => {
                        way.extend_from_slice(&read[1..]);
                        stored.insert(way);
                    }
                    None => add_ways(expr, &mut stored),
                }
            }
        }
        stored
    }

    /// The names of the columns and fields that are read, for people; `None` where all are.
    pub fn names(&self) -> Option<String> {
        let all = self.table.schema.fields();
        if self.ways.is_empty() {
            return Some("no column".to_owned());
        }
        if self.ways.len() == all.len() && self.ways.iter().all(|way| way.len() == 1) {
            return None;
        }
        let of = |field: &FieldRef| {
            let read = self.ways.iter().filter(|way| way[0] == *field.name());
            read.map(|way| way.join(".")).collect::<Vec<_>>()
        };
        Some(all.iter().flat_map(of).collect::<Vec<_>>().join(", "))
    }
}

/// Those that begin with no other one.
fn shortest(ways: BTreeSet<Way>) -> BTreeSet<Way> {
    let mut shortest: BTreeSet<Way> = BTreeSet::new();
    // In their order what a way begins with comes before it, and right before all that begin so.
    for way in ways {
        if !shortest.last().is_some_and(|last| way.starts_with(last)) {
            shortest.insert(way);
        }
    }
    shortest
}

/// Of ways those that begin with `name`, behind it.
fn within<'a>(ways: &[&'a [String]], name: &str) -> Vec<&'a [String]> {
    let begins = |way: &&'a [String]| way.split_first().filter(|(first, _)| *first == name);
    ways.iter().filter_map(|way| begins(way).map(|(_, rest)| rest)).collect()
}

/// Adds the fields of `field`, to which `way` leads, that none of `read` leads to.
fn add_unread(way: Way, field: &FieldRef, read: &[&[String]], unread: &mut Vec<Way>) {
    let DataType::Struct(parts) = field.data_type() else { return };
    if read.iter().any(|way| way.is_empty()) || !distinct(parts) {
        return;
    }
    for part in parts {
        let within = within(read, part.name());
        let way: Way = way.iter().chain([part.name()]).cloned().collect();
        match within.is_empty() {
            true => unread.push(way),
            false => add_unread(way, part, &within, unread),
        }
    }
}

/// Whether a name is that of one field.
fn distinct(fields: &Fields) -> bool {
    fields.iter().map(|field| field.name()).collect::<BTreeSet<_>>().len() == fields.len()
}

/// A computed column that nobody reads.
pub struct Unread(pub DataType);

impl Evaluate for Unread {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        Ok(new_null_array(&self.0, rows.num_rows()))
    }
}
