//! `TYPEOF(x)`: known when the query is planned, which puts the name in place of the call.

use datafusion_common::internal_err;

use super::scalar::{Body, Function, Kind, all, text};

pub fn function() -> Function {
    Function {
        name: "typeof",
        form: "TYPEOF(x)",
        about: "the name of the type of a value",
        takes: all(&[Kind::Any]),
        gives: text,
        body: Body::Plain(|_, _| internal_err!("TYPEOF was left in the plan")),
    }
}
