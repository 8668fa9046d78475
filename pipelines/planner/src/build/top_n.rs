//! Top-N and deduplication: `WHERE row_number <= n` around
//! `ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)`, of a window or of all rows so far.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::WindowFunction;
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator, Projection, Window, lit};
use nowcast_transforms::{
    FirstRow, FirstRowSpec, Rank, RankSpec, SortKey, Ties, WindowTopN, WindowTopNSpec,
};

use super::aggregate::place;
use super::{Lowered, Lowering, boxed, by};
use crate::catalog::{Role, Windowed};
use crate::error::SqlResult;
use crate::functions::window::ROW_NUMBER;

/// A filter around ROW_NUMBER.
struct TopN<'a> {
    window: &'a Window,
    /// The columns between the filter and the numbers, where some are dropped.
    kept: Option<&'a [Expr]>,
    /// Position of the number among the filter's columns.
    number: usize,
    numbers: Numbers,
    /// What else is filtered by.
    rest: Vec<Expr>,
}

/// Which row numbers are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Numbers {
    /// Those below 1 are no rows'.
    first: i64,
    /// `None`: all that follow.
    last: Option<i64>,
}

/// ROW_NUMBER with its input.
struct Numbered {
    input: Lowered,
    /// So many first columns are the query's, the others are there for partition and order.
    columns: usize,
    partition: Vec<usize>,
    order: Vec<SortKey>,
    /// Partition and order for people.
    text: String,
}

