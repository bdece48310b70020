//! The connection to a broker, begun anew whenever it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::{LastWill, Packet};
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, PublishOptions, TlsConfiguration, Transport,
};
use tokio::select;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::notify::backoff::wait_after;
use crate::notify::mqtt::settings::{Encryption, Settings};
use crate::notify::mqtt::{MqttError, ms, some_client_id};
use crate::notify::notifier::NotifyError;
use crate::tls;

/// Messages that wait for the connection's task, at most; who has one more waits.
const QUEUE: usize = 64;

/// What stands on the status topic.
const ONLINE: &str = "online";
const OFFLINE: &str = "offline";

/// Where the connection is.
#[derive(Debug, Clone, Default)]
enum State {
    /// Nobody holds it yet.
    #[default]
    Idle,
    /// The broker has accepted this one, the so-manieth.
    Up(u64, AsyncClient),
    /// It broke, or could not be made.
    Down(Arc<str>),
}

/// A connection and its state. One task [holds](Self::hold) it, many use it.
pub struct Link {
    options: MqttOptions,
    status_topic: Option<String>,
    /// `online` is said again: the broker may say `offline` of a connection before.
    repeat_status: Duration,
    connect_timeout: Duration,
    reconnect: (Duration, Duration),
    state: watch::Sender<State>,
    /// Whether the broker has accepted the newest connection.
    accepted: AtomicBool,
}

/// A connection that was up when it was asked for.
pub struct Client {
    number: u64,
    client: AsyncClient,
}

impl std::ops::Deref for Client {
    type Target = AsyncClient;

    fn deref(&self) -> &AsyncClient {
        &self.client
    }
}

impl Link {
    pub fn new(settings: &Settings, status_topic: Option<String>) -> Result<Self, MqttError> {
        let client_id = settings.client_id.clone().unwrap_or_else(some_client_id);
        let mut options = MqttOptions::new(client_id, (settings.server.as_str(), settings.port()));
        if settings.encryption == Encryption::Tls {
            let roots = tls::trusted_roots().map_err(MqttError::Trust)?;
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(tls::trusting(roots)))));
        }
        if let Some((user, password)) = settings.login()? {
            options.set_credentials(user, password.reveal().to_owned());
        }
        options
            .set_clean_start(true)
            .set_keep_alive(settings.keep_alive_seconds)
            .set_connect_timeout(ms(settings.connect_timeout_ms));
        if let Some(topic) = &status_topic {
            options.set_last_will(LastWill::new(topic.clone(), OFFLINE, QoS::AtLeastOnce, true, None));
        }
        Ok(Self {
            options,
            status_topic,
            repeat_status: 2 * Duration::from_secs(settings.keep_alive_seconds.into()),
            connect_timeout: ms(settings.connect_timeout_ms),
            reconnect: (ms(settings.reconnect_ms), ms(settings.max_reconnect_ms)),
            state: watch::Sender::default(),
            accepted: AtomicBool::new(false),
        })
    }

    /// The connection, waited for a little.
    ///
    /// # Errors
    /// Transient, with what is in the way.
    pub async fn client(&self) -> Result<Client, NotifyError> {
        let mut states = self.state.subscribe();
        let up = states.wait_for(|state| matches!(state, State::Up(..)));
        let found =
            timeout(self.connect_timeout, up).await.ok().and_then(Result::ok).map(|state| state.clone());
        match found {
            Some(State::Up(number, client)) => Ok(Client { number, client }),
            _ => Err(NotifyError::transient(match &*self.state.borrow() {
                State::Down(reason) => format!("no connection to the broker: {reason}"),
                State::Idle | State::Up(..) => "no connection to the broker".to_owned(),
            })),
        }
    }

    /// Somebody has noticed that a connection is over, perhaps before its task has.
    pub fn has_lost(&self, lost: &Client) {
        self.state.send_if_modified(|state| {
            let is_it = matches!(state, State::Up(number, _) if *number == lost.number);
            if is_it {
                *state = State::Down(Arc::from("it broke"));
            }
            is_it
        });
    }

    /// Connects, again and again, until `stop`; then says goodbye.
    pub async fn hold(&self, stop: CancellationToken) {
        let (mut number, mut failures) = (0, 0);
        while !stop.is_cancelled() {
            number += 1;
            let (client, events) = AsyncClient::builder(self.options.clone()).capacity(QUEUE).build();
            let Some(error) = self.serve((number, client), events, &stop).await else { break };
            let was_up = self.accepted.swap(false, Ordering::Relaxed);
            self.state.send_replace(State::Down(Arc::from(error.as_str())));
            failures = if was_up { 1 } else { failures + 1 };
            if failures == 1 {
                warn!(error, "no connection to the broker, trying again");
            }
            let (first, longest) = self.reconnect;
            select! {
                () = stop.cancelled() => {}
                () = sleep(wait_after(failures, first, longest, clock::fraction())) => {}
            }
        }
        self.state.send_replace(State::Down(Arc::from("this process stops")));
    }

    /// Until it breaks, with the reason, or until `stop`.
    async fn serve(
        &self,
        (number, client): (u64, AsyncClient),
        mut events: EventLoop,
        stop: &CancellationToken,
    ) -> Option<String> {
        let status = async |text: &'static str| {
            let Some(topic) = self.status_topic.clone() else { return };
            let options = PublishOptions::at_least_once().retained();
            // What ends the connection is told there.
            if let Ok(notice) = client.publish_tracked(topic, text, options).await {
                let _ = notice.wait_completion_async().await;
            }
        };
        let polling = async {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        info!("connected to the broker");
                        self.accepted.store(true, Ordering::Relaxed);
                        self.state.send_replace(State::Up(number, client.clone()));
                    }
                    Ok(_) => {}
                    Err(ConnectionError::RequestsDone) => return None,
                    Err(error) => return Some(error.to_string()),
                }
            }
        };
        let talking = async {
            let mut states = self.state.subscribe();
            let is_up = states.wait_for(|state| matches!(state, State::Up(up, _) if *up == number));
            select! {
                Ok(_) = is_up => {}
                () = stop.cancelled() => return None,
            }
            let is_lost = states.wait_for(|state| !matches!(state, State::Up(..)));
            let repeating = async {
                loop {
                    status(ONLINE).await;
                    sleep(self.repeat_status).await;
                }
            };
            select! {
                Ok(_) = is_lost => return Some("it broke".to_owned()),
                () = stop.cancelled() => {}
                () = repeating => {}
            }
            status(OFFLINE).await; // a goodbye would overtake it
            let _ = client.disconnect_with_timeout(self.connect_timeout).await;
            std::future::pending().await
        };
        select! {
            ended = polling => ended,
            ended = talking => ended,
        }
    }
}
