//! What objects were, on the wire. Must not know why.

use super::pinned::{Pin, Pins};
use prost::Message;

/// What objects were on the wire.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PinnedNode {
    #[prost(message, repeated, tag = "1")]
    pins: Vec<PinNode>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PinNode {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(uint64, tag = "2")]
    bytes: u64,
    #[prost(string, optional, tag = "3")]
    tag: Option<String>,
    #[prost(int64, tag = "4")]
    at_s: i64,
}

impl PinnedNode {
    pub(crate) fn of(pins: &Pins) -> PinnedNode {
        let pin = |(path, Pin { bytes, tag, at_s }): (&String, &Pin)| PinNode {
            path: path.clone(),
            bytes: *bytes,
            tag: tag.clone(),
            at_s: *at_s,
        };
        let mut pins: Vec<PinNode> = pins.iter().map(pin).collect();
        // Equal plans have equal bytes.
        pins.sort_by(|a, b| a.path.cmp(&b.path));
        PinnedNode { pins }
    }

    pub(crate) fn pins(self) -> Pins {
        let pin = |PinNode { path, bytes, tag, at_s }| (path, Pin { bytes, tag, at_s });
        self.pins.into_iter().map(pin).collect()
    }
}
