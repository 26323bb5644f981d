//! Strided copies: any box of elements from one set of strides to another, rows by `memcpy`, transposes in tiles that
//! use every cache line whole.
//!
//! Knows element sizes and strides. Must not know dtypes, chunks or views.

mod square;

use crate::pool::{SendPtr, join};
use square::MICRO;

/// Bytes that one thread copies by itself.
const PIECE_BYTES: usize = 256 << 10;
/// Side of the squares whose cache lines a transpose keeps while it uses them.
const TILE: usize = 64;

/// A box of elements in two memories: its shape, and the strides in elements on either side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'a> {
    pub shape: &'a [usize],
    pub from: &'a [isize],
    pub to: &'a [isize],
}

/// One axis of a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    len: usize,
    from: isize,
    to: isize,
}

/// Axes of a copy, outermost first: enough room for most arrays without a heap allocation would gain little here.
fn normalise(layout: &Layout<'_>) -> Option<Vec<Axis>> {
    let mut axes: Vec<Axis> = Vec::with_capacity(layout.shape.len());
    for (i, &len) in layout.shape.iter().enumerate() {
        match len {
            0 => return None,
            1 => {}
            _ => axes.push(Axis { len, from: layout.from[i], to: layout.to[i] }),
        }
    }
    axes.sort_by_key(|a| std::cmp::Reverse(a.to.unsigned_abs()));
    let mut merged: Vec<Axis> = Vec::with_capacity(axes.len());
    for a in axes {
        match merged.last_mut() {
            Some(m) if m.from == a.from * a.len as isize && m.to == a.to * a.len as isize => {
                *m = Axis { len: m.len * a.len, ..a };
            }
            _ => merged.push(a),
        }
    }
    Some(merged)
}

/// Copies a box of elements of `size` bytes (1, 2, 4, 8 or 16).
///
/// # Safety
/// Every element of the box must be readable from `src` and writable at `dst` by the layout's strides, aligned for an
/// element of its size (at most 8), no two elements may have the same place at `dst`, and the two do not overlap.
pub(crate) unsafe fn copy_box(size: usize, layout: &Layout<'_>, src: *const u8, dst: *mut u8) {
    if let Some(axes) = normalise(layout) {
        // SAFETY: as promised by the caller; normalising keeps the set of elements.
        unsafe { copy_sized(size, &axes, src, dst) }
    }
}

/// [`copy_box`] on all threads of the rayon pool.
///
/// # Safety
/// As for [`copy_box`].
pub(crate) unsafe fn copy_box_parallel(size: usize, layout: &Layout<'_>, src: *const u8, dst: *mut u8) {
    if let Some(axes) = normalise(layout) {
        // SAFETY: as promised by the caller; normalising keeps the set of elements.
        unsafe { split(size, &axes, SendPtr::new(src.cast_mut()), SendPtr::new(dst)) }
    }
}

/// Halves the longest axis until a piece is small.
///
/// # Safety
/// As for [`copy_box`].
unsafe fn split(size: usize, axes: &[Axis], src: SendPtr, dst: SendPtr) {
    let bytes = size * axes.iter().map(|a| a.len).product::<usize>();
    let outer = axes.iter().enumerate().find(|(_, a)| a.len >= 2 * TILE).or(axes.iter().enumerate().next());
    let Some((at, axis)) = outer.filter(|_| bytes > PIECE_BYTES) else {
        // SAFETY: as promised by the caller.
        return unsafe { copy_sized(size, axes, src.get(), dst.get()) };
    };
    let cut = if axis.len >= 2 * TILE { axis.len.div_ceil(2).next_multiple_of(TILE) } else { axis.len / 2 };
    let (mut left, mut right) = (axes.to_vec(), axes.to_vec());
    left[at].len = cut;
    right[at].len = axis.len - cut;
    let move_by = |p: SendPtr, stride: isize| p.offset(stride * cut as isize * size as isize);
    let (right_src, right_dst) = (move_by(src, axis.from), move_by(dst, axis.to));
    // SAFETY: the halves are disjoint parts of the box.
    join(
        || unsafe { split(size, &left, src, dst) },
        || unsafe {
            split(size, &right, right_src, right_dst);
        },
    );
}

/// Copies `n` elements of `size` bytes, `step` elements apart at `src`, to neighbours at `dst`.
///
/// # Safety
/// As for [`copy_box`].
pub(crate) unsafe fn copy_line(size: usize, n: usize, step: isize, src: *const u8, dst: *mut u8) {
    // SAFETY: as promised by the caller.
    unsafe { copy_sized(size, &[Axis { len: n, from: step, to: 1 }], src, dst) }
}

