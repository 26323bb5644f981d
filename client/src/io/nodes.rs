//! The groups and arrays of a Zarr store, as things to ask and to change.
//!
//! Must not know documents.

use super::{Json, Map, Scalar, TimeType, ZarrOptions, absolute, chunk_lens, name_of, object, text};
use crate::array::{Array, Real};
use crate::error::Result;
use ndarray::Dimension;
use std::path::{Path, PathBuf};
use tilework_expr::{Chunks, DType, Element};
use tilework_formats::{
    ArrayInfo, ArrayMeta, ArraySource, FormatError, ZarrKind, ZarrNode, ZarrTarget, ZarrVersion,
};

/// A group of a Zarr store: a directory of arrays and groups, of which something may be said.
///
/// It is a name; what is asked of it is read from the files each time.
///
/// ```
/// use tilework::io::{ZarrGroup, json};
/// use tilework::prelude::*;
///
/// # fn main() -> tilework::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let store = dir.path().join("s.zarr");
/// let root = ZarrGroup::create(&store, "")?;
/// let july = root.create_group("2026/07")?;
/// july.update_attributes(json!({"source": "station 3"}))?;
/// arr1(&[1, 2, 3]).write_zarr(&store, "2026/07/rain")?;
///
/// assert_eq!(root.groups()?, ["2026"]);
/// assert_eq!(root.group("2026/07")?.arrays()?, ["rain"]);
/// assert_eq!(july.attributes()?["source"], "station 3");
/// let rain = july.array("rain")?.read::<i32, Ix1>()?;
/// assert_eq!(rain.sum(), 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZarrGroup {
    node: ZarrNode,
    version: ZarrVersion,
}

impl ZarrGroup {
    /// The group at the path `group` of the store at `path`, `""` for the root.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) where there is none, or an array.
    pub fn open(path: impl AsRef<Path>, group: &str) -> Result<ZarrGroup> {
        let node = ZarrNode::new(absolute(path.as_ref())?, group);
        match node.kind()? {
            (ZarrKind::Group, version) => Ok(ZarrGroup { node, version }),
            (ZarrKind::Array, _) => Err(FormatError::NotAGroup { path: node.name(), got: "an array" }.into()),
        }
    }

    /// Makes a group of version 3, and with it the store and the groups above where there is nothing yet.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) where there is a node already, where an array or a group of version 2 is
    /// above it, and for a store that cannot be written.
    pub fn create(path: impl AsRef<Path>, group: &str) -> Result<ZarrGroup> {
        ZarrGroup::create_with(path, group, ZarrVersion::V3, Json::Null)
    }

    /// [`ZarrGroup::create`] of a version, with attributes.
    ///
    /// # Errors
    /// As [`ZarrGroup::create`]; [`Error::Expr`](crate::Error::Expr) for attributes that are not a JSON object.
    pub fn create_with(
        path: impl AsRef<Path>,
        group: &str,
        version: ZarrVersion,
        attributes: Json,
    ) -> Result<ZarrGroup> {
        let attributes = object(&attributes)?;
        let node = ZarrNode::new(absolute(path.as_ref())?, group);
        node.create_group(version, &attributes)?;
        Ok(ZarrGroup { node, version })
    }

    /// The group that is there, or a new one of version 3 where there is nothing.
    ///
    /// # Errors
    /// As [`ZarrGroup::open`] and [`ZarrGroup::create`].
    pub fn open_or_create(path: impl AsRef<Path>, group: &str) -> Result<ZarrGroup> {
        let path = path.as_ref();
        match ZarrGroup::open(path, group) {
            Err(crate::Error::Format(FormatError::Missing { .. })) => {}
            opened => return opened,
        }
        match ZarrGroup::create(path, group) {
            // Somebody else has made it meanwhile.
            Err(crate::Error::Format(FormatError::Exists { .. })) => ZarrGroup::open(path, group),
            created => created,
        }
    }

