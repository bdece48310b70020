//! How what waits for a client becomes bytes: WebSocket frames, deflated or not, or server-sent events.
//!
//! An event's text is encoded once, when it is logged, and deflated once, when the first client needs that; for each
//! client it is only copied. What is for one client alone, `skipped`, is a short head before that shared tail.

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};

use super::frame::{Item, Message, Run, Told};
use crate::protocol::deflate;
use crate::protocol::frame;
use crate::protocol::snapshot::Snapshot;

/// How a client is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// WebSocket frames.
    WebSocket {
        /// Messages of so many bytes and more are deflated, if that was agreed on.
        deflate_from: Option<usize>,
    },
    /// Server-sent events: text, without an answer.
    EventStream,
}

/// How long a client of an event stream that broke off waits before it comes back.
pub(super) const EVENT_STREAM_RETRY_MS: u64 = 2_000;

/// What a heartbeat tells at the moment when it is written.
#[derive(Debug)]
pub(super) struct Beat {
    pub(super) text: String,
    /// From here on a client resumes that has received it, if that is certain.
    pub(super) position: Option<u64>,
}

impl Encoding {
    /// Whether newer alerts may overtake older samples.
    pub(super) fn overtakes(self) -> bool {
        matches!(self, Self::WebSocket { .. })
    }

    /// Whether events of which none was left out go out as everybody gets them.
    pub(super) fn is_plain(self, run: &Run) -> bool {
        let is_short = |least: usize| run.longest_bytes() < least;
        matches!(self, Self::WebSocket { deflate_from } if deflate_from.is_none_or(is_short))
    }

    /// Writes events of which none was left out, one by one.
    pub(super) fn put_run(self, out: &mut BytesMut, resume: Option<(&str, u64)>, run: &Run) {
        run.told().for_each(|told| {
            let resume = resume.map(|(epoch, at_least)| (epoch, told.frame.event.seq.max(at_least)));
            self.put_event(out, resume, &told);
        });
    }

    /// Writes an event with its head. `resume` is the place to resume from once it has come, if it is one.
    pub(super) fn put_event(self, out: &mut BytesMut, resume: Option<(&str, u64)>, told: &Told) {
        let (event, skipped) = (&told.frame.event, told.skipped());
        match self {
            Self::WebSocket { deflate_from: Some(least) } if event.frame().len() >= least => {
                let tail = event.deflated_tail();
                let head = head(skipped);
                put_deflated(out, head.as_bytes(), tail);
            }
            Self::WebSocket { .. } if skipped == 0 => out.put_slice(event.frame()),
            Self::WebSocket { .. } => {
                let (head, message) = (head(skipped), event.message());
                frame::put_header(out, frame::FINAL_TEXT, head.len() + message.len() - 1);
                out.put_slice(head.as_bytes());
                out.put_slice(&message[1..]);
            }
            Self::EventStream => {
                let message = event.message();
                put_id(out, resume);
                write!(out, "event: {}\ndata: {}", event.kind.as_str(), head(skipped))
                    .expect("memory takes everything");
                out.put_slice(&message[1..]);
                out.put_slice(b"\n\n");
            }
        }
    }

    /// Writes a message for this client alone. Without an epoch, it is no place to resume from.
    pub(super) fn put_message(self, out: &mut BytesMut, epoch: Option<&str>, message: &Message) {
        let Message { name, text, position } = message;
        match self {
            Self::WebSocket { deflate_from: Some(least) } if text.len() >= least => {
                put_deflated(out, b"{", &deflate::deflated_tail(text));
            }
            Self::WebSocket { .. } => {
                frame::put_header(out, frame::FINAL_TEXT, text.len());
                out.put_slice(text);
            }
            Self::EventStream => {
                put_id(out, epoch.zip(*position));
                write!(out, "event: {name}\ndata: ").expect("memory takes everything");
                out.put_slice(text);
                out.put_slice(b"\n\n");
            }
        }
    }

    /// Writes the present state of a characteristic: no place to resume from, as others may be due.
    pub(super) fn put_snapshot(self, out: &mut BytesMut, snapshot: &Snapshot) {
        match self {
            Self::WebSocket { deflate_from: Some(least) } if snapshot.message.len() >= least => {
                put_deflated(out, b"{", snapshot.deflated_tail());
            }
            Self::WebSocket { .. } => {
                frame::put_header(out, frame::FINAL_TEXT, snapshot.message.len());
                out.put_slice(&snapshot.message);
            }
            Self::EventStream => {
                out.put_slice(b"event: snapshot\ndata: ");
                out.put_slice(&snapshot.message);
                out.put_slice(b"\n\n");
            }
        }
    }

