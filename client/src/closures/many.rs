//! Functions of core dimensions that give several results: their blocks are packed into one, and each result is unpacked from
//! it.
//!
//! Owns the packing. Must not know how letters become what a task reads.

use super::blockwise::{Call, How, Layout, Types, axis_of};
use super::elements::accepts;
use super::gufunc::core_letters;
use super::params::{Params, params_of};
use super::reduce::{stage, with_last};
use super::ship::{conjure, ship};
use super::states::Told;
use crate::array::{Array, plane_of_array};
use crate::error::{Error, Result};
use crate::library::{cut, wrong};
use ndarray::{Dimension, IxDyn};
use std::any::type_name;
use std::marker::PhantomData;
use tilework_expr::{Along, DType, Element, Expr, Front, NDIM_MAX, Read, SliceArg};
use tilework_kernels::native::{BlockCall, Descriptor, Entry, Gives, Takes};
use tilework_kernels::{Chunk, Plane};
use tilework_plan::{AxisGrid, Grid};

/// The most results of a function.
const RESULTS_MAX: usize = 6;

/// What a function of several results gives: tuples of two to six of ndarray's arrays, which become as many of ours.
pub trait Results {
    /// The arrays.
    type Arrays;
    #[doc(hidden)]
    const OF: &'static [(DType, Option<usize>)];
    #[doc(hidden)]
    fn planes(self) -> Vec<Plane>;
    #[doc(hidden)]
    fn arrays(of: impl FnMut(usize, &'static Descriptor) -> Result<Expr>) -> Result<Self::Arrays>;
}

macro_rules! results {
    ($(($($b:ident $e:ident $i:tt)*))*) => { $(
        impl<$($b: Element, $e: Dimension),*> Results for ($(ndarray::Array<$b, $e>,)*) {
            type Arrays = ($(Array<$b, $e>,)*);
            const OF: &'static [(DType, Option<usize>)] = &[$(($b::DTYPE, $e::NDIM)),*];
            fn planes(self) -> Vec<Plane> {
                vec![$(plane_of_array(self.$i)),*]
            }
            fn arrays(mut of: impl FnMut(usize, &'static Descriptor) -> Result<Expr>) -> Result<Self::Arrays> {
                Ok(($(Array::of_expr(of($i, Unpacking::<$b>::DESCRIPTOR)?),)*))
            }
        }
    )* };
}
results! {
    (B0 E0 0 B1 E1 1)
    (B0 E0 0 B1 E1 1 B2 E2 2)
    (B0 E0 0 B1 E1 1 B2 E2 2 B3 E3 3)
    (B0 E0 0 B1 E1 1 B2 E2 2 B3 E3 3 B4 E4 4)
    (B0 E0 0 B1 E1 1 B2 E2 2 B3 E3 3 B4 E4 4 B5 E5 5)
}

/// Parameters, with the lengths of the core dimensions of each result.
#[derive(Clone, Copy)]
struct Cores<P> {
    ndims: [usize; RESULTS_MAX],
    lens: [usize; NDIM_MAX],
    params: P,
}

impl<P: Params> Cores<P> {
    fn new(cores: &[Vec<AxisGrid>], params: P) -> Option<Cores<P>> {
        let (mut ndims, mut lens) = ([0; RESULTS_MAX], [0; NDIM_MAX]);
        ndims.iter_mut().zip(cores).for_each(|(n, core)| *n = core.len());
        let all: Vec<usize> = cores.iter().flatten().map(AxisGrid::len).collect();
        lens.get_mut(..all.len())?.copy_from_slice(&all);
        Some(Cores { ndims, lens, params })
    }

    /// The core dimensions of a result.
    fn of(&self, result: usize) -> &[usize] {
        let first: usize = self.ndims[..result].iter().sum();
        &self.lens[first..first + self.ndims[result]]
    }
}

impl<P: Params> Params for Cores<P> {
    fn write(&self, out: &mut Vec<u8>) {
        self.ndims.write(out);
        self.lens[..self.ndims.iter().sum()].iter().for_each(|len| len.write(out));
        self.params.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let ndims = <[usize; RESULTS_MAX]>::read(bytes)?;
        let n = ndims.iter().try_fold(0usize, |all, n| all.checked_add(*n))?;
        let mut lens = [0; NDIM_MAX];
        for len in lens.get_mut(..n)? {
            *len = usize::read(bytes)?;
        }
        Some(Cores { ndims, lens, params: P::read(bytes)? })
    }
}

/// A function whose results are packed: for each position of the loop's axes, the bytes of one after another.
pub(super) struct Packing<S, F, T, P, O>(PhantomData<(S, F, T, P, O)>);

impl<S: Call<F, T, P, O>, F, T: Types, P: Params, O: Results> Packing<S, F, T, P, O> {
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(T::DTYPES), Gives::Dtype(DType::U8));
        // SAFETY: `conjured` looks at the blocks' dtypes; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<Cores<P>>, Entry::Block(Self::conjured)) }
    };

    fn conjured(call: &BlockCall<'_>) -> Told<Plane> {
        let cores: Cores<P> = params_of(call.params).ok_or("these are not its parameters")?;
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let mut f = unsafe { conjure::<F>() };
        let planes = S::call(&mut f, call, &cores.params)?.planes();
        let shape = call.shape();
        let (loops, n_bytes) = (&shape[..shape.len() - 1], shape[shape.len() - 1]);
        let mut packed = vec![0u8; shape.iter().product()];
        let mut at = 0;
        for (i, plane) in planes.iter().enumerate() {
            let core = cores.of(i);
            let (expected, got) = ([loops, core].concat(), plane.shape());
            if got != expected {
                return Err(format!("result {i} is a block of shape {got:?}, expected {expected:?}"));
            }
            let n = core.iter().product::<usize>() * plane.dtype().size();
            let plane = plane.to_contiguous();
            let bytes = plane.contiguous_bytes().unwrap_or_default();
            let from = bytes.chunks_exact(n.max(1));
            packed
                .chunks_exact_mut(n_bytes.max(1))
                .zip(from)
                .for_each(|(to, from)| to[at..at + n].copy_from_slice(from));
            at += n;
        }
        let array = ndarray::ArrayD::from_shape_vec(IxDyn(&shape), packed);
        Ok(plane_of_array(array.map_err(|e| e.to_string())?))
    }

    /// The arrays of what it gives for the blocks of some arrays.
    pub(super) fn over(f: &F, params: P, arrays: &[Expr], how: &How) -> Result<O::Arrays> {
        let signature =
            how.letters.as_ref().filter(|_| how.core && how.around.is_none()).ok_or_else(|| {
                let got = "letters or neighbours".to_owned();
                wrong(
                    "function of several results",
                    got,
                    "core dimensions, by `apply_gufunc`, and no neighbours",
                )
            })?;
        let letters = core_letters(signature, arrays)?;
        if letters.gives.len() != O::OF.len() {
            let got = format!("{} in {signature:?} for {}", letters.gives.len(), O::OF.len());
            return Err(wrong("results of a signature", got, "as many as the function's tuple has"));
        }
        let mut how = how.clone();
        how.whole.clone_from(&letters.whole);
        let how = &how;
        let layout = Layout::by_letters((arrays, &letters.takes), &letters.loops, how)?;
        let along = |letter: &char| Ok(axis_of(*letter, (arrays, &letters.takes), how)?.1);
        let core = |core: &Vec<char>| core.iter().map(along).collect::<Result<Vec<AxisGrid>>>();
        let cores = letters.gives.iter().map(core).collect::<Result<Vec<_>>>()?;
        let n_loops = letters.loops.len();
        for (core, (_, ndim)) in cores.iter().zip(O::OF) {
            if ndim.is_some_and(|n| n != n_loops + core.len()) {
                let got =
                    format!("{} axes, where {signature:?} has {}", ndim.unwrap_or(0), n_loops + core.len());
                return Err(wrong("a block that a function gives", got, "as many axes as the result has"));
            }
        }
        let size = |(core, (dtype, _)): (&Vec<AxisGrid>, &(DType, _))| {
            core.iter().fold(dtype.size(), |n, axis| n.saturating_mul(axis.len()))
        };
        let sizes: Vec<usize> = cores.iter().zip(O::OF).map(size).collect();
        let n_bytes = sizes.iter().fold(0, |all: usize, n| all.saturating_add(*n)).max(1);
        let packing = Cores::new(&cores, params).ok_or_else(|| {
            let got = cores.iter().map(Vec::len).sum::<usize>().to_string();
            wrong("core dimensions of all results", got, "at most 32")
        })?;
        let kernel = ship(Self::DESCRIPTOR, f, T::DTYPES.to_vec(), &packing).map_err(Error::Function)?;
        let inputs: Vec<(&Expr, Read)> = arrays.iter().zip(layout.reads).collect();
        let (space, out) = (with_last(layout.space.axes(), 1), with_last(layout.out.axes(), n_bytes));
        let packed = stage((kernel, Front::Blockwise), &inputs, &space, &out)?;
        O::arrays(|i, unpacking| {
            let start: usize = sizes[..i].iter().sum();
            let range =
                SliceArg::Range { start: start as isize, end: Some((start + sizes[i]) as isize), step: 1 };
            let own = cut(&packed, n_loops, range)?;
            let core: Vec<AxisGrid> = cores[i].iter().map(|axis| AxisGrid::whole(axis.len())).collect();
            let out = Grid::new([layout.out.axes(), &core].concat());
            let read = (0..n_loops).map(Along::same).chain([Along::All]).collect();
            let kernel = ship(unpacking, &(), vec![DType::U8], &()).map_err(Error::Function)?;
            stage((kernel, Front::Blockwise), &[(&own, Read::Box(read))], &out, &out)
        })
    }
}

/// The function that unpacks a result: bytes of the last axis as elements.
struct Unpacking<B>(PhantomData<B>);

impl<B: Element> Unpacking<B> {
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[DType::U8]), Gives::Dtype(B::DTYPE));
        // SAFETY: `unpacked` looks at the block's dtype and at the number of its bytes.
        &unsafe { Descriptor::new(type_name::<Self>, types, accepts::<()>, Entry::Block(Self::unpacked)) }
    };

    fn unpacked(call: &BlockCall<'_>) -> Told<Plane> {
        let bytes = call.block(0)?.to_contiguous();
        let bytes = bytes.contiguous_bytes().ok_or("got bytes with gaps")?;
        let mut chunk = Chunk::from_bytes(&[B::DTYPE], &call.shape(), bytes).map_err(|e| e.to_string())?;
        chunk.planes.pop().ok_or_else(|| "got no block".to_owned())
    }
}
