//! What goes: older checkpoints, and files that no checkpoint which is kept names.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::manifest::Manifest;
use super::{Checkpoints, KEPT, Writer, failed, is_broken};
use crate::error::Result;
use crate::operator::Epoch;

impl Checkpoints {
    /// Removes what `writer` has written of a checkpoint that failed. One that came into effect unheard
    /// is left as it is: it is whole. So are the files of another run, which may have taken over and be
    /// writing its checkpoint of this number.
    pub async fn discard(&self, writer: &Writer, epoch: Epoch) -> Result<()> {
        let folder = self.folder(epoch);
        let own = format!("{}-", writer.generation);
        let is_own = |file: &Path| file.filename().is_some_and(|name| name.starts_with(&own));
        match self.store.head(&folder.clone().join("manifest.json")).await {
            Err(object_store::Error::NotFound { .. }) => self.clear(&folder, is_own).await,
            Ok(_) => Ok(()),
            Err(error) => Err(failed("cannot read", &folder, error)),
        }
    }

    /// Deletes what is older than the kept checkpoints, manifests first, starts that came to nothing,
    /// and what was never complete, but for files that a kept one names. The one that the newest
    /// follows stays in any case: its transactions are committed, those of later ones need not be.
    pub(super) async fn retire(&self, follows: Epoch) -> Result<()> {
        let (begun, epochs) = (self.begun().await?, self.epochs().await?);
        let oldest = epochs.iter().rev().nth(KEPT - 1).copied();
        let oldest =
            oldest.map_or(0, |oldest| if follows > 0 { oldest.min(follows) } else { oldest });
        let kept = epochs.into_iter().filter(|epoch| *epoch >= oldest).collect();
        let named = self.named(kept).await?;
        let mut next_starts = false;
        for (epoch, taken) in begun.into_iter().rev() {
            let starts = taken && self.starts_from(epoch).await?.is_some();
            if epoch < oldest || starts && next_starts {
                let folder = self.folder(epoch);
                if taken {
                    let gone = self.store.delete(&folder.clone().join("manifest.json")).await;
                    gone.map_err(|error| failed("cannot delete", &folder, error))?;
                }
                self.clear(&folder, |file| !named.contains(file)).await?;
            }
            if taken {
                next_starts = starts;
            }
        }
        Ok(())
    }

    /// The files that checkpoints name. One that cannot be read any more names nothing: it is never
    /// restored either.
    async fn named(&self, epochs: Vec<Epoch>) -> Result<BTreeSet<Path>> {
        let mut named = BTreeSet::new();
        for epoch in epochs {
            let manifest = match self.known(epoch) {
                Some(manifest) => manifest,
                None => match self.manifest(epoch).await {
                    Ok(manifest) => Arc::new(manifest),
                    Err(error) if is_broken(&error) => continue,
                    Err(error) => return Err(error),
                },
            };
            named.extend(manifest.files().map(|file| self.path_of(file)));
        }
        Ok(named)
    }

    /// A checkpoint of this run.
    fn known(&self, epoch: Epoch) -> Option<Arc<Manifest>> {
        let complete = self.complete.lock().unwrap_or_else(PoisonError::into_inner);
        complete.get(&epoch).cloned()
    }

    /// Deletes those files of a folder that are asked for.
    async fn clear(&self, folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<()> {
        let files = self.store.list(Some(folder)).try_collect::<Vec<_>>().await;
        let files = files.map_err(|error| failed("cannot list", folder, error))?;
        for file in files.iter().filter(|file| wanted(&file.location)) {
            let gone = self.store.delete(&file.location).await;
            gone.map_err(|error| failed("cannot delete", &file.location, error))?;
        }
        Ok(())
    }
}
