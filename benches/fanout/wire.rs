//! The least of WebSocket and JSON that clients need to count events: whole frames from the server, masked ones to it.

use std::str;

/// What stands in front of an event's payload, and when it was published.
#[derive(Debug, PartialEq, Eq)]
pub struct EventHead {
    pub skipped: u64,
    pub seq: u64,
    pub topic: u64,
    pub revision: u64,
    /// Nanoseconds; 0 where nobody wrote a time.
    pub stamp: u64,
}

pub const TEXT: u8 = 0x1;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

/// The first frame's opcode and payload, and the bytes it has in all; `None` until it is complete.
pub fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (head, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        length => (2, usize::from(length)),
    };
    let whole = head + length;
    Some((bytes[0] & 0xF, bytes.get(head..whole)?, whole))
}

/// A frame from client to server. The mask is zero: it is no secret here, and the server does the same work.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(long).expect("a short message").to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Reads an event; `None` for what is none.
pub fn event(text: &[u8]) -> Option<EventHead> {
    let mut rest = text;
    let mut skipped = 0;
    if let Some(after) = rest.strip_prefix(br#"{"skipped":"#) {
        (skipped, rest) = number(after)?;
        rest = rest.strip_prefix(br#","type":""#)?;
    } else {
        rest = rest.strip_prefix(br#"{"type":""#)?;
    }
    let kind = rest.iter().position(|byte| *byte == b'"')?;
    rest = rest[kind..].strip_prefix(br#"","seq":"#)?;
    let (seq, rest) = number(rest)?;
    let (topic, rest) = number(rest.strip_prefix(br#","characteristic_id":"#)?)?;
    let (revision, rest) = number(rest.strip_prefix(br#","revision":"#)?)?;
    rest.starts_with(br#","payload":{"#).then(|| EventHead {
        skipped,
        seq,
        topic,
        revision,
        stamp: stamp(text),
    })
}

/// The stamp of an event that was made here, or the value of a recorded sample.
fn stamp(text: &[u8]) -> u64 {
    let digits = text.strip_suffix(br#""}}"#).and_then(|text| text.last_chunk::<20>());
    if let Some(digits) = digits {
        return number(digits).map_or(0, |(stamp, _)| stamp);
    }
    let text = str::from_utf8(text).unwrap_or_default();
    let value = text.split_once(r#""value":"#).and_then(|(_, rest)| rest.split(',').next());
    value.and_then(|value| value.parse::<f64>().ok()).map_or(0, |microseconds| (microseconds * 1e3) as u64)
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = bytes[..digits].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    (digits > 0).then_some((number, &bytes[digits..]))
}
