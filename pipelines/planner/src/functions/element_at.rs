//! `array[index]`: counted from 1; null outside.

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::scalar::{Function, Kind, Takes, longs};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::List, Kind::Long], required: 2 };
    Function { name: "element_at", takes, gives: item, body: element_at }
}

fn item(given: &[DataType]) -> DataType {
    match &given[0] {
        DataType::List(item) => item.data_type().clone(),
        other => other.clone(),
    }
}

fn element_at(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let ends = lists.value_offsets();
    let positions = longs(&columns[1]).iter().enumerate().map(|(row, index)| {
        let index = usize::try_from(index?).ok()?.checked_sub(1)?;
        let (start, end) = (ends[row] as usize, ends[row + 1] as usize);
        (lists.is_valid(row) && index < end - start).then_some((start + index) as u64)
    });
    Ok(take(lists.values(), &positions.collect::<UInt64Array>(), None)?)
}
