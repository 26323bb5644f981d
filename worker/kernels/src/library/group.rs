//! Reductions of groups: what the elements along an axis come to that have the same label; in one pass over each chunk, and
//! a tree over what the chunks came to. Of more groups than one state has room for, elements are sent to the ranges of
//! labels that theirs are in, and each range is reduced by itself.

use super::elements::{Answer, Around, Elements, Reader, Writer, bytes_of, elements_of, plane, put, value};
use super::number::{Bounded, Number, with_bounded, with_wide};
use crate::blocks::BlockWriter;
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, Element, OwnFunction};
use tilework_plan::Temporaries;

/// What the elements of a group come to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Grouped {
    /// Their sum, 0 of none.
    Sum,
    /// The least; NaN if any is; of none the greatest of the type, infinity of floats.
    Min,
    /// The greatest; NaN if any is; of none the least of the type, negative infinity of floats.
    Max,
    /// How many there are.
    Count,
    /// Their mean, NaN of none.
    Mean,
    /// Their variance with this `ddof`.
    Var(f64),
    /// Their standard deviation with this `ddof`.
    Std(f64),
}

impl Grouped {
    fn code(self) -> (usize, f64) {
        match self {
            Grouped::Sum => (0, 0.0),
            Grouped::Min => (1, 0.0),
            Grouped::Max => (2, 0.0),
            Grouped::Count => (3, 0.0),
            Grouped::Mean => (4, 0.0),
            Grouped::Var(ddof) => (5, ddof),
            Grouped::Std(ddof) => (6, ddof),
        }
    }

    fn of_code(code: usize, ddof: f64) -> Answer<Grouped> {
        Ok(match code {
            0 => Grouped::Sum,
            1 => Grouped::Min,
            2 => Grouped::Max,
            3 => Grouped::Count,
            4 => Grouped::Mean,
            5 => Grouped::Var(ddof),
            6 => Grouped::Std(ddof),
            _ => return Err(format!("kind {code} of reduction of groups")),
        })
    }

    /// How many rows the state of a group has along the axis: a value; or a sum and a number; or a number, a mean and a sum of
    /// squares.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Grouped::Sum | Grouped::Min | Grouped::Max | Grouped::Count => 1,
            Grouped::Mean => 2,
            Grouped::Var(_) | Grouped::Std(_) => 3,
        }
    }

    /// The dtype of states of elements of a dtype.
    #[must_use]
    pub fn state(self, dtype: DType) -> DType {
        match self {
            Grouped::Sum | Grouped::Min | Grouped::Max => dtype.summed(),
            Grouped::Count => DType::U64,
            Grouped::Mean | Grouped::Var(_) | Grouped::Std(_) => DType::F64,
        }
    }

    /// The dtype of the result.
    #[must_use]
    pub fn output(self, dtype: DType) -> DType {
        match self {
            Grouped::Sum | Grouped::Min | Grouped::Max => dtype,
            Grouped::Count => DType::U64,
            _ if dtype == DType::F32 => DType::F32,
            _ => DType::F64,
        }
    }

    fn own(self, name: &str, params: Writer, (inputs, output): (Vec<DType>, DType)) -> OwnFunction {
        let (code, ddof) = self.code();
        let params = params.number(code).float(ddof).done();
        // Where squares are added up, sums are kept beside the states; where there are numbers, those of the labels.
        let per_made = if self.width() > 1 { 2 * size_of::<f64>() as u32 } else { size_of::<u64>() as u32 };
        let temporaries = Temporaries { per_made, ..Temporaries::NONE };
        OwnFunction { name: name.into(), params, inputs, output, temporaries }
    }

    /// The states of `n` groups of a block whose labels, `i64` or `u64`, come second; what has a negative label is left out.
    #[must_use]
    pub fn states(self, (axis, n): (usize, usize), dtype: DType, labels: DType) -> OwnFunction {
        let own = self.own(
            "group_states",
            Writer::default().number(axis).number(n),
            (vec![dtype, labels], self.state(dtype)),
        );
        let labels = size_of::<i64>() as u32;
        OwnFunction { temporaries: Temporaries { per_read: labels, ..own.temporaries }, ..own }
    }

    /// A block and its labels as for [`Grouped::states`], in as many blocks as there are ranges of `each` of the `n` labels:
    /// what belongs to each range.
    #[must_use]
    pub fn parts(self, (axis, n): (usize, usize), each: usize, types: (DType, DType)) -> OwnFunction {
        let (dtype, labels) = types;
        let params = Writer::default().number(axis).number(n).number(each);
        let own = self.own("group_parts", params, (vec![dtype, labels], DType::U8));
        // Of each label its range and its place among those of the range.
        OwnFunction { temporaries: Temporaries::per_read(3 * size_of::<u64>() as u32), ..own }
    }

    /// The states of the groups of a range of `each` labels, from its blocks of what [`Grouped::parts`] gives.
    #[must_use]
    pub fn of_parts(self, axis: usize, each: usize, dtype: DType) -> OwnFunction {
        // The dtype is a parameter, for parts are bytes.
        let params = Writer::default().number(axis).number(each).dtype(dtype);
        self.own("group_of_parts", params, (vec![DType::U8], self.state(dtype)))
    }

    /// What states of `n` groups come to that lie one after another along the axis, in so many blocks: states again, or where
    /// they are finished the result, in the wide type of the elements, `u64` where they are counted, `f64` of means and
    /// variances.
    #[must_use]
    pub fn together(
        self,
        (axis, n): (usize, usize),
        dtype: DType,
        (blocks, finish): (usize, bool),
    ) -> OwnFunction {
        let state = self.state(dtype);
        let params = Writer::default().number(axis).number(n).number(usize::from(finish));
        let own = self.own("group_together", params, (vec![state; blocks], state));
        // Where they are finished the states lie beside the result.
        let per_made = if finish { (self.width() * state.size()) as u32 } else { 0 };
        OwnFunction { temporaries: Temporaries { per_made, ..Temporaries::NONE }, ..own }
    }
}

