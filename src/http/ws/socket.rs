//! One client: reads its messages and answers them until the connection has to end.
//!
//! * **State**: this task's own; what the client listens to and what waits for it belongs to the shard.
//! * **Late**: what a message waits for delays only the answers to this client's own texts; it is read on.
//! * **Dies or stops**: leaves the shard, whatever the reason; the body writes the close frame, and ends once the
//!   client has said goodbye, too, or has had time to.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::broadcast::{Broadcaster, Seat};
use crate::http::auth::Principal;
use crate::http::tcp::Line;
use crate::http::ws::SocketParts;
use crate::http::ws::answering::Answering;
use crate::http::ws::inbound::Inbound;
use crate::http::ws::reading::Reading;
use crate::protocol::close::CloseCode;

/// The reading half of a client's connection.
pub struct Socket {
    broadcaster: Broadcaster,
    stop: CancellationToken,
    goodbye_timeout: Duration,
    seat: Rc<Seat>,
    principal: Option<Principal>,
    answering: Answering,
}

impl Socket {
    /// `principal` is known where the handshake said who calls; otherwise the first message must.
    pub fn new(parts: SocketParts, seat: Seat, principal: Option<Principal>) -> Self {
        let (broadcaster, stop) = (parts.broadcaster.clone(), parts.stop.clone());
        let (seat, goodbye_timeout) = (Rc::new(seat), parts.goodbye_timeout);
        let answering = Answering::new(parts, Rc::clone(&seat));
        Self { broadcaster, stop, goodbye_timeout, answering, seat, principal }
    }

    /// Serves the client until its end.
    pub async fn run(mut self, messages: Inbound, line: Line) {
        let started = Instant::now();
        let mut reading = Reading::new(Rc::clone(&self.seat), messages, self.broadcaster.settings());
        let found = self.serve(&mut reading).await;
        self.seat.end(found);
        let code = self.seat.close_code().unwrap_or(found); // the shard may have had a reason before
        info!(
            connection.id = self.seat.id().0,
            close.reason = code.name(),
            duration_ms = started.elapsed().as_millis() as u64,
            last_sent_seq = self.seat.last_sent_seq(),
            "connection {} ended: {}",
            self.seat.id().0,
            code.name(),
        );
        // Each says goodbye, and then the server ends the connection (RFC 6455, section 7.1.1). Until then the body does
        // not end.
        if found != CloseCode::Gone {
            let _ = timeout(self.goodbye_timeout, reading.goodbye()).await;
        }
        line.hang_up();
    }

    async fn serve(&mut self, reading: &mut Reading) -> CloseCode {
        let Self { broadcaster, stop, seat, principal, answering, .. } = self;
        let settings = broadcaster.settings();
        let auth_deadline = Instant::now() + Duration::from_millis(settings.auth_timeout_ms);
        let mut attending = pin!(seat.attend());
        if let Some(principal) = principal.take() {
            answering.listen(principal);
        }
        loop {
            let read = tokio::select! {
                code = &mut attending => return code,
                read = reading.read() => read,
                () = sleep_until(auth_deadline), if answering.is_about_a_stranger() => {
                    return CloseCode::NotAuthenticated;
                }
                () = stop.cancelled(), if answering.is_about_a_stranger() => return CloseCode::GoingAway,
            };
            if let Err(code) = read {
                return code;
            }
            while let Some(text) = reading.next_text() {
                let mut answer = pin!(answering.answer(&text));
                let answered = loop {
                    tokio::select! {
                        // What an answer waits for may be what the attendant reads. What can be answered at once is
                        // answered before the next message is read, and so before a goodbye.
                        biased;
                        code = &mut attending => return code,
                        answered = &mut answer => break answered,
                        read = reading.read(), if reading.has_room() => {
                            if let Err(code) = read {
                                return code;
                            }
                        }
                    }
                };
                if let Err(code) = answered {
                    return code;
                }
            }
        }
    }
}