/// # Safety
/// As for [`copy_box`].
unsafe fn copy_sized(size: usize, axes: &[Axis], src: *const u8, dst: *mut u8) {
    // SAFETY: as promised by the caller; a type of the element's size and of no greater alignment.
    unsafe {
        match size {
            1 => copy_typed::<u8>(axes, src.cast(), dst.cast()),
            2 => copy_typed::<u16>(axes, src.cast(), dst.cast()),
            4 => copy_typed::<u32>(axes, src.cast(), dst.cast()),
            8 if src.cast::<u64>().is_aligned() && dst.cast::<u64>().is_aligned() => {
                copy_typed::<u64>(axes, src.cast(), dst.cast());
            }
            8 => copy_typed::<[u32; 2]>(axes, src.cast(), dst.cast()),
            16 => copy_typed::<[u64; 2]>(axes, src.cast(), dst.cast()),
            _ => unreachable!("elements have 1, 2, 4, 8 or 16 bytes"),
        }
    }
}

/// # Safety
/// As for [`copy_box`].
unsafe fn copy_typed<T: Copy>(axes: &[Axis], src: *const T, dst: *mut T) {
    let Some((inner, outer)) = axes.split_last() else {
        // SAFETY: no axes are one element.
        return unsafe { dst.write(src.read()) };
    };
    if outer.is_empty() {
        // SAFETY: promised by the caller.
        return unsafe { copy_row(*inner, src, dst) };
    }
    let finest =
        outer.iter().enumerate().filter(|(_, a)| a.from != 0).min_by_key(|(_, a)| a.from.unsigned_abs());
    let crossed = finest.filter(|(_, a)| a.from.unsigned_abs() < inner.from.unsigned_abs());
    // SAFETY: the odometer visits positions of the outer axes, so that all elements are within the box.
    unsafe {
        match crossed {
            Some((at, &across)) if inner.len >= 4 && across.len >= 4 => {
                let mut rest = outer.to_vec();
                rest.remove(at);
                odometer(&rest, src, dst, &mut |s, d| transpose(across, *inner, s, d));
            }
            _ => odometer(outer, src, dst, &mut |s, d| copy_row(*inner, s, d)),
        }
    }
}

/// Calls `f` at every position of `axes`.
///
/// # Safety
/// The positions must lie within the memory that `src` and `dst` point into.
unsafe fn odometer<T>(axes: &[Axis], src: *const T, dst: *mut T, f: &mut impl FnMut(*const T, *mut T)) {
    match axes {
        [] => f(src, dst),
        [a, rest @ ..] => {
            for i in 0..a.len as isize {
                // SAFETY: promised by the caller.
                unsafe { odometer(rest, src.offset(i * a.from), dst.offset(i * a.to), f) }
            }
        }
    }
}

/// # Safety
/// As for [`copy_box`].
#[inline]
unsafe fn copy_row<T: Copy>(a: Axis, src: *const T, dst: *mut T) {
    // SAFETY: `a.len` elements on either side, by the caller's promise.
    unsafe {
        match (a.from, a.to) {
            (1, 1) if a.len >= 16 => std::ptr::copy_nonoverlapping(src, dst, a.len),
            (1, 1) => (0..a.len).for_each(|i| dst.add(i).write(src.add(i).read())),
            (0, 1) => std::slice::from_raw_parts_mut(dst.cast::<std::mem::MaybeUninit<T>>(), a.len)
                .fill(std::mem::MaybeUninit::new(src.read())),
            (2, 1) => (0..a.len).for_each(|i| dst.add(i).write(src.add(2 * i).read())),
            (-1, 1) => (0..a.len).for_each(|i| dst.add(i).write(src.sub(i).read())),
            (s, 1) => (0..a.len).for_each(|i| dst.add(i).write(src.offset(s * i as isize).read())),
            (s, t) => (0..a.len as isize).for_each(|i| dst.offset(t * i).write(src.offset(s * i).read())),
        }
    }
}

/// Copies the plane of two axes, of which `a` is the finer one at `src` and `b` the finer one at `dst`.
///
/// # Safety
/// As for [`copy_box`].
unsafe fn transpose<T: Copy>(a: Axis, b: Axis, src: *const T, dst: *mut T) {
    let micro = if a.from == 1 && b.to == 1 { square::pick::<T>() } else { None };
    // SAFETY: all tiles lie within the two axes.
    unsafe {
        for a0 in (0..a.len).step_by(TILE) {
            for b0 in (0..b.len).step_by(TILE) {
                let (na, nb) = (TILE.min(a.len - a0), TILE.min(b.len - b0));
                let s = src.offset(a0 as isize * a.from + b0 as isize * b.from);
                let d = dst.offset(a0 as isize * a.to + b0 as isize * b.to);
                transpose_tile((Axis { len: na, ..a }, Axis { len: nb, ..b }), s, d, micro);
            }
        }
    }
}

