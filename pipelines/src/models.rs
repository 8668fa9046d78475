//! `nowcast models`: which models there are, and whether they can be scored here.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Subcommand;
use nowcast_onnx::{OnnxProvider, list, verify};

#[derive(Subcommand)]
pub enum Models {
    /// Lists the models beneath a folder.
    List {
        #[arg(default_value = "onnx_models")]
        folder: PathBuf,
    },
    /// Opens a model with every backend, compares their answers and says which backend serves.
    Verify {
        file: PathBuf,
        /// Seed of the random input.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

pub fn models(command: Models) -> Result<()> {
    match command {
        Models::List { folder } => {
            let models = list(&folder)?;
            if models.is_empty() {
                bail!("{}: no .onnx file beneath it", folder.display());
            }
            for model in models {
                let path = model.path.display();
                let size = std::fs::metadata(&model.path).map_or(0, |metadata| metadata.len());
                match &model.file {
                    Ok(file) => say!(
                        "{path}  version {}  sha256 {}  {} bytes  {}",
                        file.version,
                        file.sha256,
                        size,
                        model.title.as_deref().unwrap_or("no card")
                    ),
                    Err(error) => say!("{path}  not usable: {error}"),
                }
            }
        }
        Models::Verify { file, seed } => {
            let report = verify(&OnnxProvider::default(), &file, seed)?;
            say!("{report}");
        }
    }
    Ok(())
}
