//! The header of a client's frame (RFC 6455, section 5.2): what can be refused before its payload comes.
//!
//! The library's parser looks at a frame's length only when the whole frame is there, and until then keeps what comes:
//! a header that announces 2^40 bytes would let anybody fill the memory.

use actix_http::ws::OpCode;

use crate::protocol::close::CloseCode;

/// RSV1: the first frame of a message that is deflated (RFC 7692).
pub const DEFLATED: u8 = 0x40;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x30;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
const MASK_BYTES: usize = 4;
const MOST_CONTROL_BYTES: u8 = 125;

/// A header that a client may send in some state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub opcode: OpCode,
    pub is_last: bool,
    pub is_deflated: bool,
    pub payload_bytes: u64,
    /// Of opcode, length and mask.
    header_bytes: usize,
}

impl Header {
    /// Reads the header that `bytes` begin with; `None` while its length is not there.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, CloseCode> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let length = second & !MASKED;
        let (opcode, is_last) = (OpCode::from(first & OPCODE), first & FIN != 0);
        let is_deflated = first & DEFLATED != 0;
        let is_control = is_control(opcode);
        if opcode == OpCode::Bad
            || first & RESERVED != 0
            || second & MASKED == 0
            || is_control && (!is_last || is_deflated || length > MOST_CONTROL_BYTES)
        {
            return Err(CloseCode::ProtocolError);
        }
        let Some((length_bytes, payload_bytes)) = payload_length(length, rest) else { return Ok(None) };
        let header_bytes = 2 + length_bytes + MASK_BYTES;
        Ok(Some(Self { opcode, is_last, is_deflated, payload_bytes, header_bytes }))
    }

    pub fn is_control(self) -> bool {
        is_control(self.opcode)
    }

    /// Of header and payload.
    pub fn frame_bytes(self) -> u64 {
        self.payload_bytes.saturating_add(self.header_bytes as u64)
    }
}

/// Whether the frame that `bytes` begin with is a goodbye, and how many bytes it has, whatever else is wrong with it; `None`
/// while its length is not there.
pub fn in_passing(bytes: &[u8]) -> Option<(bool, u64)> {
    let &[first, second, ref rest @ ..] = bytes else { return None };
    let (length_bytes, payload_bytes) = payload_length(second & !MASKED, rest)?;
    let mask_bytes = if second & MASKED == 0 { 0 } else { MASK_BYTES };
    let is_goodbye = OpCode::from(first & OPCODE) == OpCode::Close;
    Some((is_goodbye, payload_bytes.saturating_add((2 + length_bytes + mask_bytes) as u64)))
}

/// The bytes of a length behind its first seven bits, and the length; `None` while they are not there.
fn payload_length(first: u8, rest: &[u8]) -> Option<(usize, u64)> {
    let bytes = match first {
        126 => 2,
        127 => 8,
        short => return Some((0, short.into())),
    };
    let length = rest.get(..bytes)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Some((bytes, length))
}

fn is_control(opcode: OpCode) -> bool {
    matches!(opcode, OpCode::Close | OpCode::Ping | OpCode::Pong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_soon_as_its_length_is_there() {
        for (bytes, payload_bytes, frame_bytes) in [
            (&[0x81, 0x80][..], 0, 6),
            (&[0x81, 0xFD], 125, 131),
            (&[0x01, 0xFE, 0x01, 0x02], 258, 266),
            (&[0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0], 1 << 40, (1 << 40) + 14),
            (&[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], u64::MAX, u64::MAX),
        ] {
            for cut in 0..bytes.len() {
                assert_eq!(Header::read(&bytes[..cut]), Ok(None), "{bytes:x?} at {cut}");
            }
            let header = Header::read(bytes).expect("valid").expect("complete");
            assert_eq!((header.payload_bytes, header.frame_bytes()), (payload_bytes, frame_bytes));
        }
    }

    #[test]
    fn any_frame_can_be_passed_over() {
        for (bytes, found) in [
            (&[0x88, 0x82][..], Some((true, 8))),
            (&[0x88, 0x02], Some((true, 4))),
            (&[0xF3, 0xFE, 0x01, 0x02], Some((false, 266))),
            (&[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], Some((false, u64::MAX))),
            (&[0x81, 0xFE, 0x01], None),
            (&[0x81], None),
        ] {
            assert_eq!(in_passing(bytes), found, "{bytes:x?}");
        }
    }

    #[test]
    fn what_no_client_may_send_is_refused_by_its_first_two_bytes() {
        for (first, second) in [
            (0x81, 0x05), // not masked
            (0xA1, 0x85), // reserved bits
            (0x91, 0x85),
            (0x83, 0x85), // unknown opcodes
            (0x8B, 0x85),
            (0x09, 0x85), // a control frame in fragments,
            (0x88, 0xFE), // of more than 125 bytes,
            (0x8A, 0xFF),
            (0xC9, 0x85), // deflated
        ] {
            assert_eq!(Header::read(&[first, second]), Err(CloseCode::ProtocolError), "{first:x} {second:x}");
        }
    }
}
