//! What a client sends: frames out of the request's bytes, messages out of frames.
//!
//! The library's frame parser unmasks and cuts; around it stands what it lacks: a frame is judged by its header before
//! any of it is kept, fragments are joined under one limit, text is proven UTF-8, and deflated messages
//! (RFC 7692, without context takeover) are inflated under the same limit. Knows nothing of what messages mean.
//!
//! * **State**: the bytes of a frame and the parts of a message that are not complete; nothing in between.
//! * **Full**: whatever would outgrow the limit is refused with 1009, by its announced length where there is one.
//! * **Late**: what is not asked for stays with the HTTP dispatcher, which stops reading the socket.
//! * **Dies**: a broken frame ends the stream with the code to close with, a vanished peer without one.

mod header;
#[cfg(test)]
mod tests;

use actix_http::ws::{OpCode, Parser};
use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut, Payload};
use bytes::Buf as _;
use futures_util::{Stream, StreamExt as _};

use self::header::Header;
use crate::protocol::close::CloseCode;
use crate::protocol::deflate::{self, InflateError};

/// What a client may send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest message, inflated.
    pub message_bytes: usize,
    /// Whether the handshake agreed on deflated messages.
    pub deflate: bool,
}

/// A complete message, or a control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Anything else.
    Binary(Bytes),
    /// To be answered with the same payload.
    Ping(Bytes),
    /// The answer to a ping.
    Pong(Bytes),
    /// A goodbye, with the peer's code if it told one. Nothing comes after it.
    Close(Option<u16>),
}

/// The messages of one client.
pub struct Inbound<S = Payload> {
    source: S,
    limits: Limits,
    /// Of frames that are not complete.
    unread: BytesMut,
    /// The fragmented message under way; control frames may stand between its parts.
    begun: Option<Begun>,
    ended: bool,
    /// The peer has said goodbye, however badly.
    is_parted: bool,
}

/// A data message of which at least one frame has come.
struct Begun {
    is_text: bool,
    is_deflated: bool,
    payload: Vec<u8>,
    /// Up to here it is UTF-8.
    proven: usize,
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Inbound<S> {
    /// Reads from the body of the request that asked for the upgrade.
    pub fn new(source: S, limits: Limits) -> Self {
        Self { source, limits, unread: BytesMut::new(), begun: None, ended: false, is_parted: false }
    }

    /// The next message, or the code to close with; `None` when the peer is gone, or after an end of either kind.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Message, CloseCode>> {
        while !self.ended {
            match self.read_message() {
                Ok(None) => match self.source.next().await {
                    Some(Ok(bytes)) => self.unread.extend_from_slice(&bytes),
                    Some(Err(_)) | None => self.end(),
                },
                Ok(Some(message)) => {
                    if matches!(message, Message::Close(_)) {
                        self.end();
                    }
                    return Some(Ok(message));
                }
                Err(code) => {
                    self.end();
                    return Some(Err(code));
                }
            }
        }
        None
    }

    /// Passes over whatever else comes, up to the peer's goodbye or the end of the stream. Nothing of it is kept.
    pub async fn goodbye(&mut self) {
        let mut rest = 0u64; // of the frame that is passed over
        while !self.is_parted {
            let passed = usize::try_from(rest).unwrap_or(usize::MAX).min(self.unread.len());
            self.unread.advance(passed);
            rest -= passed as u64;
            match header::in_passing(&self.unread) {
                Some((true, _)) if rest == 0 => self.is_parted = true,
                Some((false, bytes)) if rest == 0 => rest = bytes,
                _ => match self.source.next().await {
                    Some(Ok(bytes)) => self.unread.extend_from_slice(&bytes),
                    Some(Err(_)) | None => return,
                },
            }
        }
    }

    fn end(&mut self) {
        (self.ended, self.begun) = (true, None);
    }

