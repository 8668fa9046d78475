//! Opens ONNX models for `CREATE MODEL … WITH ('provider' = 'onnx')`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nowcast_engine::{Error, Model, ModelProvider, Result, parse_duration};

use crate::backend::{Backend, BackendChoice};
use crate::file::ModelFile;
use crate::hot_swap::HotSwap;
use crate::model::OnnxModel;
use crate::onnxruntime::OrtBackend;
use crate::rten::RtenBackend;
use crate::search::RuntimeSearch;

/// The options of a model. `task` is Flink's word for what a model is used for; it changes nothing
/// here.
pub const OPTIONS: [&str; 5] = ["provider", "path", "backend", "task", MONITOR_INTERVAL];

/// How often the file is looked at for a new version; never where it is not given.
const MONITOR_INTERVAL: &str = "monitor-interval";

/// A model that is replaced while it serves, and how often its file is to be looked at.
pub struct Watched {
    pub every: Duration,
    pub model: Arc<HotSwap>,
}

/// The `onnx` provider.
#[derive(Default)]
pub struct OnnxProvider {
    search: RuntimeSearch,
    watched: Mutex<Vec<Watched>>,
}

impl OnnxProvider {
    /// A provider that looks for ONNX Runtime in the given places, each time a model is opened.
    pub fn new(search: RuntimeSearch) -> Self {
        Self { search, watched: Mutex::default() }
    }

    /// The models with an interval that were loaded since the last call. Somebody has to call
    /// [`HotSwap::reload_changed`] of each.
    pub fn take_watched(&self) -> Vec<Watched> {
        std::mem::take(&mut self.watched.lock().unwrap_or_else(PoisonError::into_inner))
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
        let Some(text) = options.get(MONITOR_INTERVAL) else {
            let file = ModelFile::read(Path::new(path)).map_err(|e| wrong(format!("{e}")))?;
            return Ok(Arc::new(self.open(name, file, choice)?));
        };
        let every = parse_duration(text)
            .map_err(|e| wrong(format!("option \"{MONITOR_INTERVAL}\": {e}")))?;
        if every.is_zero() {
            return Err(wrong(format!("option \"{MONITOR_INTERVAL}\" is 0: leave it out")));
        }
        let model = Arc::new(HotSwap::open(self, name, path, choice)?);
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.push(Watched { every, model: Arc::clone(&model) });
        Ok(model)
    }
}
