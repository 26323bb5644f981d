//! Groups and the attributes of any node.
//!
//! Owns what is listed, created and said of nodes. Must not know elements.

use super::change::{change, write_new};
use super::dir::Dir;
use super::metadata::{self, Node, V3_DOCUMENT};
use super::place::{Levels, group_document};
use super::remote::{self, Places, StagedObjects};
use super::{consolidated, store};
use crate::about::{V2_DIMS, ZarrKind, ZarrNode, object};
use crate::objects::{self, Place};
use crate::{FormatError, ZarrVersion};
use serde_json::{Map, Value};
use std::fs;
use std::io;
use std::path::Path;

/// The attributes of version 2.
const V2_ATTRIBUTES: &str = ".zattrs";

impl ZarrNode {
    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> String {
        store::display_name(&self.path, &self.inner)
    }

    fn find(&self) -> Result<(Dir, Node), FormatError> {
        let name = self.name();
        let dir = Dir::of(&self.path, &self.inner)?;
        match dir.node(&name)? {
            Node::Nothing => Err(metadata::no_array(&dir, &name, &Node::Nothing)),
            node => Ok((dir, node)),
        }
    }

    /// What it is, and in which version of the format.
    ///
    /// # Errors
    /// [`FormatError::Missing`] and [`FormatError::NotAnArray`] where there is no node, [`FormatError::Invalid`] for a
    /// path that leaves the store, [`FormatError::Io`].
    pub fn kind(&self) -> Result<(ZarrKind, ZarrVersion), FormatError> {
        Ok(kind_of(&self.find()?.1))
    }

    /// The names and kinds of the nodes right below a group, by name.
    ///
    /// # Errors
    /// As [`ZarrNode::kind`]; [`FormatError::NotAGroup`] where it is an array.
    pub fn members(&self) -> Result<Vec<(String, ZarrKind)>, FormatError> {
        let (dir, node) = self.find()?;
        let name = self.name();
        if let Node::Array(_) = node {
            return Err(FormatError::NotAGroup { path: name, got: "an array" });
        }
        if let (Dir::Objects(_), Some(url)) = (&dir, objects::url_of(&self.path)) {
            let inner: Vec<&str> = store::parts(&self.inner).collect();
            return remote::members((&Place::open(url)?, &inner.join("/")), &name);
        }
        let mut members = Vec::new();
        for member in dir.below()? {
            match dir.join(&member)?.node(&format!("{name}/{member}"))? {
                Node::Array(_) => members.push((member, ZarrKind::Array)),
                Node::Group(_) => members.push((member, ZarrKind::Group)),
                Node::Nothing => {}
            }
        }
        Ok(members)
    }

    /// Makes a group with these attributes, and groups of the directories above it that are nothing yet.
    ///
    /// # Errors
    /// [`FormatError::Exists`] where there is a node, or an array or a group of another version above it;
    /// [`FormatError::Invalid`] for a name that Zarr does not allow, [`FormatError::Folder`] and [`FormatError::Io`]
    /// from the file system.
    pub fn create_group(
        &self,
        version: ZarrVersion,
        attributes: &Map<String, Value>,
    ) -> Result<(), FormatError> {
        let name = self.name();
        store::check_new_name(&self.path, &self.inner)?;
        if let Some(places) = Places::of(&self.path, &self.inner)? {
            return self.create_at(&places, version, attributes);
        }
        let levels = Levels::of(&self.path, &self.inner, &name)?;
        levels.recover();
        let exists = |what: &str| FormatError::Exists { path: name.clone(), reason: what.to_owned() };
        nothing(&levels.check_above(version, &name)?).map_err(exists)?;
        let folder = |dir: &Path, source| FormatError::Folder { path: dir.display().to_string(), source };
        let (own, above) = (levels.array(), &levels.nodes()[..levels.nodes().len() - 1]);
        fs::create_dir_all(own).map_err(|e| folder(own, e))?;
        let (file, plain) = group_document(version);
        for dir in above {
            if let Node::Nothing = metadata::node(dir, &name)? {
                write_new(&dir.join(file), &plain).map_err(|e| folder(dir, e))?;
            }
        }
        let mut document = plain;
        if !attributes.is_empty() {
            match version {
                ZarrVersion::V3 => document["attributes"] = Value::Object(attributes.clone()),
                ZarrVersion::V2 => {
                    // In the place of what a writer may have left that came no further.
                    let say = |said: &mut Value| -> io::Result<()> {
                        *said = Value::Object(attributes.clone());
                        Ok(())
                    };
                    change(own, V2_ATTRIBUTES, say).map_err(|e| folder(own, e))?;
                }
            }
        }
        if !write_new(&own.join(file), &document).map_err(|e| folder(own, e))? {
            return Err(exists("a group, which has come meanwhile"));
        }
        self.tell(&levels, true)
    }

