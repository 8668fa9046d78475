//! What the engine asks of a function that comes with a library.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use crate::error::Result;

/// A loaded function of one value a row. It is pure: the same columns give the same result.
pub trait ScalarFunction: Send + Sync {
    fn arguments(&self) -> &[DataType];

    fn result(&self) -> &DataType;

    /// One array an argument, all of `rows` rows, and one of the result's type.
    ///
    /// # Errors
    /// Of kind [`crate::ErrorKind::Data`] where some row has no value.
    fn call(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef>;
}

/// Opens libraries for `CREATE FUNCTION … AS 'name' LANGUAGE RUST USING LIBRARY 'path'`.
pub trait FunctionProvider: Send + Sync {
    /// Loads the function. Errors name the library, the function and the reason.
    fn load(&self, name: &str, library: &str) -> Result<Arc<dyn ScalarFunction>>;
}
