//! Functions of blocks, and what they are called with.
//!
//! Whether all of it fits what is read is checked with the program.

use super::{DecodeError, Wire, all_from_wire, all_to_wire, bounded, dtype, of_code, required, text};
use crate::wire::{self, blocks::Function};
use std::sync::Arc;
use tilework_expr::{
    ARGUMENTS_MAX, Along, BlockFunction, Blocks, DType, Front, Gives, Halo, Kernel, NDIM_MAX,
    OWN_PARAMS_BYTES_MAX, OwnFunction, Read,
};
use tilework_plan::{Grid, Temporaries};

/// Wire codes of the ways to read an axis.
const WAYS: usize = 3;

impl Wire for OwnFunction {
    type Message = wire::OwnFunction;

    fn to_wire(&self) -> wire::OwnFunction {
        let code = |d: DType| u32::from(d.code());
        wire::OwnFunction {
            name: self.name.clone(),
            params: self.params.clone().into(),
            inputs: self.inputs.iter().map(|d| code(*d)).collect(),
            output: code(self.output),
            bytes_per_read: self.temporaries.per_read,
            bytes_per_made: self.temporaries.per_made,
            bytes_fixed: self.temporaries.fixed,
        }
    }

    fn from_wire(message: wire::OwnFunction) -> Result<OwnFunction, DecodeError> {
        bounded("bytes of parameters", message.params.len(), OWN_PARAMS_BYTES_MAX)?;
        bounded("arguments of a function", message.inputs.len(), ARGUMENTS_MAX)?;
        Ok(OwnFunction {
            name: text("function", message.name)?,
            params: message.params.to_vec(),
            inputs: message.inputs.into_iter().map(dtype).collect::<Result<_, _>>()?,
            output: dtype(message.output)?,
            temporaries: Temporaries {
                per_read: message.bytes_per_read,
                per_made: message.bytes_per_made,
                fixed: message.bytes_fixed,
            },
        })
    }
}

impl Wire for Along {
    type Message = wire::Along;

    fn to_wire(&self) -> wire::Along {
        let (how, axis, halo) = match *self {
            Along::Near { axis, halo } => (0, axis, (halo != Halo::NONE).then(|| halo.to_wire())),
            Along::Number { axis } => (1, axis, None),
            Along::All => (2, 0, None),
        };
        wire::Along { how, axis: axis as u32, halo }
    }

    fn from_wire(message: wire::Along) -> Result<Along, DecodeError> {
        bounded("axis", message.axis as usize, NDIM_MAX)?;
        let axis = message.axis as usize;
        Ok(match message.how {
            0 => Along::Near {
                axis,
                halo: message.halo.map(Halo::from_wire).transpose()?.unwrap_or(Halo::NONE),
            },
            1 => Along::Number { axis },
            2 => Along::All,
            got => {
                return Err(DecodeError::Code { what: "way to read an axis", got: got.into(), codes: WAYS });
            }
        })
    }
}

impl Wire for Read {
    type Message = wire::BlockRead;

    fn to_wire(&self) -> wire::BlockRead {
        match self {
            Read::Box(along) => wire::BlockRead { axes: all_to_wire(along), block: false },
            Read::Block => wire::BlockRead { axes: Vec::new(), block: true },
        }
    }

    fn from_wire(message: wire::BlockRead) -> Result<Read, DecodeError> {
        bounded("axes that are read", message.axes.len(), NDIM_MAX)?;
        Ok(if message.block { Read::Block } else { Read::Box(all_from_wire(message.axes)?) })
    }
}

/// What says it, for a node of this grid.
pub(super) fn blocks_to_wire(blocks: &Blocks, grid: &Grid) -> wire::Blocks {
    let (function, front) = match &blocks.function {
        BlockFunction::User(kernel, front) => (Function::User(kernel.to_wire()), *front as u32),
        BlockFunction::Own(own) => (Function::Own(own.to_wire()), 0),
    };
    let space = (blocks.space != *grid).then(|| wire::Space { axes: all_to_wire(blocks.space.axes()) });
    wire::Blocks {
        function: Some(function),
        front,
        reads: all_to_wire(&blocks.reads),
        space,
        gives: blocks.gives.map_or(0, |gives| gives.n),
        bytes_guess: blocks.gives.map_or(0, |gives| gives.bytes_guess),
    }
}

/// What it says, for a node of this grid.
pub(super) fn blocks_from_wire(message: wire::Blocks, grid: &Grid) -> Result<Arc<Blocks>, DecodeError> {
    let function = match message.function.ok_or(DecodeError::Missing("function"))? {
        Function::User(kernel) => {
            let kernel = Arc::new(required::<Kernel>(Some(kernel), "function")?);
            BlockFunction::User(kernel, of_code("kind of function of blocks", &Front::ALL, message.front)?)
        }
        Function::Own(own) => BlockFunction::Own(Arc::new(OwnFunction::from_wire(own)?)),
    };
    bounded("inputs that are read", message.reads.len(), ARGUMENTS_MAX)?;
    let space = match message.space {
        None => grid.clone(),
        Some(space) => {
            bounded("axes", space.axes.len(), NDIM_MAX)?;
            Grid::new(all_from_wire(space.axes)?)
        }
    };
    let chunks = space.axes().iter().try_fold(1u64, |n, a| n.checked_mul(a.n_chunks() as u64));
    if chunks.is_none() {
        let why = "more chunks than a number can count".into();
        return Err(DecodeError::Invalid { what: "space of tasks", why });
    }
    let gives = (message.gives > 0).then_some(Gives { n: message.gives, bytes_guess: message.bytes_guess });
    Ok(Arc::new(Blocks { function, reads: all_from_wire(message.reads)?, space, gives }))
}
