//! Deflated WebSocket messages (RFC 7692, `permessage-deflate`) without context takeover.
//!
//! A message stands for itself, so one compressor and one inflater for each thread are enough, however many
//! connections there are: both are heavy to make and cheap to reset. Knows nothing of connections or frames.
//!
//! An event goes to many clients, but `skipped` is each client's own and stands at the beginning. So what all share
//! is deflated once, without its first byte, and each client's few bytes are put before it as a block that is
//! *stored*: not compressed, and ending where a byte ends.

use std::cell::RefCell;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What every flush ends with, and no message (RFC 7692, section 7.2.1).
const FLUSHED: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The same, and an empty last block, by which a message that was cut short is found out.
const END: [u8; 9] = [0x00, 0x00, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0xFF, 0xFF];

/// Of 1 (fastest) to 9. On our events, 1 leaves 71 to 78 % where 2 leaves 56 to 62 %, and 6 does no better in more time.
const LEVEL: u32 = 2;

/// How long the block is that [`put_stored`] puts before its text.
pub const STORED_HEADER_BYTES: usize = 5;

/// The room that the first round of inflating gets for each byte, as JSON shrinks about so much.
const EXPECTED_RATIO: usize = 4;

thread_local! {
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), false));
    static INFLATER: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// Why a deflated message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// It would be longer than it may be.
    #[error("the message inflates to more than is allowed")]
    TooBig,
    /// It is no deflated data, or not all of it.
    #[error("the message is not deflated data")]
    Broken,
}

/// By how much a message of `bytes` can grow when it is deflated and will not shrink.
///
/// Stored blocks take 5 bytes for each 65,535 or less; zlib's own bound is a 4096th and some bytes.
pub const fn overhead_bytes(bytes: usize) -> usize {
    bytes / 1_024 + 64
}

/// The payload of a deflated message.
pub fn deflate(message: &[u8]) -> Bytes {
    COMPRESSOR.with_borrow_mut(|compressor| deflate_with(compressor, message))
}

/// What all receivers of a message share: all but its first byte, which each gets with [`put_stored`] before it.
pub fn deflated_tail(message: &[u8]) -> Bytes {
    deflate(message.get(1..).unwrap_or_default())
}

/// Puts a short text (up to 65,535 bytes) as it is, to be followed by a [`deflated_tail`].
pub fn put_stored(out: &mut BytesMut, text: &[u8]) {
    let length = u16::try_from(text.len()).expect("a head is short");
    out.put_u8(0); // not the last block; stored
    out.put_u16_le(length);
    out.put_u16_le(!length);
    out.put_slice(text);
}

fn deflate_with(compressor: &mut Compress, message: &[u8]) -> Bytes {
    compressor.reset();
    let mut deflated = Vec::with_capacity(message.len() + overhead_bytes(message.len()));
    let mut rest = message;
    loop {
        let before = compressor.total_in();
        let status = compressor.compress_vec(rest, &mut deflated, FlushCompress::Sync);
        status.expect("a compressor that was reset takes anything");
        let taken = usize::try_from(compressor.total_in() - before).expect("no more than there was");
        rest = &rest[taken..];
        // With room left over, all is flushed.
        if rest.is_empty() && deflated.len() < deflated.capacity() {
            break;
        }
        deflated.reserve(overhead_bytes(rest.len()) + rest.len());
    }
    let end = deflated.strip_suffix(&FLUSHED).expect("a flush ends so");
    Bytes::copy_from_slice(end) // it waits in many queues: no byte more than it needs
}

/// The message inside the payload of a deflated one; never holds much more than `most_bytes`.
///
/// # Errors
/// [`InflateError`].
pub fn inflate(deflated: &[u8], most_bytes: usize) -> Result<Vec<u8>, InflateError> {
    INFLATER.with_borrow_mut(|inflater| inflate_with(inflater, deflated, most_bytes))
}

