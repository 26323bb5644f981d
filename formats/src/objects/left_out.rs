//! In the place of object stores, in builds without the feature: whoever names one is told which feature it takes.

use super::{Listed, Object, Part};
use crate::FormatError;
use bytes::Bytes;
use std::convert::Infallible;
use std::future::Future;
use std::sync::mpsc::{Receiver, channel};

/// What an URL names: nothing, for this program was built without the feature `object-store`.
#[derive(Clone, Debug)]
pub struct Place(Infallible);

/// Which content of an object was read, of which there is none.
#[derive(Clone, Debug)]
pub struct Version(#[allow(dead_code, reason = "there is none")] Infallible);

impl Place {
    /// Says what is missing.
    ///
    /// # Errors
    /// [`FormatError::ObjectsLeftOut`], always.
    pub fn open(location: &str) -> Result<Place, FormatError> {
        Err(FormatError::ObjectsLeftOut { path: location.to_owned() })
    }

    /// Nothing: there are no objects.
    #[must_use]
    pub fn get_many(_wanted: Vec<(Place, Part)>, _bytes_max: u64) -> Vec<Result<Option<Bytes>, FormatError>> {
        Vec::new()
    }

    /// Copies nothing: there are no objects.
    ///
    /// # Errors
    /// None.
    pub fn copy_many(_copies: Vec<(Place, Place)>) -> Result<(), FormatError> {
        Ok(())
    }
}

/// Begins nothing: there is no store that could be asked. The answer never comes.
pub fn begin<T: Send + 'static>(_request: impl Future<Output = T> + Send + 'static) -> Receiver<T> {
    channel().1
}

/// What can be done with a place, of which there is none.
macro_rules! of_nothing {
    ($($name:ident($($arg:ident: $of:ty),*) -> $out:ty;)*) => {
        #[allow(missing_docs, clippy::missing_errors_doc, reason = "there is nothing that could be asked")]
        impl Place {
            $(
                pub fn $name(&self, $($arg: $of),*) -> $out {
                    match self.0 {}
                }
            )*
        }
    };
}

of_nothing! {
    url() -> &str;
    store_url() -> &str;
    can_list() -> bool;
    can_write() -> bool;
    join(_name: &str) -> Result<Place, FormatError>;
    get() -> Result<Option<Bytes>, FormatError>;
    get_at_most(_bytes_max: u64) -> Result<Option<Bytes>, FormatError>;
    get_version() -> Result<Option<(Bytes, Version)>, FormatError>;
    size() -> Result<Option<u64>, FormatError>;
    put(_bytes: impl Into<Bytes>) -> Result<(), FormatError>;
    put_new(_bytes: impl Into<Bytes>) -> Result<bool, FormatError>;
    put_version(_bytes: impl Into<Bytes>, _version: Version) -> Result<bool, FormatError>;
    delete() -> Result<(), FormatError>;
    delete_all(_names: &[String]) -> Result<(), FormatError>;
    list() -> Result<Vec<Object>, FormatError>;
    list_dirs() -> Result<Listed, FormatError>;
}

#[cfg(test)]
mod tests {
    use crate::ArraySource;
    use crate::objects::Place;

    #[test]
    fn object_stores_that_were_left_out_say_so() {
        let expected = "s3://bucket/x: object stores need the feature `object-store`";
        let error = Place::open("s3://bucket/x").unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        let npy = ArraySource::npy("s3://bucket/x").absolute().unwrap().open().unwrap_err().to_string();
        assert!(npy.starts_with(expected), "{npy}");
    }

    #[cfg(feature = "zarr")]
    #[test]
    fn zarr_in_object_stores_that_were_left_out_says_so() {
        use crate::{IfExists, ZarrNode, ZarrSpec, ZarrTarget, ZarrVersion};
        use tilework_expr::DType;

        let (path, array) = ("s3://bucket/x".into(), "a".into());
        let target = ZarrTarget { path, array, version: ZarrVersion::V3 };
        for error in [
            ArraySource::zarr("s3://bucket/x", "a").open().unwrap_err(),
            target.begin(&ZarrSpec::new(&[4], DType::U8, &[2]), IfExists::Fail).unwrap_err(),
            target.open().unwrap_err(),
            ZarrNode::new("s3://bucket/x", "").kind().unwrap_err(),
        ] {
            let said = error.to_string();
            assert!(
                said.starts_with("s3://bucket/x: object stores need the feature `object-store`"),
                "{said}"
            );
        }
    }
}