fn grouped(reader: &mut Reader<'_>) -> Answer<Grouped> {
    Grouped::of_code(reader.number()?, reader.float()?)
}

/// The labels of a block, which are below `n`.
fn labels_of(labels: &Plane, (len, n): (usize, usize)) -> Answer<Vec<i64>> {
    let bad = |bad: String| format!("got the label {bad}, expected labels below {n}");
    let all: Vec<i64> = if labels.dtype() == DType::U64 {
        let labels = Elements::<u64>::of(labels)?;
        if let Some(l) = labels.iter().find(|l| **l >= n as u64) {
            return Err(bad(l.to_string()));
        }
        labels.iter().map(|l| *l as i64).collect()
    } else {
        let labels = Elements::<i64>::of(labels)?;
        if let Some(l) = labels.iter().find(|l| **l >= n as i64) {
            return Err(bad(l.to_string()));
        }
        labels.to_vec()
    };
    if all.len() != len {
        return Err(format!("{} labels of {len} positions", all.len()));
    }
    Ok(all)
}

/// How many rows a state has, if the result has so many of each group.
fn check_rows(call: &BlockCall<'_>, axis: usize, rows: usize) -> Answer<()> {
    match call.shape().get(axis) {
        Some(&got) if got == rows => Ok(()),
        got => Err(format!("a result of {got:?} rows, expected {rows}")),
    }
}

pub(super) fn group_states(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (axis, n, grouped) = (reader.number()?, reader.number()?, grouped(&mut reader)?);
    check_rows(call, axis, n.saturating_mul(grouped.width()))?;
    let block = call.block(0)?;
    let around = Around::of(block.shape(), axis)?;
    let labels = labels_of(call.block(1)?, (around.len, n))?;
    with_bounded!(block.dtype(), A => {
        states_of::<A>(&Elements::<A>::of(block)?, &labels, (around, n), (grouped, &call.shape()))
    })
}

