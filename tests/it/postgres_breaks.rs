//! Connections to PostgreSQL that break at the worst moment: between a COMMIT and its answer, and while a process
//! listens for what others commit.
//!
//! Only where the tests run on PostgreSQL; elsewhere they say that they are left out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use andon::domain::chart::ChartKind;
use andon::services::CommitError;
use andon::settings::Settings;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::shared_database::is_shared;
use crate::support::{Database, Ledger, TestApp, TestServices, address_of, eventually, sample};

const PASS: u8 = 0;
/// The next COMMIT arrives, and its answer does not.
const LOSE_ANSWER: u8 = 1;
/// The next COMMIT does not arrive.
const LOSE_COMMIT: u8 = 2;

/// Stands between Andon and the server.
struct Breaker {
    address: SocketAddr,
    next: Arc<AtomicU8>,
}

impl Breaker {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let next = Arc::new(AtomicU8::new(PASS));
        let shared = Arc::clone(&next);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("PostgreSQL is there");
                tokio::spawn(pass(client, server, Arc::clone(&shared)));
            }
        });
        Self { address, next }
    }
}

/// Passes bytes both ways until either side ends, or the connection is to break.
async fn pass(mut client: TcpStream, mut server: TcpStream, next: Arc<AtomicU8>) {
    let (mut asked, mut told) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                let is_commit = asked[..count].windows(7).any(|word| word == b"COMMIT\0");
                let todo = if is_commit { next.swap(PASS, Ordering::SeqCst) } else { PASS };
                if todo == LOSE_COMMIT || server.write_all(&asked[..count]).await.is_err() {
                    return;
                }
                if todo == LOSE_ANSWER {
                    let _ = server.read(&mut told).await; // it is committed
                    return;
                }
            }
            read = server.read(&mut told) => {
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                if client.write_all(&told[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_looked_up_and_one_that_is_lost_itself_is_told() {
    if !is_shared() {
        return;
    }
    let directory = TempDir::new().expect("a temporary directory");
    let database = directory.path().join("andon.db");
    let options: PgConnectOptions = address_of(&database).parse().expect("an address");
    let server = format!("{}:{}", options.get_host(), options.get_port());
    let breaker = Breaker::before(server.clone()).await;
    let mut settings = Settings::default();
    let through = address_of(&database).replace(&server, &breaker.address.to_string());
    settings.store.url = through + "&sslmode=disable"; // what is said can be read
    assert!(settings.store.url.contains(&breaker.address.to_string()), "the address names host and port");
    let running = TestServices::open_at(&settings).await;
    let id = running.services.given(ChartKind::IMr, 1..=1).await;
    let record = async |name: &str| {
        let queued = running.services.engine.queue(sample(id, vec![1.0], Some(name))).await.expect("queued");
        queued.recorded().await
    };
    let mut stored = vec![];
    for round in 0..3 {
        breaker.next.store(LOSE_ANSWER, Ordering::SeqCst);
        let answer = record(&format!("looked-up-{round}")).await;
        stored.push(answer.expect("it is committed, and that is found out").expect("taken").sample.id.get());
        assert_eq!(breaker.next.load(Ordering::SeqCst), PASS, "an answer was lost");

        breaker.next.store(LOSE_COMMIT, Ordering::SeqCst);
        let answer = record(&format!("lost-{round}")).await;
        assert!(matches!(answer, Err(CommitError::Unavailable)), "{answer:?}");
        assert_eq!(breaker.next.load(Ordering::SeqCst), PASS, "a COMMIT was lost");
        stored.push(
            record(&format!("after-{round}")).await.expect("committed").expect("taken").sample.id.get(),
        );
    }
    running.stop().await;
    let ledger = Ledger::read(&database).await;
    ledger.assert_sound();
    assert!(ledger.samples.keys().eq(&stored), "each once, and what was lost not at all");
}

#[tokio::test]
async fn who_cannot_listen_for_a_while_still_hears_of_every_commit() {
    if !is_shared() {
        return;
    }
    let one = TestApp::spawn().await;
    let id = one.given_a_chart("Bore").await;
    let other = TestApp::builder().on_database_of(one.directory()).spawn().await;
    let mut socket = other.socket().await.subscribed_to([id]).await;
    let epoch = socket.welcome["payload"]["epoch"].as_str().expect("a name").to_owned();
    let mut database = Database::open(&one.database()).await;
    for round in 0..3 {
        let deaf = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE query LIKE 'LISTEN%andon_{epoch}%' AND pid <> pg_backend_pid()"
        );
        let broken = database.number(&deaf).await;
        assert!(round > 0 || broken == 2, "both listened: {broken}");
        let recorded = one.measure(id, 10.0).await;
        assert_eq!(socket.next_of_type("sample").await["seq"], recorded["seq"]);
    }
}

#[tokio::test]
async fn who_could_not_write_for_a_while_knows_what_others_wrote_meanwhile() {
    if !is_shared() {
        return;
    }
    let directory = TempDir::new().expect("a temporary directory");
    let mut settings = Settings::default();
    let other = TestServices::open(directory.path(), &settings).await;
    settings.store.busy_timeout_ms = 50;
    settings.services.probe_interval_ms = 300;
    let locked_out = TestServices::open(directory.path(), &settings).await;
    let id = other.services.given(ChartKind::IMr, 1..=1).await;
    let record = async |of: &TestServices, name: &str| {
        let queued = of.services.engine.queue(sample(id, vec![1.0], Some(name))).await.expect("queued");
        queued.recorded().await
    };
    record(&locked_out, "before").await.expect("committed").expect("taken");
    for round in 0..3 {
        let mut somebody = Database::open(&directory.path().join("andon.db")).await;
        somebody.lock().await;
        let refused = record(&locked_out, "refused").await;
        assert!(matches!(refused, Err(CommitError::Unavailable)), "{refused:?}");
        somebody.unlock().await;
        record(&other, &format!("other-{round}")).await.expect("committed").expect("taken");
        let is_writable = async || locked_out.store.is_writable().then_some(());
        eventually("a probe finds that writing works again", is_writable).await;
        record(&locked_out, &format!("again-{round}")).await.expect("committed").expect("taken");
    }
    locked_out.stop().await;
    other.stop().await;
    let ledger = Ledger::read(&directory.path().join("andon.db")).await;
    ledger.assert_sound();
    assert_eq!(ledger.samples.len(), 7);
}
