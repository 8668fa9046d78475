//! Functions out of libraries that were made for Arroyo, with `arroyo-udf-plugin`.
//!
//! Such a library has one function, always named `__run`, and keeps no types: its declaration says
//! them. Columns go over Arrow's C data interface with their schemas, in a vector that the library
//! frees. Both sides look at the schemas that come, so a wrong declaration fails the call; only arguments
//! too many at the end are not seen by the library.

#![allow(unsafe_code)] // a library is code of the user's, behind pointers

use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use libloading::Library;
use nowcast_engine::{Error, Result, ScalarFunction};
use nowcast_udf::abi::ArrowArray;

use crate::arrays::{Imported, data_type, lent};
use crate::declaration::Declaration;

/// `ArrowSchema` of Arrow's C data interface.
#[repr(C)]
pub(crate) struct ArrowSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut ArrowSchema,
    dictionary: *mut ArrowSchema,
    release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    private_data: *mut c_void,
}

impl ArrowSchema {
    /// Of a format that stays, so there is nothing to release.
    pub(crate) fn new(format: &'static CStr) -> Self {
        Self {
            format: format.as_ptr(),
            name: c"".as_ptr(),
            metadata: std::ptr::null(),
            flags: 2, // nullable
            n_children: 0,
            children: std::ptr::null_mut(),
            dictionary: std::ptr::null_mut(),
            release: Some(kept),
            private_data: std::ptr::null_mut(),
        }
    }
}

unsafe extern "C" fn kept(_schema: *mut ArrowSchema) {}

impl Drop for ArrowSchema {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it was not released before.
            unsafe { release(self) };
        }
    }
}

/// `FfiArraySchema` of Arroyo.
#[repr(C)]
pub(crate) struct Column {
    pub(crate) array: ArrowArray,
    pub(crate) schema: ArrowSchema,
}

/// `FfiArrays` of Arroyo: the parts of a `Vec` of the system's allocator, for the library to free.
#[repr(C)]
pub(crate) struct Columns {
    pub(crate) columns: *mut Column,
    pub(crate) len: usize,
    pub(crate) capacity: usize,
    error: bool,
}

impl Columns {
    /// Of one column at least.
    fn new(from: Vec<Column>) -> Result<Self> {
        let len = from.len();
        let layout = Layout::array::<Column>(len).map_err(Error::bug)?;
        assert!(layout.size() > 0, "a function without arguments was refused");
        // SAFETY: the layout is not empty.
        let columns = unsafe { System.alloc(layout) }.cast::<Column>();
        if columns.is_null() {
            handle_alloc_error(layout);
        }
        for (at, column) in from.into_iter().enumerate() {
            // SAFETY: there is room for all of them.
            unsafe { columns.add(at).write(column) };
        }
        Ok(Self { columns, len, capacity: len, error: false })
    }
}

/// `RunResult` of Arroyo: 0 and a column, or another number without one.
#[repr(C)]
pub(crate) struct Ran {
    pub(crate) status: u32,
    pub(crate) made: MaybeUninit<Column>,
}

pub(crate) type Run = unsafe extern "C-unwind" fn(Columns) -> Ran;

/// The function of a library that was made for Arroyo; none where it was not.
pub fn find(library: &Library, declaration: &str) -> Option<Result<Declared>> {
    // SAFETY: nothing is called here. Arroyo's name of a function that waits.
    if unsafe { library.get::<*const c_void>("__start") }.is_ok() {
        return Some(Err(Error::user("async functions of Arroyo are not supported")));
    }
    // SAFETY: only what `arroyo-udf-plugin` made has this name and takes columns.
    let run = *unsafe { library.get::<Run>("__run") }.ok()?;
    let declared = Declaration::parse(declaration).and_then(|found| Declared::new(found, run));
    Some(
        declared.map_err(|error| {
            error.context("made for Arroyo, AS says how the function is declared")
        }),
    )
}

/// A function whose declaration gives the types.
pub struct Declared {
    name: String,
    run: Run,
    arguments: Vec<DataType>,
    formats: Vec<&'static CStr>,
    result: DataType,
    result_format: &'static CStr,
}

impl Declared {
    pub(crate) fn new(declaration: Declaration, run: Run) -> Result<Self> {
        let Declaration { name, arguments, result } = declaration;
        if arguments.is_empty() {
            // Arroyo's counts the rows of the first argument.
            return Err(Error::user(format!("`{name}` has no arguments")));
        }
        let known = |letter: u8| {
            let both = data_type(letter).zip(format(letter));
            both.ok_or_else(|| Error::bug(format!("`{name}` has types that are not known")))
        };
        let (result, result_format) = known(result)?;
        let arguments = arguments.into_iter().map(known).collect::<Result<Vec<_>>>()?;
        let (arguments, formats) = arguments.into_iter().unzip();
        Ok(Self { name, run, arguments, formats, result, result_format })
    }
}

fn format(letter: u8) -> Option<&'static CStr> {
    let all = [c"c", c"s", c"i", c"l", c"f", c"g", c"u", c"z"];
    all.into_iter().find(|format| format.to_bytes() == [letter])
}

impl ScalarFunction for Declared {
    fn arguments(&self) -> &[DataType] {
        &self.arguments
    }

    fn result(&self) -> &DataType {
        &self.result
    }

    fn call(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let mut lent = lent(columns, &self.arguments, rows).ok_or_else(|| {
            Error::bug(format!("function `{}`: columns of other types", self.name))
        })?;
        let arguments = lent.iter_mut().zip(&self.formats);
        let arguments = arguments.map(|(lent, format)| Column {
            array: lent.array(rows),
            schema: ArrowSchema::new(format),
        });
        let arguments = Columns::new(arguments.collect())?;
        // SAFETY: the columns live until the call is over, and its result is made anew.
        let Ran { status, made } = unsafe { (self.run)(arguments) };
        if status != 0 {
            let message = "panicked, or is declared with other arguments; standard error says more";
            return Err(Error::data(format!("function `{}`: {message}", self.name)));
        }
        // SAFETY: with this status it is there.
        let Column { array, schema } = unsafe { made.assume_init() };
        let made: Arc<Imported> = Imported::new(array);
        // SAFETY: a schema that was not released has a format.
        let format = unsafe { CStr::from_ptr(schema.format) };
        let array = match format == self.result_format {
            true => made.array(&self.result, rows),
            false => Err("is declared with another result".into()),
        };
        array.map_err(|why| Error::user(format!("function `{}`: {why}", self.name)))
    }
}
