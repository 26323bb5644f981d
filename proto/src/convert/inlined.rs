//! Small results beside the messages that tell of them.

use super::{DecodeError, Wire, bounded, dtype, position, required};
use crate::inlined::{Inlined, MESSAGE_INLINED_BYTES_MAX};
use crate::limits::PLANES_MAX;
use crate::wire;
use bytes::Bytes;

/// All that come beside one message.
pub(super) fn all(messages: Vec<wire::Inlined>) -> Result<Vec<Inlined>, DecodeError> {
    let bytes = messages.iter().map(|m| m.data.len()).sum();
    bounded("bytes of results beside a message", bytes, MESSAGE_INLINED_BYTES_MAX)?;
    messages.into_iter().map(Inlined::from_wire).collect()
}

impl Wire for Inlined {
    type Message = wire::Inlined;

    fn to_wire(&self) -> wire::Inlined {
        wire::Inlined {
            tasks: Some(self.tasks.to_wire()),
            planes: self.dtypes.iter().map(|dtype| u32::from(dtype.code())).collect(),
            shape: self.shape.iter().map(|len| *len as u64).collect(),
            ends: self.ends.clone(),
            data: Bytes::copy_from_slice(&self.bytes),
        }
    }

    fn from_wire(message: wire::Inlined) -> Result<Inlined, DecodeError> {
        bounded("planes", message.planes.len(), PLANES_MAX)?;
        let shape = message.shape.into_iter().map(|len| position("length", len));
        let inlined = Inlined {
            tasks: required(message.tasks, "tasks")?,
            dtypes: message.planes.into_iter().map(dtype).collect::<Result<_, _>>()?,
            shape: shape.collect::<Result<_, _>>()?,
            ends: message.ends,
            bytes: message.data.into(),
        };
        if inlined.is_whole() {
            return Ok(inlined);
        }
        let why = "their bytes end elsewhere than where they are".to_owned();
        Err(DecodeError::Invalid { what: "results beside a message", why })
    }
}
