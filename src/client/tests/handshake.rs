//! Connecting, and what can come in place of a welcome.

use std::time::Duration;

use tokio::join;

use super::*;
use crate::client::ClientError;

async fn refused_by(server: &TestServer, answer: &str) -> ClientError {
    let options = server.options();
    let (client, ()) = join!(within_deadline(Client::connect(&options)), server.answer_http(answer));
    client.err().expect("no connection")
}

#[tokio::test]
async fn the_token_is_shown_in_the_handshake_and_the_welcome_is_kept() {
    let server = TestServer::start().await;
    let mut options = server.options();
    options.token = Some("s3cret".parse().expect("a token"));
    let (client, peer) = join!(Client::connect(&options), server.welcome(Greeting::default()));
    let client = client.expect("welcome");
    assert_eq!((peer.path.as_str(), peer.authorization.as_deref()), ("/api/v1/ws", Some("Bearer s3cret")));
    assert_eq!((client.welcome().epoch.as_str(), client.position().seq), ("one", 10));
}

#[tokio::test]
async fn without_a_token_none_is_shown() {
    let server = TestServer::start().await;
    let (_client, peer) = welcomed(&server, Greeting::default()).await;
    assert_eq!(peer.authorization, None);
}

#[tokio::test]
async fn a_refusal_says_why_and_whether_to_try_again() {
    let server = TestServer::start().await;
    let problem =
        r#"{"type":"urn:problem:andon:x","title":"No","status":401,"detail":"the token has expired"}"#;
    let answer = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{problem}",
        problem.len()
    );
    let error = refused_by(&server, &answer).await;
    assert!(error.is_final() && error.to_string().contains("the token has expired"), "{error}");

    let error = refused_by(&server, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    assert!(matches!(error, ClientError::Refused { status: 503, .. }) && !error.is_final(), "{error:?}");
    assert_eq!(error.retry_after(), None);
}

#[tokio::test]
async fn a_refusal_may_say_when_to_come_back_but_not_in_an_hour() {
    let server = TestServer::start().await;
    let date = "Fri, 20 Nov 2026 10:00:00 GMT";
    for (told, kept) in [("7", Some(7)), ("3600", Some(300)), (date, None), ("-1", None)] {
        let answer = format!("HTTP/1.1 429 Too Many\r\nretry-after: {told}\r\ncontent-length: 0\r\n\r\n");
        let error = refused_by(&server, &answer).await;
        assert_eq!(error.retry_after(), kept.map(Duration::from_secs), "{told}");
        assert!(!error.is_final());
    }
}

#[tokio::test]
async fn what_is_not_andon_is_told_apart() {
    let server = TestServer::start().await;
    let error = refused_by(&server, "220 mail.example ready\r\n\r\n").await;
    assert!(matches!(error, ClientError::NotWebSocket(_)), "{error:?}");

    for first_words in ["hello", r#"{"type":"heartbeat"}"#, r#"{"event":"open"}"#] {
        let talk = async {
            let mut peer = server.accept().await;
            peer.say(first_words).await;
        };
        let options = server.options();
        let (client, ()) = join!(within_deadline(Client::connect(&options)), talk);
        let error = client.err().expect("no welcome");
        assert!(matches!(error, ClientError::NotAndon), "{first_words}: {error:?}");
    }
}

#[tokio::test]
async fn another_version_of_the_protocol_is_refused() {
    let server = TestServer::start().await;
    let options = server.options();
    let newer = Greeting { protocol: 2, ..Greeting::default() };
    let (client, _peer) = join!(within_deadline(Client::connect(&options)), server.welcome(newer));
    assert!(matches!(client.err(), Some(ClientError::OtherProtocol(2))));
}

#[tokio::test]
async fn a_welcome_that_does_not_come_is_not_waited_for_for_ever() {
    let server = TestServer::start().await;
    let mut options = server.options();
    options.welcome_within = Duration::from_millis(500); // the handshake itself fits in
    let (client, _silent) = join!(within_deadline(Client::connect(&options)), server.accept());
    assert!(matches!(client.err(), Some(ClientError::NoWelcome(_))));

    let (client, _deaf) = join!(within_deadline(Client::connect(&options)), server.accept_tcp());
    assert!(matches!(client.err(), Some(ClientError::NoWelcome(_))));
}

#[tokio::test]
async fn a_server_that_closes_instead_of_greeting_is_heard() {
    let server = TestServer::start().await;
    let options = server.options();
    let turn_away = async { server.accept().await.close(4001, "a valid token is required").await };
    let (client, ()) = join!(within_deadline(Client::connect(&options)), turn_away);
    let error = client.err().expect("turned away");
    assert!(error.is_final() && matches!(error, ClientError::Closed { code: 4001, .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there_and_no_encryption_there_are_errors() {
    let server = TestServer::start().await;
    let mut options = server.options();
    options.server = server.url().replace("http", "https").parse().expect("a URL");
    let (client, ()) =
        join!(within_deadline(Client::connect(&options)), async { drop(server.accept_tcp().await) });
    assert!(matches!(client.err(), Some(ClientError::Unreachable(_))));

    let options = server.options();
    drop(server);
    let client = within_deadline(Client::connect(&options)).await;
    assert!(matches!(client.err(), Some(ClientError::Unreachable(_))));
}
