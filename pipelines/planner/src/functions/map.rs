//! `MAP[key, value, …]` and the functions of maps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, make_comparator};
use arrow::compute::{SortOptions, cast, concat};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion_common::Result;
use datafusion_expr::type_coercion::binary::type_union_resolution;

use super::cast::map_of;
use super::collection::{entry_types, item_type, maps_of, range};
use super::scalar::{Body, Function, Kind, Takes, all, failed, same};
use crate::types::list_of;

pub fn functions() -> Vec<Function> {
    let function = |name, form, about, takes, gives, body| Function {
        name,
        form,
        about,
        takes,
        gives,
        body: Body::Plain(body),
    };
    let map = all(&[Kind::Map]);
    vec![
        function(
            "map",
            "MAP[key, value, …]",
            "a map",
            Takes::Many { kind: Kind::Any, least: 2 },
            literal_type,
            literal,
        ),
        function(
            "map_entries",
            "MAP_ENTRIES(map)",
            "an array of rows of key and value",
            map,
            |given| list_of(DataType::Struct(entry_fields(&given[0]))),
            entries,
        ),
        function(
            "map_from_arrays",
            "MAP_FROM_ARRAYS(keys, values)",
            "a map from an array of keys and one of values",
            all(&[Kind::List, Kind::List]),
            |given| map_of(item_type(&given[0]), item_type(&given[1])),
            from_arrays,
        ),
        function(
            "map_keys",
            "MAP_KEYS(map)",
            "an array of the keys",
            map,
            |given| list_of(entry_types(&given[0]).0),
            |columns, _| {
                let map = columns[0].as_map();
                list(map, map.keys())
            },
        ),
        function(
            "map_union",
            "MAP_UNION(map, …)",
            "the entries of all maps; those of a later one win",
            Takes::Alike { least: 1 },
            same,
            union,
        ),
        function(
            "map_values",
            "MAP_VALUES(map)",
            "an array of the values",
            map,
            |given| list_of(entry_types(&given[0]).1),
            |columns, _| {
                let map = columns[0].as_map();
                list(map, map.values())
            },
        ),
    ]
}

/// The common type of every second argument from the first or second on.
fn common(given: &[DataType], from: usize) -> DataType {
    let types: Vec<_> = given.iter().skip(from).step_by(2).cloned().collect();
    type_union_resolution(&types).unwrap_or(DataType::Null)
}

fn literal_type(given: &[DataType]) -> DataType {
    map_of(common(given, 0), common(given, 1))
}

fn literal(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let types: Vec<_> = columns.iter().map(|column| column.data_type().clone()).collect();
    if columns.len() % 2 == 1 {
        return Err(failed("MAP takes keys and values in turn"));
    }
    let one_kind = |from: usize| {
        let ty = common(&types, from);
        let parts = columns.iter().skip(from).step_by(2).map(|column| cast(column, &ty));
        let parts = parts.collect::<std::result::Result<Vec<_>, _>>()?;
        concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())
    };
    let (keys, values) = (one_kind(0)?, one_kind(1)?);
    let compare = make_comparator(&keys, &keys, SortOptions::default())?;
    let made = (0..rows).map(|row| {
        let places = (0..columns.len() / 2).map(|pair| pair * rows + row);
        let mut map: Vec<(usize, Option<usize>)> = vec![];
        for at in places {
            put(&mut map, &compare, at, Some(at));
        }
        Some(map)
    });
    maps_of(&keys, &values, made)
}

/// Puts an entry into a map: a known key gets the new value.
fn put(
    map: &mut Vec<(usize, Option<usize>)>,
    compare: &arrow::array::DynComparator,
    key: usize,
    value: Option<usize>,
) {
    match map.iter_mut().find(|(known, _)| compare(*known, key).is_eq()) {
        Some(entry) => entry.1 = value,
        None => map.push((key, value)),
    }
}

fn entry_fields(map: &DataType) -> Fields {
    let (key, value) = entry_types(map);
    Fields::from(vec![Field::new("key", key, true), Field::new("value", value, true)])
}

fn list(map: &MapArray, items: &ArrayRef) -> Result<ArrayRef> {
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::clone(items), nulls)?))
}

fn entries(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let map = columns[0].as_map();
    let fields = entry_fields(map.data_type());
    let parts = vec![Arc::clone(map.keys()), Arc::clone(map.values())];
    let rows: ArrayRef = Arc::new(StructArray::try_new(fields, parts, None)?);
    list(map, &rows)
}

fn from_arrays(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (keys, values) = (columns[0].as_list::<i32>(), columns[1].as_list::<i32>());
    let compare = make_comparator(keys.values(), keys.values(), SortOptions::default())?;
    let mut made = vec![];
    for row in 0..rows {
        let (Some(key_places), Some(value_places)) = (range(keys, row), range(values, row)) else {
            made.push(None);
            continue;
        };
        if key_places.len() != value_places.len() {
            return Err(failed(format!(
                "MAP_FROM_ARRAYS of {} keys and {} values",
                key_places.len(),
                value_places.len()
            )));
        }
        let mut map = vec![];
        for (key, value) in key_places.zip(value_places) {
            put(&mut map, &compare, key, Some(value));
        }
        made.push(Some(map));
    }
    maps_of(keys.values(), values.values(), made.into_iter())
}

fn union(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let maps: Vec<&MapArray> = columns.iter().map(|column| column.as_map()).collect();
    let pool = |of: fn(&MapArray) -> &ArrayRef| {
        concat(&maps.iter().map(|map| of(map).as_ref()).collect::<Vec<&dyn Array>>())
    };
    let (keys, values) = (pool(MapArray::keys)?, pool(MapArray::values)?);
    let compare = make_comparator(&keys, &keys, SortOptions::default())?;
    let made = (0..rows).map(|row| {
        let mut made = vec![];
        let mut start = 0;
        for map in &maps {
            let ends = map.value_offsets();
            if map.is_null(row) {
                return None;
            }
            for at in ends[row] as usize..ends[row + 1] as usize {
                put(&mut made, &compare, start + at, Some(start + at));
            }
            start += map.keys().len();
        }
        Some(made)
    });
    maps_of(&keys, &values, made)
}
