//! Arrays of ours as those of Arrow's C data interface, and back, without a copy.

#![allow(unsafe_code)] // a library's arrays come as pointers

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, make_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type,
};
use nowcast_udf::abi::ArrowArray;

/// The types that a function can have, by their letter.
pub fn data_type(format: u8) -> Option<DataType> {
    Some(match format {
        b'b' => DataType::Boolean,
        b'c' => DataType::Int8,
        b's' => DataType::Int16,
        b'i' => DataType::Int32,
        b'l' => DataType::Int64,
        b'f' => DataType::Float32,
        b'g' => DataType::Float64,
        b'u' => DataType::Utf8,
        b'z' => DataType::Binary,
        _ => return None,
    })
}

/// Lends a column for each argument; none where their types or lengths are others.
pub fn lent(columns: &[ArrayRef], arguments: &[DataType], rows: usize) -> Option<Vec<Lent>> {
    let mut pairs = columns.iter().zip(arguments);
    let fits = columns.len() == arguments.len()
        && pairs.all(|(column, ty)| column.data_type() == ty && column.len() == rows);
    fits.then(|| columns.iter().map(|column| Lent::new(column.as_ref())).collect())
}

/// A column that is lent for a call: its buffers, of which the first is the bitmap of nulls.
pub struct Lent {
    nulls: i64,
    pointers: Vec<*const c_void>,
    _buffers: Vec<Option<Buffer>>,
}

impl Lent {
    /// The column is of a type of [`data_type`].
    pub fn new(column: &dyn Array) -> Self {
        let mut buffers = vec![column.nulls().map(|nulls| nulls.inner().sliced())];
        match column.data_type() {
            DataType::Boolean => buffers.push(Some(column.as_boolean().values().sliced())),
            DataType::Int8 => buffers.push(values::<Int8Type>(column)),
            DataType::Int16 => buffers.push(values::<Int16Type>(column)),
            DataType::Int32 => buffers.push(values::<Int32Type>(column)),
            DataType::Int64 => buffers.push(values::<Int64Type>(column)),
            DataType::Float32 => buffers.push(values::<Float32Type>(column)),
            DataType::Float64 => buffers.push(values::<Float64Type>(column)),
            DataType::Utf8 => {
                let texts = column.as_string::<i32>();
                buffers.push(Some(texts.offsets().inner().inner().clone()));
                buffers.push(Some(texts.values().clone()));
            }
            _ => {
                let bytes = column.as_binary::<i32>();
                buffers.push(Some(bytes.offsets().inner().inner().clone()));
                buffers.push(Some(bytes.values().clone()));
            }
        }
        let pointer = |buffer: &Option<Buffer>| {
            buffer.as_ref().map_or(std::ptr::null(), |buffer| buffer.as_ptr().cast())
        };
        let pointers = buffers.iter().map(pointer).collect();
        Self { nulls: column.null_count() as i64, pointers, _buffers: buffers }
    }

    /// Lives as long as this does.
    pub fn array(&mut self, rows: usize) -> ArrowArray {
        ArrowArray {
            length: rows as i64,
            null_count: self.nulls,
            n_buffers: self.pointers.len() as i64,
            buffers: self.pointers.as_mut_ptr(),
            release: Some(kept),
            ..ArrowArray::empty()
        }
    }
}

fn values<T: ArrowPrimitiveType>(column: &dyn Array) -> Option<Buffer> {
    Some(column.as_primitive::<T>().values().inner().clone())
}

/// What is lent is not the library's to free.
unsafe extern "C" fn kept(_array: *mut ArrowArray) {}

/// An array that a library made, released when nothing uses it.
pub struct Imported(ArrowArray);

// SAFETY: nothing writes to an array that is made, and any thread may release it.
unsafe impl Send for Imported {}
unsafe impl Sync for Imported {}

impl Drop for Imported {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: it was not released before.
            unsafe { release(&mut self.0) };
        }
    }
}

impl Imported {
    pub fn new(array: ArrowArray) -> Arc<Self> {
        Arc::new(Self(array))
    }

    /// The array, of `rows` rows of this type, or what is wrong with it.
    pub fn array(self: Arc<Self>, ty: &DataType, rows: usize) -> Result<ArrayRef, String> {
        let pieces = matches!(ty, DataType::Utf8 | DataType::Binary);
        let buffers = if pieces { 3 } else { 2 };
        if self.0.length != rows as i64 || self.0.offset != 0 || self.0.n_buffers != buffers {
            return Err("gave another array than it promised".into());
        }
        let bits = rows.div_ceil(8);
        let mut data = ArrayData::builder(ty.clone()).len(rows);
        if self.0.null_count != 0 {
            data = data.null_bit_buffer(Some(self.buffer(0, bits)?));
        }
        if pieces {
            let offsets = self.buffer(1, (rows + 1) * size_of::<i32>())?;
            let last = offsets.typed_data::<i32>()[rows];
            let end = usize::try_from(last).map_err(|_| "gave a text of negative length")?;
            data = data.add_buffer(offsets).add_buffer(self.buffer(2, end)?);
        } else {
            let bytes = ty.primitive_width().map_or(bits, |width| rows * width);
            data = data.add_buffer(self.buffer(1, bytes)?);
        }
        Ok(make_array(data.build().map_err(|error| error.to_string())?))
    }

    fn buffer(self: &Arc<Self>, position: usize, bytes: usize) -> Result<Buffer, String> {
        // SAFETY: the array has as many buffers as its type, as was seen.
        let pointer = unsafe { *self.0.buffers.add(position) };
        match NonNull::new(pointer.cast_mut().cast::<u8>()) {
            // SAFETY: they are as long as an array of these rows has them, and live as long as `self`.
            Some(start) => {
                Ok(unsafe { Buffer::from_custom_allocation(start, bytes, Arc::clone(self) as _) })
            }
            None if bytes == 0 => Ok(Buffer::from_vec(Vec::<u8>::new())),
            None => Err("gave an array without values".into()),
        }
    }
}
