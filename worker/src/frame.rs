//! The framing of chunk transfers by hand: gRPC's five bytes, protobuf's field header, then the chunk's own bytes.
//!
//! tonic's codec would copy every byte once more on each side. What is written here is what any gRPC peer reads and
//! writes for `Chunks` of `chunks.proto`, save that a peer must put one `data` field into one message.
//!
//! Owns the bytes of the framing. Must not know chunks' meaning, connections or stores.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use tilework_proto::limits::PIECE_BYTES_MAX;
use tilework_proto::wire::{ChunkHeader, ChunkPart, chunk_part};
use tonic::Status;

/// gRPC's prefix of a message: a flag and its length.
const PREFIX_BYTES: usize = 5;
/// The most bytes of a message that is no data.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// `ChunkPart.data`: field 2, length-delimited.
const DATA_TAG: u8 = 2 << 3 | 2;

/// Bytes of a chunk in one message: the message with all framing stays within one HTTP/2 frame.
pub(crate) const DATA_BYTES_MAX: usize = PIECE_BYTES_MAX - 64;

/// A whole message, framed.
pub(crate) fn message(message: &impl Message) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + message.encoded_len());
    out.put_u8(0);
    out.put_u32(message.encoded_len() as u32);
    message.encode(&mut out).expect("the buffer grows");
    out.freeze()
}

/// The message that opens a transfer.
pub(crate) fn header(header: ChunkHeader) -> Bytes {
    message(&ChunkPart { kind: Some(chunk_part::Kind::Header(header)) })
}

/// What goes before `len` bytes of a chunk.
pub(crate) fn data_prefix(len: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + 1 + 10);
    out.put_u8(0);
    out.put_u32((1 + prost::length_delimiter_len(len) + len) as u32);
    out.put_u8(DATA_TAG);
    prost::encode_length_delimiter(len, &mut out).expect("the buffer grows");
    out.freeze()
}

/// Why bytes are no transfer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a message is compressed (flag {0}), expected none")]
    Compressed(u8),
    #[error("a message of {got} bytes, expected at most {limit}")]
    TooLarge { got: usize, limit: usize },
    #[error("malformed message: {0}")]
    Malformed(String),
    #[error("the transfer ends within a message")]
    Truncated,
}

impl From<FrameError> for Status {
    fn from(error: FrameError) -> Status {
        Status::invalid_argument(error.to_string())
    }
}

/// The next thing that a transfer says.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Framed {
    /// A message that is no data: its bytes without the prefix.
    Message(Bytes),
    /// The next bytes of the chunk.
    Data(Bytes),
}

impl Framed {
    /// The header that this part is.
    pub(crate) fn header(self) -> Result<ChunkHeader, FrameError> {
        let Framed::Message(bytes) = self else {
            return Err(FrameError::Malformed("got data, expected a header".into()));
        };
        match ChunkPart::decode(bytes) {
            Ok(ChunkPart { kind: Some(chunk_part::Kind::Header(header)) }) => Ok(header),
            Ok(_) => Err(FrameError::Malformed("got no header, expected one".into())),
            Err(e) => Err(FrameError::Malformed(e.to_string())),
        }
    }
}

/// What the start of a message came to.
enum Step {
    /// The input is used up.
    Starved,
    /// Data comes next.
    Data,
    /// It was a small message, and here it is.
    Message(Bytes),
}

/// Takes a stream of bytes apart, wherever it is cut.
#[derive(Debug, Default)]
pub(crate) struct Unframer {
    /// Prefix and field header, as far as they have come; or a small message.
    pending: BytesMut,
    /// Bytes of data still to come in this message.
    data_left: usize,
}

