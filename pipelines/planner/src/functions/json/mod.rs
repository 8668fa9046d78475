//! The JSON functions.

mod path;
mod read;
mod value;
mod write;

use super::scalar::Function;

pub fn functions() -> Vec<Function> {
    [read::functions(), write::functions()].concat()
}
