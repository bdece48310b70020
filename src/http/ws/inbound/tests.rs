//! Frames made by an encoder that shares nothing with the reader.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use futures_util::{FutureExt as _, Stream};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Inbound, Limits, Message};
use crate::protocol::close::CloseCode;

const LIMITS: Limits = Limits { message_bytes: 1_000, deflate: true };

/// Bytes that come in pieces, with a wait before each.
struct Pieces {
    waiting: VecDeque<Bytes>,
    has_waited: bool,
    /// Never ends.
    is_open: bool,
}

impl Stream for Pieces {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.has_waited = !self.has_waited;
        match self.waiting.is_empty() {
            true if !self.is_open => Poll::Ready(None),
            false if !self.has_waited => Poll::Ready(self.waiting.pop_front().map(Ok)),
            _ => Poll::Pending,
        }
    }
}

fn inbound(bytes: &[u8], piece: &[usize], limits: Limits) -> Inbound<Pieces> {
    let mut waiting = VecDeque::new();
    let (mut rest, mut sizes) = (bytes, piece.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        waiting.push_back(Bytes::copy_from_slice(piece));
        rest = after;
    }
    Inbound::new(Pieces { waiting, has_waited: false, is_open: false }, limits)
}

/// Reads to the end; whoever waits is dropped each time, and asks again.
fn read(inbound: &mut Inbound<Pieces>) -> Vec<Result<Message, CloseCode>> {
    let mut read = vec![];
    loop {
        match inbound.next().now_or_never() {
            Some(Some(message)) => read.push(message),
            Some(None) => return read,
            None => {}
        }
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, [0x12, 0xF4, 0x56, 0x78], payload)
}

