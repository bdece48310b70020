//! Clients of every kind at once, for a while: they listen, resume, stall, lie and vanish. In the end each that
//! lives holds exactly the alerts of the log, nothing has leaked, and what was due is accounted for.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::crash::given_charts;
use crate::support::{
    DEADLINE, Door, Ledger, Load, Manner, Process, RawSocket, ResumingListener, acknowledge, eventually,
};

const POSTERS: u64 = 8;

/// Between two requests of a poster: some 280 samples a second, most of them in batches.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a client may take nothing; stalling listeners often exceed it.
const STALL: Duration = Duration::from_secs(3);

/// What a troublemaker's kernel takes unread.
const WINDOW: u32 = 8 << 10;

/// Small queues and short patience: everything that can happen to a client happens often.
fn serve(database: &Path) -> Command {
    let mut command = Process::serve(database);
    for (setting, value) in [
        ("BROADCAST__ALERT_QUEUE_BYTES", "16384"),
        ("BROADCAST__SAMPLE_QUEUE_BYTES", "8192"),
        ("BROADCAST__STALL_TIMEOUT_MS", &STALL.as_millis().to_string()),
        ("BROADCAST__PING_INTERVAL_MS", "1000"),
        // Troublemakers answer no ping: who only lies is not to be let go for that while the machine is busy.
        ("BROADCAST__PONG_TIMEOUT_MS", "10000"),
        ("HTTP__PEER_TIMEOUT_MS", "5000"),
        ("BROADCAST__FIRST_WORDS_MS", "60000"),
        ("BROADCAST__PAGE_EVENTS", "50"),
        ("BUS__CAPACITY_EVENTS", "4096"),
        ("HTTP__SEND_BUFFER_BYTES", "16384"),
        ("HTTP__CONNECTS_PER_SECOND", "100000"),
        ("HTTP__CONNECTS_PER_SECOND_PER_ADDRESS", "100000"),
    ] {
        command.env(format!("ANDON_{setting}"), value);
    }
    command
}

/// What a client does that nobody should have to bear.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// Listens, and is gone in the middle of a frame, with or without a word to the other side.
    Vanish,
    /// Listens, reads nothing more and answers no ping, until it is let go.
    Deafness,
    /// Says what is not so.
    Lies,
    /// Says more than anybody may.
    Flood,
    /// Begins a handshake, and does not go on.
    HalfHandshake,
}

const TROUBLES: [Trouble; 5] =
    [Trouble::Vanish, Trouble::Deafness, Trouble::Lies, Trouble::Flood, Trouble::HalfHandshake];

/// No client knows such positions, epochs, names or frames.
const LIES: [&str; 6] = [
    r#"{"type":"received","seq":18446744073709551615}"#,
    r#"{"type":"subscribe","all":true,"since":{"epoch":"another","seq":9}}"#,
    r#"{"type":"subscribe","all":true,"since":{"epoch":"another","seq":-9}}"#,
    r#"{"type":"subscribe","characteristic_ids":[99999999]}"#,
    r#"{"type":"acknowledge","violation_id":1}"#,
    "[[[[[[[[[",
];

