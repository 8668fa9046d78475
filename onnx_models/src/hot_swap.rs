//! A model that can be replaced while it serves.

use std::fs::Metadata;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use arrow::array::ArrayRef;
use nowcast_engine::{Epoch, Error, Model, Result, Scores, Tensor};

use crate::backend::BackendChoice;
use crate::file::ModelFile;
use crate::model::OnnxModel;
use crate::provider::OnnxProvider;

/// Holds the model in use. Whoever scores takes [`Model::current`] at each barrier; whoever does not is
/// served by the one in use at each call.
pub struct HotSwap {
    provider: OnnxProvider,
    name: String,
    choice: BackendChoice,
    first: Arc<OnnxModel>,
    current: ArcSwap<OnnxModel>,
    /// The last barrier that anybody has asked about, and what served then.
    asked: Mutex<(Epoch, Arc<OnnxModel>)>,
    /// Of the file that was read last, whether it became the model or not.
    seen: Mutex<Option<Stamp>>,
}

/// What tells that a file was written again.
type Stamp = (SystemTime, u64);

impl HotSwap {
    /// Opens the first model. Later ones are opened under the same name and choice of runtime.
    pub fn open(
        provider: &OnnxProvider,
        name: &str,
        path: impl AsRef<Path>,
        choice: BackendChoice,
    ) -> Result<Self> {
        let seen = Mutex::new(stamp(path.as_ref()));
        // Without the watched models, of which this is to be one.
        let provider = OnnxProvider::new(provider.search().clone());
        let first = Arc::new(provider.open(name, ModelFile::read(path)?, choice)?);
        let current = ArcSwap::new(Arc::clone(&first));
        let asked = Mutex::new((0, Arc::clone(&first)));
        Ok(Self { provider, name: name.to_string(), choice, first, current, asked, seen })
    }

    /// The model that serves now; it stays whole for as long as it is held.
    pub fn model(&self) -> Arc<OnnxModel> {
        self.current.load_full()
    }

    /// Replaces the model by the one in `path` and hands it back. When that file cannot be read,
    /// checked or run, or has other inputs or outputs, the old model goes on serving.
    pub fn reload(&self, path: impl AsRef<Path>) -> Result<Arc<OnnxModel>> {
        self.replace(ModelFile::read(path)?)
    }

    /// Replaces the model if its file was written again since it was last looked at and holds another
    /// one; the old one goes on serving where that fails, and is not tried again until the file changes.
    pub fn reload_changed(&self) -> Result<Option<Arc<OnnxModel>>> {
        let old = self.model();
        let path = &old.file().path;
        let now = stamp(path);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            // A file that is gone for the moment is about to be replaced.
            if now.is_none() || *seen == now {
                return Ok(None);
            }
            *seen = now;
        }
        let file = ModelFile::read(path)?;
        if file.sha256 == old.file().sha256 {
            return Ok(None);
        }
        self.replace(file).map(Some)
    }

    fn replace(&self, file: ModelFile) -> Result<Arc<OnnxModel>> {
        let model = self.provider.open(&self.name, file, self.choice)?;
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

/// By its first version: name, inputs and outputs never change.
impl Model for HotSwap {
    fn version(&self) -> &str {
        self.first.version()
    }

    fn inputs(&self) -> &[Tensor] {
        self.first.inputs()
    }

    fn outputs(&self) -> &[Tensor] {
        self.first.outputs()
    }

    fn current(&self, epoch: Epoch) -> Option<Arc<dyn Model>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch > asked.0 {
            *asked = (epoch, self.model());
        }
        let model: Arc<dyn Model> = asked.1.clone();
        Some(model)
    }

    fn score(&self, columns: &[ArrayRef]) -> Result<Scores> {
        self.model().score(columns)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let of = |metadata: Metadata| Some((metadata.modified().ok()?, metadata.len()));
    of(std::fs::metadata(path).ok()?)
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
