//! WebSocket frames from server to client (RFC 6455, section 5.2): never masked, never fragmented.

use bytes::{BufMut, Bytes, BytesMut};

use crate::protocol::close::CloseCode;

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// The first byte of a text message in one frame.
pub const FINAL_TEXT: u8 = FIN | TEXT;

/// The same for a message that is deflated (RFC 7692, section 6).
pub const DEFLATED_TEXT: u8 = FIN | 0x40 | TEXT;

/// A text message, ready to be written to any number of sockets.
pub fn text(message: &str) -> Bytes {
    encode(TEXT, message.as_bytes())
}

/// A ping; `payload` is at most 125 bytes.
pub fn ping(payload: &[u8]) -> Bytes {
    encode(PING, payload)
}

/// The answer to a client's ping, with its payload.
pub fn pong(payload: &[u8]) -> Bytes {
    encode(PONG, payload)
}

/// A close frame with code and its usual reason.
pub fn close(code: CloseCode) -> Bytes {
    close_saying(code, code.reason())
}

/// A close frame with code and a reason of at most 123 bytes.
pub fn close_saying(code: CloseCode, reason: &str) -> Bytes {
    let mut body = Vec::from(code.code().to_be_bytes());
    body.extend_from_slice(reason.as_bytes());
    encode(CLOSE, &body)
}

/// The message inside a text frame that [`text`] made.
pub fn message(frame: &Bytes) -> Bytes {
    let header = match frame.get(1) {
        Some(127) => 10,
        Some(126) => 4,
        _ => 2,
    };
    frame.slice(header.min(frame.len())..)
}

/// Writes what stands before a payload of `length` bytes.
pub fn put_header(out: &mut BytesMut, first_byte: u8, length: usize) {
    out.put_u8(first_byte);
    match length {
        short @ 0..=125 => out.put_u8(short as u8),
        medium @ 126..=0xFFFF => {
            out.put_u8(126);
            out.put_u16(medium as u16);
        }
        long => {
            out.put_u8(127);
            out.put_u64(long as u64);
        }
    }
}

fn encode(opcode: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    put_header(&mut frame, FIN | opcode, payload.len());
    frame.put_slice(payload);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_its_length_in_the_fewest_bytes() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (0xFFFF, 4), (0x1_0000, 10)] {
            let body = "x".repeat(length);
            let frame = text(&body);
            assert_eq!((frame[0], frame.len()), (0x81, header + length));
            assert_eq!(message(&frame), body.as_bytes());
        }
    }

    #[test]
    fn a_close_frame_holds_code_and_reason_within_a_control_frame() {
        let frame = close(CloseCode::TooSlow);
        assert_eq!((frame[0], &frame[2..4]), (0x88, &4008u16.to_be_bytes()[..]));
        assert!(frame.len() <= 127);
    }
}
