//! What a client says: control frames are dealt with at once, texts wait in line for their answers.
//!
//! * **Full**: too many messages are refused, and then end the client. Where as many bytes wait for an answer as one
//!   message may have, nothing more is read; the client is not blamed for the silence that follows.
//! * **Late**: an answer delays the answers after it, and no pong.

use std::collections::VecDeque;
use std::rc::Rc;

use tokio::time::Instant;
use tracing::debug;

use crate::broadcast::{Seat, Settings};
use crate::http::ws::flood::{Bucket, Verdict};
use crate::http::ws::inbound::{Inbound, Message};
use crate::protocol::close::CloseCode;
use crate::protocol::socket::{ErrorCode, Refusal};

/// The ear of one client.
pub struct Reading {
    seat: Rc<Seat>,
    messages: Inbound,
    bucket: Bucket,
    messages_per_second: f64,
    waiting: Waiting,
}

impl Reading {
    pub fn new(seat: Rc<Seat>, messages: Inbound, settings: &Settings) -> Self {
        let messages_per_second = settings.messages_per_second;
        let bucket = Bucket::new(messages_per_second, settings.message_burst, Instant::now());
        let waiting = Waiting { texts: VecDeque::new(), bytes: 0, most_bytes: settings.message_bytes };
        Self { seat, messages, bucket, messages_per_second, waiting }
    }

    /// Reads one message. A text waits from then on; anything else is done.
    ///
    /// # Errors
    /// The code to close with.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn read(&mut self) -> Result<(), CloseCode> {
        let message = self.messages.next().await;
        self.seat.hear();
        match message.ok_or(CloseCode::Gone)?? {
            // Whatever else it said before, its goodbye is heard, and so is the answer to a ping.
            Message::Close(said) => {
                debug!(connection.id = self.seat.id().0, close.code = said, "the client said goodbye");
                return Err(CloseCode::Normal);
            }
            Message::Pong(payload) if self.seat.on_pong(&payload) => {}
            other => match self.bucket.take(Instant::now()) {
                Verdict::Welcome => self.take(other)?,
                Verdict::TooSoon => self.warn(),
                Verdict::Flood => return Err(CloseCode::Flood),
            },
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<(), CloseCode> {
        match message {
            Message::Text(text) => {
                self.waiting.push(text);
                if !self.has_room() {
                    self.seat.stop_hearing();
                }
            }
            Message::Ping(payload) => self.seat.on_ping(payload),
            Message::Binary(_) => return Err(CloseCode::BinaryFrame),
            Message::Pong(_) | Message::Close(_) => {}
        }
        Ok(())
    }

    fn warn(&self) {
        let message =
            format!("at most {} messages in a second: this one was not read", self.messages_per_second);
        self.seat.say(&Refusal { code: ErrorCode::RateLimited, message, request: None }.into());
    }

    /// Waits for the client's own goodbye, or until it is gone.
    pub async fn goodbye(&mut self) {
        self.messages.goodbye().await;
    }

    /// Whether one more message may be read.
    pub fn has_room(&self) -> bool {
        self.waiting.has_room()
    }

    /// The text that is to be answered next.
    pub fn next_text(&mut self) -> Option<String> {
        let was_full = !self.has_room();
        let text = self.waiting.pop();
        if was_full && self.has_room() {
            self.seat.hear();
        }
        text
    }
}

/// Texts that wait for their answers.
struct Waiting {
    texts: VecDeque<String>,
    bytes: usize,
    most_bytes: usize,
}

impl Waiting {
    /// There is room for one more, whatever its size, as long as fewer bytes wait than one message may have.
    fn has_room(&self) -> bool {
        self.bytes < self.most_bytes
    }

    fn push(&mut self, text: String) {
        self.bytes += cost(&text);
        self.texts.push_back(text);
    }

    fn pop(&mut self) -> Option<String> {
        let text = self.texts.pop_front()?;
        self.bytes -= cost(&text);
        Some(text)
    }
}

/// Bytes that a text takes while it waits: many empty ones are not for free, either.
fn cost(text: &String) -> usize {
    size_of::<String>() + text.capacity()
}
