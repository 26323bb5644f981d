//! The library's own functions of blocks, by name: what operations on arrays are made of beside what is fused. Every worker
//! of a release has all of them, whatever program it is.
//!
//! One file an operation, which has the function and the constructor of what names it with its parameters, so that nobody
//! else knows how those are written. Owns the table. Must not know arrays, or which stages call what.

pub mod count;
pub mod einsum;
mod elements;
pub mod fft;
pub mod filter;
pub mod floats;
pub mod group;
pub mod histogram;
pub mod linalg;
mod number;
pub mod pick;
pub mod places;
pub mod random;
pub mod ranges;
pub mod rank;
pub mod scan;
pub mod select;
pub mod sort;
pub mod windowed;

use crate::chunk::Plane;
use crate::feed::KernelError;
use crate::native::BlockCall;
use tilework_expr::OwnFunction;

/// A function of the table.
type Function = fn(&BlockCall<'_>) -> Result<Plane, String>;

/// All functions, by name.
const TABLE: &[(&str, Function)] = &[
    ("scan_totals", scan::scan_totals),
    ("scan_carries", scan::scan_carries),
    ("scan", scan::scan),
    ("sort", sort::sort),
    ("argsort", sort::argsort),
    ("sort_samples", sort::sort_samples),
    ("sort_bounds", sort::sort_bounds),
    ("sort_windows", sort::sort_windows),
    ("sort_cuts", sort::sort_cuts),
    ("sort_parts", sort::sort_parts),
    ("sort_merge", sort::sort_merge),
    ("quantiles", select::quantiles_of),
    ("top", select::top),
    ("top_positions", select::top_positions),
    ("histogram", count::histogram_of),
    ("bincount", count::bincount_of),
    ("count_true", count::count_true_of),
    ("searchsorted", count::searched),
    ("range_first", ranges::range_first),
    ("range_send", ranges::range_send),
    ("range_look_up", ranges::range_look_up),
    ("range_returned", ranges::range_returned),
    ("rank_counts", rank::rank_counts),
    ("rank_narrowed", rank::rank_narrowed),
    ("rank_found", rank::rank_found),
    ("float", floats::float_of),
    ("diagonal", places::diagonal_of),
    ("windows", places::windows_of),
    ("triangle", places::triangle_of),
    ("index", pick::within_of),
    ("gather", pick::gathered),
    ("gather_asks", pick::gather_asks),
    ("gather_answers", pick::gather_answers),
    ("gather_placed", pick::gather_placed),
    ("scatter_sends", pick::scatter_sends),
    ("scatter_takes", pick::scatter_takes),
    ("compress_axis", pick::compressed),
    ("take_along_axis", pick::taken_along),
    ("some", pick::some_of),
    ("rolling", windowed::rolling_of),
    ("coarsen", windowed::coarsened),
    ("histogram_points", histogram::histogram_points),
    ("group_states", group::group_states),
    ("group_parts", group::group_parts),
    ("group_of_parts", group::group_of_parts),
    ("group_together", group::group_together),
    ("fft", fft::fft),
    ("fft_chirp", fft::fft_chirp),
    ("correlate", filter::correlated),
    ("median_filter", filter::median_of_windows),
    ("random_samples", random::random_samples),
    ("shuffle_parts", random::shuffle_parts),
    ("shuffle_merge", random::shuffle_merge),
    ("einsum", einsum::einsum),
    ("trace", einsum::trace_of),
];

/// Calls a function by its name.
///
/// # Errors
/// [`KernelError::Operation`]: there is no such function, or what it says.
pub(crate) fn call(own: &OwnFunction, call: &BlockCall<'_>) -> Result<Plane, KernelError> {
    let found = TABLE.iter().chain(linalg::TABLE).find(|(name, _)| *name == own.name);
    let Some((name, function)) = found else {
        let text = format!("this worker has no function {}: it is of another release", own.name);
        return Err(KernelError::Operation(text));
    };
    function(call).map_err(|why| KernelError::Operation(format!("{name}: {why}")))
}
