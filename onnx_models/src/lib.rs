//! ONNX models: two runtimes behind the engine's `Model` trait, each checking the other.
//!
//! `rten` (pure Rust) is in every binary; ONNX Runtime is a shared library used when found. The
//! folders beside `src/` hold the shipped models: how they were trained, their cards, their files.

mod backend;
mod columns;
mod file;
mod hot_swap;
mod list;
mod model;
mod onnxruntime;
mod provider;
mod rten;
mod search;
mod signature;
mod topk;
mod verify;
mod wire;

pub use backend::BackendChoice;
pub use file::{MODEL_BYTES_MAX, ModelFile};
pub use hot_swap::HotSwap;
pub use list::{Listed, list};
pub use model::{OnnxModel, ROWS_PER_CALL};
pub use provider::{OPTIONS, OnnxProvider, Watched};
pub use search::RuntimeSearch;
pub use signature::{Signature, check_signature};
pub use topk::{dot_top_k, top_k};
pub use verify::{BackendReport, Parity, Report, verify};
