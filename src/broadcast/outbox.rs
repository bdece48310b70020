//! One client's queue: frames from its shard and its session on one side, its socket on the other.
//!
//! Bounded; whoever offers never waits. When it is full, or the connection has to end for another reason, the
//! close code is set once and the socket end is woken: it writes what is due, then the close frame, then ends.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use crate::metrics::Gauge;
use crate::protocol::close::CloseCode;

/// A frame on its way to one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The position of the event it tells; `None` for a reply.
    pub seq: Option<u64>,
    /// The encoded WebSocket frame, shared by all its receivers.
    pub frame: Bytes,
}

/// What became of an offered frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Offer {
    /// It will be written.
    Queued,
    /// The client is too slow: it is being let go.
    Full,
    /// The connection is gone.
    Gone,
}

#[derive(Debug, Default)]
struct Shared {
    close: OnceLock<CloseCode>,
    closing: CancellationToken,
    last_sent_seq: AtomicU64,
    /// Of replies: theirs alone, unlike the frames of events, which all receivers share.
    reply_bytes: AtomicUsize,
}

/// What waits in all queues of a shard: counted by its own thread alone, so that nobody contends for it.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// Frames.
    pub frames: Gauge,
    /// Their bytes.
    pub bytes: Gauge,
}

impl Waiting {
    fn came(&self, bytes: usize) {
        self.frames.inc();
        self.bytes.inc_by(bytes as i64);
    }

    fn left(&self, bytes: usize) {
        self.frames.dec();
        self.bytes.dec_by(bytes as i64);
    }
}

/// How much room one client's queue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Frames.
    pub frames: usize,
    /// Bytes of replies among them; one reply more may pass.
    pub reply_bytes: usize,
}

/// The offering end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    frames: mpsc::Sender<Outgoing>,
    most_reply_bytes: usize,
    waiting: Waiting,
    shared: Arc<Shared>,
}

/// The socket's end.
#[derive(Debug)]
pub struct Inbox {
    frames: mpsc::Receiver<Outgoing>,
    waiting: Waiting,
    shared: Arc<Shared>,
}

/// A queue for one client; what waits in it is counted in `waiting`.
pub fn outbox(room: Room, waiting: Waiting) -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::channel(room.frames.max(1));
    let shared = Arc::new(Shared::default());
    let outbox = Outbox {
        frames: sender,
        most_reply_bytes: room.reply_bytes,
        waiting: waiting.clone(),
        shared: Arc::clone(&shared),
    };
    (outbox, Inbox { frames: receiver, waiting, shared })
}

impl Outbox {
    /// Offers a frame; when there is no room, the client is let go with [`CloseCode::TooSlow`].
    pub fn offer(&self, outgoing: Outgoing) -> Offer {
        if self.shared.closing.is_cancelled() {
            return Offer::Gone;
        }
        let reply_bytes = if outgoing.seq.is_none() { outgoing.frame.len() } else { 0 };
        if reply_bytes > 0 {
            let waiting = self.shared.reply_bytes.fetch_add(reply_bytes, Ordering::Relaxed);
            if waiting > self.most_reply_bytes {
                self.close(CloseCode::TooSlow);
                return Offer::Full;
            }
        }
        let bytes = outgoing.frame.len();
        match self.frames.try_send(outgoing) {
            Ok(()) => {
                self.waiting.came(bytes);
                Offer::Queued
            }
            Err(TrySendError::Full(_)) => {
                self.close(CloseCode::TooSlow);
                Offer::Full
            }
            Err(TrySendError::Closed(_)) => Offer::Gone,
        }
    }

    /// Ends the connection. The first reason stands; says whether this was it.
    pub fn close(&self, code: CloseCode) -> bool {
        let first = self.shared.close.set(code).is_ok();
        self.shared.closing.cancel();
        first
    }

    /// Waits until somebody ends the connection.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn closing(&self) {
        self.shared.closing.cancelled().await;
    }

    /// Why the connection has to end, if it has to.
    pub fn close_code(&self) -> Option<CloseCode> {
        self.shared.close.get().copied()
    }

    /// The position of the last event written to this client; 0 before the first.
    pub fn last_sent_seq(&self) -> u64 {
        self.shared.last_sent_seq.load(Ordering::Relaxed)
    }

    /// Frames that wait.
    pub fn queued(&self) -> usize {
        self.frames.max_capacity() - self.frames.capacity()
    }
}

