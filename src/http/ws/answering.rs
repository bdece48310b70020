//! Answers what a client says, one text after the other.
//!
//! * **State**: who the client is, and the keys that it has used.
//! * **Late**: waits for keys, groups, the log, or the end of what the client is still told; others answer meanwhile.

use std::rc::Rc;

use crate::broadcast::{KnownKeys, Seat, Session, Step};
use crate::http::auth::{Principal, Role};
use crate::http::ws::SocketParts;
use crate::protocol::close::CloseCode;
use crate::protocol::socket::ServerMessage;

/// The mouth of one client's session.
pub struct Answering {
    parts: SocketParts,
    seat: Rc<Seat>,
    session: Session,
    keys: KnownKeys,
}

impl Answering {
    /// Nobody knows yet who the client is.
    pub fn new(parts: SocketParts, seat: Rc<Seat>) -> Self {
        let keys = parts.broadcaster.known_keys();
        Self { parts, seat, session: Session::Unknown, keys }
    }

    /// The client has yet to say who it is.
    pub fn is_about_a_stranger(&self) -> bool {
        self.session == Session::Unknown
    }

    /// Does what a text asks for.
    ///
    /// # Errors
    /// The code to close with.
    pub async fn answer(&mut self, text: &str) -> Result<(), CloseCode> {
        let (seq, now) = (self.seat.position(), self.parts.clock.now());
        let mut step = self.session.on_text(text, seq, now);
        loop {
            step = match step {
                Step::Find(message, keys) => {
                    self.seat.begin_first_answer();
                    match self.keys.complete(message, keys).await {
                        Ok(message) => self.session.on_message(message, seq, now),
                        Err(refusal) => Step::Reply(refusal.into()),
                    }
                }
                Step::Reply(message) => {
                    self.seat.end_silence();
                    self.seat.say(&message);
                    return Ok(());
                }
                Step::Subscribe(subscription) => {
                    self.seat.subscribe(&subscription).await;
                    return Ok(());
                }
                Step::Unsubscribe(leaving) => {
                    self.seat.end_silence();
                    self.seat.unsubscribe(&leaving);
                    self.keys.forget(&leaving.ids);
                    return Ok(());
                }
                Step::Received(seq) => {
                    self.seat.on_received(seq);
                    return Ok(());
                }
                Step::Status => {
                    self.seat.end_silence();
                    let payload = self.seat.status();
                    self.seat.say(&ServerMessage::Status { payload });
                    return Ok(());
                }
                Step::Authenticate(token) => return self.authenticate(&token).await,
            };
        }
    }

    async fn authenticate(&mut self, token: &str) -> Result<(), CloseCode> {
        let (message, code) = match self.parts.authorizer.principal(Some(token)).await {
            Ok(principal) if principal.may(Role::Read) => {
                self.seat.say(&ServerMessage::AuthOk);
                self.listen(principal);
                return Ok(());
            }
            Ok(_) => ("this needs the role read".to_owned(), CloseCode::Forbidden),
            Err(error) => (error.to_string(), CloseCode::NotAuthenticated),
        };
        self.seat.say(&ServerMessage::AuthError { message });
        Err(code)
    }

    /// Lets the shard welcome the client.
    pub fn listen(&mut self, principal: Principal) {
        self.session = Session::Listening;
        self.seat.welcome(principal.name);
    }
}
