//! States of a user's own reductions and scans: values of one size each, which travel as the bytes of a last axis.
//!
//! Owns their layout and the order in which they are joined. Must not know which blocks they are of.

use super::blocks::{block_of, view_of};
use super::blockwise::BlockPlace;
use super::params::{Params, params_of};
use crate::array::plane_of_array;
use crate::error::Result;
use crate::library::wrong;
use ndarray::{ArrayView, ArrayViewD, Axis, Dimension, IxDyn};
use tilework_expr::{Expr, NDIM_MAX};
use tilework_kernels::Plane;
use tilework_kernels::native::{BlockCall, Place};

/// The most bytes of a state: it lies on the stack of the thread that joins it.
const STATE_BYTES_MAX: usize = 64 << 10;
/// States that are joined at a time, at most.
pub(super) const FAN_IN: usize = 32;
/// Bytes of states that are joined at a time, at most, where two have no more.
pub(super) const FAN_IN_BYTES: usize = 64 << 20;

/// What the functions of blocks here give, or in words what is wrong.
pub(super) type Told<T> = std::result::Result<T, String>;

/// Parameters, with the axes that are folded and the shape of the array.
#[derive(Clone, Copy)]
pub(super) struct Around<P> {
    folded: u32,
    ndim: usize,
    lens: [usize; NDIM_MAX],
    pub(super) params: P,
}

impl<P: Params> Around<P> {
    pub(super) fn new(array: &Expr, folded: &[usize], params: P) -> Around<P> {
        let mut lens = [0; NDIM_MAX];
        lens.iter_mut().zip(array.shape()).for_each(|(to, len)| *to = len);
        let folded = folded.iter().fold(0, |bits, axis| bits | 1 << axis);
        Around { folded, ndim: array.ndim(), lens, params }
    }

    pub(super) fn of(call: &BlockCall<'_>) -> Told<Around<P>> {
        params_of(call.params).ok_or_else(|| "these are not its parameters".to_owned())
    }

    fn folds(&self, axis: usize) -> bool {
        self.folded >> axis & 1 == 1
    }

    /// The first axis that is folded, or the number of axes.
    pub(super) fn first_folded(&self) -> usize {
        (0..self.ndim).find(|&axis| self.folds(axis)).unwrap_or(self.ndim)
    }

    /// The block of the array that a task is called with.
    pub(super) fn place(&self, call: &BlockCall<'_>) -> Place {
        let of = call.place;
        let region = of.space[..self.ndim].to_vec();
        Place {
            chunk: of.chunk[..self.ndim].to_vec(),
            counts: of.counts[..self.ndim].to_vec(),
            space: region.clone(),
            region,
            shape: self.lens[..self.ndim].to_vec(),
        }
    }

    /// The lengths of a block without the axes that are folded.
    pub(super) fn kept(&self, place: BlockPlace<'_>) -> Vec<usize> {
        let lens = place.block_shape().into_iter().enumerate();
        lens.filter(|(axis, _)| !self.folds(*axis)).map(|(_, len)| len).collect()
    }

    /// The states of each kept position, in row-major order, joined in row-major order of those that are folded; and the kept
    /// lengths.
    pub(super) fn joined<S: Params>(
        &self,
        states: &Plane,
        mut combine: impl FnMut(&S, &S) -> S,
    ) -> Told<(Vec<usize>, Vec<S>)> {
        let view = view_of::<u8>(states)?;
        let (folded, kept): (Vec<usize>, Vec<usize>) = (0..self.ndim).partition(|&axis| self.folds(axis));
        let lens = |axes: &[usize]| axes.iter().map(|&axis| view.shape()[axis]).collect::<Vec<_>>();
        let mut all: Option<Vec<S>> = None;
        for at in ndarray::indices(IxDyn(&lens(&folded))) {
            let of = folded
                .iter()
                .zip(at.slice())
                .rev()
                .fold(view.view(), |view, (&axis, &i)| view.index_axis_move(Axis(axis), i));
            match &mut all {
                None => all = Some(read(of).collect::<Told<_>>()?),
                Some(all) => {
                    for (state, next) in all.iter_mut().zip(read(of)) {
                        *state = combine(state, &next?);
                    }
                }
            }
        }
        Ok((lens(&kept), all.ok_or("got no states, expected one at least")?))
    }
}

impl<P: Params> Params for Around<P> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.folded, self.ndim).write(out);
        self.lens[..self.ndim].iter().for_each(|len| len.write(out));
        self.params.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (folded, ndim): (u32, usize) = Params::read(bytes)?;
        let mut lens = [0; NDIM_MAX];
        for len in lens.get_mut(..ndim)? {
            *len = usize::read(bytes)?;
        }
        Some(Around { folded, ndim, lens, params: P::read(bytes)? })
    }
}

