//! Groups, attributes, names of axes, fill values and times: as xarray and zarr-python write them (`described/make.py`),
//! and as they are written here.

use crate::support::{Fixture, whole};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use tilework_expr::{DType, Scalar};
use tilework_formats::{
    ArraySource, FormatError, IfExists, TimeType, TimeUnit, ZarrKind, ZarrNode, ZarrSpec, ZarrVersion,
};

const ARCHIVE: &[u8] = include_bytes!("../described/described.zip");
const VERSIONS: [ZarrVersion; 2] = [ZarrVersion::V2, ZarrVersion::V3];

/// The stores that others have written, `v2.zarr` and `v3.zarr`.
fn described() -> Fixture {
    Fixture::of_archive(ARCHIVE).0
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn what_others_say_of_their_nodes_is_read() {
    let fixture = described();
    for store in ["v2.zarr", "v3.zarr"].map(|name| fixture.path(name)) {
        let node = |inner: &str| ZarrNode::new(&store, inner);
        let members: Vec<_> = node("").members().unwrap();
        let arrays = ["both", "bytes", "depth", "instants", "other", "plain", "spans", "t"];
        let expected: Vec<_> = [("a", ZarrKind::Group)]
            .into_iter()
            .chain(arrays.map(|name| (name, ZarrKind::Array)))
            .map(|(name, kind)| (name.to_owned(), kind))
            .collect();
        assert_eq!(members, expected);
        assert_eq!(node("a").members().unwrap(), [("b".to_owned(), ZarrKind::Group)]);
        assert_eq!(node("").attributes().unwrap(), object(json!({"title": "packed", "n": 3})));
        // Python's bare NaN is a text here.
        assert_eq!(node("a/b").attributes().unwrap(), object(json!({"said": "NaN", "of": ["a", 1]})));
        let info = |inner: &str| ArraySource::zarr(&store, inner).open().unwrap().info().unwrap().clone();
        let t = info("t");
        assert_eq!(t.dims, [Some("y".to_owned()), Some("x".to_owned())]);
        assert_eq!(t.attributes().unwrap()["units"], "K");
        assert!(!t.attributes().unwrap().contains_key("_ARRAY_DIMENSIONS"));
        let packing = t.packing().unwrap();
        assert_eq!((packing.scale, packing.offset), (Some(0.25), Some(1.0)));
        assert_eq!(packing.missing, [Scalar::new(-99i16)]);
        assert_eq!(info("depth").packing().unwrap().missing, [Scalar::new(1e20f32)]);
        assert_eq!(info("bytes").packing().unwrap().dtype, DType::U8);
        assert!(info("a/b/x").dims.is_empty());
        assert_eq!(info("a/b/x").fill_value, Some(Scalar::new(-5i64)));
        for (name, time, elements) in [
            ("instants", "datetime64[D]", vec![10957, i64::MIN, 10959]),
            ("spans", "timedelta64[25us]", vec![5, 7]),
        ] {
            let reader = ArraySource::zarr(&store, name).open().unwrap();
            assert_eq!(reader.meta().dtype, DType::I64);
            assert_eq!(info(name).time.unwrap().to_string(), time);
            assert_eq!(info(name).packed(), None);
            let mut bytes = vec![0; 8 * elements.len()];
            reader.read(&whole(&reader.meta().shape), &mut bytes).unwrap();
            assert_eq!(bytes, elements.iter().flat_map(|e| e.to_le_bytes()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn attributes_are_changed_and_copies_of_them_too() {
    let fixture = described();
    for (store, is_v3) in [("v2.zarr", false), ("v3.zarr", true)] {
        let path = fixture.path(store);
        let copy = |node: &str| -> Value {
            let file = if is_v3 { "zarr.json" } else { ".zmetadata" };
            let text = fs::read_to_string(path.join(file)).unwrap().replace(": NaN", ": \"NaN\"");
            let root: Value = serde_json::from_str(&text).unwrap();
            match (is_v3, node) {
                (true, "") => root["attributes"].clone(),
                (true, node) => root["consolidated_metadata"]["metadata"][node]["attributes"].clone(),
                (false, "") => root["metadata"][".zattrs"].clone(),
                (false, node) => root["metadata"][format!("{node}/.zattrs")].clone(),
            }
        };
        for node in ["", "t", "a/b", "a/b/x"] {
            let change = ZarrNode::new(&path, node);
            let before = change.attributes().unwrap();
            change.change_attributes(|said| drop(said.insert("new".into(), json!([1, "ü"])))).unwrap();
            let mut expected = before;
            expected.insert("new".into(), json!([1, "ü"]));
            assert_eq!(change.attributes().unwrap(), expected, "{store} {node}");
            assert_eq!(copy(node)["new"], json!([1, "ü"]), "{store} {node}");
        }
        // What is no number stays so for Python, and names of axes stay where all is replaced.
        let file = path.join("a/b").join(if is_v3 { "zarr.json" } else { ".zattrs" });
        assert!(fs::read_to_string(file).unwrap().contains(": NaN"));
        let t = ZarrNode::new(&path, "t");
        t.change_attributes(Map::clear).unwrap();
        assert!(t.attributes().unwrap().is_empty());
        let reader = ArraySource::zarr(&path, "t").open().unwrap();
        assert_eq!(reader.info().unwrap().dims.len(), 2);
    }
}

#[test]
fn groups_are_made_where_there_is_nothing() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let store = fixture.path(&format!("{version:?}.zarr"));
        let node = |inner: &str| ZarrNode::new(&store, inner);
        let said = object(json!({"of": {"a": [1.5, null]}}));
        node("a/b").create_group(version, &said).unwrap();
        assert_eq!(node("a/b").kind().unwrap(), (ZarrKind::Group, version));
        assert_eq!(node("a/b").attributes().unwrap(), said);
        assert_eq!(node("").members().unwrap(), [("a".to_owned(), ZarrKind::Group)]);
        fixture
            .target(&format!("{version:?}.zarr"), "x", version)
            .create(&ZarrSpec::new(&[2], DType::U8, &[2]), IfExists::Fail)
            .unwrap();
        let error = |inner: &str| node(inner).create_group(version, &Map::new()).unwrap_err();
        for (inner, expected) in [
            ("a/b", "exists already: a group, which may be opened"),
            ("a", "exists already: a group"),
            ("", "exists already: a group"),
            ("x", "exists already: an array"),
            ("x/y", "`/x` above it is an array, expected a group"),
            ("__a", "expected names separated by `/` that zarr does not use"),
            ("a/../../b", "expected names"),
        ] {
            let error = error(inner).to_string();
            assert!(error.contains(expected), "{inner}: {error}");
        }
        let other = if version == ZarrVersion::V2 { ZarrVersion::V3 } else { ZarrVersion::V2 };
        let mixed = node("a/c").create_group(other, &Map::new()).unwrap_err().to_string();
        assert!(mixed.contains("of another zarr version"), "{mixed}");
        assert!(!store.join("a/c").exists());
        let missing = node("a/none").members().unwrap_err();
        assert!(matches!(missing, FormatError::Missing { .. }), "{missing}");
        let array = node("x").members().unwrap_err().to_string();
        assert!(array.ends_with("x: got an array, expected a group of a zarr store"), "{array}");
    }
    let nowhere = ZarrNode::new(fixture.path("none.zarr"), "").members().unwrap_err();
    assert!(matches!(nowhere, FormatError::Missing { .. }), "{nowhere}");
}

/// What one file of a store says.
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[test]
fn attributes_that_are_no_object_are_told_and_left() {
    let fixture = Fixture::new();
    let target = fixture.target("s", "x", ZarrVersion::V2);
    target.create(&ZarrSpec::new(&[2], DType::U8, &[2]), IfExists::Fail).unwrap();
    let file = fixture.path("s/x/.zattrs");
    write(&file, "[1, 2]");
    let reader = ArraySource::zarr(fixture.path("s"), "x").open().unwrap();
    let error = reader.info().unwrap().attributes().unwrap_err().to_string();
    assert!(error.ends_with("s/x: the attributes are a list, expected a JSON object"), "{error}");
    assert!(reader.info().unwrap().packing().is_err());
    let node = ZarrNode::new(fixture.path("s"), "x");
    assert!(node.attributes().is_err());
    assert!(node.change_attributes(Map::clear).is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "[1, 2]");
    write(&file, "{");
    let error = node.change_attributes(Map::clear).unwrap_err();
    assert!(matches!(error, FormatError::NotAnArray { .. }), "{error}");
    let group = fixture.path("g");
    ZarrNode::new(&group, "").create_group(ZarrVersion::V3, &Map::new()).unwrap();
    for (text, expected) in [
        (r#"{"zarr_format": 3, "node_type": "group", "attributes": "K"}"#, "the attributes are a text"),
        ("[]", "zarr.json is no JSON object"),
    ] {
        write(&group.join("zarr.json"), text);
        let error = ZarrNode::new(&group, "").change_attributes(Map::clear).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read_to_string(group.join("zarr.json")).unwrap(), text);
    }
}

#[test]
fn what_is_said_of_a_new_array_is_read_again() {
    let fixture = Fixture::new();
    for version in VERSIONS {
        let store = format!("{version:?}.zarr");
        let scalars = [
            Scalar::new(true),
            Scalar::new(-7i8),
            Scalar::new(u64::MAX),
            Scalar::new(f32::NAN),
            Scalar::new(f64::NEG_INFINITY),
            Scalar::new(tilework_expr::Complex::new(1.5f32, f32::INFINITY)),
        ];
        for fill in scalars {
            let target = fixture.target(&store, fill.dtype().name(), version);
            let spec = ZarrSpec {
                fill_value: Some(fill),
                dims: vec!["x".into()],
                attributes: object(json!({"units": "m"})),
                ..ZarrSpec::new(&[5], fill.dtype(), &[2])
            };
            let staged = target.begin(&spec, IfExists::Fail).unwrap();
            let writer = staged.writer().unwrap();
            // A chunk of the fill value alone, and one at the end, take no file.
            let itemsize = fill.dtype().size();
            let element = fill.bits().to_le_bytes()[..itemsize].to_vec();
            writer.write_chunk(&[0..2], &element.repeat(2)).unwrap();
            writer.write_chunk(&[4..5], &element).unwrap();
            staged.finish().unwrap();
            let reader = ArraySource::zarr(&target.path, &*target.array).open().unwrap();
            let info = reader.info().unwrap();
            assert_eq!(info.fill_value, Some(fill), "{version:?}");
            assert_eq!(info.dims, [Some("x".to_owned())]);
            assert_eq!(info.attributes().unwrap(), object(json!({"units": "m"})));
            let mut bytes = vec![0xaa; 5 * itemsize];
            reader.read(&[0..5], &mut bytes).unwrap();
            assert_eq!(bytes, element.repeat(5));
            let dir = target.path.join(&target.array);
            let chunk = dir.join(if version == ZarrVersion::V3 { "c/0" } else { "0" });
            assert!(!chunk.exists());
        }
        let time = Some(TimeType { multiple: 25, ..TimeType::spans(TimeUnit::Microsecond) });
        let target = fixture.target(&store, "spans", version);
        let spec = ZarrSpec { time, ..ZarrSpec::new(&[2], DType::I64, &[2]) };
        target.create(&spec, IfExists::Fail).unwrap();
        let reader = ArraySource::zarr(&target.path, "spans").open().unwrap();
        assert_eq!((reader.meta().dtype, reader.info().unwrap().time), (DType::I64, time));
        let wrong = ZarrSpec { fill_value: Some(Scalar::new(1u8)), ..ZarrSpec::new(&[2], DType::F64, &[2]) };
        let error = target.begin(&wrong, IfExists::Replace).unwrap_err().to_string();
        assert!(error.contains("got fill value 1u8, expected one of f64"), "{error}");
        let wrong = ZarrSpec { time, ..ZarrSpec::new(&[2], DType::F64, &[2]) };
        let error = target.begin(&wrong, IfExists::Replace).unwrap_err().to_string();
        assert!(error.contains("got timedelta64[25us] for elements of f64, expected i64"), "{error}");
    }
}
