//! Looks at the files of models while they serve: CREATE MODEL … WITH ('monitor-interval' = …).

use std::sync::{Arc, Weak};
use std::time::Duration;

use nowcast_engine::Model;
use nowcast_onnx::{HotSwap, OnnxProvider, Watched};

/// Watches each of the models that were loaded since the last call for as long as somebody holds it.
pub fn watch(models: &OnnxProvider) {
    for Watched { every, model } in models.take_watched() {
        tokio::spawn(look(every, Arc::downgrade(&model)));
    }
}

async fn look(every: Duration, model: Weak<HotSwap>) {
    loop {
        tokio::time::sleep(every).await;
        let Some(model) = model.upgrade() else { return };
        let old = model.model();
        // Reading, checking and a first run take milliseconds to seconds.
        match tokio::task::spawn_blocking(move || model.reload_changed()).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(new))) => tracing::info!(
                was = old.version(),
                now = new.version(),
                "a model has a new version, which scores from the next checkpoint on"
            ),
            Ok(Err(error)) => tracing::warn!(
                serves = old.version(),
                "a model's file has changed, and the old version goes on: {error}"
            ),
            Err(error) => tracing::error!("a model could not be looked at: {error}"),
        }
    }
}