impl Lowering<'_> {
    /// The rows with the numbers that `filter` asks for, where it asks for some.
    pub(super) fn top_n(&mut self, filter: &Filter) -> SqlResult<Option<Lowered>> {
        let Some(top) = TopN::of(filter) else { return Ok(None) };
        let rows = self.numbered(top.window, top.numbers, true)?;
        if top.rest.is_empty() && top.kept.is_none() {
            return Ok(Some(rows));
        }
        let schema = &top.window.schema;
        let all = || schema.iter().map(Expr::from).collect();
        let kept = top.kept.map_or_else(all, <[Expr]>::to_vec);
        self.calc(rows, schema, conjunction(top.rest).as_ref(), &kept).map(Some)
    }

    /// The same below a projection that drops the number: fewer rows change without it.
    pub(super) fn top_n_without_number(
        &mut self,
        projection: &Projection,
    ) -> SqlResult<Option<Lowered>> {
        let mut below = projection.input.as_ref();
        while let LogicalPlan::SubqueryAlias(alias) = below {
            below = &alias.input;
        }
        let LogicalPlan::Filter(filter) = below else { return Ok(None) };
        let Some(top) = TopN::of(filter) else { return Ok(None) };
        let schema = projection.input.schema();
        if reads(&projection.expr, schema, top.number)
            || reads(&top.rest, &top.window.schema, top.window.schema.fields().len() - 1)
        {
            return Ok(None);
        }
        let mut rows = self.numbered(top.window, top.numbers, false)?;
        if !top.rest.is_empty() || top.kept.is_some() {
            let numbered = &top.window.input.schema();
            let kept: Vec<Expr> = match top.kept {
                None => numbered.iter().map(Expr::from).collect(),
                Some(kept) => {
                    let others = kept.iter().enumerate().filter(|(nth, _)| *nth != top.number);
                    others.map(|(_, expr)| expr.clone()).collect()
                }
            };
            rows = self.calc(rows, numbered, conjunction(top.rest).as_ref(), &kept)?;
        }
        let others = schema.iter().enumerate().filter(|(nth, _)| *nth != top.number);
        let others = others.map(|(_, (table, field))| (table.cloned(), Arc::clone(field)));
        let schema = DFSchema::new_with_metadata(others.collect(), Default::default())
            .map_err(|error| self.extent.translate(error))?;
        self.calc(rows, &schema, None, &projection.expr).map(Some)
    }

    /// The rows of `window`'s input that have the wanted numbers, the number as last column if it is
    /// `wanted`.
    fn numbered(&mut self, window: &Window, numbers: Numbers, wanted: bool) -> SqlResult<Lowered> {
        let Numbers { first, last: Some(last) } = numbers else {
            return Err(self
                .extent
                .error_at(&["ROW_NUMBER"], "Top-N needs a greatest row number")
                .hint("such as WHERE row_number <= 10"));
        };
        let first = first.max(1);
        if last < first {
            return Err(self
                .extent
                .error_at(&["ROW_NUMBER"], format!("no row has a number from {first} to {last}"))
                .hint("row numbers begin with 1"));
        }
        let (first, last) = (first as usize, last as usize);
        let rows = self.row_number(window)?;
        let roles = &rows.input.roles;
        let window_end = rows.partition.iter().find_map(|column| match roles[*column] {
            Role::WindowEnd(windowed) => Some((*column, windowed)),
            _ => None,
        });
        if let Some(window_end) = window_end {
            return self.window_top_n(window, rows, window_end, (first, last), wanted);
        }
        match rows.time().filter(|_| (first, last) == (1, 1)) {
            Some((time, false)) => self.first_row(window, rows, time, wanted),
            _ => self.rank(window, rows, (first, last), wanted),
        }
    }

    fn row_number(&mut self, window: &Window) -> SqlResult<Numbered> {
        let Some(function) = row_number(window) else {
            return Err(self.extent.error_at(&["ROW_NUMBER"], "one ROW_NUMBER expected"));
        };
        let params = &function.params;
        if params.order_by.is_empty() {
            return Err(self
                .extent
                .error_at(&["ROW_NUMBER"], "ROW_NUMBER needs ORDER BY")
                .hint("ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)"));
        }
        let input = self.lower(&window.input)?;
        let below = window.input.schema();
        let columns = below.fields().len();
        let mut wanted: Vec<Expr> = below.iter().map(Expr::from).collect();
        let partition =
            params.partition_by.iter().map(|expr| place(&mut wanted, expr.clone())).collect();
        let order = params.order_by.iter().map(|sort| SortKey {
            column: place(&mut wanted, sort.expr.clone()),
            descending: !sort.asc,
            nulls_first: sort.nulls_first,
        });
        let order = order.collect();
        let input = match wanted.len() == columns {
            true => input,
            false => self.arguments(input, below, None, &wanted)?,
        };
        let list = |exprs: Vec<String>| exprs.join(", ");
        let by = list(params.order_by.iter().map(ToString::to_string).collect());
        let text = match params.partition_by.as_slice() {
            [] => format!("by {by}"),
            keys => format!("of each {} by {by}", list(keys.iter().map(Expr::to_string).collect())),
        };
        Ok(Numbered { input, columns, partition, order, text })
    }

    fn window_top_n(
        &mut self,
        window: &Window,
        rows: Numbered,
        (window_end, windowed): (usize, Windowed),
        (first, last): (usize, usize),
        wanted: bool,
    ) -> SqlResult<Lowered> {
        let ties = rows.ties(last);
        let Numbered { input, columns, partition, order, text } = rows;
        self.inserts_only(&input, &["ROW_NUMBER"], "Top-N of a window")?;
        self.by_watermark(windowed, &["ROW_NUMBER"], "Top-N of a window")?;
        let is_window = |column: &usize| {
            matches!(input.roles[*column], Role::WindowStart(_) | Role::WindowEnd(_))
        };
        let keys: Vec<usize> = partition.iter().copied().filter(|key| !is_window(key)).collect();
        let route = by(&keys);
        let with_arguments = input.roles.len();
        let schema = numbered_schema(input.schema.fields(), window, wanted);
        let mut roles = input.roles.clone();
        roles.resize(schema.fields().len(), Role::Plain);
        let spec = WindowTopNSpec {
            clock: self.window_clock(windowed),
            window_end,
            partition,
            keys,
            order,
            ties,
            first,
            last,
            rank: wanted,
            input_schema: Arc::clone(&input.schema),
            schema: Arc::clone(&schema),
        };
        let make = move |_| Ok(boxed(WindowTopN::new(spec.clone())?));
        let text = format!("{} {text}", in_words(first, last));
        let inputs = vec![(input.node, route)];
        let top = self.operator("WindowTopN", &text, inputs, schema, roles, Arc::new(make))?;
        match with_arguments == columns {
            true => Ok(top),
            false => self.without_arguments(top, window, columns, with_arguments),
        }
    }

    /// The first row of each key by a time attribute.
    fn first_row(
        &mut self,
        window: &Window,
        rows: Numbered,
        time: usize,
        wanted: bool,
    ) -> SqlResult<Lowered> {
        let what = format!("first row {}", rows.text);
        let ttl_ms = self.state_ttl(&format!("the {what}"), "the number of keys");
        let Numbered { input, columns, partition, .. } = rows;
        let schema = numbered_schema(&input.schema.fields()[..columns], window, false);
        let spec = FirstRowSpec {
            keys: partition.clone(),
            time: (input.roles[time] != Role::ProcessingTime).then_some(time),
            ttl_ms,
            kept: columns,
            input_schema: Arc::clone(&input.schema),
            schema: Arc::clone(&schema),
        };
        let make = move |_| Ok(boxed(FirstRow::new(spec.clone())?));
        let roles = input.roles[..columns].to_vec();
        let inputs = vec![(input.node, by(&partition))];
        let first = self.operator("FirstRow", &what, inputs, schema, roles, Arc::new(make))?;
        let first =
            first.with_keys(keys(Some(partition.clone()), &partition, columns, &input.keys));
        if !wanted {
            return Ok(first);
        }
        let below = window.input.schema();
        let mut all: Vec<Expr> = below.iter().map(Expr::from).collect();
        all.push(lit(1_i64).alias(window.schema.field(columns).name()));
        self.calc(first, below, None, &all)
    }

    fn rank(
        &mut self,
        window: &Window,
        rows: Numbered,
        (first, last): (usize, usize),
        wanted: bool,
    ) -> SqlResult<Lowered> {
        let ties = rows.ties(last);
        let text = format!("{} {}", in_words(first, last), rows.text);
        let by_what = match rows.input.retracts {
            true => "the number of rows",
            false => "the number of partitions",
        };
        let ttl_ms = match rows.partition.is_empty() && !rows.input.retracts {
            true => self.state_ttl_ms,
            false => self.state_ttl(&format!("Top-N, {text}"), by_what),
        };
        let Numbered { input, columns, partition, mut order, .. } = rows;
        // Rows of processing time come in its order, be the clock as it may.
        if ties == Ties::LaterFirst && input.roles[order[0].column] == Role::ProcessingTime {
            order.clear();
        }
        let schema = numbered_schema(&input.schema.fields()[..columns], window, wanted);
        let mut roles = input.roles[..columns].to_vec();
        roles.resize(schema.fields().len(), Role::Plain);
        let spec = RankSpec {
            partition: partition.clone(),
            order,
            ties,
            first,
            last,
            numbered: wanted,
            retracts: input.retracts,
            ttl_ms,
            kept: columns,
            input_schema: Arc::clone(&input.schema),
            schema: Arc::clone(&schema),
        };
        let make = move |_| Ok(boxed(Rank::new(spec.clone())?));
        let inputs = vec![(input.node, by(&partition))];
        let mut top = self.operator("TopN", &text, inputs, schema, roles, Arc::new(make))?;
        self.graph.set_retracts(top.node, true);
        top.retracts = true;
        let own = match (first == last, wanted) {
            (true, _) => Some(partition.clone()),
            (false, true) => Some(partition.iter().copied().chain([columns]).collect()),
            (false, false) => None,
        };
        Ok(top.with_keys(keys(own, &partition, columns, &input.keys)))
    }
}

