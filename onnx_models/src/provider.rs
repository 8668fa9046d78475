//! Opens ONNX models for `CREATE MODEL … WITH ('provider' = 'onnx')`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use nowcast_engine::{Error, Model, ModelProvider, Result};

use crate::backend::{Backend, BackendChoice};
use crate::file::ModelFile;
use crate::model::OnnxModel;
use crate::onnxruntime::OrtBackend;
use crate::rten::RtenBackend;
use crate::search::RuntimeSearch;

/// The options of a model. `task` is Flink's word for what a model is used for; it changes nothing
/// here.
pub const OPTIONS: [&str; 4] = ["provider", "path", "backend", "task"];

/// The `onnx` provider.
#[derive(Debug, Clone, Default)]
pub struct OnnxProvider {
    search: RuntimeSearch,
}

impl OnnxProvider {
    /// A provider that looks for ONNX Runtime in the given places, each time a model is opened.
    pub fn new(search: RuntimeSearch) -> Self {
        Self { search }
    }

    /// Opens a checked file under the name a user gave it.
    pub fn open(&self, name: &str, file: ModelFile, choice: BackendChoice) -> Result<OnnxModel> {
        let path = file.path.clone();
        let outcome = match choice {
            BackendChoice::Rten => self.open_rten(name, file),
            BackendChoice::OnnxRuntime => self.open_ort(name, file),
            BackendChoice::Auto => self.open_either(name, file),
        };
        outcome.map_err(|e| e.context(format!("model \"{name}\" ({})", path.display())))
    }

    fn open_either(&self, name: &str, file: ModelFile) -> Result<OnnxModel> {
        let first = match self.search.find() {
            Err(nowhere) => {
                if self.search.setting.is_some() {
                    tracing::warn!(model = name, "scoring with rten: {nowhere}");
                } else {
                    tracing::debug!(model = name, "scoring with rten: {nowhere}");
                }
                return self.open_rten(name, file);
            }
            Ok(_) => self.open_ort(name, file.clone()),
        };
        first.or_else(|first| {
            tracing::warn!(model = name, "scoring with rten: {first}");
            self.open_rten(name, file).map_err(|second| Error::user(format!("{first}; {second}")))
        })
    }

    fn open_rten(&self, name: &str, file: ModelFile) -> Result<OnnxModel> {
        RtenBackend::open(&file)
            .map_err(Error::user)
            .and_then(|backend| OnnxModel::open(name, file, Box::new(backend) as Box<dyn Backend>))
            .map_err(|e| e.context("rten"))
    }

    fn open_ort(&self, name: &str, file: ModelFile) -> Result<OnnxModel> {
        self.search
            .find()
            .and_then(|library| OrtBackend::open(&file, &library))
            .map_err(Error::user)
            .and_then(|backend| OnnxModel::open(name, file, Box::new(backend) as Box<dyn Backend>))
            .map_err(|e| e.context("onnxruntime"))
    }

    pub(crate) fn search(&self) -> &RuntimeSearch {
        &self.search
    }
}

impl ModelProvider for OnnxProvider {
    fn load(&self, name: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn Model>> {
        let wrong = |why: String| Error::user(format!("model \"{name}\": {why}"));
        if let Some(key) = options.keys().find(|key| !OPTIONS.contains(&key.as_str())) {
            let known = OPTIONS.join(", ");
            return Err(wrong(format!("unknown option \"{key}\"; known are {known}")));
        }
        let path = options
            .get("path")
            .ok_or_else(|| wrong("option \"path\" is missing: the .onnx file".to_string()))?;
        let choice = match options.get("backend") {
            Some(text) => text.parse().map_err(|e| wrong(format!("{e}")))?,
            None => BackendChoice::Auto,
        };
        let file = ModelFile::read(Path::new(path)).map_err(|e| wrong(format!("{e}")))?;
        Ok(Arc::new(self.open(name, file, choice)?))
    }
}
