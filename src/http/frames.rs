//! The response body of a listening client: takes what is due in one piece whenever the socket takes more.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;

use crate::broadcast::Outflow;

/// Yields chunks until the connection has to end, its goodbye included.
pub struct Frames(pub Outflow);

impl MessageBody for Frames {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.0.poll_chunk(context).map(|chunk| chunk.map(Ok))
    }
}