impl Unframer {
    /// The next part; `None` when `input` is used up. Data is handed out as it comes, without a copy.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Result<Option<Framed>, FrameError> {
        loop {
            if self.data_left > 0 {
                if input.is_empty() {
                    return Ok(None);
                }
                let data = input.split_to(input.len().min(self.data_left));
                self.data_left -= data.len();
                return Ok(Some(Framed::Data(data)));
            }
            match self.start(input)? {
                Step::Starved => return Ok(None),
                Step::Data => {}
                Step::Message(bytes) => return Ok(Some(Framed::Message(bytes))),
            }
        }
    }

    /// Reads up to where data begins, or a whole small message.
    fn start(&mut self, input: &mut Bytes) -> Result<Step, FrameError> {
        if !self.fill(input, PREFIX_BYTES) {
            return Ok(Step::Starved);
        }
        if self.pending[0] != 0 {
            return Err(FrameError::Compressed(self.pending[0]));
        }
        let len =
            u32::from_be_bytes([self.pending[1], self.pending[2], self.pending[3], self.pending[4]]) as usize;
        if len > PIECE_BYTES_MAX {
            return Err(FrameError::TooLarge { got: len, limit: PIECE_BYTES_MAX });
        }
        if len > 0 && !self.fill(input, PREFIX_BYTES + 1) {
            return Ok(Step::Starved);
        }
        if len > 0 && self.pending[PREFIX_BYTES] == DATA_TAG {
            return self.start_data(input, len);
        }
        if len > SMALL_BYTES_MAX {
            return Err(FrameError::TooLarge { got: len, limit: SMALL_BYTES_MAX });
        }
        if !self.fill(input, PREFIX_BYTES + len) {
            return Ok(Step::Starved);
        }
        let mut whole = std::mem::take(&mut self.pending);
        whole.advance(PREFIX_BYTES);
        Ok(Step::Message(whole.freeze()))
    }

    /// Reads the length of the data field, which must be all of the message.
    fn start_data(&mut self, input: &mut Bytes, len: usize) -> Result<Step, FrameError> {
        let start = PREFIX_BYTES + 1;
        for at in start.. {
            if !self.fill(input, at + 1) {
                return Ok(Step::Starved);
            }
            if self.pending[at] < 0x80 {
                break;
            }
            if at - start >= 4 {
                return Err(FrameError::Malformed("the length of the data is no number".into()));
            }
        }
        let data = prost::decode_length_delimiter(&self.pending[start..])
            .map_err(|e| FrameError::Malformed(e.to_string()))?;
        let expected = len - (self.pending.len() - PREFIX_BYTES).min(len);
        if data != expected {
            return Err(FrameError::Malformed(format!(
                "{data} bytes of data in a message with room for {expected}"
            )));
        }
        self.pending.clear();
        self.data_left = data;
        Ok(Step::Data)
    }

    /// Whether `pending` has `len` bytes, with what `input` had for it.
    fn fill(&mut self, input: &mut Bytes, len: usize) -> bool {
        let missing = len.saturating_sub(self.pending.len()).min(input.len());
        self.pending.extend_from_slice(&input.split_to(missing));
        self.pending.len() >= len
    }

    /// Checks that the stream ended between messages.
    pub(crate) fn finish(&self) -> Result<(), FrameError> {
        if self.pending.is_empty() && self.data_left == 0 { Ok(()) } else { Err(FrameError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(stream: &[u8], piece: usize) -> Result<(Vec<Bytes>, Vec<u8>), FrameError> {
        let (mut messages, mut data) = (Vec::new(), Vec::new());
        let mut unframer = Unframer::default();
        for piece in stream.chunks(piece) {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(part) = unframer.next(&mut input)? {
                match part {
                    Framed::Message(m) => messages.push(m),
                    Framed::Data(d) => data.extend_from_slice(&d),
                }
            }
            assert!(input.is_empty());
        }
        unframer.finish()?;
        Ok((messages, data))
    }

    #[test]
    fn what_is_framed_is_unframed_wherever_it_is_cut() {
        let chunk: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
        let head = ChunkHeader { planes: vec![10], shape: vec![125], ..ChunkHeader::default() };
        let mut stream = header(head.clone()).to_vec();
        for piece in [&chunk[..700], &chunk[700..700], &chunk[700..]] {
            stream.extend_from_slice(&data_prefix(piece.len()));
            stream.extend_from_slice(piece);
        }
        for piece in [1, 2, 3, 5, 7, 64, 5000] {
            let (messages, data) = parts(&stream, piece).unwrap();
            assert_eq!(messages.len(), 1, "{piece}");
            assert_eq!(Framed::Message(messages[0].clone()).header().unwrap(), head);
            assert_eq!(data, chunk);
        }
        assert_eq!(parts(&stream[..stream.len() - 1], 64), Err(FrameError::Truncated));
        assert_eq!(parts(&stream[..3], 64), Err(FrameError::Truncated));
    }

    #[test]
    fn data_is_framed_as_prost_frames_it() {
        for len in [0usize, 1, 127, 128, 20_000] {
            let data = Bytes::from(vec![7; len]);
            let mut ours = data_prefix(len).to_vec();
            ours.extend_from_slice(&data);
            let theirs = message(&ChunkPart { kind: Some(chunk_part::Kind::Data(data)) });
            assert_eq!(ours, theirs, "{len}");
        }
    }

    #[test]
    fn damaged_streams_never_panic() {
        let mut good =
            header(ChunkHeader { planes: vec![1, 2], shape: vec![3], ..ChunkHeader::default() }).to_vec();
        good.extend_from_slice(&data_prefix(300));
        good.extend_from_slice(&[7; 300]);
        let mut state = 1u64;
        let mut draw = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        for _ in 0..20_000 {
            let mut bad = good.clone();
            for _ in 0..1 + draw(3) {
                let at = draw(24);
                bad[at] = draw(256) as u8;
            }
            bad.truncate(draw(bad.len() + 1));
            let _ = parts(&bad, 1 + draw(64));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(parts(&[1, 0, 0, 0, 0], 9), Err(FrameError::Compressed(1)));
        assert!(matches!(parts(&[0, 255, 0, 0, 0], 9), Err(FrameError::TooLarge { .. })));
        assert!(matches!(parts(&[0, 0, 2, 0, 0, 0x0a], 9), Err(FrameError::TooLarge { .. })));
        for bad in [[DATA_TAG, 9], [DATA_TAG, 0]] {
            let stream = [&[0, 0, 0, 0, 3][..], &bad, &[0]].concat();
            assert!(matches!(parts(&stream, 9), Err(FrameError::Malformed(_))), "{bad:?}");
        }
        let endless = [&[0, 0, 0, 0, 9, DATA_TAG][..], &[0x80; 8]].concat();
        assert!(matches!(parts(&endless, 9), Err(FrameError::Malformed(_))));
    }
}
