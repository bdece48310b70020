//! An address that stays while the servers behind it come and go, as a proxy or a service manager gives it.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Passes connections on to one server at a time.
pub struct Door {
    pub address: SocketAddr,
    behind: watch::Sender<Option<SocketAddr>>,
    _open: DropGuard,
}

impl Door {
    /// A door with nothing behind it: who comes is turned away.
    pub async fn open() -> Self {
        let entrance = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = entrance.local_addr().expect("bound");
        let (behind, server) = watch::channel(None);
        let closed = CancellationToken::new();
        tokio::spawn(closed.clone().run_until_cancelled_owned(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut client, _) = entrance.accept().await.expect("a client");
                let server = *server.borrow();
                connections.spawn(async move {
                    let Some(address) = server else { return };
                    if let Ok(mut server) = TcpStream::connect(address).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await; // until one of them ends
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        }));
        Self { address, behind, _open: closed.drop_guard() }
    }

    /// From now on, who comes gets to this server. Connections that stand are not touched.
    pub fn lead_to(&self, server: Option<SocketAddr>) {
        self.behind.send_replace(server);
    }
}