/// The states of a block.
fn states_of<A: Bounded<Wide: Bounded>>(
    x: &[A],
    labels: &[i64],
    place: (Around, usize),
    (grouped, shape): (Grouped, &[usize]),
) -> Answer {
    match grouped {
        Grouped::Sum => plane(shape, folded::<A, _>(x, labels, place, (A::ZERO, A::add))),
        Grouped::Min => {
            let none = <A::Wide as Bounded>::GREATEST;
            plane(shape, folded::<A, _>(x, labels, place, (none, Bounded::lesser)))
        }
        Grouped::Max => {
            let none = <A::Wide as Bounded>::LEAST;
            plane(shape, folded::<A, _>(x, labels, place, (none, Bounded::greater)))
        }
        Grouped::Count => plane(shape, repeated(&counts(labels, place.1), place.0, |n| n)),
        Grouped::Mean => plane(shape, means::<A>(x, labels, place)),
        Grouped::Var(_) | Grouped::Std(_) => plane(shape, moments::<A>(x, labels, place)),
    }
}

/// How often each label occurs.
fn counts(labels: &[i64], n: usize) -> Vec<u64> {
    let mut counts = vec![0; n];
    labels.iter().filter_map(|l| usize::try_from(*l).ok()).for_each(|l| counts[l] += 1);
    counts
}

/// Numbers of groups as rows of an array.
fn repeated<B: Copy>(counts: &[u64], Around { outer, inner, .. }: Around, f: impl Fn(u64) -> B) -> Vec<B> {
    let rows = (0..outer).flat_map(|_| counts.iter());
    let mut all = Vec::with_capacity(outer * counts.len() * inner);
    rows.for_each(|&n| all.extend(std::iter::repeat_n(f(n), inner)));
    all
}

/// Calls `f` with a group's number and a row of elements, for each row that belongs to one.
fn each_row<A>(x: &[A], labels: &[i64], inner: usize, mut f: impl FnMut(usize, &[A])) {
    for (i, label) in labels.iter().enumerate() {
        if let Ok(group) = usize::try_from(*label) {
            f(group, &x[i * inner..][..inner]);
        }
    }
}

fn folded<A: Number, F: Fn(A::Wide, A::Wide) -> A::Wide>(
    x: &[A],
    labels: &[i64],
    (Around { outer, len, inner }, n): (Around, usize),
    (none, f): (A::Wide, F),
) -> Vec<A::Wide> {
    let mut all = vec![none; outer * n * inner];
    for o in 0..outer {
        let states = &mut all[o * n * inner..][..n * inner];
        each_row(&x[o * len * inner..], labels, inner, |group, row| {
            let states = &mut states[group * inner..][..inner];
            states.iter_mut().zip(row).for_each(|(state, v)| *state = f(*state, v.widen()));
        });
    }
    all
}

/// Sums and numbers.
fn means<A: Bounded>(x: &[A], labels: &[i64], (around, n): (Around, usize)) -> Vec<f64> {
    let (Around { outer, len, inner }, counts) = (around, counts(labels, n));
    let mut all = vec![0.0; outer * n * 2 * inner];
    for o in 0..outer {
        let states = &mut all[o * n * 2 * inner..][..n * 2 * inner];
        each_row(&x[o * len * inner..], labels, inner, |group, row| {
            let sums = &mut states[2 * group * inner..][..inner];
            sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v.as_f64());
        });
        for (state, n) in states.chunks_exact_mut((2 * inner).max(1)).zip(&counts) {
            state[inner..].fill(*n as f64);
        }
    }
    all
}

/// Numbers, means and sums of the squares of distances from those.
fn moments<A: Bounded>(x: &[A], labels: &[i64], (around, n): (Around, usize)) -> Vec<f64> {
    let Around { outer, len, inner } = around;
    let sums = means(x, labels, (around, n));
    let mut all = Vec::with_capacity(outer * n * 3 * inner);
    for state in sums.chunks_exact((2 * inner).max(1)) {
        let (sums, counts) = state.split_at(inner);
        all.extend_from_slice(counts);
        all.extend(sums.iter().zip(counts).map(|(s, n)| if *n == 0.0 { 0.0 } else { s / n }));
        all.extend(std::iter::repeat_n(0.0, inner));
    }
    for o in 0..outer {
        let states = &mut all[o * n * 3 * inner..][..n * 3 * inner];
        each_row(&x[o * len * inner..], labels, inner, |group, row| {
            let (means, squares) = states[3 * group * inner..][..3 * inner][inner..].split_at_mut(inner);
            for ((square, mean), v) in squares.iter_mut().zip(means.iter()).zip(row) {
                let far = v.as_f64() - mean;
                *square += far * far;
            }
        });
    }
    all
}

