//! `ARRAY_JOIN(array, delimiter[, for nulls])`: leaves nulls out where nothing stands for them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion_common::Result;

use super::cast::text::to_text;
use super::scalar::{Body, Function, Kind, Takes, optional_text, text};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::List, Kind::Text, Kind::Text], required: 2 };
    Function {
        name: "array_join",
        form: "ARRAY_JOIN(array, delimiter[, for nulls])",
        about: "leaves nulls out where nothing stands for them",
        takes,
        gives: text,
        body: Body::Plain(array_join),
    }
}

fn array_join(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let items = to_text(lists.values(), chrono_tz::Tz::UTC)?;
    let ends = lists.value_offsets();
    let made = (0..rows).map(|row| {
        let delimiter = optional_text(columns, 1, row)?;
        let for_null = optional_text(columns, 2, row);
        let range = ends[row] as usize..ends[row + 1] as usize;
        let parts = range.filter_map(|item| match items.is_valid(item) {
            true => Some(items.value(item)),
            false => for_null,
        });
        lists.is_valid(row).then(|| parts.collect::<Vec<_>>().join(delimiter))
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