fn masked(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 + length as u8),
        length @ 126..65_536 => {
            frame.extend([0x80 + 126, (length / 256) as u8, (length % 256) as u8]);
        }
        length => {
            frame.push(0x80 + 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    frame
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut deflated = Vec::with_capacity(message.len() + 100);
    let mut compressor = Compress::new(Compression::new(6), false);
    compressor.compress_vec(message, &mut deflated, FlushCompress::Sync).unwrap();
    deflated.truncate(deflated.len() - 4);
    deflated
}

fn text(message: &str) -> Result<Message, CloseCode> {
    Ok(Message::Text(message.to_owned()))
}

/// What a client does, and in how many frames.
#[derive(Debug, Clone)]
enum Sent {
    Data { message: Message, is_deflated: bool, cuts: Vec<usize>, ping_between: Option<Vec<u8>> },
    Control(Message),
}

fn sent() -> impl Strategy<Value = Sent> {
    let bytes = || (vec(any::<u8>(), 0..40), 1usize..40).prop_map(|(bytes, times)| bytes.repeat(times));
    let long = (any::<u8>(), 65_500usize..65_600).prop_map(|(byte, length)| vec![byte; length]);
    let words = ("\\PC{0,40}", 1usize..40).prop_map(|(text, times)| Message::Text(text.repeat(times)));
    let binary = prop_oneof![9 => bytes(), 1 => long].prop_map(|bytes| Message::Binary(bytes.into()));
    let control = || vec(any::<u8>(), 0..=125);
    let data = (prop_oneof![words, binary], any::<bool>(), vec(any::<usize>(), 0..4), control());
    prop_oneof![
        4 => data.prop_map(|(message, is_deflated, cuts, ping)| {
            let ping_between = (ping.len() % 2 == 0).then_some(ping);
            Sent::Data { message, is_deflated, cuts, ping_between }
        }),
        1 => control().prop_map(|payload| Sent::Control(Message::Ping(payload.into()))),
        1 => control().prop_map(|payload| Sent::Control(Message::Pong(payload.into()))),
    ]
}

impl Sent {
    /// Writes the frames, and what they mean in the order in which they are complete.
    fn write(&self, mask: [u8; 4], bytes: &mut Vec<u8>, due: &mut Vec<Result<Message, CloseCode>>) {
        let (opcode, payload) = match self {
            Self::Data { message: Message::Text(text), .. } => (1, text.as_bytes()),
            Self::Data { message: Message::Binary(bytes), .. } => (2, &bytes[..]),
            Self::Control(Message::Ping(payload)) => (9, &payload[..]),
            Self::Control(Message::Pong(payload)) => (10, &payload[..]),
            other => unreachable!("{other:?} is not generated"),
        };
        match self {
            Self::Control(message) => {
                bytes.extend(masked(0x80 | opcode, mask, payload));
                due.push(Ok(message.clone()));
            }
            Self::Data { message, is_deflated, cuts, ping_between } => {
                let payload = if *is_deflated { deflated(payload) } else { payload.to_vec() };
                let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
                cuts.sort_unstable();
                let mut first = opcode | if *is_deflated { 0x40 } else { 0 };
                let mut start = 0;
                for cut in cuts {
                    bytes.extend(masked(first, mask, &payload[start..cut]));
                    (first, start) = (0, cut);
                    if let Some(ping) = ping_between {
                        bytes.extend(masked(0x89, mask, ping));
                        due.push(Ok(Message::Ping(ping.clone().into())));
                    }
                }
                bytes.extend(masked(0x80 | first, mask, &payload[start..]));
                due.push(Ok(message.clone()));
            }
        }
    }
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_messages_are_the_same(
        sent in vec(sent(), 0..8),
        mask: [u8; 4],
        pieces in vec(1usize..3_000, 1..6),
    ) {
        let (mut bytes, mut due) = (vec![], vec![]);
        for sent in &sent {
            sent.write(mask, &mut bytes, &mut due);
        }
        let most = Limits { message_bytes: 70_000, deflate: true };
        for pieces in [&pieces[..], &[usize::MAX]] {
            let mut inbound = inbound(&bytes, pieces, most);
            prop_assert_eq!(&read(&mut inbound), &due);
        }
        if bytes.len() < 10_000 {
            prop_assert_eq!(&read(&mut inbound(&bytes, &[1], most)), &due);
        }
    }

    #[test]
    fn garbage_gives_an_end_and_never_a_panic(garbage in vec(any::<u8>(), 0..300), piece in 1usize..50) {
        let mut inbound = inbound(&garbage, &[piece], LIMITS);
        let read = read(&mut inbound);
        let errors = read.iter().filter(|message| message.is_err()).count();
        prop_assert!(errors <= 1 && read.iter().rev().skip(1).all(Result::is_ok), "{read:?}");
    }
}

/// Everything that `bytes` give, the same in pieces of any size.
fn all(bytes: &[u8], limits: Limits) -> Vec<Result<Message, CloseCode>> {
    let whole = read(&mut inbound(bytes, &[bytes.len()], limits));
    for piece in [1, 2, 3, 5] {
        assert_eq!(read(&mut inbound(bytes, &[piece], limits)), whole, "in pieces of {piece}");
    }
    whole
}

#[test]
fn a_frame_in_the_wrong_place_ends_the_connection() {
    let parts = |frames: &[(u8, &[u8])]| {
        frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect::<Vec<u8>>()
    };
    for (frames, code) in [
        (&[(0x80, &b"nothing begun"[..])][..], CloseCode::ProtocolError),
        (&[(0x00, b"nothing begun")], CloseCode::ProtocolError),
        (&[(0x01, b"begun"), (0x81, b"another")], CloseCode::ProtocolError),
        (&[(0x01, b"begun"), (0x02, b"another")], CloseCode::ProtocolError),
        (&[(0x41, b""), (0x40, b"deflated")], CloseCode::ProtocolError),
        (&[(0x41, b""), (0xC0, b"deflated")], CloseCode::ProtocolError),
        (&[(0x88, b"\x03")], CloseCode::ProtocolError),
        (&[(0x88, b"\x03\xe7")], CloseCode::ProtocolError), // 999
        (&[(0x88, b"\x03\xed")], CloseCode::ProtocolError), // 1005
        (&[(0x88, b"\x07\xd0bye")], CloseCode::ProtocolError), // 2000
        (&[(0x88, b"\x03\xe8\xff")], CloseCode::InvalidUtf8),
        (&[(0x81, b"\xff")], CloseCode::InvalidUtf8),
        (&[(0x81, b"half a character \xc3")], CloseCode::InvalidUtf8),
        (&[(0x01, b"\xc3"), (0x80, b"\x28")], CloseCode::InvalidUtf8),
        (&[(0xC1, b"not deflated")], CloseCode::ProtocolError),
        (&[(0xC1, &deflated(b"\xff"))], CloseCode::InvalidUtf8),
    ] {
        let bytes = [frame(0x89, b"before"), parts(frames), frame(0x89, b"after")].concat();
        let read = all(&bytes, LIMITS);
        assert_eq!(read, [Ok(Message::Ping("before".into())), Err(code)], "{frames:x?}");
    }
    let deflated = frame(0xC1, &deflated(b"not agreed on"));
    assert_eq!(all(&deflated, Limits { deflate: false, ..LIMITS }), [Err(CloseCode::ProtocolError)]);
}

#[test]
fn a_goodbye_is_the_last_that_is_heard() {
    for (payload, code) in [
        (&b""[..], None),
        (b"\x03\xe8", Some(1000)),
        (b"\x03\xe9going", Some(1001)),
        (b"\x0f\xa0", Some(4000)),
    ] {
        let bytes = [frame(0x88, payload), frame(0x81, b"after")].concat();
        assert_eq!(all(&bytes, LIMITS), [Ok(Message::Close(code))]);
    }
}

/// The code that is told while nothing more comes than these bytes.
fn refused_by(bytes: &[u8]) -> Option<CloseCode> {
    let waiting = VecDeque::from([Bytes::copy_from_slice(bytes)]);
    let mut inbound = Inbound::new(Pieces { waiting, has_waited: true, is_open: true }, LIMITS);
    inbound.next().now_or_never()??.err()
}

#[test]
fn a_frame_that_announces_too_much_is_refused_by_its_header() {
    for announced in [1_001_u64, 1 << 40, u64::MAX] {
        let header = [&[0x82, 0x80 | 127][..], &announced.to_be_bytes()].concat();
        assert_eq!(refused_by(&header[..9]), None);
        assert_eq!(refused_by(&header), Some(CloseCode::TooBig), "{announced}");
        assert_eq!(refused_by(&[frame(0x01, b"x"), header].concat()), Some(CloseCode::ProtocolError));
    }
    assert_eq!(refused_by(&[0x82, 0x80 | 126, 0x03, 0xE8]), None);
    assert_eq!(refused_by(&[0x82, 0x80 | 126, 0x03, 0xE9]), Some(CloseCode::TooBig));
}

#[test]
fn the_parts_of_a_message_are_measured_together() {
    let begun = [frame(0x01, &[b'x'; 600]), frame(0x00, &[b'x'; 300])].concat();
    let last = |length: usize| [begun.clone(), frame(0x80, &vec![b'x'; length])].concat();
    assert_eq!(all(&last(100), LIMITS), [text(&"x".repeat(1_000))]);
    assert_eq!(refused_by(&last(101)[..begun.len() + 2]), Some(CloseCode::TooBig));
}

#[test]
fn a_message_is_as_long_as_it_is_inflated() {
    let of = |length: usize| frame(0xC1, &deflated(&vec![b'x'; length]));
    assert_eq!(all(&of(1_000), LIMITS), [text(&"x".repeat(1_000))]);
    assert_eq!(all(&of(1_001), LIMITS), [Err(CloseCode::TooBig)]);
    let bomb = of(900_000);
    assert!(bomb.len() < 1_000, "it is refused though it is short: {}", bomb.len());
    assert_eq!(all(&bomb, LIMITS), [Err(CloseCode::TooBig)]);
    // What does not shrink may take the room it needs, and no more.
    let xorshift = |n: &u64| Some(n ^ n << 13).map(|n| n ^ n >> 7).map(|n| n ^ n << 17);
    let noise: Vec<u8> = std::iter::successors(Some(88_172_645_463_325_252), xorshift)
        .take(1_000)
        .map(|n| (n >> 32) as u8)
        .collect();
    let stored = deflated(&noise);
    assert!(stored.len() > 1_000, "{}", stored.len());
    assert_eq!(all(&frame(0xC2, &stored), LIMITS), [Ok(Message::Binary(noise.into()))]);
    assert_eq!(refused_by(&[0xC2, 0x80 | 126, 0x04, 0x29]), Some(CloseCode::TooBig));
}

#[test]
fn text_that_cannot_become_utf_8_is_refused_before_its_end() {
    assert_eq!(refused_by(&frame(0x01, "κόσμε\u{0}".as_bytes())), None);
    assert_eq!(refused_by(&frame(0x01, b"\xce\xba\xed\xa0\x80")), Some(CloseCode::InvalidUtf8));
    assert_eq!(
        refused_by(&[frame(0x01, b"\xf4"), frame(0x00, b"\x90")].concat()),
        Some(CloseCode::InvalidUtf8)
    );
}

#[test]
fn nothing_is_kept_between_messages() {
    let bytes = [frame(0x81, &[b'x'; 900]), frame(0x01, b"x"), frame(0x80, b"x"), frame(0x89, b"")].concat();
    let waiting = VecDeque::from([Bytes::from(bytes)]);
    let mut inbound = Inbound::new(Pieces { waiting, has_waited: true, is_open: true }, LIMITS);
    let mut heard = 0;
    while let Some(Some(message)) = inbound.next().now_or_never() {
        assert!(message.is_ok());
        heard += 1;
    }
    assert_eq!((heard, inbound.unread.capacity(), inbound.begun.is_none()), (3, 0, true));
}
