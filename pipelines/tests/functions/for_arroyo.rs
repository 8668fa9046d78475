//! A library with one function in the form of `arroyo-udf-plugin`, written out by hand so that it builds
//! without Arroyo's crates: `fn tripled(number: i64, less: i64) -> Option<i64>`, null where either is, and
//! a failure for the number 13. `udf/host/tests/arroyo` has one of Arroyo's own making.

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;

#[repr(C)]
pub struct Array {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut Array,
    dictionary: *mut Array,
    release: Option<unsafe extern "C" fn(*mut Array)>,
    private_data: *mut c_void,
}

#[repr(C)]
pub struct Schema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut Schema,
    dictionary: *mut Schema,
    release: Option<unsafe extern "C" fn(*mut Schema)>,
    private_data: *mut c_void,
}

#[repr(C)]
pub struct Column {
    array: Array,
    schema: Schema,
}

impl Drop for Column {
    fn drop(&mut self) {
        if let Some(release) = self.array.release {
            unsafe { release(&mut self.array) };
        }
        if let Some(release) = self.schema.release {
            unsafe { release(&mut self.schema) };
        }
    }
}

#[repr(C)]
pub struct Columns {
    columns: *mut Column,
    len: usize,
    capacity: usize,
    error: bool,
}

#[repr(C)]
pub struct Ran {
    status: u32,
    made: MaybeUninit<Column>,
}

/// What the column that is handed back lives on.
struct Kept {
    values: Vec<i64>,
    valid: Vec<u8>,
    buffers: [*const c_void; 2],
}

fn value(column: &Column, row: usize) -> Option<i64> {
    let at = row + column.array.offset as usize;
    let buffers = unsafe { std::slice::from_raw_parts(column.array.buffers, 2) };
    let valid = buffers[0].cast::<u8>();
    let there = valid.is_null() || unsafe { *valid.add(at / 8) } >> (at % 8) & 1 == 1;
    there.then(|| unsafe { *buffers[1].cast::<i64>().add(at) })
}

unsafe extern "C" fn release_array(array: *mut Array) {
    let array = unsafe { &mut *array };
    drop(unsafe { Box::from_raw(array.private_data.cast::<Kept>()) });
    array.release = None;
}

unsafe extern "C" fn release_schema(schema: *mut Schema) {
    unsafe { (*schema).release = None };
}

fn column(values: Vec<Option<i64>>) -> Column {
    let mut valid = vec![0; values.len() / 8 + 1];
    for (row, value) in values.iter().enumerate() {
        valid[row / 8] |= u8::from(value.is_some()) << (row % 8);
    }
    let length = values.len() as i64;
    let null_count = values.iter().filter(|value| value.is_none()).count() as i64;
    let values = values.into_iter().map(Option::unwrap_or_default).collect();
    let kept = Kept { values, valid, buffers: [std::ptr::null(); 2] };
    let kept = Box::leak(Box::new(kept));
    kept.buffers = [kept.valid.as_ptr().cast(), kept.values.as_ptr().cast()];
    Column {
        array: Array {
            length,
            null_count,
            offset: 0,
            n_buffers: 2,
            n_children: 0,
            buffers: kept.buffers.as_mut_ptr(),
            children: std::ptr::null_mut(),
            dictionary: std::ptr::null_mut(),
            release: Some(release_array),
            private_data: std::ptr::from_mut(kept).cast(),
        },
        schema: Schema {
            format: c"l".as_ptr(),
            name: c"".as_ptr(),
            metadata: std::ptr::null(),
            flags: 2,
            n_children: 0,
            children: std::ptr::null_mut(),
            dictionary: std::ptr::null_mut(),
            release: Some(release_schema),
            private_data: std::ptr::null_mut(),
        },
    }
}

/// # Safety
/// The columns are the parts of a `Vec` of the system's allocator.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn __run(columns: Columns) -> Ran {
    let Columns { columns, len, capacity, .. } = columns;
    let columns = unsafe { Vec::from_raw_parts(columns, len, capacity) };
    let failed = Ran { status: 1, made: MaybeUninit::uninit() };
    let [number, less] = columns.as_slice() else { return failed };
    let longs = |column: &&Column| unsafe { CStr::from_ptr(column.schema.format) } == c"l";
    if ![number, less].iter().all(longs) {
        return failed;
    }
    let rows = 0..number.array.length as usize;
    let pairs = rows.map(|row| Some((value(number, row)?, value(less, row)?)));
    let pairs: Vec<Option<(i64, i64)>> = pairs.collect();
    if pairs.iter().flatten().any(|(number, _)| *number == 13) {
        return failed;
    }
    let made = pairs.into_iter().map(|pair| pair.map(|(number, less)| 3 * number - less));
    Ran { status: 0, made: MaybeUninit::new(column(made.collect())) }
}