    /// Writes a heartbeat. In an event stream it is a comment; the position beside it goes without an event, too.
    pub(super) fn put_heartbeat(self, out: &mut BytesMut, epoch: &str, beat: &Beat) {
        match self {
            Self::WebSocket { .. } => {
                frame::put_header(out, frame::FINAL_TEXT, beat.text.len());
                out.put_slice(beat.text.as_bytes());
            }
            Self::EventStream => {
                writeln!(out, ": {}", beat.text).expect("memory takes everything");
                put_id(out, Some(epoch).zip(beat.position));
                out.put_u8(b'\n');
            }
        }
    }

    /// Writes how long a client waits before it comes back. Over a WebSocket, the close frame tells it.
    pub(super) fn put_retry(self, out: &mut BytesMut, after_ms: u64) {
        if self == Self::EventStream {
            write!(out, "retry: {after_ms}\n\n").expect("memory takes everything");
        }
    }

    /// Writes a ping or a pong; where there are none, nothing.
    pub(super) fn put_control(self, out: &mut BytesMut, item: &Item, nonce: u64) {
        if self == Self::EventStream {
            return;
        }
        match item {
            Item::Ping => out.put_slice(&frame::ping(&nonce.to_be_bytes())),
            Item::Pong(payload) => out.put_slice(&frame::pong(payload)),
            _ => {}
        }
    }
}

/// Writes a place to resume from, if it is one.
fn put_id(out: &mut BytesMut, resume: Option<(&str, u64)>) {
    if let Some((epoch, position)) = resume {
        writeln!(out, "id: {epoch}.{position}").expect("memory takes everything");
    }
}

fn put_deflated(out: &mut BytesMut, head: &[u8], tail: &[u8]) {
    frame::put_header(out, frame::DEFLATED_TEXT, deflate::STORED_HEADER_BYTES + head.len() + tail.len());
    deflate::put_stored(out, head);
    out.put_slice(tail);
}

/// What stands before the rest of an event's text.
fn head(skipped: u64) -> Head {
    let mut head = Head { bytes: [0; 36], length: 0 };
    match skipped {
        0 => head.push("{"),
        skipped => write!(head, r#"{{"skipped":{skipped},"#).expect("twenty digits fit"),
    }
    head
}

/// A short text that needs no memory of its own.
struct Head {
    bytes: [u8; 36],
    length: usize,
}

impl Head {
    fn push(&mut self, text: &str) {
        self.write_str(text).expect("it fits");
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn len(&self) -> usize {
        self.length
    }
}

impl std::fmt::Write for Head {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(self.as_bytes()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;

    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;
    use crate::broadcast::frame::Frame;
    use crate::protocol::event::{EventHeader, EventKind, LoggedEvent};

    fn written(put: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        put(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    fn told(previous: u64) -> Told {
        let (seq, characteristic_id) = (9, 1.try_into().expect("positive"));
        let header =
            EventHeader { seq, characteristic_id, revision: 4, kind: EventKind::Sample, is_history: false };
        let frame: Rc<Frame> = Frame::new(Arc::new(LoggedEvent::new(header, "{}")), Instant::now());
        Told { frame, previous }
    }

    #[tokio::test]
    async fn a_stream_tells_where_to_resume_from_wherever_that_is_certain() {
        let stream = Encoding::EventStream;
        let event = r#""type":"sample","seq":9,"characteristic_id":1,"revision":4,"payload":{}}"#;
        let text = written(|out| stream.put_event(out, Some(("e", 9)), &told(3)));
        assert_eq!(text, format!("id: e.9\nevent: sample\ndata: {{{event}\n\n"));
        let text = written(|out| stream.put_event(out, None, &told(1)));
        assert_eq!(text, format!("event: sample\ndata: {{\"skipped\":2,{event}\n\n"));
        // A sample that was kept back comes behind an alert, from where a client resumes.
        let text = written(|out| stream.put_event(out, Some(("e", 12)), &told(3)));
        assert_eq!(text, format!("id: e.12\nevent: sample\ndata: {{{event}\n\n"));
        for (epoch, position, id) in
            [(Some("e"), Some(7), "id: e.7\n"), (None, Some(7), ""), (Some("e"), None, "")]
        {
            let message = Message { name: "subscribed", text: Bytes::from_static(b"{}"), position };
            let text = written(|out| stream.put_message(out, epoch, &message));
            assert_eq!(text, format!("{id}event: subscribed\ndata: {{}}\n\n"));
        }
        for (position, id) in [(Some(7), "id: e.7\n"), (None, "")] {
            let beat = Beat { text: "{}".to_owned(), position };
            assert_eq!(written(|out| stream.put_heartbeat(out, "e", &beat)), format!(": {{}}\n{id}\n"));
        }
        assert_eq!(written(|out| stream.put_retry(out, 20)), "retry: 20\n\n");
        assert_eq!(written(|out| stream.put_control(out, &Item::Ping, 1)), "");
        let socket = Encoding::WebSocket { deflate_from: None };
        assert_eq!(written(|out| socket.put_retry(out, 20)), "");
    }
}
