//! Random access into one deflated member of an archive.
//!
//! A deflate stream can only be read from its start. The first pass therefore leaves a mark (the decoder's
//! state, about 44 KiB) every MiB or more; a later read starts at the mark before it, or at a decoder that another
//! read left nearer. Reading a large array by rows costs one pass; reading it by columns costs one pass per
//! column of boxes, not one from the start of the file per box. Every state carries the checksum of all bytes
//! before it, so that whoever reaches the end checks the whole member.
//!
//! Owns decoding and the marks. Must not know what the decoded bytes mean.

use crate::FormatError;
use crate::npy::Span;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress_with_limit};
use std::fmt;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The least distance between marks.
const MARK_BYTES_MIN: u64 = 1024 * 1024;
/// The most marks that are kept, about 22 MiB; larger members have them further apart.
const MARKS_MAX: u64 = 512;
/// The most idle decoders that are kept for the next read.
const IDLE_MAX: usize = 16;
/// Compressed bytes read from the file at once.
const INPUT_BYTES: usize = 64 * 1024;

/// The decoder at one place of the stream.
#[derive(Clone)]
struct State {
    inflate: Box<DecompressorOxide>,
    /// The last 32 KiB produced; the byte at offset `p` of the member is at `p % TINFL_LZ_DICT_SIZE`.
    window: Box<[u8]>,
    crc: crc32fast::Hasher,
    produced: u64,
    consumed: u64,
}

impl State {
    fn start() -> State {
        State {
            inflate: Box::default(),
            window: vec![0; TINFL_LZ_DICT_SIZE].into(),
            crc: crc32fast::Hasher::new(),
            produced: 0,
            consumed: 0,
        }
    }
}

/// A state with the compressed bytes that come next.
struct Decoder {
    state: State,
    input: Vec<u8>,
    input_at: usize,
}

#[derive(Default)]
struct Kept {
    /// Ascending in `produced`.
    marks: Vec<State>,
    idle: Vec<Decoder>,
}

/// A deflated member, readable from any place and by several threads.
pub(crate) struct Inflater {
    path: String,
    compressed: Span,
    len: u64,
    crc: u32,
    mark_bytes: u64,
    kept: Mutex<Kept>,
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("path", &self.path).field("len", &self.len).finish_non_exhaustive()
    }
}

impl Inflater {
    /// A member of `len` bytes with checksum `crc`, whose deflate stream is `compressed`.
    pub(crate) fn new(path: String, compressed: Span, len: u64, crc: u32) -> Inflater {
        let mark_bytes = MARK_BYTES_MIN.max(len / MARKS_MAX);
        Inflater { path, compressed, len, crc, mark_bytes, kept: Mutex::default() }
    }

    /// Bytes when decoded.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Starts a series of reads at ascending offsets.
    pub(crate) fn session(&self) -> Session<'_> {
        Session { inflater: self, decoder: None }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Marks and idle decoders are pushed whole, so that they are sound even after a panic elsewhere.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The known place nearest before `offset`: an idle decoder, a mark, or the start.
    fn decoder_before(&self, offset: u64) -> Decoder {
        let mut kept = self.kept();
        let n_before = kept.marks.partition_point(|m| m.produced <= offset);
        let mark = n_before.checked_sub(1).map(|i| &kept.marks[i]);
        let mark_at = mark.map_or(0, |m| m.produced);
        let idle = (0..kept.idle.len())
            .filter(|&i| (mark_at..=offset).contains(&kept.idle[i].state.produced))
            .max_by_key(|&i| kept.idle[i].state.produced);
        match idle {
            Some(i) => kept.idle.swap_remove(i),
            None => {
                let state = mark.map_or_else(State::start, State::clone);
                Decoder { state, input: Vec::new(), input_at: 0 }
            }
        }
    }

    fn keep(&self, decoder: Decoder) {
        let mut kept = self.kept();
        if kept.idle.len() == IDLE_MAX {
            kept.idle.remove(0);
        }
        kept.idle.push(decoder);
    }

    fn mark(&self, state: &State) {
        let mut kept = self.kept();
        let last = kept.marks.last().map_or(0, |m| m.produced);
        if state.produced / self.mark_bytes > last / self.mark_bytes {
            kept.marks.push(state.clone());
        }
    }

