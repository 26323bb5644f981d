//! What lies in a group of a file, and what is said of it.

use super::hdf5::failed;
use super::{Opened, guarded, missing, parts, scales};
use crate::{FormatError, NetcdfGroup};
use std::path::Path;

/// The group at the path `group` of a NetCDF or HDF5 file, `""` for the root.
///
/// # Errors
/// [`FormatError::Missing`], [`FormatError::MissingVariable`] where there is no such group, [`FormatError::NotAnArray`] for
/// a file of another kind, [`FormatError::Truncated`], [`FormatError::Corrupt`], [`FormatError::Unsupported`],
/// [`FormatError::Io`].
pub fn netcdf_group(path: &Path, group: &str) -> Result<NetcdfGroup, FormatError> {
    let name = path.display().to_string();
    guarded(&name, || match Opened::of(path)? {
        Opened::Classic(file) => {
            if parts(group).next().is_some() {
                return Err(missing(&name, group, Vec::new()));
            }
            let attributes = file.attributes().clone();
            Ok(NetcdfGroup { groups: Vec::new(), variables: file.variables(), attributes })
        }
        Opened::Hdf5(file) => {
            let group = file.group(group)?;
            let (groups, datasets) = group.members().map_err(|e| failed(&name, e))?;
            let variables = datasets
                .iter()
                .filter(|dataset| !scales::is_length_alone(dataset))
                .map(|dataset| (scales::own_name(dataset.name()), scales::is_scale(dataset)));
            let mut variables: Vec<_> = variables.collect();
            variables.sort();
            let mut groups: Vec<String> =
                groups.iter().map(|g| parts(g.name()).last().unwrap_or_default().to_owned()).collect();
            groups.sort();
            Ok(NetcdfGroup { groups, variables, attributes: file.attributes_of(&group)? })
        }
    })
}
