//! Object stores, in a build that has left them out.

use crate::FormatError;

/// What an URL names: nothing, for this program was built without the feature `object-store`.
#[derive(Clone, Debug)]
pub enum Place {}

impl Place {
    /// Says what is missing.
    ///
    /// # Errors
    /// [`FormatError::ObjectsLeftOut`], always.
    pub fn open(location: &str) -> Result<Place, FormatError> {
        Err(FormatError::ObjectsLeftOut { path: location.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_stores_that_were_left_out_say_so() {
        let error = Place::open("s3://bucket/x.zarr").unwrap_err().to_string();
        assert!(
            error.starts_with("s3://bucket/x.zarr: object stores need the feature `object-store`"),
            "{error}"
        );
    }
}