impl<'a> TopN<'a> {
    fn of(filter: &'a Filter) -> Option<Self> {
        // A projection between the two only drops columns.
        let (window, kept) = match filter.input.as_ref() {
            LogicalPlan::Window(window) => (window, None),
            LogicalPlan::Projection(projection) => match projection.input.as_ref() {
                LogicalPlan::Window(window)
                    if projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) =>
                {
                    (window, Some(projection.expr.as_slice()))
                }
                _ => return None,
            },
            _ => return None,
        };
        row_number(window)?;
        let last = window.schema.fields().len() - 1;
        let column = Expr::from(window.schema.qualified_field(last));
        let number = match kept {
            None => last,
            Some(kept) => kept.iter().position(|expr| *expr == column)?,
        };
        let (mut numbers, mut rest) = (ALL, vec![]);
        for predicate in split_conjunction(&filter.predicate) {
            match Numbers::of(predicate, &column) {
                Some(asked) => numbers = numbers.and(asked),
                None => rest.push(predicate.clone()),
            }
        }
        (numbers != ALL).then_some(Self { window, kept, number, numbers, rest })
    }
}

const ALL: Numbers = Numbers { first: i64::MIN, last: None };

impl Numbers {
    /// Of `number <= n` and its other forms.
    fn of(predicate: &Expr, number: &Expr) -> Option<Self> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = predicate else { return None };
        let (op, value) = match (left.as_ref(), right.as_ref()) {
            (column, Expr::Literal(value, _)) if column == number => (*op, value),
            (Expr::Literal(value, _), column) if column == number => (op.swap()?, value),
            _ => return None,
        };
        let n = match value {
            ScalarValue::Int64(Some(n)) => *n,
            ScalarValue::Int32(Some(n)) => i64::from(*n),
            _ => return None,
        };
        match op {
            Operator::LtEq => Some(Self { last: Some(n), ..ALL }),
            Operator::Lt => Some(Self { last: Some(n.saturating_sub(1)), ..ALL }),
            Operator::GtEq => Some(Self { first: n, ..ALL }),
            Operator::Gt => Some(Self { first: n.saturating_add(1), ..ALL }),
            Operator::Eq => Some(Self { first: n, last: Some(n) }),
            _ => None,
        }
    }

    fn and(self, other: Self) -> Self {
        let last = match (self.last, other.last) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { first: self.first.max(other.first), last }
    }
}