    /// The same in an object store.
    fn create_at(
        &self,
        places: &Places,
        version: ZarrVersion,
        attributes: &Map<String, Value>,
    ) -> Result<(), FormatError> {
        let name = self.name();
        let exists = |what: &str| FormatError::Exists { path: name.clone(), reason: what.to_owned() };
        nothing(&StagedObjects::look(places, version, &name)?).map_err(exists)?;
        places.make_groups(version, &name)?;
        let (file, mut document) = group_document(version);
        match version {
            ZarrVersion::V3 => document["attributes"] = Value::Object(attributes.clone()),
            ZarrVersion::V2 if attributes.is_empty() => {}
            ZarrVersion::V2 => {
                let text = metadata::text(&Value::Object(attributes.clone()));
                places.own().join(V2_ATTRIBUTES)?.put(text)?;
            }
        }
        if !places.own().join(file)?.put_new(metadata::text(&document))? {
            return Err(exists("a group, which has come meanwhile"));
        }
        self.tell_objects(places, true)
    }

    /// What is said of it, less the names of axes.
    ///
    /// # Errors
    /// As [`ZarrNode::kind`]; [`FormatError::Attributes`] where they are not a JSON object.
    pub fn attributes(&self) -> Result<Map<String, Value>, FormatError> {
        let (dir, node) = self.find()?;
        let name = self.name();
        let kind = kind_of(&node);
        let said = match node {
            Node::Array(documents) => documents.attributes().clone(),
            Node::Group(ZarrVersion::V3) => {
                let document = dir.read(V3_DOCUMENT, &name)?.unwrap_or_default();
                document["attributes"].clone()
            }
            _ => dir.read(V2_ATTRIBUTES, &name)?.unwrap_or_default(),
        };
        let mut said = object(&name, &said)?;
        if kind == (ZarrKind::Array, ZarrVersion::V2) {
            said.remove(V2_DIMS);
        }
        Ok(said)
    }

    /// Changes what is said of it: `f` gets the attributes and changes them. One writer changes them at a time, and a
    /// reader sees those before or those after. The names of axes stay.
    ///
    /// # Errors
    /// As [`ZarrNode::attributes`].
    pub fn change_attributes(&self, mut f: impl FnMut(&mut Map<String, Value>)) -> Result<(), FormatError> {
        let (dir, node) = self.find()?;
        let name = self.name();
        let (kind, version) = kind_of(&node);
        let changed = match version {
            ZarrVersion::V3 => dir.change(V3_DOCUMENT, |document| {
                if !document.is_object() {
                    let reason = format!("{V3_DOCUMENT} is no JSON object");
                    return Err(FormatError::NotAnArray { path: name.clone(), reason }.into());
                }
                let mut said = object(&name, &document["attributes"])?;
                f(&mut said);
                document["attributes"] = Value::Object(said);
                Ok::<_, Failed>(())
            }),
            ZarrVersion::V2 => dir.change(V2_ATTRIBUTES, |document| {
                let mut said = object(&name, document)?;
                let dims = said.remove(V2_DIMS);
                f(&mut said);
                match dims {
                    Some(dims) => said.insert(V2_DIMS.to_owned(), dims),
                    None => None,
                };
                // Nothing that is said needs no document.
                if !(document.is_null() && said.is_empty()) {
                    *document = Value::Object(said);
                }
                Ok::<_, Failed>(())
            }),
        };
        changed.map_err(|failed| match failed {
            Failed::Format(error) => error,
            Failed::Io(source) if matches!(dir, Dir::Objects(_)) => FormatError::io(&name, source),
            Failed::Io(source) => FormatError::Io { path: name.clone(), source },
        })?;
        let is_group = kind == ZarrKind::Group;
        match Places::of(&self.path, &self.inner)? {
            Some(places) => self.tell_objects(&places, is_group),
            None => self.tell(&Levels::of(&self.path, &self.inner, &name)?, is_group),
        }
    }

    /// Tells the groups that hold copies of its documents; a group may be one of them.
    fn tell(&self, levels: &Levels, is_group: bool) -> Result<(), FormatError> {
        let own = levels.nodes().last().filter(|_| is_group);
        let told = own.map_or(Ok(()), |own| consolidated::update(&Dir::Files(own.clone()), ""));
        self.told(told.and_then(|()| levels.consolidate()))
    }

    /// The same in an object store.
    fn tell_objects(&self, places: &Places, is_group: bool) -> Result<(), FormatError> {
        let own = Dir::Objects(places.own().clone());
        let told = if is_group { consolidated::update(&own, "") } else { Ok(()) };
        self.told(told.and_then(|()| places.consolidate()))
    }

    fn told(&self, told: io::Result<()>) -> Result<(), FormatError> {
        told.map_err(|source| {
            let path =
                format!("{}, which is changed, but not so in a group's copy of its metadata", self.name());
            FormatError::Io { path, source }
        })
    }
}

/// Why there can be no new group where something is.
fn nothing(there: &Node) -> Result<(), &'static str> {
    match there {
        Node::Nothing => Ok(()),
        Node::Array(_) => Err("an array, expected nothing"),
        Node::Group(_) => Err("a group, which may be opened"),
    }
}

/// What a node is that was found.
fn kind_of(node: &Node) -> (ZarrKind, ZarrVersion) {
    match node {
        Node::Array(documents) => (ZarrKind::Array, documents.version),
        Node::Group(version) => (ZarrKind::Group, *version),
        Node::Nothing => unreachable!("nothing is an error"),
    }
}

/// Why a document could not be changed.
enum Failed {
    Format(FormatError),
    Io(io::Error),
}

impl From<FormatError> for Failed {
    fn from(error: FormatError) -> Self {
        Failed::Format(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Failed::Io(error)
    }
}
