//! An echo that speaks through this socket layer, for conformance suites: what they send is what they get back.
//!
//! Only the tests have it. The frame reader, the negotiation, the inflater, the deflater, the frame writer and
//! the response body that the dispatcher joins into writes are the product's; what stands here is the echo itself.
//! `.ci/conformance` runs it.

use std::convert::Infallible;
use std::time::Duration;

use actix_http::ws::handshake;
use actix_web::body::BodyStream;
use actix_web::http::header::SEC_WEBSOCKET_EXTENSIONS;
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Bytes, BytesMut, Payload};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, rt};
use bytes::BufMut as _;
use futures_util::stream;
use socket2::SockRef;
use tokio::time::timeout;

use super::inbound::{Inbound, Limits, Message};
use super::negotiation;
use crate::http::settings::Settings;
use crate::http::tcp::Connection;
use crate::protocol::close::CloseCode;
use crate::protocol::{deflate, frame};

/// For the goodbye of a client that broke the rules.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// The suites send up to 16 MiB in a message.
const MESSAGE_BYTES: usize = 64 << 20;

/// Writes its address into the file that `TEST_ECHO_ADDRESS` names, then serves until it is killed.
#[actix_web::test]
#[ignore = "serves until it is killed: for .ci/conformance"]
async fn echoes_until_it_is_killed() {
    let address_file = std::env::var_os("TEST_ECHO_ADDRESS").expect("TEST_ECHO_ADDRESS names a file");
    let app = || App::new().default_service(web::to(echo));
    let server = HttpServer::new(app)
        .workers(1)
        .on_connect(|io, data| {
            let socket = io.downcast_ref::<TcpStream>().expect("plain TCP");
            Connection::begin(&SockRef::from(socket), data);
        })
        .client_disconnect_timeout(Duration::from_millis(Settings::default().disconnect_timeout_ms))
        .bind("127.0.0.1:0")
        .expect("a free port");
    let address = server.addrs()[0];
    let server = rt::spawn(server.run());
    // In one step: whoever waits for the file never reads a part of it.
    let beside = std::path::PathBuf::from(&address_file).with_extension("new");
    std::fs::write(&beside, address.to_string()).expect("a file to write to");
    std::fs::rename(&beside, &address_file).expect("a file to write to");
    server.await.expect("serves").expect("serves");
}

async fn echo(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Error> {
    let mut response = match handshake(request.head()) {
        Ok(response) => response,
        Err(error) => return Ok(HttpResponse::BadRequest().body(error.to_string())),
    };
    let offers = request.headers().get_all(SEC_WEBSOCKET_EXTENSIONS).filter_map(|value| value.to_str().ok());
    let accepted = negotiation::accept(offers);
    if let Some(extension) = accepted {
        response.insert_header((SEC_WEBSOCKET_EXTENSIONS, extension));
    }
    let line = Connection::of(&request).expect("it was begun when it was accepted").line();
    let limits = Limits { message_bytes: MESSAGE_BYTES, deflate: accepted.is_some() };
    let begun = Some((Inbound::new(payload, limits), line, false));
    let frames = stream::unfold(begun, move |under_way| async move {
        let (mut inbound, line, is_over) = under_way?;
        let message = if is_over { None } else { inbound.next().await };
        let Some(message) = message else {
            let _ = timeout(PATIENCE, inbound.goodbye()).await;
            line.hang_up();
            return None;
        };
        let (is_goodbye, is_broken) = (matches!(message, Ok(Message::Close(_))), message.is_err());
        let frame = Ok::<Bytes, Infallible>(answer(message, limits));
        if is_goodbye {
            line.hang_up();
            return Some((frame, None));
        }
        Some((frame, Some((inbound, line, is_broken))))
    });
    let response = response.message_body(BodyStream::new(frames))?;
    Ok(HttpResponse::from(response.map_into_boxed_body()))
}

/// What goes back.
fn answer(message: Result<Message, CloseCode>, limits: Limits) -> Bytes {
    match message {
        Ok(Message::Text(text)) => data(frame::FINAL_TEXT, text.as_bytes(), limits),
        Ok(Message::Binary(bytes)) => data(FINAL_BINARY, &bytes, limits),
        Ok(Message::Ping(payload)) => frame::pong(&payload),
        Ok(Message::Pong(_)) => Bytes::new(),
        Ok(Message::Close(_)) => frame::close(CloseCode::Normal),
        Err(code) => frame::close(code),
    }
}

/// Andon sends no binary message; its first byte differs from a text's by the opcode alone (RFC 6455, section 5.2).
const FINAL_BINARY: u8 = frame::FINAL_TEXT + 1;
const DEFLATED: u8 = frame::DEFLATED_TEXT ^ frame::FINAL_TEXT;

/// Deflated as an event is: its first byte stored, the rest as all receivers would share it.
fn data(first_byte: u8, payload: &[u8], limits: Limits) -> Bytes {
    let mut out = BytesMut::new();
    match payload.split_first() {
        Some((head, _)) if limits.deflate => {
            let tail = deflate::deflated_tail(payload);
            frame::put_header(&mut out, first_byte | DEFLATED, deflate::STORED_HEADER_BYTES + 1 + tail.len());
            deflate::put_stored(&mut out, &[*head]);
            out.put_slice(&tail);
        }
        _ => {
            frame::put_header(&mut out, first_byte, payload.len());
            out.put_slice(payload);
        }
    }
    out.freeze()
}