impl Trouble {
    async fn make(self, address: SocketAddr, random: &mut StdRng) {
        match self {
            Self::Vanish => {
                let mut client = RawSocket::connect(address, Some(WINDOW)).await;
                client.subscribe("\"all\":true").await;
                client.send_bytes(&[0x81, 0xFE, 0x10]).await;
                sleep(Duration::from_millis(random.random_range(0..300))).await;
                client.vanish(random.random());
            }
            Self::Deafness => {
                let mut client = RawSocket::connect(address, Some(WINDOW)).await;
                client.subscribe("\"all\":true").await;
                let let_go = async {
                    while client.is_held_by_the_server() {
                        sleep(Duration::from_millis(100)).await; // nobody announces it
                    }
                };
                timeout(DEADLINE, let_go).await.expect("who is deaf is let go, down to its socket");
            }
            Self::Lies => {
                let mut client = RawSocket::connect(address, None).await;
                for _ in 0..random.random_range(1..20) {
                    client.send(0x81, LIES[random.random_range(0..LIES.len())].as_bytes()).await;
                }
                client.send(0x81, br#"{"type":"ping","t":"last"}"#).await;
                client.wait_for(r#""t":"last""#).await;
                client.send(0x82, b"binary").await;
                let received = client.read_to_the_end().await;
                assert!(!received.is_empty(), "a goodbye");
            }
            Self::Flood => {
                let mut client = RawSocket::connect(address, None).await;
                let mut frames = vec![];
                for _ in 0..3_000 {
                    frames.extend([0x89, 0x80, 0, 0, 0, 0]); // an empty ping
                }
                client.send_bytes(&frames).await;
                client.read_to_the_end().await;
            }
            Self::HalfHandshake => {
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                stream.write_all(b"GET /api/v1/ws HTTP/1.1\r\nHost: ").await.expect("sent");
                sleep(Duration::from_millis(random.random_range(0..300))).await;
            }
        }
    }
}

/// Makes trouble of one kind, again and again; says how often.
async fn make_trouble(kind: Trouble, address: SocketAddr, seed: u64, stop: CancellationToken) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let mut times = 0;
    while !stop.is_cancelled() {
        kind.make(address, &mut random).await;
        times += 1;
    }
    times
}

/// Sockets that the process holds, its listening ones included.
fn sockets(process: &Process) -> usize {
    let descriptors =
        std::fs::read_dir(format!("/proc/{}/fd", process.id())).expect("Linux tells them there");
    let targets = descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// What was due to clients that are all gone by now: all of it was written, or left out for a reason.
async fn assert_accounted_for(process: &Process) -> f64 {
    eventually("what was due was written or skipped", async || {
        let due = process.metric("andon_deliveries_due_total").await;
        let written = process.metric("andon_deliveries_total").await;
        let skipped = process.metric("andon_deliveries_skipped_total").await;
        (due > 0.0 && due == written + skipped).then_some(due)
    })
    .await
}

#[expect(clippy::print_stderr, reason = "reports of long runs tell how much was at stake")]
async fn soak(length: Duration, seed: u64) {
    let directory = TempDir::new().expect("a temporary directory");
    let database = directory.path().join("andon.db");
    let process = Process::start(serve(&database)).await;
    let charts = given_charts(&process).await;
    let sockets_before = eventually("only what always stands is open", async || {
        let open = sockets(&process);
        sleep(Duration::from_millis(200)).await;
        (open == sockets(&process)).then_some(open)
    })
    .await;

    let door = Door::open().await;
    door.lead_to(Some(process.address));
    let load = Load::paced(door.address, &charts, POSTERS, "soak", PAUSE);
    let answers = acknowledge(door.address);
    let mut listeners = vec![];
    for listener in 0..4 {
        let seed = seed + listener;
        let longest = STALL * 2;
        for manner in [Manner::Patient, Manner::Restless { seed }, Manner::Stalling { seed, longest }] {
            listeners.push((manner, ResumingListener::start(process.address, manner).await));
        }
    }
    let (stop, mut troubles) = (CancellationToken::new(), JoinSet::new());
    for (kind, seed) in TROUBLES.into_iter().chain(TROUBLES).zip(seed..) {
        let making = make_trouble(kind, process.address, seed, stop.clone());
        troubles.spawn(async move { (kind, making.await) });
    }
    sleep(length / 2).await; // the length is what this test is about
    let resident = process.metric("process_resident_memory_bytes").await;
    sleep(length / 2).await;

    drop(door); // who posts and acknowledges is not answered any more
    let posted = load.answered().await.len();
    let acknowledged = answers.await.expect("no panic");
    stop.cancel();
    for (kind, times) in troubles.join_all().await {
        assert!(times > 0, "{kind:?} was made");
        eprintln!("{kind:?}: {times} times");
    }
    let head = process.head().await;
    let mut accounts = vec![];
    for (manner, listener) in listeners {
        accounts.push((manner, listener.up_to(head).await));
    }
    eventually("every connection has ended, and its socket", async || {
        let open = process.metric("andon_connections").await;
        (open == 0.0 && sockets(&process) <= sockets_before).then_some(())
    })
    .await;
    let due = assert_accounted_for(&process).await;
    let grown = process.metric("process_resident_memory_bytes").await - resident;
    let overflows = process.metric("andon_replays_total").await;
    let metrics = process.metrics().await;
    process.terminate().await;
    assert!(process.end().await.0.success());

    let ledger = Ledger::read(&database).await;
    ledger.assert_sound();
    let log = ledger.log();
    for (manner, account) in &accounts {
        account.assert_complete(&log);
        eprintln!("{manner:?}: {account}");
    }
    eprintln!("{posted} samples, {acknowledged} acknowledgements, {due} deliveries due, {overflows} replays");
    eprintln!("the process grew by {grown} bytes in the second half; events in the log: {}", log.len());
    for counted in metrics
        .lines()
        .filter(|line| line.starts_with("andon_deliveries") || line.starts_with("andon_connections_closed"))
    {
        eprintln!("{counted}");
    }
    // What a leak of so many connections and events would come to is many times more.
    assert!(grown < f64::from(64 << 20), "the process grew by {grown} bytes");
    assert!(acknowledged > 0 && overflows > 0.0, "{acknowledged} answered, {overflows} replays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_lives_has_every_alert_whatever_others_do() {
    soak(Duration::from_secs(8), 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: ten minutes"]
async fn whoever_lives_has_every_alert_after_ten_minutes() {
    // Other lengths by `SOAK_SECONDS`.
    let seconds = std::env::var("SOAK_SECONDS").ok().map_or(600, |text| text.parse().expect("a number"));
    soak(Duration::from_secs(seconds), 5).await;
}
