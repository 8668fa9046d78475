//! State as tables: named columns, first of all the key group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt16Array, new_null_array};
use arrow::datatypes::Schema;
use nowcast_engine::keys::{KeyCodec, Keys, key_group, key_hash};
use nowcast_engine::operator::KEY_GROUP;
use nowcast_engine::{Error, Result, StateTable};

use crate::aggregate::Accumulator;

/// State over all rows lies here: with any number of workers it belongs to worker 0, where the
/// rows go that have no key.
const GROUP_WITHOUT_KEY: u16 = 0;

/// Bytes that the state in one piece of a table takes in memory: far less than the 2 GiB that a column of texts or
/// lists has room for, as slots are of unlike sizes, and values that they share are saved with each.
const PIECE_BYTES: usize = 16 << 20;

/// Columns by name.
pub(crate) type Columns = Vec<(String, ArrayRef)>;

/// The key groups of slots, as the first column of a state table.
pub(crate) fn key_groups(keys: &Keys, key_columns: usize, slots: &[u32]) -> (String, ArrayRef) {
    let groups: UInt16Array = match key_columns {
        0 => slots.iter().map(|_| Some(GROUP_WITHOUT_KEY)).collect(),
        _ => slots.iter().map(|slot| Some(keys.key_group(*slot))).collect(),
    };
    (KEY_GROUP.to_owned(), Arc::new(groups))
}

/// The names that [`named`] gives to so many columns.
pub(crate) fn names(prefix: &str, columns: usize) -> Vec<String> {
    (0..columns).map(|nth| format!("{prefix}{nth}")).collect()
}

/// The key groups of rows by their key columns, as the first column of a state table.
pub(crate) fn key_groups_of(keys: &[ArrayRef], rows: usize) -> Result<(String, ArrayRef)> {
    let groups: UInt16Array = match keys {
        [] => (0..rows).map(|_| Some(GROUP_WITHOUT_KEY)).collect(),
        keys => {
            let types: Vec<_> = keys.iter().map(|key| key.data_type().clone()).collect();
            let encoded = KeyCodec::new(&types)?.encode(keys)?;
            encoded.iter().map(|key| Some(key_group(key_hash(key.as_ref())))).collect()
        }
    };
    Ok((KEY_GROUP.to_owned(), Arc::new(groups)))
}

pub(crate) fn named(
    prefix: &str,
    columns: Vec<ArrayRef>,
) -> impl Iterator<Item = (String, ArrayRef)> {
    columns.into_iter().enumerate().map(move |(nth, column)| (format!("{prefix}{nth}"), column))
}

pub(crate) fn rows(columns: Columns) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )?)
}

/// One table in pieces of equal columns; none where there are no rows.
pub(crate) fn table(name: &str, pieces: impl IntoIterator<Item = RecordBatch>) -> Vec<StateTable> {
    let pieces = pieces.into_iter().filter(|rows| rows.num_rows() > 0);
    pieces.map(|rows| StateTable { name: name.to_owned(), rows }).collect()
}

/// The table of slots whose state takes so many bytes.
pub(crate) fn table_of(
    name: &str,
    slots: &[u32],
    bytes: usize,
    saved: impl Fn(&[u32]) -> Result<RecordBatch>,
) -> Result<Vec<StateTable>> {
    let pieces = pieces(slots, bytes).map(saved);
    Ok(table(name, pieces.collect::<Result<Vec<_>>>()?))
}

/// Slots or rows in order, so many at a time that their part of `bytes` is a piece.
pub(crate) fn pieces<T>(all: &[T], bytes: usize) -> impl Iterator<Item = &[T]> {
    pieces_of(all, bytes, PIECE_BYTES)
}

fn pieces_of<T>(all: &[T], bytes: usize, piece_bytes: usize) -> impl Iterator<Item = &[T]> {
    let pieces = bytes.div_ceil(piece_bytes).max(1);
    all.chunks(all.len().div_ceil(pieces).max(1))
}

/// The table of one key that has seen no rows; `numbers` are the columns between key group and keys.
pub(crate) fn blank(
    name: &str,
    numbers: &[&str],
    keys: &Keys,
    accumulators: &mut [Box<dyn Accumulator>],
) -> Result<Vec<StateTable>> {
    let mut columns: Columns =
        vec![(KEY_GROUP.to_owned(), Arc::new(UInt16Array::from(vec![GROUP_WITHOUT_KEY])))];
    for number in numbers {
        columns.push(((*number).to_owned(), Arc::new(Int64Array::from(vec![0]))));
    }
    let types = keys.columns(&[])?;
    let types = types.iter().map(|key| new_null_array(key.data_type(), 1)).collect();
    columns.extend(named("key_", types));
    for (nth, accumulator) in accumulators.iter_mut().enumerate() {
        accumulator.resize(1);
        columns.extend(named(&format!("state_{nth}_"), accumulator.save(&[0])?));
    }
    Ok(vec![StateTable { name: name.to_owned(), rows: rows(columns)? }])
}

/// # Errors
/// Of the user, where the columns are not those that a saved state of this query has.
pub(crate) fn check(table: &StateTable, expected: &Schema) -> Result<()> {
    let types = |schema: &Schema| -> Vec<_> {
        schema.fields().iter().map(|field| field.data_type().clone()).collect()
    };
    match types(&table.rows.schema()) == types(expected) {
        true => Ok(()),
        false => Err(changed(&table.name)),
    }
}

pub(crate) fn changed(table: &str) -> Error {
    Error::user(format!("state {table:?} in the checkpoint is not of this query: it has changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_each_slot_once_and_so_many_bytes() {
        let slots: Vec<u32> = (0..1_000).collect();
        for (bytes, expected) in [(0, 1), (99, 1), (100, 1), (101, 2), (1_000, 10), (99_999, 1_000)]
        {
            let pieces: Vec<&[u32]> = pieces_of(&slots, bytes, 100).collect();
            assert_eq!(pieces.len(), expected, "{bytes} bytes");
            assert_eq!(pieces.concat(), slots, "{bytes} bytes");
        }
        assert_eq!(pieces_of::<u32>(&[], 500, 100).count(), 0);
    }
}
