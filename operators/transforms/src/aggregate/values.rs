//! Values of any type, kept as the columns they came in and found again by their place.

use arrow::array::{Array, ArrayRef, new_empty_array, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use nowcast_engine::Result;

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    chunk: u32,
    row: u32,
}

impl Place {
    /// Where there is no value: it reads as null.
    pub const NONE: Self = Self { chunk: 0, row: 0 };

    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    pub fn is_in(&self, chunk: u32) -> bool {
        self.chunk == chunk
    }

    /// Row of a chunk.
    pub fn at(chunk: u32, row: usize) -> Self {
        Self { chunk, row: row as u32 }
    }
}

/// Rows kept beyond those still needed before [`Values::should_compact`] says so: enough that
/// compaction is rare for small states.
const SLACK_ROWS: usize = 4096;

/// Chunks kept before [`Values::should_compact`] says so, unless there are more live rows: one-row
/// batches make one chunk a row, and a chunk costs more than its row.
const CHUNKS_MAX: usize = 4096;

/// Columns of kept rows, in chunks.
pub struct Values {
    types: Vec<DataType>,
    /// By column, then by chunk; chunk 0 is one null.
    chunks: Vec<Vec<ArrayRef>>,
    rows: usize,
    bytes: usize,
}

impl Values {
    pub fn new(types: &[DataType]) -> Self {
        let nulls = types.iter().map(|ty| vec![new_null_array(ty, 1)]).collect();
        Self { types: types.to_vec(), chunks: nulls, rows: 0, bytes: 0 }
    }

    /// Keeps columns of equal length; row `n` of them is at `place(n)`.
    pub fn push(&mut self, columns: &[ArrayRef]) -> impl Fn(usize) -> Place + use<> {
        let chunk = self.next_chunk();
        for (chunks, column) in self.chunks.iter_mut().zip(columns) {
            self.bytes += column.get_array_memory_size();
            chunks.push(column.clone());
        }
        self.rows += columns.first().map_or(0, |column| column.len());
        move |row| Place { chunk, row: row as u32 }
    }

    /// Keeps the rows of others of the same columns as well, without a copy; a row at a place there is
    /// here where this returns.
    pub fn append(&mut self, other: &Self) -> impl Fn(Place) -> Place + use<> {
        let before = self.next_chunk() - 1;
        for (chunks, others) in self.chunks.iter_mut().zip(&other.chunks) {
            chunks.extend_from_slice(&others[1..]);
        }
        self.rows += other.rows;
        self.bytes += other.bytes;
        move |place| match place.is_none() {
            true => place,
            false => Place { chunk: before + place.chunk, row: place.row },
        }
    }

    /// Bytes of the kept columns, those of rows that nobody asks for any more among them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number the next chunk will have.
    pub fn next_chunk(&self) -> u32 {
        self.chunks.first().map_or(1, Vec::len) as u32
    }

    /// One kept column at the given places.
    pub fn gather(&self, column: usize, places: &[Place]) -> Result<ArrayRef> {
        if places.is_empty() {
            return Ok(new_empty_array(&self.types[column]));
        }
        let chunks = &self.chunks[column];
        // With few rows of many chunks, the chunks cost more than the rows: name only those used.
        if places.len() < chunks.len() / 4 {
            let mut used: Vec<u32> = places.iter().map(|place| place.chunk).collect();
            used.sort_unstable();
            used.dedup();
            let few: Vec<&dyn Array> =
                used.iter().map(|chunk| chunks[*chunk as usize].as_ref()).collect();
            let at = |place: &Place| {
                let nth = used.binary_search(&place.chunk).expect("it is among those used");
                (nth, place.row as usize)
            };
            return Ok(interleave(&few, &places.iter().map(at).collect::<Vec<_>>())?);
        }
        let chunks: Vec<&dyn Array> = chunks.iter().map(AsRef::as_ref).collect();
        let at = |place: &Place| (place.chunk as usize, place.row as usize);
        Ok(interleave(&chunks, &places.iter().map(at).collect::<Vec<_>>())?)
    }

    /// All kept columns at the given places.
    pub fn gather_all(&self, places: &[Place]) -> Result<Vec<ArrayRef>> {
        (0..self.types.len()).map(|column| self.gather(column, places)).collect()
    }

    /// Whether rows that are not `live` any more take up most of the room.
    pub fn should_compact(&self, live: usize) -> bool {
        self.rows > 2 * live + SLACK_ROWS || self.next_chunk() as usize > CHUNKS_MAX.max(live)
    }

    /// Keeps the rows at `live` alone, which then lie where this returns, in that order.
    pub fn compact(&mut self, live: &[Place]) -> Result<impl Fn(usize) -> Place + use<>> {
        let columns = self.gather_all(live)?;
        *self = Self::new(&self.types);
        Ok(self.push(&columns))
    }
}