/// # Safety
/// As for [`copy_box`].
unsafe fn transpose_tile<T: Copy>(
    (a, b): (Axis, Axis),
    src: *const T,
    dst: *mut T,
    micro: Option<square::Fn<T>>,
) {
    let Some(micro) = micro else {
        // SAFETY: as promised by the caller.
        return unsafe { plain(a, b, src, dst) };
    };
    let (full_a, full_b) = (a.len / MICRO * MICRO, b.len / MICRO * MICRO);
    // SAFETY: the squares and the two strips left over lie within the tile.
    unsafe {
        for a0 in (0..full_a as isize).step_by(MICRO) {
            for b0 in (0..full_b as isize).step_by(MICRO) {
                micro(src.offset(a0 + b0 * b.from), b.from, dst.offset(a0 * a.to + b0), a.to);
            }
        }
        if full_b < b.len {
            let at = full_b as isize;
            plain(a, Axis { len: b.len - full_b, ..b }, src.offset(at * b.from), dst.offset(at * b.to));
        }
        if full_a < a.len {
            let at = full_a as isize;
            let rest = Axis { len: a.len - full_a, ..a };
            plain(rest, Axis { len: full_b, ..b }, src.offset(at * a.from), dst.offset(at * a.to));
        }
    }
}

/// # Safety
/// As for [`copy_box`].
#[inline]
unsafe fn plain<T: Copy>(a: Axis, b: Axis, src: *const T, dst: *mut T) {
    for i in 0..a.len as isize {
        for j in 0..b.len as isize {
            // SAFETY: within the two axes.
            unsafe { dst.offset(i * a.to + j * b.to).write(src.offset(i * a.from + j * b.from).read()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::row_major;
    use proptest::prelude::*;

    fn check(shape: &[usize], order: &[usize], step: isize, size: usize, parallel: bool) {
        // The source is a row-major array of the permuted, stretched shape; every byte pattern is distinct enough.
        let stretch = step.unsigned_abs();
        let permuted: Vec<usize> = order.iter().map(|&a| shape[a] * stretch).collect();
        let base = row_major(&permuted);
        let mut from = vec![0; shape.len()];
        let mut start = 0;
        for (k, &a) in order.iter().enumerate() {
            from[a] = base[k] * step;
            if step < 0 {
                start -= from[a] * (shape[a] as isize - 1);
            }
        }
        let n: usize = permuted.iter().product();
        let src: Vec<u64> = (0..n as u64 * 2).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let len: usize = shape.iter().product();
        let mut dst = vec![0u64; len * 2];
        let to = row_major(shape);
        let layout = Layout { shape, from: &from, to: &to };
        let s = src.as_ptr().cast::<u8>().wrapping_offset(start * size as isize);
        // SAFETY: both vectors are large enough for elements of up to 16 bytes.
        unsafe {
            if parallel {
                copy_box_parallel(size, &layout, s, dst.as_mut_ptr().cast());
            } else {
                copy_box(size, &layout, s, dst.as_mut_ptr().cast());
            }
        }
        let src: Vec<u8> = src.iter().flat_map(|w| w.to_le_bytes()).collect();
        let dst: Vec<u8> = dst.iter().flat_map(|w| w.to_le_bytes()).collect();
        for i in 0..len {
            let (mut rest, mut at) = (i, start);
            for a in (0..shape.len()).rev() {
                at += (rest % shape[a]) as isize * from[a];
                rest /= shape[a];
            }
            let at = at as usize * size;
            assert_eq!(
                dst[i * size..(i + 1) * size],
                src[at..at + size],
                "{shape:?} {order:?} {step} {size} at {i}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_element_arrives(
            shape in prop::collection::vec(1usize..20, 1..4),
            order in Just(vec![0usize, 1, 2, 3]).prop_shuffle(),
            step in prop::sample::select(vec![1isize, -1, 2, -3]),
            size in prop::sample::select(vec![1usize, 2, 4, 8, 16]),
            parallel: bool,
        ) {
            let order: Vec<usize> = order.into_iter().filter(|&a| a < shape.len()).collect();
            check(&shape, &order, step, size, parallel);
        }
    }

    #[test]
    fn large_transposes_split_over_threads() {
        check(&[300, 517], &[1, 0], 1, 8, true);
        check(&[3, 300, 200], &[2, 1, 0], 1, 4, true);
        check(&[100_000], &[0], 1, 16, true);
        check(&[2, 70_000], &[1, 0], 1, 2, true);
    }
}
