//! Functions that choose, order and compare the elements of arrays. Null elements are equal.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DynComparator, Int32Array, ListArray, UInt64Array,
    make_comparator,
};
use arrow::compute::{SortOptions, cast, take};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::collection::{as_lists, item_type, lists_of, pooled, range};
use super::scalar::{Body, Function, Kind, Takes, all, boolean, failed, int, long_at, same, some};
use crate::types::list_of;

const LIST: Takes = all(&[Kind::List]);
const WITH_ITEM: Takes = all(&[Kind::Any, Kind::Any]);
const LISTS: Takes = Takes::Alike { least: 1 };

pub fn functions() -> Vec<Function> {
    let function = |name, form, about, takes, gives, body| Function {
        name,
        form,
        about,
        takes,
        gives,
        body: Body::Plain(body),
    };
    vec![
        function(
            "array_append",
            "ARRAY_APPEND(array, x)",
            "with an element behind",
            WITH_ITEM,
            list_or_item,
            |columns, rows| added(columns, rows, |all, item| [all, vec![item]].concat()),
        ),
        function(
            "array_prepend",
            "ARRAY_PREPEND(array, x)",
            "with an element in front",
            WITH_ITEM,
            list_or_item,
            |columns, rows| added(columns, rows, |all, item| [vec![item], all].concat()),
        ),
        function(
            "array_concat",
            "ARRAY_CONCAT(array, …)",
            "one array after the other",
            LISTS,
            same,
            |columns, rows| combined(columns, rows, |_, lists| lists.concat()),
        ),
        function(
            "array_contains",
            "ARRAY_CONTAINS(array, x)",
            "whether there is such an element",
            WITH_ITEM,
            boolean,
            contains,
        ),
        function(
            "array_distinct",
            "ARRAY_DISTINCT(array)",
            "each element once",
            LIST,
            same,
            |columns, rows| combined(columns, rows, |pool, lists| distinct(pool, lists.concat())),
        ),
        function(
            "array_except",
            "ARRAY_EXCEPT(a, b)",
            "the elements of a that are not in b, each once",
            Takes::Alike { least: 2 },
            same,
            |columns, rows| combined(columns, rows, |pool, lists| kept(pool, &lists, Keep::Others)),
        ),
        function(
            "array_intersect",
            "ARRAY_INTERSECT(a, b)",
            "the elements that are in both, each once",
            Takes::Alike { least: 2 },
            same,
            |columns, rows| combined(columns, rows, |pool, lists| kept(pool, &lists, Keep::Common)),
        ),
        function(
            "array_union",
            "ARRAY_UNION(a, b)",
            "the elements of both, each once",
            Takes::Alike { least: 2 },
            same,
            |columns, rows| combined(columns, rows, |pool, lists| distinct(pool, lists.concat())),
        ),
        function("array_max", "ARRAY_MAX(array)", "the greatest element", LIST, item, |c, rows| {
            extreme(c, rows, Ordering::Greater)
        }),
        function("array_min", "ARRAY_MIN(array)", "the least element", LIST, item, |c, rows| {
            extreme(c, rows, Ordering::Less)
        }),
        function(
            "array_position",
            "ARRAY_POSITION(array, x)",
            "the place of the first such element, counted from 1; 0 where there is none",
            WITH_ITEM,
            int,
            position,
        ),
        function(
            "array_remove",
            "ARRAY_REMOVE(array, x)",
            "without such elements",
            WITH_ITEM,
            list_or_item,
            remove,
        ),
        function(
            "array_reverse",
            "ARRAY_REVERSE(array)",
            "from last to first",
            LIST,
            same,
            |columns, rows| {
                combined(columns, rows, |_, lists| lists.concat().into_iter().rev().collect())
            },
        ),
        function(
            "array_slice",
            "ARRAY_SLICE(array, start[, end])",
            "from place to place, counted from 1, or from the end where negative",
            some(&[Kind::List, Kind::Long, Kind::Long], 2),
            same,
            slice,
        ),
        function(
            "array_sort",
            "ARRAY_SORT(array[, ascending[, nulls first]])",
            "in order",
            some(&[Kind::List, Kind::Boolean, Kind::Boolean], 1),
            same,
            sort,
        ),
        function(
            "element",
            "ELEMENT(array)",
            "the only element; null where the array is empty",
            LIST,
            item,
            element,
        ),
    ]
}

fn item(given: &[DataType]) -> DataType {
    item_type(&given[0])
}

fn list_or_item(given: &[DataType]) -> DataType {
    match &given[0] {
        list @ DataType::List(_) => list.clone(),
        _ => list_of(given[1].clone()),
    }
}

/// Where each row's elements stand in a pool of all.
type Picks = Vec<Option<usize>>;

fn comparator(pool: &ArrayRef) -> Result<DynComparator> {
    Ok(make_comparator(pool, pool, SortOptions::default())?)
}

/// An array a row from those of all columns; null where one is.
fn combined(
    columns: &[ArrayRef],
    rows: usize,
    combine: impl Fn(&DynComparator, Vec<Picks>) -> Picks,
) -> Result<ArrayRef> {
    let item = item_type(columns[0].data_type());
    let lists: Vec<ListArray> = columns.iter().map(|column| as_lists(column, &item)).collect();
    let (pool, starts) = pooled(&lists.iter().collect::<Vec<_>>())?;
    let compare = comparator(&pool)?;
    let made = (0..rows).map(|row| {
        let picks = lists.iter().zip(&starts).map(|(list, start)| {
            Some(range(list, row)?.map(|at| Some(start + at)).collect::<Picks>())
        });
        Some(combine(&compare, picks.collect::<Option<Vec<_>>>()?))
    });
    lists_of(&pool, made)
}

