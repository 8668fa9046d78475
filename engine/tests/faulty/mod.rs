//! A store that fails as stores do: before a write has come into effect, after, or by not answering.

#![allow(dead_code, clippy::unwrap_used)] // each test uses its part

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    Works,
    /// There is no room left.
    Fails,
    /// It comes into effect, but nobody hears of it.
    FailsLate,
    /// The answer is lost and the client asks again.
    Repeated,
    Hangs,
}

/// Says what becomes of the write with this number, of this file.
type Plan = Box<dyn FnMut(usize, &Path) -> Write + Send>;

#[derive(Clone)]
pub struct Faulty {
    pub inner: Arc<InMemory>,
    plan: Arc<Mutex<(usize, Plan)>>,
}

impl Faulty {
    pub fn new(plan: impl FnMut(usize, &Path) -> Write + Send + 'static) -> Self {
        Self { inner: Arc::default(), plan: Arc::new(Mutex::new((0, Box::new(plan)))) }
    }

    /// From now on.
    pub fn set(&self, plan: impl FnMut(usize, &Path) -> Write + Send + 'static) {
        *self.plan.lock().unwrap() = (0, Box::new(plan));
    }

    fn next(&self, path: &Path) -> Write {
        let (number, plan) = &mut *self.plan.lock().unwrap();
        *number += 1;
        plan(*number - 1, path)
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

fn full() -> object_store::Error {
    object_store::Error::Generic { store: "Faulty", source: "no room left".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let text: Vec<u8> = payload.iter().flatten().copied().collect();
        // A job that cannot say that it starts does not start.
        let starts = String::from_utf8_lossy(&text).contains("\"starts_from\"");
        match if starts { Write::Works } else { self.next(path) } {
            Write::Works => self.inner.put_opts(path, payload, options).await,
            Write::Fails => Err(full()),
            Write::FailsLate => {
                self.inner.put_opts(path, payload, options).await?;
                Err(full())
            }
            Write::Repeated => {
                self.inner.put_opts(path, payload.clone(), options.clone()).await?;
                self.inner.put_opts(path, payload, options).await
            }
            Write::Hangs => std::future::pending().await,
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
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