    fn corrupt(&self, reason: impl Into<String>) -> FormatError {
        FormatError::Corrupt { path: self.path.clone(), reason: reason.into() }
    }
}

/// A series of reads at ascending offsets; gives its decoder back when dropped.
pub(crate) struct Session<'a> {
    inflater: &'a Inflater,
    decoder: Option<Decoder>,
}

impl Session<'_> {
    /// Reads `buf.len()` bytes from `offset`, which is not before the end of the last read.
    pub(crate) fn read(&mut self, buf: &mut [u8], offset: u64) -> Result<(), FormatError> {
        if buf.is_empty() {
            return Ok(());
        }
        let inflater = self.inflater;
        // A mark may be nearer than the decoder in hand where the box skips far ahead.
        let stale = self.decoder.as_ref().is_none_or(|d| d.state.produced + inflater.mark_bytes < offset);
        let mut decoder = match self.decoder.take() {
            Some(decoder) if !stale => decoder,
            old => {
                if let Some(old) = old {
                    inflater.keep(old);
                }
                inflater.decoder_before(offset)
            }
        };
        // On an error the decoder is dropped: it is in no state to go on from.
        while decoder.state.produced < offset {
            let missing = usize::try_from(offset - decoder.state.produced).unwrap_or(usize::MAX);
            decoder.advance(inflater, missing)?;
        }
        let mut filled = 0;
        while filled < buf.len() {
            let range = decoder.advance(inflater, buf.len() - filled)?;
            let bytes = &decoder.state.window[range];
            buf[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        }
        self.decoder = Some(decoder);
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(decoder) = self.decoder.take() {
            self.inflater.keep(decoder);
        }
    }
}

impl Decoder {
    /// Decodes at least one and at most `want` bytes; returns where in the window they are.
    fn advance(&mut self, inflater: &Inflater, want: usize) -> Result<Range<usize>, FormatError> {
        let state = &mut self.state;
        loop {
            if self.input_at == self.input.len() {
                let left = inflater.compressed.len - state.consumed;
                self.input.resize(left.min(INPUT_BYTES as u64) as usize, 0);
                self.input_at = 0;
                let at = inflater.compressed.start + state.consumed;
                let read = inflater.compressed.file.read_exact_at(&mut self.input, at);
                read.map_err(|e| FormatError::io(&inflater.path, e))?;
            }
            let input = &self.input[self.input_at..];
            let more = inflater.compressed.len - state.consumed > input.len() as u64;
            let flags = if more { TINFL_FLAG_HAS_MORE_INPUT } else { 0 };
            let at = (state.produced % TINFL_LZ_DICT_SIZE as u64) as usize;
            let limit = want.min(TINFL_LZ_DICT_SIZE - at);
            let (status, n_in, n_out) =
                decompress_with_limit(&mut state.inflate, input, &mut state.window, at, limit, flags);
            self.input_at += n_in;
            state.consumed += n_in as u64;
            if n_out > 0 {
                let range = at..at + n_out;
                state.crc.update(&state.window[range.clone()]);
                state.produced += n_out as u64;
                self.check_and_mark(inflater)?;
                return Ok(range);
            }
            match status {
                TINFLStatus::NeedsMoreInput if more => {}
                TINFLStatus::Done => {
                    let (got, expected) = (state.produced, inflater.len);
                    return Err(
                        inflater.corrupt(format!("got {got} bytes when decoded, expected {expected}"))
                    );
                }
                _ => {
                    let reason = format!("the deflate stream breaks after {} decoded bytes", state.produced);
                    return Err(inflater.corrupt(reason));
                }
            }
        }
    }

    fn check_and_mark(&self, inflater: &Inflater) -> Result<(), FormatError> {
        let state = &self.state;
        if state.produced == inflater.len {
            let got = state.crc.clone().finalize();
            if got != inflater.crc {
                let reason = format!("got checksum {got:08x}, expected {:08x}", inflater.crc);
                return Err(inflater.corrupt(reason));
            }
        }
        // Near the boundary only, so that the lock is taken seldom: one window in every `mark_bytes`.
        if state.produced % inflater.mark_bytes < TINFL_LZ_DICT_SIZE as u64
            && state.produced >= inflater.mark_bytes
        {
            inflater.mark(state);
        }
        Ok(())
    }
}