fn inflate_with(
    inflater: &mut Decompress,
    deflated: &[u8],
    most_bytes: usize,
) -> Result<Vec<u8>, InflateError> {
    inflater.reset(false);
    // One byte more shows that there is one more.
    let most_room = most_bytes.saturating_add(1);
    let mut message = Vec::with_capacity(deflated.len().saturating_mul(EXPECTED_RATIO).min(most_room));
    let mut has_ended = false;
    for mut input in [deflated, &END] {
        // With room left over, all that can be made of the input is made.
        while !input.is_empty() || (!has_ended && message.len() == message.capacity()) {
            if has_ended {
                inflater.reset(false); // a sender may end the stream within the message, and begin another
            }
            if message.len() == message.capacity() {
                message.reserve_exact(message.len().max(64).min(most_room - message.len()));
            }
            let before = inflater.total_in();
            let status = inflater.decompress_vec(input, &mut message, FlushDecompress::Sync);
            has_ended = status.map_err(|_| InflateError::Broken)? == Status::StreamEnd;
            let taken = usize::try_from(inflater.total_in() - before).unwrap_or(usize::MAX);
            input = &input[taken.min(input.len())..];
            if message.len() > most_bytes {
                return Err(InflateError::TooBig);
            }
        }
    }
    if has_ended { Ok(message) } else { Err(InflateError::Broken) }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    use super::*;

    /// As a peer deflates a message: RFC 7692, section 7.2.1.
    fn deflated(message: &[u8], level: u32) -> Vec<u8> {
        let mut deflated = Vec::with_capacity(message.len() * 2 + 64);
        let mut compressor = Compress::new(Compression::new(level), false);
        compressor.compress_vec(message, &mut deflated, FlushCompress::Sync).unwrap();
        assert!(deflated.ends_with(&[0x00, 0x00, 0xFF, 0xFF]));
        deflated.truncate(deflated.len() - 4);
        deflated
    }

    #[test]
    fn the_examples_of_the_standard_are_understood() {
        let two_blocks =
            [&[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF][..], &[0xCA, 0xC9, 0xC9, 0x07, 0x00]].concat();
        for deflated in [
            &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00][..],
            &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00], // stored
            &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], // a last block before the end
            &two_blocks,
        ] {
            assert_eq!(inflate(deflated, 5).as_deref(), Ok(&b"Hello"[..]), "{deflated:x?}");
            assert_eq!(inflate(deflated, 4), Err(InflateError::TooBig));
        }
        assert_eq!(inflate(&[0x00], 0), Ok(vec![]));
    }

    #[test]
    fn a_message_in_several_streams_is_one_message() {
        let mut halves = Vec::new();
        for half in ["Hel", "lo"] {
            let mut encoder = flate2::read::DeflateEncoder::new(half.as_bytes(), Compression::new(6));
            encoder.read_to_end(&mut halves).unwrap();
        }
        halves.push(0x00);
        assert_eq!(inflate(&halves, 5).as_deref(), Ok(&b"Hello"[..]));
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let zeros = deflated(&vec![0; 8 << 20], 9);
        assert!(zeros.len() * 1_000 < 8 << 20, "{}", zeros.len());
        assert_eq!(inflate(&zeros, 1 << 20), Err(InflateError::TooBig));
        let largest = deflated(&vec![0; 1 << 20], 9);
        let inflated = inflate(&largest, 1 << 20).unwrap();
        assert_eq!((inflated.len(), inflated.capacity()), (1 << 20, (1 << 20) + 1));
    }

    #[test]
    fn what_is_cut_short_or_garbled_is_refused() {
        let whole = deflated(&[b'x'; 1_000].map(|byte| byte), 6);
        for cut in 0..whole.len() - 1 {
            assert_eq!(inflate(&whole[..cut], 2_000), Err(InflateError::Broken), "{cut}");
        }
        assert_eq!(inflate(&[0xFF; 20], 2_000), Err(InflateError::Broken));
        assert!(inflate(&whole, 2_000).is_ok(), "the next message is not harmed");
    }

    #[test]
    fn a_great_many_blocks_take_no_stack() {
        let mut empty_blocks = [0x02, 0x08, 0x20, 0x80, 0x00].repeat(200_000); // four in five bytes
        empty_blocks.push(0x00);
        let inflated = std::thread::Builder::new().stack_size(256 << 10);
        let inflated = inflated.spawn(move || inflate(&empty_blocks, 10)).unwrap().join();
        assert_eq!(inflated.unwrap(), Ok(vec![]));
    }

    /// A client's frame payload: its own head, and what all share.
    fn with_head(head: &str, message: &str) -> BytesMut {
        let mut payload = BytesMut::new();
        put_stored(&mut payload, head.as_bytes());
        assert_eq!(payload.len(), STORED_HEADER_BYTES + head.len());
        payload.put_slice(&deflated_tail(message.as_bytes()));
        payload
    }

    #[test]
    fn what_is_deflated_once_goes_out_under_many_heads() {
        let message = r#"{"type":"sample","seq":7,"payload":{"value":7.5,"n":5,"type":"sample"}}"#.repeat(20);
        for head in ["{", r#"{"skipped":3,"#, r#"{"skipped":18446744073709551615,"#] {
            let due = [head, &message[1..]].concat();
            let payload = with_head(head, &message);
            assert!(payload.len() < message.len() / 5);
            assert_eq!(inflate(&payload, due.len()).as_deref(), Ok(due.as_bytes()));
            let mut decoder = flate2::read::DeflateDecoder::new(&payload[..]);
            let mut decoded = vec![0; due.len()];
            decoder.read_exact(&mut decoded).unwrap();
            assert_eq!(decoded, due.as_bytes());
        }
    }

    #[test]
    fn a_short_message_does_not_shrink_and_is_whole_all_the_same() {
        assert_eq!(inflate(&deflate(b""), 0).as_deref(), Ok(&b""[..]));
        assert_eq!(inflate(&with_head("{}", "{"), 2).as_deref(), Ok(&b"{}"[..]));
        assert_eq!(deflated_tail(b""), deflated_tail(b"{"));
    }

    proptest! {
        #[test]
        fn whatever_goes_out_comes_in_again(message: Vec<u8>, repeats in 1usize..500, head in "\\PC{0,300}") {
            let message = message.repeat(repeats);
            let mut payload = BytesMut::new();
            put_stored(&mut payload, head.as_bytes());
            payload.put_slice(&deflate(&message));
            let due = [head.as_bytes(), &message].concat();
            prop_assert_eq!(inflate(&payload, due.len()), Ok(due));
        }

        #[test]
        fn whatever_is_deflated_comes_back(message: Vec<u8>, level in 0u32..=9, repeats in 1usize..200) {
            let message = message.repeat(repeats);
            let deflated = deflated(&message, level);
            prop_assert!(deflated.len() <= message.len() + overhead_bytes(message.len()) || level > 0);
            prop_assert_eq!(inflate(&deflated, message.len()), Ok(message.clone()));
            if let Some(less) = message.len().checked_sub(1) {
                prop_assert_eq!(inflate(&deflated, less), Err(InflateError::TooBig));
            }
        }

        #[test]
        fn garbage_never_outgrows_the_limit(garbage: Vec<u8>) {
            if let Ok(message) = inflate(&garbage, 100) {
                prop_assert!(message.len() <= 100);
            }
        }
    }
}
