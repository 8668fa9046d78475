//! `array[index]` and `map[key]`: null where there is none.

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array, make_comparator};
use arrow::compute::{SortOptions, cast, take};
use arrow::datatypes::{DataType, Int64Type};
use datafusion_common::Result;

use super::collection::{entry_types, item_type};
use super::scalar::{Body, Function, Kind, Takes};

pub fn function() -> Function {
    Function {
        name: "element_at",
        form: "array[index], map[key]",
        about: "an element, counted from 1, or the value of a key; null where there is none",
        takes: Takes::These { kinds: &[Kind::Any, Kind::Any], required: 2 },
        gives: |given| match &given[0] {
            map @ DataType::Map(..) => entry_types(map).1,
            list => item_type(list),
        },
        body: Body::Plain(element_at),
    }
}

fn element_at(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    if let DataType::Map(..) = columns[0].data_type() {
        return value_of(columns, rows);
    }
    let lists = columns[0].as_list::<i32>();
    let ends = lists.value_offsets();
    let indices = cast(&columns[1], &DataType::Int64)?;
    let positions = indices.as_primitive::<Int64Type>().iter().enumerate().map(|(row, index)| {
        let index = usize::try_from(index?).ok()?.checked_sub(1)?;
        let (start, end) = (ends[row] as usize, ends[row + 1] as usize);
        (lists.is_valid(row) && index < end - start).then_some((start + index) as u64)
    });
    Ok(take(lists.values(), &positions.collect::<UInt64Array>(), None)?)
}

fn value_of(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let maps = columns[0].as_map();
    let wanted = cast(&columns[1], maps.keys().data_type())?;
    let compare = make_comparator(maps.keys(), &wanted, SortOptions::default())?;
    let ends = maps.value_offsets();
    let positions = (0..rows).map(|row| {
        let mut entries = ends[row] as usize..ends[row + 1] as usize;
        let found = entries.find(|entry| compare(*entry, row).is_eq())?;
        (maps.is_valid(row) && wanted.is_valid(row)).then_some(found as u64)
    });
    Ok(take(maps.values(), &positions.collect::<UInt64Array>(), None)?)
}