pub(super) fn group_parts(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (axis, n, each) = (reader.number()?, reader.number()?, reader.number()?);
    let block = call.block(0)?;
    let around = Around::of(block.shape(), axis)?;
    let labels = labels_of(call.block(1)?, (around.len, n))?;
    if each == 0 {
        return Err("ranges of no labels".into());
    }
    let mut ranges: Vec<Vec<u64>> = vec![Vec::new(); n.div_ceil(each)];
    for (i, label) in labels.iter().enumerate() {
        if let Ok(label) = usize::try_from(*label) {
            ranges[label / each].push(i as u64);
        }
    }
    let Around { outer, len, inner } = around;
    with_bounded!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let mut out = BlockWriter::new(ranges.len());
        for (first, rows) in ranges.iter().enumerate().map(|(r, rows)| ((r * each) as i64, rows)) {
            put(out.block(), &[rows.len() as u64, outer as u64, inner as u64]);
            let own: Vec<i64> = rows.iter().map(|i| labels[*i as usize] - first).collect();
            put(out.block(), &own);
            for o in 0..outer {
                for &i in rows {
                    put(out.block(), &x[(o * len + i as usize) * inner..][..inner]);
                }
            }
            out.end();
        }
        value(out.finish())
    })
}

pub(super) fn group_of_parts(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (axis, each, dtype) = (reader.number()?, reader.number()?, reader.dtype()?);
    let grouped = grouped(&mut reader)?;
    check_rows(call, axis, each.saturating_mul(grouped.width()))?;
    let Around { outer, inner, .. } = Around::of(&call.shape(), axis)?;
    with_bounded!(dtype, A => {
        let (mut labels, mut parts) = (Vec::<i64>::new(), Vec::new());
        for part in call.parts(0)? {
            let bytes = bytes_of(part)?;
            let (head, rest) = bytes.split_at_checked(3 * size_of::<u64>()).ok_or("a part without its lengths")?;
            let head = elements_of::<u64>(head)?;
            let rows = head[0] as usize;
            let own = rows.checked_mul(size_of::<i64>()).and_then(|n| rest.split_at_checked(n));
            let (own, x) = own.ok_or("a part of fewer labels than it says")?;
            let x = elements_of::<A>(x)?;
            if (head[1], head[2]) != (outer as u64, inner as u64) || x.len() != rows * outer * inner {
                return Err(format!("a part of {head:?} with {} elements", x.len()));
            }
            labels.extend(elements_of::<i64>(own)?);
            parts.push((rows, x));
        }
        if let Some(bad) = labels.iter().find(|l| !(0..each as i64).contains(*l)) {
            return Err(format!("the label {bad} of a range of {each}"));
        }
        let mut all = Vec::with_capacity(labels.len() * outer * inner);
        for o in 0..outer {
            for (rows, x) in &parts {
                all.extend_from_slice(&x[o * rows * inner..][..rows * inner]);
            }
        }
        drop(parts);
        let around = Around { outer, len: labels.len(), inner };
        states_of::<A>(&all, &labels, (around, each), (grouped, &call.shape()))
    })
}

