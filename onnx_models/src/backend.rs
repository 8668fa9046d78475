//! What a runtime must do: open a checked model, and score dense rows one call at a time.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use nowcast_engine::{Error, Result};

/// Dense values of one tensor for the rows of a call, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

/// A model held by one runtime. Sessions share its weights where the runtime can.
pub(crate) trait Backend: Send + Sync {
    /// `rten` or `onnxruntime`.
    fn name(&self) -> &'static str;

    /// A session for one caller at a time.
    fn session(&self) -> Result<Box<dyn Session>>;
}

/// One thread's use of a model.
pub(crate) trait Session: Send {
    /// Scores `rows` rows, at least one: an empty batch aborts the process inside ONNX Runtime.
    /// Inputs and outputs are in the order of the model; outputs hold exactly `rows` rows.
    fn run(&mut self, rows: usize, inputs: Vec<Values>) -> Result<Vec<Values>, String>;
}

/// The option `'backend'` of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendChoice {
    /// ONNX Runtime where it is found and takes the model, else rten.
    #[default]
    Auto,
    Rten,
    OnnxRuntime,
}

impl FromStr for BackendChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "rten" => Ok(Self::Rten),
            "onnxruntime" => Ok(Self::OnnxRuntime),
            other => Err(Error::user(format!(
                "option \"backend\": expected auto, rten or onnxruntime, got \"{other}\""
            ))),
        }
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Rten => "rten",
            Self::OnnxRuntime => "onnxruntime",
        })
    }
}

/// Runs a runtime's code over a file we did not write: a panic in there is an error here.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(format!("the runtime panicked: {}", panic_text(&*panic))))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}

/// A runtime's message on one line, in our form: first letter as it is, no full stop.
pub(crate) fn one_line(error: impl fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message");
    line.trim_end_matches('.').to_string()
}