fn is_among(compare: &DynComparator, picks: &Picks, pick: Option<usize>) -> bool {
    let Some(pick) = pick else { return false };
    picks.iter().flatten().any(|other| compare(*other, pick).is_eq())
}

fn distinct(compare: &DynComparator, all: Picks) -> Picks {
    let mut made = vec![];
    for pick in all {
        if !is_among(compare, &made, pick) {
            made.push(pick);
        }
    }
    made
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Common,
    Others,
}

fn kept(compare: &DynComparator, lists: &[Picks], keep: Keep) -> Picks {
    let [first, second, ..] = lists else { return vec![] };
    let is_kept = |pick: &Option<usize>| is_among(compare, second, *pick) == (keep == Keep::Common);
    distinct(compare, first.iter().copied().filter(is_kept).collect())
}

/// The lists of the first column and, in the same pool, one element a row of the second.
fn with_items(columns: &[ArrayRef]) -> Result<(ListArray, ArrayRef, usize)> {
    let lists = as_lists(&columns[0], columns[1].data_type());
    let items = cast(&columns[1], lists.values().data_type())?;
    let pool = arrow::compute::concat(&[lists.values().as_ref(), items.as_ref()])?;
    let first = lists.values().len();
    Ok((lists, pool, first))
}

fn added(
    columns: &[ArrayRef],
    rows: usize,
    add: impl Fn(Picks, Option<usize>) -> Picks,
) -> Result<ArrayRef> {
    let (lists, pool, first) = with_items(columns)?;
    let made =
        (0..rows).map(|row| Some(add(range(&lists, row)?.map(Some).collect(), Some(first + row))));
    lists_of(&pool, made)
}

fn remove(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (lists, pool, first) = with_items(columns)?;
    let compare = comparator(&pool)?;
    let made = (0..rows).map(|row| {
        let others = range(&lists, row)?.filter(|at| compare(*at, first + row).is_ne());
        Some(others.map(Some).collect())
    });
    lists_of(&pool, made)
}

fn contains(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (lists, pool, first) = with_items(columns)?;
    let compare = comparator(&pool)?;
    let made =
        (0..rows).map(|row| Some(range(&lists, row)?.any(|at| compare(at, first + row).is_eq())));
    Ok(Arc::new(made.collect::<BooleanArray>()))
}

fn position(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (lists, pool, first) = with_items(columns)?;
    let compare = comparator(&pool)?;
    let made = (0..rows).map(|row| {
        let mut places = range(&lists, row)?;
        // Null is nowhere.
        if pool.is_null(first + row) {
            return None;
        }
        Some(places.position(|at| compare(at, first + row).is_eq()).map_or(0, |at| at as i32 + 1))
    });
    Ok(Arc::new(made.collect::<Int32Array>()))
}

fn slice(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let made = (0..rows).map(|row| {
        let range = range(lists, row)?;
        let length = range.len() as i64;
        let from_end = |place: i64| if place < 0 { place + length + 1 } else { place };
        let start = from_end(long_at(columns, 1, row)?).max(1);
        let end = match columns.len() {
            3 => from_end(long_at(columns, 2, row)?).min(length),
            _ => length,
        };
        let places = start..end + 1;
        Some(places.map(|place| Some(range.start + place as usize - 1)).collect())
    });
    lists_of(lists.values(), made)
}

fn sort(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let flag = |position: usize, row: usize, default: bool| match columns.get(position) {
        None => Some(default),
        Some(flags) => {
            let flags = flags.as_boolean();
            flags.is_valid(row).then(|| flags.value(row))
        }
    };
    let values = lists.values();
    let compare = make_comparator(values, values, SortOptions::default())?;
    let made = (0..rows).map(|row| {
        let range = range(lists, row)?;
        let ascending = flag(1, row, true)?;
        let nulls_first = flag(2, row, ascending)?;
        let (nulls, mut others): (Vec<_>, Vec<_>) = range.partition(|at| values.is_null(*at));
        others.sort_by(|one, other| match ascending {
            true => compare(*one, *other),
            false => compare(*other, *one),
        });
        let parts = if nulls_first { [nulls, others] } else { [others, nulls] };
        Some(parts.concat().into_iter().map(Some).collect())
    });
    lists_of(values, made)
}

fn extreme(columns: &[ArrayRef], rows: usize, wanted: Ordering) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let values = lists.values();
    let compare = make_comparator(values, values, SortOptions::default())?;
    let best = (0..rows).map(|row| {
        let others = range(lists, row)?.filter(|at| values.is_valid(*at));
        let best = others.reduce(|best, at| if compare(at, best) == wanted { at } else { best });
        best.map(|best| best as u64)
    });
    Ok(take(values, &best.collect::<UInt64Array>(), None)?)
}

fn element(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let only = (0..rows).map(|row| match range(lists, row) {
        Some(range) if range.len() > 1 => {
            Err(failed(format!("ELEMENT of an array of {} elements", range.len())))
        }
        Some(range) if range.len() == 1 => Ok(Some(range.start as u64)),
        _ => Ok(None),
    });
    Ok(take(lists.values(), &only.collect::<Result<UInt64Array>>()?, None)?)
}
