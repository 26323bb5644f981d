//! What lies below a group in an object store.
//!
//! A store that lists its objects is asked. An HTTP server does not: the copies of documents that the group has, or the
//! store's root (consolidated metadata), say it then.
//!
//! Owns both ways. Must not know arrays.

use crate::FormatError;
use crate::about::ZarrKind;
use crate::objects::Place;
use crate::zarr::consolidated::V2_COPIES;
use crate::zarr::dir::{Dir, nodes_at};
use crate::zarr::metadata::{Node, V3_DOCUMENT};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The names and kinds of the nodes right below the group at the path `inner` of a store, by name; `name` is what
/// errors call it.
pub(crate) fn members(
    (store, inner): (&Place, &str),
    name: &str,
) -> Result<Vec<(String, ZarrKind)>, FormatError> {
    let group = store.join(inner)?;
    if !group.can_list() {
        return copied((store, inner), name)?.ok_or_else(|| FormatError::NoListing { path: name.to_owned() });
    }
    let names = Dir::Objects(group.clone()).below()?;
    let places = names.iter().map(|name| group.join(name)).collect::<Result<Vec<_>, _>>()?;
    let mut members = Vec::new();
    for (member, node) in names.into_iter().zip(nodes_at(&places, name)?) {
        match node? {
            Node::Array(_) => members.push((member, ZarrKind::Array)),
            Node::Group(_) => members.push((member, ZarrKind::Group)),
            Node::Nothing => {}
        }
    }
    Ok(members)
}

/// The same by the copies of the group, or of the store's root.
fn copied(
    (store, inner): (&Place, &str),
    name: &str,
) -> Result<Option<Vec<(String, ZarrKind)>>, FormatError> {
    let root = (!inner.is_empty()).then(|| (store.clone(), format!("{inner}/")));
    for (place, before) in [(store.join(inner)?, String::new())].into_iter().chain(root) {
        let dir = Dir::Objects(place);
        // What was said of the one version may have been left there when the other was written.
        let of_3 = dir.read(V3_DOCUMENT, name)?;
        let of_2 = if of_3.is_none() { dir.read(V2_COPIES, name)? } else { None };
        let copies = |document: &Value| document["metadata"].as_object().cloned();
        let found = match (&of_3, &of_2) {
            (Some(document), _) => {
                copies(&document["consolidated_metadata"]).map(|copies| below_3(&copies, &before))
            }
            (None, Some(document)) => copies(document).map(|copies| below_2(&copies, &before)),
            (None, None) => None,
        };
        if let Some(found) = found {
            return Ok(Some(found.into_iter().collect()));
        }
    }
    Ok(None)
}

/// Of version 3: a document a node.
fn below_3(copies: &Map<String, Value>, before: &str) -> BTreeMap<String, ZarrKind> {
    let member = |(key, document): (&String, &Value)| {
        let member = key.strip_prefix(before).filter(|name| !name.contains('/'))?;
        let is_array = document["node_type"] == "array";
        Some((member.to_owned(), if is_array { ZarrKind::Array } else { ZarrKind::Group }))
    };
    copies.iter().filter_map(member).collect()
}

/// Of version 2: `.zarray` or `.zgroup` of each.
fn below_2(copies: &Map<String, Value>, before: &str) -> BTreeMap<String, ZarrKind> {
    let member = |key: &String| {
        let (member, file) = key.strip_prefix(before)?.split_once('/')?;
        let kind = match file {
            ".zarray" => ZarrKind::Array,
            ".zgroup" => ZarrKind::Group,
            _ => return None,
        };
        Some((member.to_owned(), kind))
    };
    copies.keys().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn copies_say_what_is_right_below() {
        let (array, group) = (json!({"node_type": "array"}), json!({"node_type": "group"}));
        let of_3 = json!({"a": array, "g": group, "g/x": array, "g/h": group, "g/h/y": array});
        let of_2 = json!({
            ".zgroup": 0, ".zattrs": 0, "a/.zarray": 0, "a/.zattrs": 0, "g/.zgroup": 0, "g/x/.zarray": 0,
            "g/h/.zgroup": 0, "g/h/y/.zarray": 0,
        });
        let (a, g) = (ZarrKind::Array, ZarrKind::Group);
        let named = |names: &[(&str, ZarrKind)]| names.iter().map(|(n, k)| ((*n).to_owned(), *k)).collect();
        for (before, expected) in [("", [("a", a), ("g", g)]), ("g/", [("h", g), ("x", a)])] {
            let expected: BTreeMap<String, ZarrKind> = named(&expected);
            assert_eq!(below_3(of_3.as_object().unwrap(), before), expected);
            assert_eq!(below_2(of_2.as_object().unwrap(), before), expected);
        }
    }
}
