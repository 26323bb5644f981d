//! Functions of the user's in plans of tables: the bytes that name one, and the call. Must not know plans.

use std::any::Any;
use tilework_expr::{DType, Kernel};
use tilework_kernels::native::call_opaque;

/// The bytes that name a function in plans.
#[must_use]
pub fn written(kernel: &Kernel) -> Vec<u8> {
    let Kernel { offset, build, name, params, .. } = kernel;
    let mut bytes = offset.to_le_bytes().to_vec();
    for text in [build, name] {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(params);
    bytes
}

/// The function that bytes name; nothing where they are none of [`written`].
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Kernel> {
    fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
        let (len, rest) = bytes.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
        Some((String::from_utf8(text.to_vec()).ok()?, rest))
    }
    let (offset, rest) = bytes.split_first_chunk()?;
    let (build, rest) = text(rest)?;
    let (name, params) = text(rest)?;
    let offset = i64::from_le_bytes(*offset);
    Some(Kernel { offset, build, name, params: params.to_vec(), inputs: Vec::new(), output: DType::U8 })
}

/// Calls the function that bytes name.
///
/// # Errors
/// In words, which name it: it panicked, gave an error, or is none of this executable.
pub(crate) fn call(bytes: &[u8], input: &dyn Any) -> Result<Box<dyn Any + Send>, String> {
    let kernel = read(bytes).ok_or("what names a function cannot be read")?;
    call_opaque(&kernel, input).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_nothing_else_is_one() {
        let kernel = Kernel {
            offset: -7,
            build: "00c0ffee".into(),
            name: "half".into(),
            params: vec![1, 2],
            inputs: vec![],
            output: DType::U8,
        };
        let bytes = written(&kernel);
        assert_eq!(read(&bytes), Some(kernel));
        for end in 0..bytes.len() - 2 {
            assert_eq!(read(&bytes[..end]), None, "{end}");
        }
        let why = call(&bytes, &7).unwrap_err();
        assert!(why.contains("half") && why.contains("00c0ffee"), "{why}");
        assert!(call(&[1], &7).is_err());
    }
}
