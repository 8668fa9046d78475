//! A model that can be replaced while it serves.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use nowcast_engine::{Error, Model, Result, Tensor};

use crate::backend::BackendChoice;
use crate::file::ModelFile;
use crate::model::OnnxModel;
use crate::provider::OnnxProvider;

/// Holds the model in use. Whoever scores takes [`HotSwap::current`] at a barrier and keeps it to
/// the next one, so that a replay from the checkpoint scores with the same version.
pub struct HotSwap {
    provider: OnnxProvider,
    name: String,
    choice: BackendChoice,
    current: ArcSwap<OnnxModel>,
}

impl HotSwap {
    /// Opens the first model. Later ones are opened under the same name and choice of runtime.
    pub fn open(
        provider: OnnxProvider,
        name: &str,
        path: impl AsRef<Path>,
        choice: BackendChoice,
    ) -> Result<Self> {
        let model = provider.open(name, ModelFile::read(path)?, choice)?;
        let current = ArcSwap::from_pointee(model);
        Ok(Self { provider, name: name.to_string(), choice, current })
    }

    /// The model that serves now; it stays whole for as long as it is held.
    pub fn current(&self) -> Arc<OnnxModel> {
        self.current.load_full()
    }

    /// Replaces the model by the one in `path` and hands it back. When that file cannot be read,
    /// checked or run, or has other inputs or outputs, the old model goes on serving.
    pub fn reload(&self, path: impl AsRef<Path>) -> Result<Arc<OnnxModel>> {
        let model = self.provider.open(&self.name, ModelFile::read(path)?, self.choice)?;
        let old = self.current.load();
        let same = [(old.inputs(), model.inputs()), (old.outputs(), model.outputs())];
        for (expected, got) in same {
            if expected != got {
                return Err(Error::user(format!(
                    "model \"{}\" ({}): expected {}, got {}",
                    self.name,
                    model.file().path.display(),
                    names(expected),
                    names(got)
                )));
            }
        }
        let model = Arc::new(model);
        self.current.store(model.clone());
        Ok(model)
    }
}

/// `demand float[168], hour float[168]`
pub(crate) fn names(tensors: &[Tensor]) -> String {
    let text: Vec<_> = tensors.iter().map(tensor_text).collect();
    text.join(", ")
}

fn tensor_text(tensor: &Tensor) -> String {
    let element = if tensor.element.is_floating() { "float" } else { "int64" };
    if tensor.shape.is_empty() {
        return format!("{} {element}", tensor.name);
    }
    format!("{} {element}{:?}", tensor.name, tensor.shape)
}
