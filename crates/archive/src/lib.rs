//! The archive: a log as Parquet files, on a local path or in an S3-compatible store, that any tool can query and
//! `doorman audit verify --archive` can prove.
//!
//! ```text
//! manifest.json                                  what there is, written last
//! entries/WRITER-000000000000.parquet            one row an entry: columns to query, and the bytes that are proven
//! statements/WRITER-000000000000.parquet         one row a batch: the signed statements
//! ```

mod manifest;
mod part;
mod table;

pub use manifest::{ArchivedWriter, Manifest, Part};
pub use part::{ArchivedBatch, ArchivedEntry};

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use std::sync::Arc;

/// What can go wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The place cannot be used.
    #[error("the archive cannot be reached: {0}")]
    Store(#[from] object_store::Error),
    /// A file is no Parquet, or cannot be made.
    #[error("a file of the archive cannot be read: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The place is written wrongly.
    #[error("`{0}` is neither a directory nor s3://bucket/prefix")]
    Place(String),
    /// A directory cannot be made.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file holds something else than it should.
    #[error("{0} is not as it was archived")]
    Changed(String),
}

/// An archive's place.
#[derive(Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    root: Path,
}

const MANIFEST: &str = "manifest.json";

impl Archive {
    /// A directory, or `s3://bucket/prefix` with settings as the AWS tools have them (`AWS_ACCESS_KEY_ID`,
    /// `AWS_ENDPOINT`, …).
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(
        place: &str,
        creates: bool,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ArchiveError> {
        if place.contains("://") {
            let url = url::Url::parse(place).map_err(|_| ArchiveError::Place(place.to_owned()))?;
            if url.scheme() != "s3" {
                return Err(ArchiveError::Place(place.to_owned()));
            }
            let settings = settings.into_iter().filter(|(name, _)| name.starts_with("AWS_"));
            let settings = settings.map(|(name, value)| (name.to_ascii_lowercase(), value));
            let (store, root) = object_store::parse_url_opts(&url, settings)?;
            return Ok(Self { store: store.into(), root });
        }
        if creates {
            std::fs::create_dir_all(place)?;
        }
        let store = LocalFileSystem::new_with_prefix(place)?;
        Ok(Self { store: Arc::new(store), root: Path::default() })
    }

    /// What there is; an empty manifest where nothing was archived yet.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn manifest(&self) -> Result<Option<Manifest>, ArchiveError> {
        match self.get(MANIFEST).await {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|_| ArchiveError::Changed(MANIFEST.to_owned())),
            Err(ArchiveError::Store(object_store::Error::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says what there is now. To come last: files that it does not name are no part of the archive.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn put_manifest(&self, manifest: &Manifest) -> Result<(), ArchiveError> {
        self.put(MANIFEST, serde_json::to_vec_pretty(manifest).unwrap_or_default()).await
    }

    /// Writes some batches of one writer, in order: at least one.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn put_part(&self, writer: &str, batches: &[ArchivedBatch]) -> Result<Part, ArchiveError> {
        let part = Part::of(writer, batches);
        self.put(&part.entries, part::entries_file(writer, batches)?).await?;
        self.put(&part.statements, part::statements_file(writer, batches)?).await?;
        Ok(part)
    }

    /// Reads batches back.
    ///
    /// # Errors
    /// [`ArchiveError`]; [`ArchiveError::Changed`] where columns say something else than the bytes they were made from.
    pub async fn part(&self, part: &Part) -> Result<Vec<ArchivedBatch>, ArchiveError> {
        let (entries, statements) = (self.get(&part.entries).await?, self.get(&part.statements).await?);
        part::read(part, entries, statements)
    }

    async fn get(&self, name: &str) -> Result<bytes::Bytes, ArchiveError> {
        Ok(self.store.get(&self.at(name)).await?.bytes().await?)
    }

    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        self.store.put(&self.at(name), bytes.into()).await?;
        Ok(())
    }

    fn at(&self, name: &str) -> Path {
        Path::from_iter(self.root.parts().chain(Path::from(name).parts()))
    }
}

#[cfg(test)]
mod tests;
