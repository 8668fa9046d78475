//! What the functions of arrays and maps share: element types, and building them row by row.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt64Array, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion_common::Result;

use super::scalar::failed;
use crate::types::list_of;

pub fn item_type(list: &DataType) -> DataType {
    match list {
        DataType::List(item) => item.data_type().clone(),
        other => other.clone(),
    }
}

/// The types of a map's keys and values.
pub fn entry_types(map: &DataType) -> (DataType, DataType) {
    if let DataType::Map(entry, _) = map
        && let DataType::Struct(fields) = entry.data_type()
        && let [key, value] = fields.as_ref()
    {
        return (key.data_type().clone(), value.data_type().clone());
    }
    (DataType::Null, DataType::Null)
}

/// Where the elements of a row's array lie; none where the array is null.
pub fn range(lists: &ListArray, row: usize) -> Option<Range<usize>> {
    let ends = lists.value_offsets();
    lists.is_valid(row).then(|| ends[row] as usize..ends[row + 1] as usize)
}

/// Arrays of chosen elements of a pool, one array or null a row. `None` is a null element.
pub fn lists_of(
    pool: &ArrayRef,
    rows: impl Iterator<Item = Option<Vec<Option<usize>>>>,
) -> Result<ArrayRef> {
    let (mut picks, mut lengths, mut valid) = (vec![], vec![], vec![]);
    for row in rows {
        valid.push(row.is_some());
        let row = row.unwrap_or_default();
        lengths.push(row.len());
        picks.extend(row.into_iter().map(|pick| pick.map(|pick| pick as u64)));
    }
    let items = take(pool, &UInt64Array::from(picks), None)?;
    let DataType::List(field) = list_of(items.data_type().clone()) else {
        return Err(failed("a list was promised"));
    };
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(field, offsets, items, Some(NullBuffer::from(valid)))?))
}

/// The elements of several list columns one after the other, and where each column's begin. All
/// have the type of the first.
pub fn pooled(columns: &[&ListArray]) -> Result<(ArrayRef, Vec<usize>)> {
    let ty = columns[0].values().data_type();
    let parts = columns.iter().map(|column| cast(column.values(), ty));
    let parts = parts.collect::<std::result::Result<Vec<_>, _>>()?;
    let mut starts = vec![];
    let mut next = 0;
    for part in &parts {
        starts.push(next);
        next += part.len();
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    Ok((concat(&parts)?, starts))
}

/// Maps from chosen keys and values, one map or null a row.
pub fn maps_of(
    keys: &ArrayRef,
    values: &ArrayRef,
    rows: impl Iterator<Item = Option<Vec<(usize, Option<usize>)>>>,
) -> Result<ArrayRef> {
    let (mut picked_keys, mut picked_values) = (vec![], vec![]);
    let (mut lengths, mut valid) = (vec![], vec![]);
    for row in rows {
        valid.push(row.is_some());
        let row = row.unwrap_or_default();
        lengths.push(row.len());
        for (key, value) in row {
            picked_keys.push(key as u64);
            picked_values.push(value.map(|value| value as u64));
        }
    }
    let keys = take(keys, &UInt64Array::from(picked_keys), None)?;
    let values = take(values, &UInt64Array::from(picked_values), None)?;
    let fields = Fields::from(vec![
        Field::new("key", keys.data_type().clone(), false),
        Field::new("value", values.data_type().clone(), true),
    ]);
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    let entry = Arc::new(Field::new("entries", DataType::Struct(fields), false));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = Some(NullBuffer::from(valid));
    Ok(Arc::new(MapArray::try_new(entry, offsets, entries, nulls, false)?))
}

/// A list column as such; a NULL literal as one of nulls.
pub fn as_lists(column: &ArrayRef, item: &DataType) -> ListArray {
    match column.as_list_opt::<i32>() {
        Some(lists) => lists.clone(),
        None => new_null_array(&list_of(item.clone()), column.len()).as_list::<i32>().clone(),
    }
}
