//! An object store whose answers are late, lost, or untrue, and whose writes may be torn.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::chance::Chance;

/// How many calls there are to one that fails.
const FAILS: usize = 60;

/// A store in memory behind a bad network.
pub(super) struct Objects {
    inner: InMemory,
    chance: Chance,
    /// A write that the network has kept a copy of.
    twice: Mutex<Option<(Path, PutPayload)>>,
}

impl Objects {
    pub fn new(chance: Chance) -> Self {
        Self { inner: InMemory::new(), chance, twice: Mutex::new(None) }
    }

    /// The first part of a file is there, no one hears of it.
    async fn tear(&self, location: &Path, payload: &PutPayload) -> Result<()> {
        let bytes: Vec<u8> = payload.iter().flatten().copied().collect();
        let left = bytes[..self.chance.below(bytes.len().max(1))].to_vec();
        self.inner.put_opts(location, left.into(), PutOptions::default()).await?;
        Ok(())
    }

    /// A write arrives again that was answered before.
    async fn again(&self) -> Result<()> {
        let twice = self.twice.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((location, payload)) = twice {
            self.chance.count("write repeated");
            self.inner.put_opts(&location, payload, PutOptions::default()).await?;
        }
        Ok(())
    }
}

fn unavailable() -> object_store::Error {
    object_store::Error::Generic { store: "simulated", source: "503 Slow Down".into() }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.chance.note(format_args!("put {location} {}", payload.content_length()));
        self.chance.delay().await;
        self.again().await?;
        if self.chance.fault("write refused", FAILS) {
            return Err(unavailable());
        }
        let create = options.mode == PutMode::Create;
        let there = create && self.inner.get_opts(location, GetOptions::default()).await.is_ok();
        if !there && self.chance.fault("write torn", FAILS * 2) {
            self.tear(location, &payload).await?;
            return Err(unavailable());
        }
        if !create && self.chance.one_in(FAILS) {
            let mut twice = self.twice.lock().unwrap_or_else(PoisonError::into_inner);
            *twice = Some((location.clone(), payload.clone()));
        }
        let put = self.inner.put_opts(location, payload, options).await;
        self.chance.delay().await;
        match self.chance.fault("answer lost", FAILS) {
            true => Err(unavailable()),
            false => put,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.chance.delay().await;
        match self.chance.fault("read refused", FAILS * 2) {
            true => Err(unavailable()),
            false => self.inner.get_opts(location, options).await,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("simulated")
    }
}
