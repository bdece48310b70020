//! Refuses a frame by its header.
//!
//! The library's frame reader looks at a frame's length only when the whole frame is there, and until then keeps
//! what comes: a header that announces 2^40 bytes would let anybody fill the memory. So the lengths are read here,
//! as the bytes pass by.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::dev;
use actix_web::error::PayloadError;
use actix_web::web::{Bytes, Payload};
use actix_web::{FromRequest as _, HttpRequest};
use futures_util::Stream;

/// The incoming bytes of a WebSocket, cut off at a frame of more than `most` bytes.
///
/// # Errors
/// None in fact; the type is that of the extractor it goes through.
pub async fn guarded(
    request: &HttpRequest,
    payload: Payload,
    most: usize,
) -> Result<Payload, actix_web::Error> {
    let stream = Guarded { inner: payload.into_inner(), lengths: Lengths::up_to(most as u64) };
    let boxed: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(stream);
    Payload::from_request(request, &mut dev::Payload::from(boxed)).await
}

struct Guarded {
    inner: dev::Payload,
    lengths: Lengths,
}

impl Stream for Guarded {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.inner).poll_next(context));
        Poll::Ready(match next {
            Some(Ok(bytes)) if !self.lengths.admit(&bytes) => Some(Err(PayloadError::Overflow)),
            other => other,
        })
    }
}

/// Follows frames (RFC 6455, section 5.2) just closely enough to know their lengths.
#[derive(Debug)]
struct Lengths {
    most: u64,
    /// Two bytes, up to eight of length, four of mask.
    header: [u8; 14],
    filled: usize,
    /// Of the present frame's payload.
    left: u64,
}

impl Lengths {
    fn up_to(most: u64) -> Self {
        Self { most, header: [0; 14], filled: 0, left: 0 }
    }

    /// Whether all frames that begin within `bytes` are short enough.
    fn admit(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.left > 0 {
                let passing = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= passing as u64;
                bytes = &bytes[passing..];
            } else {
                self.header[self.filled] = bytes[0];
                self.filled += 1;
                bytes = &bytes[1..];
                if self.filled >= 2 && !self.begin_payload() {
                    return false;
                }
            }
        }
        true
    }

    /// Reads as much of the header as is there; false, if it announces too much.
    fn begin_payload(&mut self) -> bool {
        let short = self.header[1] & 0x7F;
        let length_bytes = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask_bytes = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        if self.filled < 2 + length_bytes {
            return true;
        }
        let long =
            self.header[2..2 + length_bytes].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let length = if length_bytes == 0 { u64::from(short) } else { long };
        if self.filled == 2 + length_bytes + mask_bytes {
            (self.left, self.filled) = (length, 0);
        }
        length <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Vec<u8> {
        let mut frame = vec![0x81];
        match length {
            0..=125 => frame.push(0x80 | length as u8),
            126..=0xFFFF => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.resize(frame.len() + length, b'x');
        frame
    }

    #[test]
    fn frames_that_fit_pass_however_they_are_cut() {
        let bytes: Vec<u8> = [0, 1, 125, 126, 1_000, 0, 70_000].into_iter().flat_map(frame).collect();
        for piece in [1, 2, 3, 7, 1_000, bytes.len()] {
            let mut lengths = Lengths::up_to(70_000);
            assert!(bytes.chunks(piece).all(|chunk| lengths.admit(chunk)), "in pieces of {piece}");
            assert_eq!((lengths.filled, lengths.left), (0, 0));
        }
    }

    #[test]
    fn a_frame_that_announces_too_much_is_refused_by_its_header() {
        let before = frame(5);
        for announced in [1_001u64, 1 << 40, u64::MAX] {
            let mut header = vec![0x82, 0x80 | 127];
            header.extend(announced.to_be_bytes());
            let mut lengths = Lengths::up_to(1_000);
            assert!(lengths.admit(&before));
            assert!(!lengths.admit(&header), "{announced}");
        }
        assert!(!Lengths::up_to(1_000).admit(&frame(1_001)[..4]));
        assert!(!Lengths::up_to(100).admit(&frame(101)[..2]));
    }
}