impl Inbox {
    /// The next frame to write; `None` when every sender is gone.
    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.frames.poll_recv(context).map(|next| {
            let Outgoing { seq, frame } = next?;
            self.waiting.left(frame.len());
            match seq {
                Some(seq) => self.shared.last_sent_seq.store(seq, Ordering::Relaxed),
                None => drop(self.shared.reply_bytes.fetch_sub(frame.len(), Ordering::Relaxed)),
            }
            Some(frame)
        })
    }

    /// Why the connection has to end, if it has to.
    pub fn close_code(&self) -> Option<CloseCode> {
        self.shared.close.get().copied()
    }

    /// A token that is cancelled when the connection has to end.
    pub fn closing(&self) -> CancellationToken {
        self.shared.closing.clone()
    }
}

impl Drop for Inbox {
    /// What is left waits no longer.
    fn drop(&mut self) {
        self.frames.close();
        while let Ok(left) = self.frames.try_recv() {
            self.waiting.left(left.frame.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(frames: usize, reply_bytes: usize) -> (Outbox, Inbox) {
        super::outbox(Room { frames, reply_bytes }, Waiting::default())
    }

    fn event(seq: u64) -> Outgoing {
        Outgoing { seq: Some(seq), frame: Bytes::from_static(b"x") }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_let_go_and_nobody_waits() {
        let (outbox, inbox) = outbox(2, 100);
        assert_eq!([outbox.offer(event(1)), outbox.offer(event(2))], [Offer::Queued; 2]);
        assert_eq!(outbox.offer(event(3)), Offer::Full);
        assert_eq!(outbox.offer(event(4)), Offer::Gone);
        outbox.closing().await;
        assert_eq!(inbox.close_code(), Some(CloseCode::TooSlow));
    }

    #[tokio::test]
    async fn a_client_that_asks_and_does_not_read_is_let_go_by_the_bytes_of_its_answers() {
        let (outbox, mut inbox) = outbox(1_000, 100);
        let reply = || Outgoing { seq: None, frame: Bytes::from(vec![0; 60]) };
        assert_eq!([outbox.offer(reply()), outbox.offer(reply())], [Offer::Queued; 2]);
        for _ in 0..2 {
            assert!(std::future::poll_fn(|cx| inbox.poll_frame(cx)).await.is_some());
        }
        assert_eq!(
            [outbox.offer(reply()), outbox.offer(reply())],
            [Offer::Queued; 2],
            "what was written is free"
        );
        assert_eq!(outbox.offer(reply()), Offer::Full);
        assert_eq!(inbox.close_code(), Some(CloseCode::TooSlow));
    }

    #[test]
    fn the_first_reason_to_close_stands() {
        let (outbox, inbox) = outbox(1, 100);
        assert!(outbox.close(CloseCode::NoPong));
        assert!(!outbox.close(CloseCode::GoingAway));
        assert_eq!(inbox.close_code(), Some(CloseCode::NoPong));
    }

    #[tokio::test]
    async fn what_was_written_last_is_known() {
        let (outbox, mut inbox) = outbox(4, 100);
        let _ = outbox.offer(event(7));
        assert_eq!((outbox.last_sent_seq(), outbox.queued()), (0, 1));
        assert!(std::future::poll_fn(|cx| inbox.poll_frame(cx)).await.is_some());
        assert_eq!((outbox.last_sent_seq(), outbox.queued()), (7, 0));
    }
    #[tokio::test]
    async fn what_waits_is_counted_until_it_is_written_or_its_client_has_gone() {
        let waiting = Waiting::default();
        let room = Room { frames: 3, reply_bytes: 100 };
        let (outbox, mut inbox) = super::outbox(room, waiting.clone());
        let offers: Vec<_> = (1..=4).map(|seq| outbox.offer(event(seq))).collect();
        assert_eq!(offers, [Offer::Queued, Offer::Queued, Offer::Queued, Offer::Full]);
        assert_eq!((waiting.frames.get(), waiting.bytes.get()), (3, 3));
        assert!(std::future::poll_fn(|cx| inbox.poll_frame(cx)).await.is_some());
        assert_eq!((waiting.frames.get(), waiting.bytes.get()), (2, 2));
        drop(inbox);
        assert_eq!((waiting.frames.get(), waiting.bytes.get()), (0, 0));
    }
}
