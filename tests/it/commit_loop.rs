//! The commit loop when the database refuses, is locked, or lags: all or nothing, told after the commit.

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use andon::domain::chart::ChartKind;
use andon::domain::ids::CharacteristicId;
use andon::services::{
    AcknowledgeError, Answer, CommitError, GivenLimits, Queued, RecordedSample, SampleAnswer, Signed,
};
use andon::settings::Settings;
use andon::store::StoreError;
use futures_util::future::{join_all, select_all};
use tempfile::TempDir;

use crate::support::{Database, Ledger, Services, TestServices, eventually, sample};

/// In sigmas; all eight rules find something in these.
const VALUES: [f64; 24] = [
    0.5, 0.6, 0.7, 0.9, 1.1, 1.2, 3.5, -3.5, 2.5, 2.6, -1.5, 1.5, -1.5, 1.5, -1.5, 1.5, -1.5, 1.5, 0.2, 0.3,
    0.4, 0.1, 0.2, 0.3,
];

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn file(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("andon.db")
}

/// Settings of a database that gives up soon, and is tried again soon.
fn impatient() -> Settings {
    let mut settings = Settings::default();
    settings.store.busy_timeout_ms = 100;
    settings.services.probe_interval_ms = 20;
    settings
}

async fn open(directory: &Path, settings: &Settings) -> (TestServices, CharacteristicId) {
    let running = TestServices::open(directory, settings).await;
    let id = running.services.given(ChartKind::IMr, 1..=1).await;
    let given = GivenLimits::Sigma { center_line: 0.0, sigma: 1.0 };
    let set = running.services.limits.set(id, given, Signed::default()).await;
    set.expect("committed").expect("limits");
    (running, id)
}

impl Services {
    async fn queue_all(
        &self,
        of: CharacteristicId,
        values: &[f64],
        operator: &str,
    ) -> Vec<Queued<SampleAnswer>> {
        let mut queued = vec![];
        for value in values {
            let sample = sample(of, vec![*value], Some(operator));
            queued.push(self.engine.queue(sample).await.expect("queued"));
        }
        queued
    }
}

/// Polls a call once: from then on it stands in the queue.
async fn queued(call: &mut (impl Future + Unpin)) {
    assert!(poll_fn(|context| Poll::Ready(Pin::new(&mut *call).poll(context).is_pending())).await);
}

async fn stored(queued: Vec<Queued<SampleAnswer>>) -> Vec<RecordedSample> {
    let answers = join_all(queued.into_iter().map(Queued::recorded)).await;
    answers.into_iter().map(|answer| answer.expect("committed").expect("taken")).collect()
}

fn assert_unavailable(answer: &Result<impl Sized, CommitError>) {
    let Err(error) = answer else { panic!("it cannot have been stored") };
    assert!(matches!(error, CommitError::Unavailable), "{error}");
}

/// What a loop answers that is asked for nothing but these.
async fn undisturbed(values: &[f64]) -> Vec<RecordedSample> {
    let directory = temporary();
    let (running, id) = open(directory.path(), &Settings::default()).await;
    let answers = stored(running.services.queue_all(id, values, "ann").await).await;
    running.stop().await;
    answers
}

/// Three culprits in a batch of samples that wait together, refused by RAISE(`how`).
async fn only_the_culprits_fail(how: &str) {
    let directory = temporary();
    let (running, id) = open(directory.path(), &Settings::default()).await;
    let mut other = Database::open(&file(&directory)).await;
    other.refuse_poison(how).await;
    other.lock().await; // until all of them wait: then they share a transaction
    let (mut good, mut bad) = (vec![], vec![]);
    for values in VALUES.chunks(8) {
        good.extend(running.services.queue_all(id, values, "ann").await);
        bad.extend(running.services.queue_all(id, &[-2.5], "poison").await);
    }
    // It reads what the batch has written so far: so the culprits show up before the commit is tried.
    let answer =
        Answer { user: "ann".to_owned(), reason: "Other".to_owned(), comment: None, exclude_sample: false };
    let nothing = 1_000_000.try_into().expect("an id");
    let mut acknowledgement = Box::pin(running.services.alerts.acknowledge(nothing, answer));
    queued(&mut acknowledgement).await;
    other.unlock().await;
    let unknown = acknowledgement.await.expect("committed");
    assert!(matches!(unknown, Err(AcknowledgeError::Unknown(_))), "{unknown:?}");
    for culprit in bad {
        let Err(CommitError::Failed(cause)) = culprit.recorded().await else { panic!("it is refused") };
        assert!(matches!(*cause, StoreError::Refused(_)), "{cause}");
    }
    assert_eq!(stored(good).await, undisturbed(&VALUES).await, "as if the culprits never came");
    assert!(running.store.is_writable(), "data that is refused says nothing about the database");
    running.stop().await;
    Ledger::read(&file(&directory)).await.assert_sound();
}

