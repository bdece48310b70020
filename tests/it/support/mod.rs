//! The real application on a port of its own, with a database of its own, and clients that talk to it.

mod answer;
mod app;
mod broker;
pub mod contract;
mod database;
mod door;
mod event_source;
mod far_end;
mod ledger;
mod listener;
mod load;
mod mail;
mod plan;
mod process;
mod raw;
mod receiver;
mod services;
mod socket;
mod stream;
mod webhook;

pub use answer::Answer;
pub use app::{TestApp, TestAppBuilder};
pub use broker::{Mosquitto, MqttListener, TestBroker, impatient};
pub use database::{Database, address_of, of_databases, on_postgres};
pub use door::Door;
pub use event_source::{Asking, EventSource, Told};
pub use ledger::Ledger;
pub use listener::{Fingerprint, Heard, Manner, ResumingListener, listen};
pub use load::{Answered, Load, acknowledge};
pub use mail::{MailServer, Received, TestMailServer};
pub use plan::{Outcome, Step, plan};
pub use process::Process;
pub use raw::{RawSocket, close_code};
pub use receiver::{TestReceiver, Treatment};
pub use services::{Services, TestServices, sample, tell_nobody};
pub use socket::TestSocket;
pub use stream::Stream;
pub use webhook::{Request, TestWebhook};

use std::time::Duration;

/// How long a test waits for a state before it fails; far longer than any state takes.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Names the implementation of TLS for HTTP clients of this process, as the product does for each of its own: the
/// library brings none, and builds no client without. Whatever starts a server calls this.
pub fn name_tls_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default(); // somebody was first: the same
}

/// Waits until `check` gives a value.
///
/// Polls: for states that nobody announces.
pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, poll).await.unwrap_or_else(|_| panic!("never happened: {what}"))
}
