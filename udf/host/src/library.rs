//! Opens a library and finds functions in it.

#![allow(unsafe_code)] // a library is code of the user's, behind pointers

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use libloading::Library;
use nowcast_engine::{Error, FunctionProvider, Result, ScalarFunction};
use nowcast_udf::abi::{ArrowArray, Call, Function, PREFIX, VERSION, Value};

use crate::arrays::{Imported, data_type, lent};
use crate::arroyo;

/// Libraries on this machine's disk. One that was opened stays open until the process ends.
#[derive(Debug, Default)]
pub struct Libraries;

impl FunctionProvider for Libraries {
    fn load(&self, name: &str, library: &str) -> Result<Arc<dyn ScalarFunction>> {
        let path = path(library)?;
        load(&path, name)
    }
}

/// A plain path or one that begins with `file:`.
fn path(library: &str) -> Result<PathBuf> {
    let plain = library.strip_prefix("file://").or_else(|| library.strip_prefix("file:"));
    let plain = plain.unwrap_or(library);
    Path::new(plain)
        .canonicalize()
        .map_err(|error| Error::user(format!("library {library}: cannot be read: {error}")))
}

fn load(path: &Path, name: &str) -> Result<Arc<dyn ScalarFunction>> {
    let shown = path.display();
    // SAFETY: code of a library runs when it is opened; the user names libraries that they trust.
    let library = unsafe { Library::new(path) };
    let library =
        library.map_err(|error| Error::user(format!("library {shown}: no library: {error}")))?;
    let loaded = find(&library, name);
    // Functions of the library are called as long as any plan lives: it is not closed.
    std::mem::forget(library);
    loaded.map_err(|error| error.context(format!("library {shown}")))
}

fn find(library: &Library, name: &str) -> Result<Arc<dyn ScalarFunction>> {
    let symbol = format!("{PREFIX}{name}");
    // SAFETY: a symbol of this name is what `#[udf]` made.
    if let Ok(found) = unsafe { library.get::<*const Function>(symbol.as_bytes()) } {
        // SAFETY: a library that has it as a symbol of this name has it until it is closed.
        return Ok(Arc::new(unsafe { Loaded::new(name, *found) }?));
    }
    match arroyo::find(library, name) {
        Some(declared) => Ok(Arc::new(declared?)),
        None => Err(Error::user(format!("no function `{name}` with `#[udf]` in it"))),
    }
}

/// A function whose types and version are known to be right.
pub(crate) struct Loaded {
    name: String,
    call: Call,
    arguments: Vec<DataType>,
    result: DataType,
}

impl Loaded {
    /// # Safety
    /// `found` is what `#[udf]` made, of any version, and stays.
    pub(crate) unsafe fn new(name: &str, found: *const Function) -> Result<Self> {
        // SAFETY: the version stays first, so it can be read whatever the rest is.
        let version = unsafe { std::ptr::addr_of!((*found).version).read() };
        if version != VERSION {
            return Err(Error::user(format!(
                "`{name}` was made by another nowcast-udf, of version {version}: here it is {VERSION}"
            )));
        }
        // SAFETY: of this version it is a `Function`.
        let function = unsafe { &*found };
        let arguments: &[Value] = match function.arguments_len {
            0 => &[],
            // SAFETY: it has as many as it says.
            many => unsafe { std::slice::from_raw_parts(function.arguments, many as usize) },
        };
        let arguments = arguments.iter().map(|argument| data_type(argument.format));
        match (arguments.collect(), data_type(function.result.format)) {
            (Some(arguments), Some(result)) => {
                Ok(Self { name: name.to_owned(), call: function.call, arguments, result })
            }
            _ => Err(Error::user(format!("`{name}` has types that are not known"))),
        }
    }
}

impl ScalarFunction for Loaded {
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
        let arguments: Vec<ArrowArray> = lent.iter_mut().map(|lent| lent.array(rows)).collect();
        let mut made = ArrowArray::empty();
        // SAFETY: a column of its type for each argument, that live until the call is over.
        let status = unsafe { (self.call)(arguments.as_ptr(), rows as u64, &mut made) };
        let made = Imported::new(made);
        let broken = |why| Error::user(format!("function `{}`: {why}", self.name));
        if status == 0 {
            return made.array(&self.result, rows).map_err(broken);
        }
        let said = made.array(&DataType::Utf8, 1).map_err(broken)?;
        let said = said.as_string::<i32>();
        Err(Error::data(format!("function `{}`: {}", self.name, said.value(0))))
    }
}
