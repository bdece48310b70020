//! The response body of a WebSocket: pulls frames from the client's queue whenever the socket takes more.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use actix_ws::Session;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::broadcast::Inbox;
use crate::protocol::close::CloseCode;
use crate::protocol::frame;

/// Yields frames until the connection has to end, then the close frame, then nothing.
pub struct Frames {
    inbox: Inbox,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
    /// Kept alive, never read: the library ends the incoming stream when these go.
    _inner: BoxBody,
    _session: Session,
}

impl Frames {
    pub fn new(inbox: Inbox, inner: BoxBody, session: Session) -> Self {
        let closing = Box::pin(inbox.closing().cancelled_owned());
        Self { inbox, closing, ended: false, _inner: inner, _session: session }
    }
}

impl MessageBody for Frames {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let closing = this.closing.as_mut().poll(context).is_ready();
        let code = this.inbox.close_code().filter(|_| closing);
        // A client that is too slow is not made to wait for what it could not read.
        if code == Some(CloseCode::TooSlow) {
            this.ended = true;
            return Poll::Ready(Some(Ok(frame::close(CloseCode::TooSlow))));
        }
        match (this.inbox.poll_frame(context), code) {
            (Poll::Ready(Some(frame)), _) => Poll::Ready(Some(Ok(frame))),
            (_, Some(CloseCode::Gone)) => Poll::Ready(None),
            (_, Some(code)) => {
                this.ended = true;
                Poll::Ready(Some(Ok(frame::close(code))))
            }
            (Poll::Ready(None), None) => Poll::Ready(None),
            (Poll::Pending, None) => Poll::Pending,
        }
    }
}
