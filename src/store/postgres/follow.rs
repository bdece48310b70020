//! Hears of what other processes commit.
//!
//! LISTEN/NOTIFY is a wake-up and nothing more: it carries a position, never rows, and a notification may be lost
//! with its connection. So the head is read whenever a connection begins, and the relay looks by itself besides.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgNotification};
use sqlx::{Executor as _, PgConnection};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Database;
use crate::error_chain::error_chain;
use crate::store::{LogHead, Store, StoreError};

/// How long to wait before a server that cannot be listened to is tried again.
const RETRY: Duration = Duration::from_secs(1);

fn channel(epoch: &str) -> String {
    format!("andon_{epoch}")
}

/// Tells the others, once the transaction is committed, how far the log reaches.
pub async fn notify(connection: &mut PgConnection, head: &LogHead) -> Result<(), sqlx::Error> {
    let notify =
        sqlx::query("SELECT pg_notify($1, $2)").bind(channel(&head.epoch)).bind(head.seq.to_string());
    connection.execute(notify).await.map(drop)
}

/// Moves [`Store::committed`] on as others commit, until `stop`.
pub async fn follow(database: &Database, store: &Store, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            ended = listen(database, store) => {
                let Err(error) = ended;
                warn!(error = %error_chain(&error), "cannot hear of other processes' commits, only look for them");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(RETRY) => {}
        }
    }
}

async fn listen(database: &Database, store: &Store) -> Result<std::convert::Infallible, StoreError> {
    let mut listener = PgListener::connect_with(&database.readers).await?;
    listener.listen(&channel(store.epoch())).await?;
    info!("hearing of other processes' commits");
    loop {
        store.hear(store.head().await?.seq); // whatever was said before, or while a connection was lost
        while let Some(notification) = listener.try_recv().await? {
            let position = |notification: &PgNotification| notification.payload().parse().ok();
            if let Some(seq) = position(&notification) {
                store.hear(seq);
            }
        }
    }
}