    /// The store's directory.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.node.path
    }

    /// Its path within the store, `""` for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.node.inner
    }

    /// The version of the format.
    #[must_use]
    pub fn version(&self) -> ZarrVersion {
        self.version
    }

    /// The names of the groups right below it, in order.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) where it cannot be read.
    pub fn groups(&self) -> Result<Vec<String>> {
        self.members(ZarrKind::Group)
    }

    /// The names of the arrays right below it, in order.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) where it cannot be read.
    pub fn arrays(&self) -> Result<Vec<String>> {
        self.members(ZarrKind::Array)
    }

    fn members(&self, of: ZarrKind) -> Result<Vec<String>> {
        let members = self.node.members()?.into_iter();
        Ok(members.filter(|(_, kind)| *kind == of).map(|(name, _)| name).collect())
    }

    /// The path of a node below it.
    fn below(&self, name: &str) -> String {
        match self.node.inner.trim_matches('/') {
            "" => name.to_owned(),
            inner => format!("{inner}/{name}"),
        }
    }

    /// The group `name` below it, which may be several steps away: `a/b`.
    ///
    /// # Errors
    /// As [`ZarrGroup::open`].
    pub fn group(&self, name: &str) -> Result<ZarrGroup> {
        ZarrGroup::open(&self.node.path, &self.below(name))
    }

    /// Makes the group `name` below it, of its version.
    ///
    /// # Errors
    /// As [`ZarrGroup::create`].
    pub fn create_group(&self, name: &str) -> Result<ZarrGroup> {
        ZarrGroup::create_with(&self.node.path, &self.below(name), self.version, Json::Null)
    }

    /// The array `name` below it, which may be several steps away: `a/b`.
    ///
    /// # Errors
    /// As [`ZarrArray::open`].
    pub fn array(&self, name: &str) -> Result<ZarrArray> {
        ZarrArray::open(&self.node.path, &self.below(name))
    }

    /// What is said of the group.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) where it cannot be read, or is no JSON object.
    pub fn attributes(&self) -> Result<Map<String, Json>> {
        Ok(self.node.attributes()?)
    }

    /// Says something more of the group: attributes of these names are replaced, and all others stay.
    ///
    /// # Errors
    /// [`Error::Expr`](crate::Error::Expr) for attributes that are not a JSON object, else as [`ZarrGroup::attributes`].
    pub fn update_attributes(&self, attributes: Json) -> Result<()> {
        update(&self.node, &attributes)
    }

    /// Says this of the group and nothing else.
    ///
    /// # Errors
    /// As [`ZarrGroup::update_attributes`].
    pub fn set_attributes(&self, attributes: Json) -> Result<()> {
        set(&self.node, &attributes)
    }
}

fn update(node: &ZarrNode, attributes: &Json) -> Result<()> {
    let new = object(attributes)?;
    Ok(node.change_attributes(|said| said.extend(new.clone()))?)
}

fn set(node: &ZarrNode, attributes: &Json) -> Result<()> {
    let new = object(attributes)?;
    Ok(node.change_attributes(|said| said.clone_from(&new))?)
}

/// An array of a Zarr store: what its metadata said when it was opened. Its elements are read by [`read`](Self::read).
///
/// ```
/// use tilework::io::{Scalar, TimeType, TimeUnit, ZarrArray};
/// use tilework::prelude::*;
///
/// # fn main() -> tilework::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let store = dir.path();
/// // An array without elements, which many programs may fill, each its own box.
/// let options = ZarrOptions {
///     chunks: Some(vec![24]),
///     fill_value: Some(Scalar::new(i64::MIN)),
///     time: Some(TimeType::instants(TimeUnit::Hour)),
///     ..ZarrOptions::default()
/// };
/// ZarrArray::create(store, "hours", &[48], DType::I64, &options)?;
/// Array1::from_iter(0..24i64).write_zarr_region(store, "hours", s![24..48])?;
///
/// let hours = ZarrArray::open(store, "hours")?;
/// assert_eq!(hours.time().unwrap().to_string(), "datetime64[h]");
/// assert_eq!(hours.fill_value(), Some(Scalar::new(i64::MIN)));
/// let elements = hours.read::<i64, Ix1>()?.compute();
/// assert_eq!((elements[0], elements[47]), (i64::MIN, 23));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct ZarrArray {
    node: ZarrNode,
    meta: ArrayMeta,
    info: ArrayInfo,
    version: ZarrVersion,
}

impl ZarrArray {
    /// The array at the path `array` of the store at `path`, `""` for the root.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) where there is none that can be read.
    pub fn open(path: impl AsRef<Path>, array: &str) -> Result<ZarrArray> {
        let path = absolute(path.as_ref())?;
        let reader = ArraySource::zarr(&path, array).open()?;
        let info = reader.info().and_then(|info| Some((info.clone(), info.zarr?)));
        let (info, version) = info.ok_or_else(|| FormatError::Missing { path: name(&path, array) })?;
        Ok(ZarrArray { node: ZarrNode::new(path, array), meta: reader.meta().clone(), info, version })
    }