#[tokio::test]
async fn data_that_the_database_refuses_fails_only_its_culprit() {
    only_the_culprits_fail("ABORT").await;
}

/// SQLite ends the transaction by itself, as it does when the disk is full: the connection must not stay in it.
#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_does_not_block_the_next() {
    only_the_culprits_fail("ROLLBACK").await;
}

#[tokio::test]
async fn callers_are_answered_after_the_commit_and_not_before() {
    let directory = temporary();
    let (running, id) = open(directory.path(), &Settings::default()).await;
    let (mut locker, mut reader) =
        (Database::open(&file(&directory)).await, Database::open(&file(&directory)).await);
    locker.lock().await;
    let queued = running.services.queue_all(id, &VALUES, "ann").await;
    let mut waiting: Vec<_> = queued.into_iter().map(|queued| Box::pin(queued.recorded())).collect();
    let first = tokio::time::timeout(Duration::from_millis(300), select_all(&mut waiting)).await;
    assert!(first.is_err(), "answered although nothing could be stored");
    locker.unlock().await;
    while !waiting.is_empty() {
        let (answer, _, rest) = select_all(waiting).await;
        let sample_id = answer.expect("committed").expect("taken").sample.id;
        let found = reader.number(&format!("SELECT count(*) FROM samples WHERE id = {sample_id}")).await;
        assert_eq!(found, 1, "sample {sample_id} is answered, so everybody can read it");
        waiting = rest;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_failed_commit_leaves_no_trace_and_writing_comes_back_by_itself() {
    let directory = temporary();
    let (running, id) = open(directory.path(), &impatient()).await;
    let mut other = Database::open(&file(&directory)).await;
    let mut answers = stored(running.services.queue_all(id, &VALUES[..8], "ann").await).await;

    other.lock().await;
    let failed = running.services.queue_all(id, &[-2.5, 0.0, 0.0, 2.5, 9.0], "bob").await;
    for sample in failed {
        assert_unavailable(&sample.recorded().await);
    }
    assert!(!running.store.is_writable());
    other.unlock().await;
    eventually("writing comes back without anybody asking", async || {
        running.store.is_writable().then_some(())
    })
    .await;

    answers.extend(stored(running.services.queue_all(id, &VALUES[8..], "ann").await).await);
    assert_eq!(answers, undisturbed(&VALUES).await, "as if the failed ones never came");
    running.stop().await;
    Ledger::read(&file(&directory)).await.assert_sound();
}

#[tokio::test]
async fn a_full_queue_tells_callers_to_come_back_and_keeps_what_it_took() {
    let directory = temporary();
    let mut settings = Settings::default();
    settings.services.queue_commands = 3;
    settings.services.queue_timeout_ms = 50;
    let (running, id) = open(directory.path(), &settings).await;
    let mut other = Database::open(&file(&directory)).await;
    other.lock().await;
    let mut taken = running.services.queue_all(id, &[1.0], "ann").await;
    eventually("the loop works on the first", async || (running.queue.depth() == 0).then_some(())).await;
    taken.extend(running.services.queue_all(id, &[2.0, 3.0, 4.0], "ann").await);
    let refused = running.services.engine.submit(sample(id, vec![5.0], None)).await;
    assert!(matches!(refused, Err(CommitError::Busy)), "{refused:?}");
    other.unlock().await;
    let values: Vec<f64> = stored(taken).await.iter().map(|recorded| recorded.sample.subgroup.mean).collect();
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0]);
    running.stop().await;
    assert_eq!(Ledger::read(&file(&directory)).await.samples.len(), 4);
}

#[tokio::test]
async fn stopping_commits_what_waits_and_takes_nothing_new() {
    let directory = temporary();
    let mut settings = Settings::default();
    settings.services.commands_per_commit = 5;
    let (running, id) = open(directory.path(), &settings).await;
    let mut other = Database::open(&file(&directory)).await;
    other.lock().await;
    let waiting = running.services.queue_all(id, &VALUES, "ann").await;
    running.stop.cancel();
    other.unlock().await;
    assert_eq!(stored(waiting).await, undisturbed(&VALUES).await);
    eventually("the queue is closed", async || {
        let late = running.services.engine.submit(sample(id, vec![0.0], Some("late"))).await;
        matches!(late, Err(CommitError::Stopping)).then_some(())
    })
    .await;
    running.stop().await;
    Ledger::read(&file(&directory)).await.assert_sound();
}

#[tokio::test]
async fn a_caller_that_goes_away_has_its_sample_stored_all_the_same() {
    let directory = temporary();
    let (running, id) = open(directory.path(), &Settings::default()).await;
    let mut other = Database::open(&file(&directory)).await;
    other.lock().await;
    let mut submission = Box::pin(running.services.engine.submit(sample(id, vec![1.0], None)));
    queued(&mut submission).await;
    drop(submission);
    other.unlock().await;
    running.stop().await;
    assert_eq!(Ledger::read(&file(&directory)).await.samples.len(), 1);
}
