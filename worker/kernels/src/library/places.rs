//! Elements in other places that no view can say: diagonals, windows that overlap, and the places of a triangle.

use super::elements::{Answer, Around, Elements, Reader, Writer, plane};
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, OwnFunction, with_dtype};
use tilework_plan::Temporaries;

/// The diagonals of boxes that are as long along one axis as along another: the other axes in their order, then the diagonal.
#[must_use]
pub fn diagonal(dtype: DType, axes: (usize, usize)) -> OwnFunction {
    let params = Writer::default().number(axes.0).number(axes.1).done();
    OwnFunction {
        name: "diagonal".into(),
        params,
        inputs: vec![dtype],
        output: dtype,
        temporaries: Temporaries::NONE,
    }
}

pub(super) fn diagonal_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (a, b, block) = (reader.number()?, reader.number()?, call.block(0)?);
    let shape = block.shape();
    let len = shape.get(a).copied().ok_or_else(|| format!("axis {a} of {} axes", shape.len()))?;
    if a == b || shape.get(b) != Some(&len) {
        return Err(format!("the diagonal along axes {a} and {b} of a block of shape {shape:?}"));
    }
    let strides = row_major(shape);
    let others: Vec<usize> = (0..shape.len()).filter(|axis| *axis != a && *axis != b).collect();
    let n_others: usize = others.iter().map(|axis| shape[*axis]).product();
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let mut found = Vec::with_capacity(n_others * len);
        for n in 0..n_others {
            let (mut left, mut first) = (n, 0);
            for &axis in others.iter().rev() {
                first += left % shape[axis] * strides[axis];
                left /= shape[axis];
            }
            found.extend((0..len).map(|i| x[first + i * (strides[a] + strides[b])]));
        }
        plane(&call.shape(), found)
    })
}

fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The windows of so many positions along an axis, one for each position at which one begins; along a last axis their
/// elements.
#[must_use]
pub fn windows(dtype: DType, axis: usize, window: usize) -> OwnFunction {
    let params = Writer::default().number(axis).number(window).done();
    OwnFunction {
        name: "windows".into(),
        params,
        inputs: vec![dtype],
        output: dtype,
        temporaries: Temporaries::NONE,
    }
}

pub(super) fn windows_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (axis, window, block) = (reader.number()?, reader.number()?, call.block(0)?);
    let Around { outer, len, inner } = Around::of(block.shape(), axis)?;
    let n = (len + 1).checked_sub(window).ok_or_else(|| format!("windows of {window} of {len} positions"))?;
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let mut found = Vec::with_capacity(outer * n * inner * window);
        for o in 0..outer {
            for i in 0..n {
                for k in 0..inner {
                    let first = (o * len + i) * inner + k;
                    found.extend((0..window).map(|w| x[first + w * inner]));
                }
            }
        }
        plane(&call.shape(), found)
    })
}

/// The places of the elements of a matrix on one side of a diagonal, in row-major order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Triangle {
    /// Rows of the matrix.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
    /// The diagonal, which belongs to it: 0 is the main one, 1 the one above.
    pub k: i64,
    /// Whether it is the upper triangle.
    pub upper: bool,
}

impl Triangle {
    /// How many there are in the rows before one.
    fn before(&self, row: usize) -> i128 {
        let (row, m) = (row as i128, self.columns as i128);
        // In row `i` the diagonal leaves this many columns on its lower side, within the matrix.
        let c = i128::from(self.k) + i128::from(!self.upper);
        let first = (-c).clamp(0, row);
        let full = (m - c).clamp(first, row);
        let lower = (first + full - 1 + 2 * c) * (full - first) / 2 + (row - full) * m;
        if self.upper { row * m - lower } else { lower }
    }

    /// How many there are, if that can be counted.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        usize::try_from(self.before(self.rows)).ok()
    }

    /// Their row numbers, or their column numbers.
    #[must_use]
    pub fn places(&self, columns: bool) -> OwnFunction {
        let params = Writer::default().number(self.rows).number(self.columns).number(self.k as usize);
        let params = params.number(usize::from(self.upper)).number(usize::from(columns)).done();
        OwnFunction {
            name: "triangle".into(),
            params,
            inputs: Vec::new(),
            output: DType::U64,
            temporaries: Temporaries::NONE,
        }
    }
}

pub(super) fn triangle_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (rows, columns, k) = (reader.number()?, reader.number()?, reader.number()? as i64);
    let triangle = Triangle { rows, columns, k, upper: reader.number()? == 1 };
    let of_columns = reader.number()? == 1;
    let range = call.place.region.first().cloned().ok_or("the places of a triangle lie along one axis")?;
    // The last row with no more than so many before it.
    let (mut low, mut high) = (0, rows);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if triangle.before(middle) <= range.start as i128 { low = middle } else { high = middle }
    }
    let (mut row, mut found) = (low, Vec::with_capacity(range.len()));
    for at in range {
        while triangle.before(row + 1) <= at as i128 {
            row += 1;
        }
        let within = at as i128 - triangle.before(row);
        let first = if triangle.upper { (row as i128 + i128::from(k)).clamp(0, columns as i128) } else { 0 };
        found.push(if of_columns { (first + within) as u64 } else { row as u64 });
    }
    plane(&call.shape(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triangles_are_counted_as_a_loop_counts_them() {
        for (rows, columns) in [(0, 3), (3, 0), (1, 1), (4, 4), (3, 7), (7, 3)] {
            for k in -9..9 {
                for upper in [false, true] {
                    let triangle = Triangle { rows, columns, k, upper };
                    let on = |i: usize, j: usize| {
                        let distance = j as i64 - i as i64;
                        if upper { distance >= k } else { distance <= k }
                    };
                    for row in 0..=rows {
                        let n = (0..row).map(|i| (0..columns).filter(|j| on(i, *j)).count()).sum::<usize>();
                        assert_eq!(triangle.before(row), n as i128, "{triangle:?} {row}");
                    }
                }
            }
        }
    }
}