/// How many bytes of zeros a state is, if they are one. Apart, for its frame has room for a state however large.
#[inline(never)]
fn bytes_of_zeros<S: Params>() -> Option<usize> {
    let zeros = vec![0; STATE_BYTES_MAX];
    let mut left = &zeros[..];
    S::read(&mut left).map(|_| zeros.len() - left.len())
}

/// How many bytes a state has: zeros are one, as of numbers and tuples and arrays of them.
pub(super) fn state_bytes<S: Params>() -> Result<usize> {
    let wrong = |got| wrong("states", got, "values of one size, 1 to 65536 bytes, of which zeros are one");
    let name = std::any::type_name::<S>;
    if size_of::<S>() > STATE_BYTES_MAX {
        return Err(wrong(format!("{} of {} bytes", name(), size_of::<S>())));
    }
    match bytes_of_zeros::<S>() {
        None => Err(wrong(format!("{}, of which zeros are none", name()))),
        Some(0) => Err(wrong(format!("{} of 0 bytes", name()))),
        Some(n) => Ok(n),
    }
}

/// The states of all positions before the last axis, which are their bytes.
pub(super) fn read<S: Params>(states: ArrayViewD<'_, u8>) -> impl Iterator<Item = Told<S>> {
    let last = states.ndim() - 1;
    let mut all = Vec::with_capacity(states.len());
    all.extend(states.iter());
    let n = states.shape()[last].max(1);
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut bytes = all.get(at..at + n)?;
        at += n;
        let state = S::read(&mut bytes).filter(|_| bytes.is_empty());
        Some(state.ok_or_else(|| format!("got {n} bytes that are not a state")))
    })
}

/// States as the bytes of a last axis of this length.
pub(super) fn written<S: Params>(states: impl IntoIterator<Item = S>, shape: &[usize]) -> Told<Plane> {
    let n = *shape.last().ok_or("got no axes, expected one of bytes")?;
    let mut bytes = Vec::with_capacity(shape.iter().product());
    for state in states {
        let before = bytes.len();
        state.write(&mut bytes);
        if bytes.len() - before != n {
            return Err(format!("it gave a state of {} bytes, expected {n}", bytes.len() - before));
        }
    }
    let got = bytes.len() / n.max(1);
    let array = ndarray::ArrayD::from_shape_vec(IxDyn(shape), bytes);
    Ok(plane_of_array(array.map_err(|_| {
        format!("it gave {got} states, expected those of shape {:?}", &shape[..shape.len() - 1])
    })?))
}

/// The states that a function makes of a block, as their bytes, if there is one for each of its kept positions.
pub(super) fn of_block<A: 'static, D: Dimension, S: Params, E: Dimension, P: Params>(
    call: &BlockCall<'_>,
    make: impl FnOnce(BlockPlace<'_>, ArrayView<'_, A, D>, &P) -> ndarray::Array<S, E>,
) -> Told<Plane> {
    let around = Around::<P>::of(call)?;
    let place = around.place(call);
    let states = make(BlockPlace(&place), block_of(call, 0)?, &around.params);
    let kept = around.kept(BlockPlace(&place));
    if states.shape() != kept {
        return Err(format!("it gave states of shape {:?}, expected {kept:?}", states.shape()));
    }
    written(states.iter().copied(), &call.shape())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Tagged;
    impl Params for Tagged {
        fn write(&self, out: &mut Vec<u8>) {
            1u8.write(out);
        }
        fn read(bytes: &mut &[u8]) -> Option<Tagged> {
            (u8::read(bytes)? == 1).then_some(Tagged)
        }
    }

    #[test]
    fn states_have_one_size() {
        assert_eq!(state_bytes::<(f64, u64, [u8; 3])>().unwrap(), 19);
        let text = state_bytes::<()>().unwrap_err().to_string();
        assert!(text.contains("() of 0 bytes, expected values of one size"), "{text}");
        let text = state_bytes::<Tagged>().unwrap_err().to_string();
        assert!(text.contains("of which zeros are none"), "{text}");
        // It would not even fit on the stack.
        let text = state_bytes::<[[u64; 1 << 10]; 1 << 10]>().unwrap_err().to_string();
        assert!(text.contains("of 8388608 bytes"), "{text}");
    }

    #[test]
    fn states_come_back_from_their_bytes() {
        let states = [(1.5f64, 7u8), (-2.0, 0)];
        let plane = written(states, &[2, 9]).unwrap();
        let back: Vec<(f64, u8)> = read(view_of(&plane).unwrap()).collect::<Told<_>>().unwrap();
        assert_eq!(back, states);
        assert!(written(states, &[2, 8]).unwrap_err().contains("a state of 9 bytes, expected 8"));
        assert!(written(states, &[3, 9]).unwrap_err().contains("2 states, expected those of shape [3]"));
        assert!(
            read::<char>(view_of(&written([u32::MAX], &[1, 4]).unwrap()).unwrap()).next().unwrap().is_err()
        );
    }
}