    /// Makes an array without elements, all of which are the fill value, in automatic chunks where the options say none:
    /// for those who write boxes of it (`write_zarr_region`).
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) for options that make no sense, an array that is there and not to be
    /// replaced, or a store that cannot be written.
    pub fn create(
        path: impl AsRef<Path>,
        array: &str,
        shape: &[usize],
        dtype: DType,
        options: &ZarrOptions,
    ) -> Result<ZarrArray> {
        let path = absolute(path.as_ref())?;
        text(&path)?;
        let grid = Chunks::Auto.grid(shape, dtype)?;
        let spec = options.spec(shape, dtype, || chunk_lens(&grid))?;
        let target = ZarrTarget { path: path.clone(), array: array.to_owned(), version: options.version };
        target.create(&spec, options.if_exists)?;
        ZarrArray::open(path, array)
    }

    /// The store's directory.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.node.path
    }

    /// Its path within the store, `""` for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.node.inner
    }

    /// The version of the format.
    #[must_use]
    pub fn version(&self) -> ZarrVersion {
        self.version
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.meta.shape
    }

    /// The type of its elements; of times `i64`.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.meta.dtype
    }

    /// The lengths of what is stored as one file, a chunk or a shard. Boxes at multiples of them are the best ones to
    /// write.
    #[must_use]
    pub fn chunks(&self) -> &[usize] {
        &self.meta.chunks
    }

    /// The lengths of what is decoded at once: of the chunks within a shard, where there are shards.
    #[must_use]
    pub fn read_chunks(&self) -> &[usize] {
        &self.meta.read_chunks
    }

    /// The axes' names, one each, or none at all.
    #[must_use]
    pub fn axis_names(&self) -> Vec<Option<&str>> {
        self.info.dims.iter().map(Option::as_deref).collect()
    }

    /// The element that was never written; `None` where version 2 does not say it, and zero is read.
    #[must_use]
    pub fn fill_value(&self) -> Option<Scalar> {
        self.info.fill_value
    }

    /// What the elements mean where they are times, NumPy's `datetime64` and `timedelta64`; `i64::MIN` is none.
    #[must_use]
    pub fn time(&self) -> Option<TimeType> {
        self.info.time
    }

    /// What the attributes say is still to be done with the elements, in words: `scale_factor = 0.1`. `None` where they
    /// say nothing.
    #[must_use]
    pub fn packing(&self) -> Option<String> {
        self.info.packed()
    }

    /// What was said of it when it was opened, less the names of its axes.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) where it is no JSON object.
    pub fn attributes(&self) -> Result<Map<String, Json>> {
        Ok(self.info.attributes()?)
    }

    /// Says something more of the array: attributes of these names are replaced, and all others stay.
    ///
    /// # Errors
    /// [`Error::Expr`](crate::Error::Expr) for attributes that are not a JSON object,
    /// [`Error::Format`](crate::Error::Format) where they cannot be read or written.
    pub fn update_attributes(&mut self, attributes: Json) -> Result<()> {
        update(&self.node, &attributes)?;
        self.look_again()
    }

    /// Says this of the array and nothing else. The names of its axes stay.
    ///
    /// # Errors
    /// As [`ZarrArray::update_attributes`].
    pub fn set_attributes(&mut self, attributes: Json) -> Result<()> {
        set(&self.node, &attributes)?;
        self.look_again()
    }

    fn look_again(&mut self) -> Result<()> {
        *self = ZarrArray::open(&self.node.path, &self.node.inner)?;
        Ok(())
    }

    /// Its elements, as they are stored: [`Array::read_zarr`].
    ///
    /// # Errors
    /// As there.
    pub fn read<A: Element, D: Dimension>(&self) -> Result<Array<A, D>> {
        Array::read_zarr(&self.node.path, &self.node.inner)
    }

    /// What its elements stand for: [`Array::read_zarr_decoded`].
    ///
    /// # Errors
    /// As there.
    pub fn read_decoded<A: Real, D: Dimension>(&self) -> Result<Array<A, D>> {
        Array::read_zarr_decoded(&self.node.path, &self.node.inner)
    }
}

fn name(path: &Path, array: &str) -> String {
    name_of(&ArraySource::zarr(PathBuf::from(path), array))
}
