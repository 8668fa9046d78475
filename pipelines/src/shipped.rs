//! What the binary brings along: pipelines and models, so that it starts anywhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Names and texts of the shipped pipelines.
pub const PIPELINES: [(&str, &str); 4] = [
    ("clickstream_features.sql", include_str!("../sql/clickstream_features.sql")),
    ("demand_nowcast.sql", include_str!("../sql/demand_nowcast.sql")),
    ("subscriptions.sql", include_str!("../sql/subscriptions.sql")),
    ("recommendations.sql", include_str!("../sql/recommendations.sql")),
];

const MODELS: [(&str, &[u8]); 2] = [
    ("demand_lstm", include_bytes!("../../onnx_models/demand_lstm/demand_lstm.onnx")),
    ("next_title", include_bytes!("../../onnx_models/next_title/next_title.onnx")),
];

/// Writes the shipped models beneath a data folder, as `models/NAME/NAME.onnx`; returns `models`.
pub fn write_models(data: &Path) -> Result<PathBuf> {
    let models = data.join("models");
    for (name, bytes) in MODELS {
        let folder = models.join(name);
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join(format!("{name}.onnx")), bytes))
            .with_context(|| format!("model {name}: cannot be written to {}", folder.display()))?;
    }
    Ok(models)
}
