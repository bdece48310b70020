//! A reader of server-sent events on the bare connection: one that reads only when it is told to.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::DEADLINE;

/// A stream that has begun.
pub struct EventSource {
    /// The head of the answer.
    pub head: String,
    /// As a browser keeps it: what the newest `id` said.
    pub last_id: Option<String>,
    /// What the newest `retry` said.
    pub retry_ms: Option<u64>,
    stream: TcpStream,
    /// Chunks that are not whole yet.
    raw: Vec<u8>,
    /// What the chunks held and nobody has taken yet.
    text: Vec<u8>,
    is_over: bool,
}

/// One block of the stream that has data.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub event: String,
    pub id: Option<String>,
    pub data: Value,
}

/// What a client asks with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asking<'a> {
    /// Sent as `Last-Event-ID`.
    pub last_id: Option<&'a str>,
    /// The receive buffer in bytes, which bounds what the server can send unread.
    pub window: Option<u32>,
}

impl EventSource {
    /// Begins a stream with this query.
    pub async fn open(address: SocketAddr, query: &str, asking: Asking<'_>) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = asking.window {
            socket.set_recv_buffer_size(bytes).expect("a receive buffer");
        }
        let mut stream = socket.connect(address).await.expect("a connection");
        let last_id = asking.last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!(
            "GET /api/v1/events/stream?{query} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\
             Accept-Encoding: gzip, deflate, br\r\n{last_id}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let (head, raw, text) = (String::new(), Vec::new(), Vec::new());
        let mut source = Self { head, last_id: None, retry_ms: None, stream, raw, text, is_over: false };
        let end = loop {
            match find(&source.raw, b"\r\n\r\n") {
                Some(end) => break end,
                None => source.receive().await,
            }
        };
        let rest = source.raw.split_off(end + 4);
        source.head = String::from_utf8(std::mem::replace(&mut source.raw, rest)).expect("text");
        assert!(source.head.starts_with("HTTP/1.1 200"), "{}", source.head);
        source
    }

    /// The value of a header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The next block that has data.
    pub async fn next(&mut self) -> Told {
        self.next_or_end().await.expect("the stream goes on")
    }

    /// The next event of a kind; messages that are no events are passed over.
    pub async fn next_event(&mut self) -> Told {
        loop {
            let told = self.next().await;
            if told.data["seq"].is_u64() && told.data["payload"].is_object() {
                return told;
            }
        }
    }

    /// The next block that has data; `None`, when the stream has ended as it should.
    pub async fn next_or_end(&mut self) -> Option<Told> {
        let until_told = async {
            loop {
                let block = self.read_block().await?;
                if let Some(told) = self.take(&block) {
                    return Some(told);
                }
            }
        };
        timeout(DEADLINE, until_told).await.expect("a block with data in time")
    }

    /// Waits until the server has closed the connection, with nothing behind the stream.
    pub async fn connection_ends(mut self) {
        let read = timeout(DEADLINE, self.stream.read_to_end(&mut self.raw)).await;
        read.expect("the server closes it").expect("as it should");
        assert!(self.is_over && self.raw.is_empty(), "{}", String::from_utf8_lossy(&self.raw));
    }

    /// Reads on until a browser would send this when it comes back.
    pub async fn until_last_id(&mut self, id: &str) {
        while self.last_id.as_deref() != Some(id) {
            let block = self.next_block().await.expect("the stream goes on");
            assert_eq!(self.take(&block), None);
        }
    }

    /// The text of the next block.
    pub async fn next_block(&mut self) -> Option<String> {
        timeout(DEADLINE, self.read_block()).await.expect("a block in time")
    }

    async fn read_block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.text, b"\n\n") {
                let rest = self.text.split_off(end + 2);
                return Some(String::from_utf8(std::mem::replace(&mut self.text, rest)).expect("text"));
            }
            if self.is_over {
                assert!(self.text.is_empty(), "the stream ends within a block");
                return None;
            }
            if !self.take_chunk() {
                self.receive().await;
            }
        }
    }

    /// What a browser makes of a block.
    fn take(&mut self, block: &str) -> Option<Told> {
        let (mut event, mut id, mut data) = ("message".to_owned(), None, None);
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ").expect("a field") {
                ("", _) => {}
                ("event", name) => event = name.to_owned(),
                ("id", position) => id = Some(position.to_owned()),
                ("retry", ms) => self.retry_ms = Some(ms.parse().expect("a number")),
                ("data", text) => data = Some(serde_json::from_str(text).expect("JSON")),
                (other, _) => panic!("{other} is no field: {block}"),
            }
        }
        self.last_id = id.clone().or(self.last_id.take());
        data.map(|data| Told { event, id, data })
    }

    /// Takes one chunk out of what was received, if it is whole.
    fn take_chunk(&mut self) -> bool {
        let Some(end) = find(&self.raw, b"\r\n") else { return false };
        let length = std::str::from_utf8(&self.raw[..end]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length");
        let (start, stop) = (end + 2, end + 2 + length);
        if self.raw.len() < stop + 2 {
            return false;
        }
        assert_eq!(&self.raw[stop..stop + 2], b"\r\n");
        self.text.extend_from_slice(&self.raw[start..stop]);
        self.raw.drain(..stop + 2);
        self.is_over = length == 0;
        true
    }

    async fn receive(&mut self) {
        let read = timeout(DEADLINE, self.stream.read_buf(&mut self.raw)).await;
        assert_ne!(read.expect("bytes in time").expect("bytes"), 0, "the connection has ended");
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
