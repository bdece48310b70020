//! What doubles of receivers have in common: they listen, treat whoever calls by a mood, and are gone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use andon::notify::contract::Mood;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A port on which somebody listens, or not.
pub struct Port {
    pub address: SocketAddr,
    listening: Mutex<Option<DropGuard>>,
}

impl Port {
    /// Takes everything; each connection is served by `serve` until it is dropped.
    pub async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let listening = Mutex::new(Some(listen(listener, serve)));
        Self { address, listening }
    }

    /// Ends all connections; `serve` is for those that come.
    pub async fn set<F>(&self, mood: Mood, serve: impl Fn(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let was_listening = self.listening.lock().expect("not poisoned").take();
        drop(was_listening);
        if mood != Mood::Absent {
            // The one before is gone once its task has noticed.
            let listener = loop {
                match TcpListener::bind(self.address).await {
                    Ok(listener) => break listener,
                    Err(_) => sleep(Duration::from_millis(5)).await,
                }
            };
            *self.listening.lock().expect("not poisoned") = Some(listen(listener, serve));
        }
    }
}

/// Serves each connection with what all of them share.
pub fn serving<S, F>(
    shared: &Arc<S>,
    serve: impl Fn(TcpStream, Arc<S>) -> F + Send + 'static,
) -> impl Fn(TcpStream) -> F + Send + 'static
where
    S: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let shared = Arc::clone(shared);
    move |stream| serve(stream, Arc::clone(&shared))
}

/// Serves until the guard is dropped; then connections end, too.
fn listen<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F + Send + 'static) -> DropGuard
where
    F: Future<Output = ()> + Send + 'static,
{
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            connections.spawn(serve(stream));
            while connections.try_join_next().is_some() {}
        }
    }));
    guard
}
