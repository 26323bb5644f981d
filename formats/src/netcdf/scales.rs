//! Names and lengths of axes, which datasets of their own have in HDF5: an array says which of them are its axes'.
//!
//! An axis without an end is as long in a NetCDF file as the longest array along it; in other arrays what is not stored
//! was never written.

use super::attributes::{CLASS, NAME, is_class_of_scale};
use super::hdf5::{Hdf5, NO_COORDINATES, failed};
use super::parts;
use crate::FormatError;
use hdf5_reader::Dataset;
use hdf5_reader::group::Group;
use hdf5_reader::reference::resolve_object_reference;
use std::collections::HashSet;

/// What is said of an axis that has no array of coordinates.
const NO_VARIABLE: &str = "This is a netCDF dimension but not a netCDF variable";
/// So many groups are looked into.
const GROUPS_MAX: usize = 10_000;
/// A reference in a list: the number of what it lists, its place in the heap and its number there.
const LISTED_BYTES: usize = 4 + 4;

/// The axes of an array.
pub(super) struct Axes {
    /// Their names, or none.
    pub(super) names: Vec<Option<String>>,
    /// Their lengths in the file.
    pub(super) lens: Vec<u64>,
}

/// The axes of a dataset, which lies in these groups.
pub(super) fn of(file: &Hdf5, dataset: &Dataset, above: &[&str]) -> Result<Axes, FormatError> {
    let scales = scales(dataset);
    let has_no_end = |axis: usize| dataset.max_dims().is_some_and(|max| max.get(axis) == Some(&u64::MAX));
    let mut lens = dataset.shape().to_vec();
    let grows = (0..scales.len()).any(|axis| scales[axis].is_some() && has_no_end(axis));
    if grows && dataset.chunks().is_some() {
        let all = datasets(file)?;
        let is_netcdf = |d: &Dataset| d.attribute("_Netcdf4Dimid").is_ok();
        let root = file.library.root_group().map_err(|e| failed(&file.path, e))?;
        if root.attribute("_NCProperties").is_ok() || all.iter().any(|(_, d)| is_netcdf(d)) {
            for (_, other) in &all {
                let along = self::scales(other);
                for (axis, scale) in along.iter().enumerate().filter(|(_, scale)| scale.is_some()) {
                    for own in (0..lens.len()).filter(|&own| scales[own] == *scale && has_no_end(own)) {
                        lens[own] = lens[own].max(other.shape().get(axis).copied().unwrap_or(0));
                    }
                }
            }
        }
    }
    let labels = dataset.attribute("DIMENSION_LABELS").and_then(|labels| labels.read_strings());
    let labels = labels.unwrap_or_default();
    let names = scales.iter().enumerate().map(|(axis, scale)| {
        let label = labels.get(axis).filter(|label| !label.is_empty()).cloned();
        match scale {
            Some(address) if *address == dataset.address() => Some(own_name(dataset.name())),
            Some(address) => name_of(file, above, *address).or(label),
            None => label,
        }
    });
    let names: Vec<Option<String>> = names.collect();
    let names = if names.iter().all(Option::is_none) { Vec::new() } else { names };
    Ok(Axes { names, lens })
}

/// What an array is named, without the groups that it is in.
pub(super) fn own_name(name: &str) -> String {
    let last = parts(name).last().unwrap_or_default();
    last.strip_prefix(NO_COORDINATES).unwrap_or(last).to_owned()
}

/// The address of the first scale of each axis.
fn scales(dataset: &Dataset) -> Vec<Option<u64>> {
    let n_axes = dataset.ndim();
    let none = || vec![None; n_axes];
    if let Ok(list) = dataset.attribute("DIMENSION_LIST") {
        let bytes = dataset.vlen_reference_size();
        let address_bytes = bytes - LISTED_BYTES;
        if list.raw_data.len() < bytes * n_axes {
            return none();
        }
        let first = |listed: &[u8]| {
            let referred = dataset.resolve_vlen_reference_bytes(listed, address_bytes).ok()?;
            resolve_object_reference(&referred, u8::try_from(address_bytes).ok()?).ok()
        };
        return list.raw_data.chunks_exact(bytes).take(n_axes).map(first).collect();
    }
    match dataset.attribute(CLASS) {
        Ok(class) if n_axes == 1 && is_class_of_scale(&class) => vec![Some(dataset.address())],
        _ => none(),
    }
}

/// The name of a scale: the array's group has it, or one of those that it is in.
fn name_of(file: &Hdf5, above: &[&str], address: u64) -> Option<String> {
    (0..=above.len()).rev().find_map(|depth| {
        let group = file.library.group(&above[..depth].join("/")).ok()?;
        group.child_name_by_address(address).ok().flatten().map(|name| own_name(&name))
    })
}

/// Whether a dataset says the length of an axis and nothing else.
pub(super) fn is_length_alone(dataset: &Dataset) -> bool {
    let name = dataset.attribute(NAME).and_then(|name| name.read_string());
    name.is_ok_and(|name| name.starts_with(NO_VARIABLE))
}

/// Whether a dataset is the coordinates along an axis.
pub(super) fn is_scale(dataset: &Dataset) -> bool {
    dataset.attribute(CLASS).is_ok_and(|class| is_class_of_scale(&class))
}

/// All datasets of a file, with their paths.
fn datasets(file: &Hdf5) -> Result<Vec<(String, Dataset)>, FormatError> {
    let mut found = Vec::new();
    walk(file, |path, group| {
        let datasets = group.datasets().map_err(|e| failed(&file.path, e))?;
        found.extend(datasets.into_iter().map(|d| (format!("{path}{}", d.name()), d)));
        Ok(())
    })?;
    Ok(found)
}

/// The paths of all groups and arrays, of those that can be read.
pub(super) fn names(file: &Hdf5) -> (Vec<String>, Vec<String>) {
    let (mut groups, mut arrays) = (Vec::new(), Vec::new());
    let _ = walk(file, |path, group| {
        if !path.is_empty() {
            groups.push(path.trim_end_matches('/').to_owned());
        }
        for dataset in group.datasets().unwrap_or_default() {
            if !is_length_alone(&dataset) {
                arrays.push(format!("{path}{}", own_name(dataset.name())));
            }
        }
        Ok(())
    });
    (groups, arrays)
}

fn walk(
    file: &Hdf5,
    mut look: impl FnMut(&str, &Group) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let root = file.library.root_group().map_err(|e| failed(&file.path, e))?;
    let mut seen = HashSet::from([root.address()]);
    let mut open = vec![(String::new(), root)];
    while let Some((path, group)) = open.pop() {
        look(&path, &group)?;
        for below in group.groups().map_err(|e| failed(&file.path, e))? {
            if seen.len() < GROUPS_MAX && seen.insert(below.address()) {
                open.push((format!("{path}{}/", parts(below.name()).last().unwrap_or_default()), below));
            }
        }
    }
    Ok(())
}
