//! Functions of the user's program, and what blocks see of their neighbours.
//!
//! A function is named, never sent: whether this process has it is found out by whoever is to call it.

use super::{DecodeError, Wire, bounded, dtype, position, required, text};
use crate::wire;
use tilework_expr::{ARGUMENTS_MAX, Boundary, DType, Halo, Kernel, PARAMS_BYTES_MAX};

/// Wire codes of boundaries.
const BOUNDARIES: usize = 5;
/// The longest build id, in digits.
const BUILD_DIGITS_MAX: usize = 128;

impl Wire for Kernel {
    type Message = wire::Kernel;

    fn to_wire(&self) -> wire::Kernel {
        let code = |d: DType| u32::from(d.code());
        wire::Kernel {
            offset: self.offset,
            build: self.build.clone(),
            name: self.name.clone(),
            params: self.params.clone().into(),
            inputs: self.inputs.iter().map(|d| code(*d)).collect(),
            output: code(self.output),
        }
    }

    fn from_wire(message: wire::Kernel) -> Result<Kernel, DecodeError> {
        bounded("digits of a build", message.build.len(), BUILD_DIGITS_MAX)?;
        bounded("bytes of parameters", message.params.len(), PARAMS_BYTES_MAX)?;
        bounded("arguments of a function", message.inputs.len(), ARGUMENTS_MAX)?;
        if !message.build.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(DecodeError::Invalid { what: "build", why: "not of hexadecimal digits".into() });
        }
        Ok(Kernel {
            offset: message.offset,
            build: message.build,
            name: text("function", message.name)?,
            params: message.params.to_vec(),
            inputs: message.inputs.into_iter().map(dtype).collect::<Result<_, _>>()?,
            output: dtype(message.output)?,
        })
    }
}

impl Wire for Halo {
    type Message = wire::Halo;

    fn to_wire(&self) -> wire::Halo {
        let (boundary, value) = match self.boundary {
            Boundary::None => (0, None),
            Boundary::Periodic => (1, None),
            Boundary::Reflect => (2, None),
            Boundary::Nearest => (3, None),
            Boundary::Constant(value) => (4, Some(value.to_wire())),
        };
        wire::Halo { before: self.before as u64, boundary, value, after: self.after as u64 }
    }

    fn from_wire(message: wire::Halo) -> Result<Halo, DecodeError> {
        let boundary = match message.boundary {
            0 => Boundary::None,
            1 => Boundary::Periodic,
            2 => Boundary::Reflect,
            3 => Boundary::Nearest,
            4 => Boundary::Constant(required(message.value, "value of a boundary")?),
            got => {
                return Err(DecodeError::Code { what: "boundary", got: got.into(), codes: BOUNDARIES });
            }
        };
        let (before, after) = (position("depth", message.before)?, position("depth", message.after)?);
        Ok(Halo { before, after, boundary })
    }
}
