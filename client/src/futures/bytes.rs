//! Values as bytes: MessagePack with the fields' names, which says itself what it holds.
//!
//! Must not know tasks.

use rmp_serde::config::BytesMode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tilework_expr::DType;
use tilework_kernels::{Chunk, Plane};

/// Appends a value's bytes.
///
/// # Errors
/// Why serde cannot write it.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    let mut writer = rmp_serde::Serializer::new(out).with_struct_map().with_bytes(BytesMode::ForceIterables);
    value.serialize(&mut writer).map_err(|e| e.to_string())
}

/// The value that is all of the bytes.
///
/// # Errors
/// Why they are none.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut left = bytes;
    let value = T::deserialize(&mut rmp_serde::Deserializer::new(&mut left)).map_err(|e| e.to_string())?;
    if left.is_empty() { Ok(value) } else { Err(format!("{} bytes are left over", left.len())) }
}

/// Appends the beginning of a list of so many values, whose bytes follow.
pub(super) fn write_list_head(len: u32, out: &mut Vec<u8>) {
    out.push(0xdd);
    out.extend(len.to_be_bytes());
}

/// Bytes as they lie on workers.
///
/// # Errors
/// Too many for this machine.
pub(super) fn plane(bytes: &[u8]) -> Result<Plane, String> {
    let mut chunk = Chunk::from_bytes(&[DType::U8], &[bytes.len()], bytes).map_err(|e| e.to_string())?;
    Ok(chunk.planes.remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Default)]
    struct Shape {
        name: String,
        corners: Vec<(f64, f64)>,
        inner: Option<Box<Shape>>,
        kind: Kind,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Default)]
    enum Kind {
        #[default]
        Empty,
        Of(i128),
        Named {
            x: char,
        },
    }

    #[track_caller]
    fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) -> usize {
        let mut bytes = Vec::new();
        write(&value, &mut bytes).unwrap();
        assert_eq!(read::<T>(&bytes), Ok(value));
        assert!(read::<T>(&bytes[..bytes.len() - 1]).is_err());
        bytes.push(0);
        assert!(read::<T>(&bytes).unwrap_err().contains("left over"));
        bytes.len() - 1
    }

    #[test]
    fn values_come_back() {
        same(());
        same((1u8, -5i64, u64::MAX, f64::MIN_POSITIVE, "ä".to_owned(), None::<i8>, Some('x')));
        let inner = Shape { kind: Kind::Of(-1 << 100), ..Shape::default() };
        same(Shape {
            name: "s".into(),
            corners: vec![(0.1, -0.0)],
            inner: Some(Box::new(inner)),
            kind: Kind::Named { x: 'é' },
        });
        same(BTreeMap::from([(1, vec!["a".to_owned()]), (2, vec![])]));
        assert!(same(vec![255u8; 1000]) < 1010, "bytes take a byte each");
        let mut nan = Vec::new();
        write(&f64::NAN, &mut nan).unwrap();
        assert!(read::<f64>(&nan).unwrap().is_nan());
    }

    #[test]
    fn a_list_is_its_head_and_its_values() {
        for values in [vec![], vec![vec![1u8, 200]], vec![vec![]; 70_000]] {
            let mut bytes = Vec::new();
            write_list_head(values.len() as u32, &mut bytes);
            values.iter().for_each(|v| write(v, &mut bytes).unwrap());
            assert_eq!(read::<Vec<Vec<u8>>>(&bytes), Ok(values));
        }
    }

    #[test]
    fn what_serde_cannot_write_says_why() {
        struct Odd;
        impl Serialize for Odd {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("odd"))
            }
        }
        assert!(write(&Odd, &mut Vec::new()).unwrap_err().contains("odd"));
    }
}