    /// Reads frames until one completes a message; `None` when more bytes are needed.
    fn read_message(&mut self) -> Result<Option<Message>, CloseCode> {
        while let Some((header, payload)) = self.read_frame()? {
            let message = match header.opcode {
                OpCode::Ping => Some(Message::Ping(payload.freeze())),
                OpCode::Pong => Some(Message::Pong(payload.freeze())),
                OpCode::Close => {
                    self.is_parted = true;
                    Some(Message::Close(close_code(&payload)?))
                }
                _ => self.read_data(header, payload)?,
            };
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    /// Cuts off the first frame, once all of it is there.
    fn read_frame(&mut self) -> Result<Option<(Header, BytesMut)>, CloseCode> {
        let Some(header) = Header::read(&self.unread)? else { return Ok(None) };
        self.admit(header)?;
        if (self.unread.len() as u64) < header.frame_bytes() {
            return Ok(None);
        }
        self.unread[0] &= !header::DEFLATED; // means nothing to the parser
        let parsed = Parser::parse(&mut self.unread, true, usize::MAX);
        let Ok(Some((_, _, payload))) = parsed else { return Err(CloseCode::ProtocolError) };
        if self.unread.is_empty() {
            self.unread = BytesMut::new(); // thousands of idle connections keep no buffer
        }
        Ok(Some((header, payload.unwrap_or_default())))
    }

    /// Whether a frame may come now, by its header alone.
    fn admit(&self, header: Header) -> Result<(), CloseCode> {
        if header.is_control() {
            return Ok(());
        }
        let is_continuation = header.opcode == OpCode::Continue;
        let may_be_deflated = self.limits.deflate && !is_continuation;
        if is_continuation != self.begun.is_some() || header.is_deflated && !may_be_deflated {
            return Err(CloseCode::ProtocolError);
        }
        let most = match &self.begun {
            Some(begun) => self.most_bytes(begun.is_deflated).saturating_sub(begun.payload.len()),
            None => self.most_bytes(header.is_deflated),
        };
        if header.payload_bytes > most as u64 { Err(CloseCode::TooBig) } else { Ok(()) }
    }

    /// The most bytes of a message on the wire.
    fn most_bytes(&self, is_deflated: bool) -> usize {
        let most = self.limits.message_bytes;
        if is_deflated { most.saturating_add(deflate::overhead_bytes(most)) } else { most }
    }

    fn read_data(&mut self, header: Header, payload: BytesMut) -> Result<Option<Message>, CloseCode> {
        let begun = match self.begun.take() {
            Some(mut begun) => {
                begun.payload.extend_from_slice(&payload);
                begun
            }
            None => Begun {
                is_text: header.opcode == OpCode::Text,
                is_deflated: header.is_deflated,
                payload: payload.into(),
                proven: 0,
            },
        };
        if header.is_last {
            return begun.complete(self.limits.message_bytes).map(Some);
        }
        self.begun = Some(begun.proven_so_far()?);
        Ok(None)
    }
}

impl Begun {
    /// Text that cannot become UTF-8 any more is refused before the rest of it comes.
    fn proven_so_far(mut self) -> Result<Self, CloseCode> {
        if self.is_text && !self.is_deflated {
            match str::from_utf8(&self.payload[self.proven..]) {
                Ok(text) => self.proven += text.len(),
                Err(error) if error.error_len().is_none() => self.proven += error.valid_up_to(),
                Err(_) => return Err(CloseCode::InvalidUtf8),
            }
        }
        Ok(self)
    }

    fn complete(self, most_bytes: usize) -> Result<Message, CloseCode> {
        let payload = if self.is_deflated {
            deflate::inflate(&self.payload, most_bytes).map_err(|error| match error {
                InflateError::TooBig => CloseCode::TooBig,
                InflateError::Broken => CloseCode::ProtocolError,
            })?
        } else {
            self.payload
        };
        if self.is_text {
            return String::from_utf8(payload).map(Message::Text).map_err(|_| CloseCode::InvalidUtf8);
        }
        Ok(Message::Binary(payload.into()))
    }
}

/// The code in the payload of a close frame.
fn close_code(payload: &[u8]) -> Result<Option<u16>, CloseCode> {
    if payload.get(2..).is_some_and(|reason| str::from_utf8(reason).is_err()) {
        return Err(CloseCode::InvalidUtf8); // the parser does not tell it from a bad code
    }
    let reason = Parser::try_parse_close_payload(payload).map_err(|_| CloseCode::ProtocolError)?;
    Ok(reason.map(|reason| reason.code.into()))
}
