//! Deflated messages: agreed on in the handshake, understood, and bounded.

use flate2::{Compress, Compression, FlushCompress};

use crate::support::{RawSocket, TestApp, close_code};

const DEFLATED_TEXT: u8 = 0xC1;

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut deflated = Vec::with_capacity(message.len() + 100);
    let mut compressor = Compress::new(Compression::best(), false);
    compressor.compress_vec(message, &mut deflated, FlushCompress::Sync).expect("deflated");
    deflated.truncate(deflated.len() - 4);
    deflated
}

/// Offers something; gives the extensions of the answer, too.
async fn offering(app: &TestApp, offer: &str) -> (RawSocket, Option<String>) {
    let headers = format!("Sec-WebSocket-Extensions: {offer}\r\n");
    let (socket, head) = RawSocket::handshake(app.address, None, &headers).await;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let answer = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-extensions"));
    (socket, answer.map(|(_, value)| value.to_owned()))
}

#[tokio::test]
async fn a_client_that_offers_it_may_deflate_its_messages() {
    let app = TestApp::spawn().await;
    let (mut socket, answer) = offering(&app, "permessage-deflate; client_max_window_bits").await;
    let due = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(answer.as_deref(), Some(due));
    socket.send(DEFLATED_TEXT, &deflated(br#"{"type":"ping","t":"first"}"#)).await;
    socket.wait_for("\"t\":\"first\"").await;
    let second = deflated(br#"{"type":"ping","t":"second"}"#);
    socket.send(0x41, &second[..5]).await;
    socket.send(0x89, b"between").await;
    socket.send(0x80, &second[5..]).await;
    socket.wait_for("between").await;
    socket.wait_for("\"t\":\"second\"").await;
    socket.send(0x81, br#"{"type":"ping","t":"plain"}"#).await;
    socket.wait_for("\"t\":\"plain\"").await;
}

#[tokio::test]
async fn who_has_not_agreed_on_it_may_not_deflate() {
    let app = TestApp::spawn().await;
    let deaf = TestApp::builder().with(|s| s.broadcast.deflate = false).spawn().await;
    for (app, offer) in
        [(&app, "permessage-deflate; server_max_window_bits=10"), (&deaf, "permessage-deflate")]
    {
        let (mut socket, answer) = offering(app, offer).await;
        assert_eq!(answer, None, "{offer}");
        socket.send(DEFLATED_TEXT, &deflated(br#"{"type":"ping"}"#)).await;
        assert_eq!(close_code(&socket.read_to_the_end().await), Some(1002));
    }
}

#[tokio::test]
async fn a_message_that_inflates_to_too_much_ends_the_connection() {
    let app = TestApp::spawn().await;
    let (mut socket, _) = offering(&app, "permessage-deflate").await;
    let bomb = deflated(&vec![b' '; 32 << 20]);
    assert!(bomb.len() < 40_000, "a thousandth: {}", bomb.len());
    socket.send(DEFLATED_TEXT, &bomb).await;
    assert_eq!(close_code(&socket.read_to_the_end().await), Some(1009));
}
