//! Where the chunks of an array lie, as `zarrs` asks for them: files, or objects.
//!
//! Owns telling the two apart. Must not know how either is read.

use super::remote::Objects;
use super::remote::ahead::Ahead;
use super::store::Store;
use zarrs::storage::byte_range::ByteRangeIterator;
use zarrs::storage::{
    Bytes, MaybeBytes, MaybeBytesIterator, OffsetBytesIterator, ReadableStorageTraits, StorageError,
    StoreKey, StorePrefix, WritableStorageTraits,
};

/// The chunks of one array.
#[derive(Debug)]
pub(crate) enum Storage {
    Files(Store),
    Objects(Objects),
    /// Objects, some of which are here already.
    Ahead(Ahead),
}

impl Storage {
    /// The files, of arrays that lie in some.
    ///
    /// # Panics
    /// For those that do not.
    pub(crate) fn files(&self) -> &Store {
        match self {
            Storage::Files(files) => files,
            Storage::Objects(_) | Storage::Ahead(_) => {
                unreachable!("parts of arrays are moved as files alone")
            }
        }
    }

    /// From now on larger chunks are refused.
    pub(crate) fn limit_bytes(&self, max: u64) {
        match self {
            Storage::Files(files) => files.limit_file_bytes(max),
            Storage::Objects(objects) => objects.limit_bytes(max),
            Storage::Ahead(_) => {}
        }
    }

    /// What errors call the chunk of a key.
    pub(crate) fn shown(&self, key: &StoreKey) -> String {
        match self {
            Storage::Files(files) => files.shown(key).display().to_string(),
            Storage::Objects(objects) => objects.shown(key),
            Storage::Ahead(ahead) => ahead.objects().shown(key),
        }
    }
}

impl ReadableStorageTraits for Storage {
    fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        match self {
            Storage::Files(files) => files.get(key),
            Storage::Objects(objects) => objects.get(key),
            Storage::Ahead(ahead) => ahead.get(key),
        }
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        match self {
            Storage::Files(files) => files.get_partial_many(key, byte_ranges),
            Storage::Objects(objects) => objects.get_partial_many(key, byte_ranges.collect()),
            Storage::Ahead(ahead) => ahead.get_partial_many(key, byte_ranges.collect()),
        }
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        match self {
            Storage::Files(files) => files.size_key(key),
            Storage::Objects(objects) => objects.size(key),
            Storage::Ahead(ahead) => ahead.objects().size(key),
        }
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

impl WritableStorageTraits for Storage {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        match self {
            Storage::Files(files) => files.set(key, value),
            Storage::Objects(objects) => objects.set(key, value),
            Storage::Ahead(ahead) => ahead.objects().set(key, value),
        }
    }

    fn set_partial_many<'a>(&'a self, _: &StoreKey, _: OffsetBytesIterator<'a>) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("chunks are written whole".into()))
    }

    fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        match self {
            Storage::Files(files) => files.erase(key),
            Storage::Objects(objects) => objects.erase(key),
            Storage::Ahead(ahead) => ahead.objects().erase(key),
        }
    }

    fn erase_prefix(&self, _: &StorePrefix) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("chunks are erased one by one".into()))
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}
