//! A WebSocket client on the bare connection: one that does what no library would let it do.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

use super::DEADLINE;

/// A connection after the handshake. It answers no ping and reads only when it is told to.
pub struct RawSocket {
    stream: TcpStream,
    received: Vec<u8>,
}

impl RawSocket {
    /// Shakes hands; `window` is the receive buffer in bytes, which bounds what the server can send unread.
    pub async fn connect(address: SocketAddr, window: Option<u32>) -> Self {
        Self::handshake(address, window, "").await.0
    }

    /// The same with more lines of headers; gives also the head of the answer.
    pub async fn handshake(address: SocketAddr, window: Option<u32>, headers: &str) -> (Self, String) {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = window {
            socket.set_recv_buffer_size(bytes).expect("a receive buffer");
        }
        let mut stream = socket.connect(address).await.expect("a connection");
        let request = format!(
            "GET /api/v1/ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut this = Self { stream, received: Vec::new() };
        let end = this.read_until(|bytes| find(bytes, b"\r\n\r\n")).await;
        let head: Vec<u8> = this.received.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a head is text");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        (this, head)
    }

    /// Sends one frame (up to 65,535 bytes), masked with zeros; `first` is its first byte, such as 0x81 for text.
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match u16::try_from(payload.len()).expect("a short frame") {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0x80 | 126);
                frame.extend(long.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.send_bytes(&frame).await;
    }

    /// Sends any bytes.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
    }

    /// Reads until this text has come.
    pub async fn wait_for(&mut self, text: &str) {
        self.read_until(|bytes| find(bytes, text.as_bytes())).await;
    }

    /// Subscribes to what `chosen` says, such as `"all":true`, and reads the answer.
    pub async fn subscribe(&mut self, chosen: &str) {
        self.send(0x81, format!("{{\"type\":\"subscribe\",{chosen}}}").as_bytes()).await;
        while !self.next_text().await.starts_with(r#"{"type":"subscribed""#) {}
    }

    /// The next frame from the server: its first byte and its payload. What has been read is taken out.
    pub async fn next_frame(&mut self) -> (u8, Vec<u8>) {
        let (header, length) = self.read_until(header).await;
        self.read_until(|bytes| (bytes.len() >= header + length).then_some(0)).await;
        let mut frame: Vec<u8> = self.received.drain(..header + length).collect();
        (frame[0], frame.split_off(header))
    }

    /// The next text from the server; pings are passed over.
    pub async fn next_text(&mut self) -> String {
        loop {
            match self.next_frame().await {
                (0x81, text) => return String::from_utf8(text).expect("UTF-8"),
                (0x89, _) => {}
                (first, payload) => panic!("{first:x}: {}", String::from_utf8_lossy(&payload)),
            }
        }
    }

    /// All that has been read.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Whether the machine still holds the server's end of this connection, in whatever state.
    pub fn is_held_by_the_server(&self) -> bool {
        let address = |address: std::io::Result<SocketAddr>| address.expect("an address");
        is_held(address(self.stream.peer_addr()), address(self.stream.local_addr()))
    }

    /// Is gone at once: with a reset, or with an end like any other.
    pub fn vanish(self, resets: bool) {
        if resets {
            SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("a socket");
        }
    }

    /// Reads a little every now and then until the connection has ended.
    pub async fn read_slowly(mut self, pause: Duration) {
        let (mut pace, mut piece) = (interval(pause), [0; 512]);
        while self.stream.read(&mut piece).await.is_ok_and(|length| length > 0) {
            pace.tick().await;
        }
    }

    /// Reads until the server has really ended the connection; gives all that came, or its reset as nothing.
    pub async fn read_to_the_end(mut self) -> Vec<u8> {
        let read = timeout(DEADLINE, self.stream.read_to_end(&mut self.received)).await;
        let _ = read.expect("the server ends the connection"); // a reset is an end, too
        self.received
    }

    async fn read_until<T>(&mut self, mut found: impl FnMut(&[u8]) -> Option<T>) -> T {
        loop {
            if let Some(at) = found(&self.received) {
                return at;
            }
            let read = timeout(DEADLINE, self.stream.read_buf(&mut self.received)).await;
            assert_ne!(read.expect("bytes in time").expect("bytes"), 0, "the connection has ended");
        }
    }
}

/// The close code of the last frame, if it is a close frame.
pub fn close_code(received: &[u8]) -> Option<u16> {
    // A close frame of ours is short: opcode, length, code, reason.
    let start = (0..received.len().saturating_sub(3))
        .rev()
        .find(|&at| received[at] == 0x88 && received.len() == at + 2 + usize::from(received[at + 1]))?;
    Some(u16::from_be_bytes([received[start + 2], received[start + 3]]))
}

/// How long the header of an unmasked frame is, and the payload after it.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? {
        126 => Some((4, u16::from_be_bytes(bytes.get(2..4)?.try_into().expect("two")).into())),
        127 => {
            let length = u64::from_be_bytes(bytes.get(2..10)?.try_into().expect("eight"));
            Some((10, usize::try_from(length).expect("it fits")))
        }
        short => Some((2, usize::from(*short))),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Whether the machine holds the end of a connection that is here, towards the one that is there, in whatever state.
pub fn is_held(here: SocketAddr, there: SocketAddr) -> bool {
    let (local, remote) = (format!(":{:04X}", here.port()), format!(":{:04X}", there.port()));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux tells its connections there");
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next().is_some_and(|c| c.ends_with(&local))
            && columns.next().is_some_and(|c| c.ends_with(&remote))
    })
}