pub(super) fn group_together(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (axis, n, finish) = (reader.number()?, reader.number()?, reader.number()? == 1);
    let grouped = grouped(&mut reader)?;
    let width = grouped.width();
    check_rows(call, axis, if finish { n } else { n.saturating_mul(width) })?;
    let place = (axis, n);
    let all = match grouped {
        Grouped::Sum => {
            return with_wide!(call.block(0)?.dtype(), W => added::<W, _>(call, place, W::add));
        }
        Grouped::Min => {
            return with_wide!(call.block(0)?.dtype(), W => added::<W, _>(call, place, Bounded::lesser));
        }
        Grouped::Max => {
            return with_wide!(call.block(0)?.dtype(), W => added::<W, _>(call, place, Bounded::greater));
        }
        Grouped::Count => return added::<u64, _>(call, place, u64::wrapping_add),
        Grouped::Mean => rows_together::<f64>(call, (axis, n * 2), |to, from, _| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        })?,
        Grouped::Var(_) | Grouped::Std(_) => rows_together::<f64>(call, (axis, n * 3), with_moments)?,
    };
    if !finish {
        return plane(&call.shape(), all);
    }
    let Around { inner, .. } = Around::of(&call.shape(), axis)?;
    let mut found = Vec::with_capacity(all.len() / width);
    for state in all.chunks_exact((width * inner).max(1)) {
        let of = |part: usize, k: usize| state[part * inner + k];
        found.extend((0..inner).map(|k| match grouped {
            // Nothing by nothing is NaN.
            Grouped::Mean => of(0, k) / of(1, k),
            Grouped::Var(ddof) | Grouped::Std(ddof) if of(0, k) <= ddof => f64::NAN,
            Grouped::Var(ddof) => of(2, k) / (of(0, k) - ddof),
            Grouped::Std(ddof) => (of(2, k) / (of(0, k) - ddof)).sqrt(),
            _ => of(0, k),
        }));
    }
    plane(&call.shape(), found)
}

/// What rows of states come to that lie one after another along the axis in all blocks, `rows` for all groups: `f` gets the
/// states of a group that there are, those that are added, and how many elements a row has.
fn rows_together<W: Element>(
    call: &BlockCall<'_>,
    (axis, rows): (usize, usize),
    f: impl Fn(&mut [W], &[W], usize),
) -> Answer<Vec<W>> {
    let mut all: Vec<W> = Vec::new();
    for slot in 0..call.inputs.len() {
        let block = call.block(slot)?;
        let (x, Around { outer, len, inner }) = (Elements::<W>::of(block)?, Around::of(block.shape(), axis)?);
        if rows == 0 || !len.is_multiple_of(rows) || slot > 0 && all.len() != outer * rows * inner {
            return Err(format!("states of {len} rows, expected {rows} for each chunk"));
        }
        let size = rows * inner;
        for o in 0..outer {
            for (m, state) in x[o * len * inner..][..len * inner].chunks_exact(size.max(1)).enumerate() {
                match slot + m {
                    0 => all.extend_from_slice(state),
                    _ => f(&mut all[o * size..][..size], state, inner),
                }
            }
        }
    }
    Ok(all)
}

fn added<W: Bounded<Wide = W>, F: Fn(W, W) -> W>(
    call: &BlockCall<'_>,
    place: (usize, usize),
    f: F,
) -> Answer {
    let all = rows_together::<W>(call, place, |to, from, _| {
        to.iter_mut().zip(from).for_each(|(state, v)| *state = f(*state, *v));
    })?;
    plane(&call.shape(), all)
}

/// Of rows of numbers, means and squares of groups those of both together (Chan, Golub and LeVeque 1979).
fn with_moments(to: &mut [f64], from: &[f64], inner: usize) {
    for (a, b) in to.chunks_exact_mut((3 * inner).max(1)).zip(from.chunks_exact((3 * inner).max(1))) {
        for k in 0..inner {
            let (n, mean, m2) = (b[k], b[inner + k], b[2 * inner + k]);
            if n == 0.0 {
                continue;
            }
            let (before, step) = (a[k], mean - a[inner + k]);
            let all = before + n;
            a[k] = all;
            a[inner + k] = match step.is_finite() {
                _ if before == 0.0 => mean,
                true => a[inner + k] + step * (n / all),
                false => a[inner + k] * (before / all) + mean * (n / all),
            };
            a[2 * inner + k] += if before == 0.0 { m2 } else { m2 + step * step * (before * n / all) };
        }
    }
}
