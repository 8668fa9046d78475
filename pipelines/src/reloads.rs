//! Looks at the files of models while they serve: CREATE MODEL … WITH ('monitor-interval' = …).

use std::sync::{Arc, Weak};
use std::time::Duration;

use nowcast_engine::Model;
use nowcast_onnx::{HotSwap, OnnxProvider, Watched};
use tokio::time::MissedTickBehavior;

/// Watches each of the models that were loaded since the last call for as long as somebody holds it. Without
/// checkpoints nothing would come of it.
pub fn watch(models: &OnnxProvider, checkpoints: bool) {
    for Watched { every, model } in models.take_watched() {
        if !checkpoints {
            let model = model.version();
            tracing::warn!(model, "'monitor-interval' has no effect without checkpoints");
            continue;
        }
        tokio::spawn(look(every, Arc::downgrade(&model)));
    }
}

async fn look(every: Duration, model: Weak<HotSwap>) {
    // At once: the job may have waited to begin since the model was loaded.
    let mut look = tokio::time::interval(every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
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