impl Numbered {
    /// The time attribute that orders inserts, and whether from the last to the first.
    fn time(&self) -> Option<(usize, bool)> {
        let [SortKey { column, descending, .. }] = self.order.as_slice() else { return None };
        let is_time = matches!(
            self.input.roles[*column],
            Role::EventTime | Role::WindowedTime | Role::ProcessingTime
        );
        (is_time && !self.input.retracts).then_some((*column, *descending))
    }

    /// The last row by time is the last that came, of rows of one time too.
    fn ties(&self, last: usize) -> Ties {
        match (last, self.time()) {
            (1, Some((_, true))) => Ties::LaterFirst,
            _ => Ties::EarlierFirst,
        }
    }
}

/// The ROW_NUMBER that is all a plan computes.
fn row_number(window: &Window) -> Option<&WindowFunction> {
    let [expr] = window.window_expr.as_slice() else { return None };
    // Where its arguments were cast it keeps its name as an alias.
    match expr {
        Expr::WindowFunction(function) => Some(function.as_ref()),
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::WindowFunction(function) => Some(function.as_ref()),
            _ => None,
        },
        _ => None,
    }
    .filter(|function| function.fun.name() == ROW_NUMBER)
}

fn in_words(first: usize, last: usize) -> String {
    match first {
        1 => format!("first {last}"),
        first => format!("numbers {first} to {last}"),
    }
}

/// Whether one of the expressions reads the column at `number`.
fn reads(exprs: &[Expr], schema: &DFSchema, number: usize) -> bool {
    let mut columns = exprs.iter().flat_map(|expr| expr.column_refs());
    columns.any(|column| schema.index_of_column(column).is_ok_and(|index| index == number))
}

fn numbered_schema(columns: &[FieldRef], window: &Window, numbered: bool) -> SchemaRef {
    let mut fields = columns.to_vec();
    if numbered {
        let name = window.schema.field(window.schema.fields().len() - 1).name();
        fields.push(Arc::new(Field::new(name, DataType::Int64, true)));
    }
    Arc::new(Schema::new(fields))
}

/// The upsert keys: `own`, unless it holds an expression, and those of the input that tell the
/// partition, for rows move from one partition to another without order.
pub(super) fn keys(
    own: Option<Vec<usize>>,
    partition: &[usize],
    columns: usize,
    input: &[Vec<usize>],
) -> Vec<Vec<usize>> {
    let own = own.filter(|_| partition.iter().all(|column| *column < columns));
    let kept = input.iter().filter(|key| {
        partition.iter().all(|column| key.contains(column))
            && key.iter().all(|column| *column < columns)
    });
    own.into_iter().chain(kept.cloned()).collect()
}
