//! The delivery ledger by itself: what is due, to whom, in which order, and what it keeps.

use std::time::Duration;

use andon::domain::delivery::{AttemptOutcome, DeliveryState};
use andon::domain::episode::EpisodeChange;
use andon::domain::ids::DeliveryId;
use andon::domain::rules::Severity;
use andon::settings::Settings;
use andon::store::{
    DeliveryFilter, Finished, LeaseRequest, Leased, NewDelivery, NewNotice, Page, Retried, Store, Turn,
};
use chrono::{DateTime, Utc};
use tempfile::TempDir;

use crate::present_state::steps;
use crate::support::{TestServices, on_postgres, tell_nobody};

const HOUR: Duration = Duration::from_secs(3_600);
const ALL: Page = Page { offset: 0, limit: 1_000 };

struct Ledger {
    running: TestServices,
    _directory: TempDir,
}

impl Ledger {
    async fn open() -> Self {
        let directory = TempDir::new().expect("a directory");
        let running = TestServices::open(directory.path(), &Settings::default()).await;
        Self { running, _directory: directory }
    }

    fn store(&self) -> &Store {
        &self.running.store
    }

    /// Notices of these episodes, in order, to one receiver; each is of use for so long.
    async fn take(&self, episodes: &[i64], useful_for: Duration) {
        let cursor = self.store().notify_cursor().await.expect("a cursor");
        let notice = |(place, episode): (usize, &i64)| NewNotice {
            seq: cursor + 1 + place as u64,
            episode_id: (*episode).try_into().expect("an id"),
            characteristic_id: 1.try_into().expect("an id"),
            change: EpisodeChange::Opened,
            severity: Severity::Critical,
            body: format!("{{\"episode\":{episode}}}"),
            routes: Vec::new(),
            deliveries: vec![NewDelivery::at_once("scada", useful_for)],
        };
        let notices: Vec<_> = episodes.iter().enumerate().map(notice).collect();
        let taken = self.store().take_notices((cursor, cursor + notices.len() as u64), &notices).await;
        assert!(taken.expect("taken").is_some(), "the cursor stands there");
    }

    async fn turn(&self, finished: &[Finished], count: u32, lease: Duration) -> Turn {
        let wanted = LeaseRequest { count, at_once: 1, lease, under_way: &[] };
        self.store().take_turn("scada", finished, &wanted).await.expect("a turn")
    }

    async fn lease(&self, count: u32) -> Vec<Leased> {
        self.turn(&[], count, HOUR).await.leased
    }

    async fn states(&self) -> Vec<DeliveryState> {
        let found = self.store().deliveries(&DeliveryFilter::default(), ALL).await.expect("a list");
        found.items.iter().rev().map(|delivery| delivery.state).collect()
    }
}

fn finished(leased: &Leased, outcome: AttemptOutcome, retry_after: Option<Duration>) -> Finished {
    let (id, attempt) = (leased.id, leased.attempt);
    Finished { id, attempt, outcome, duration: Duration::from_millis(3), detail: None, retry_after }
}

fn bodies(leased: &[Leased]) -> Vec<&str> {
    leased.iter().map(|leased| &*leased.body).collect()
}

#[tokio::test]
async fn of_one_episode_the_next_is_due_when_the_one_before_is_over() {
    let ledger = Ledger::open().await;
    ledger.take(&[1, 1, 2], HOUR).await;
    ledger.take(&[1, 2], HOUR).await;
    let first = ledger.lease(9).await;
    assert_eq!(bodies(&first), ["{\"episode\":1}", "{\"episode\":2}"]);
    let retried = finished(&first[0], AttemptOutcome::Transient, Some(HOUR / 2));
    let delivered = finished(&first[1], AttemptOutcome::Delivered, None);
    let turn = ledger.turn(&[retried, delivered], 9, HOUR).await;
    assert_eq!(bodies(&turn.leased), ["{\"episode\":2}"], "what waits behind a failure waits on");
    let due_in = turn.next_due_in.expect("the failure is tried again");
    assert!(due_in > HOUR / 3 && due_in <= HOUR / 2, "{due_in:?}");
    assert_eq!(ledger.store().retry_delivery(first[0].id, HOUR).await.expect("retried"), Retried::Due);
    let again = ledger.lease(9).await;
    assert_eq!((again[0].id, again[0].attempt), (first[0].id, 2));
    ledger.turn(&[finished(&again[0], AttemptOutcome::Permanent, None)], 0, HOUR).await;
    let second = ledger.lease(9).await.remove(0);
    assert_eq!((second.seq, second.attempt), (2, 1));
    ledger.turn(&[finished(&second, AttemptOutcome::Delivered, None)], 0, HOUR).await;
    assert_eq!(ledger.lease(9).await.remove(0).seq, 4);
    use DeliveryState::{Dead, Delivered, Leased};
    assert_eq!(ledger.states().await, [Dead, Delivered, Delivered, Leased, Leased]);
}

#[tokio::test]
async fn who_is_late_with_an_outcome_changes_nothing_but_its_own_attempt() {
    let ledger = Ledger::open().await;
    ledger.take(&[1], HOUR).await;
    let late = ledger.turn(&[], 1, Duration::ZERO).await.leased.remove(0);
    let newest = ledger.lease(1).await.remove(0);
    assert_eq!((newest.id, newest.attempt), (late.id, 2), "a lease that has ended is anybody's");
    ledger.turn(&[finished(&late, AttemptOutcome::Permanent, None)], 0, HOUR).await;
    assert_eq!(ledger.states().await, [DeliveryState::Leased]);
    ledger.turn(&[finished(&newest, AttemptOutcome::Delivered, None)], 0, HOUR).await;
    ledger.turn(&[finished(&newest, AttemptOutcome::Transient, Some(HOUR))], 0, HOUR).await;
    assert_eq!(ledger.states().await, [DeliveryState::Delivered], "told twice, it counts once");
    let (_, attempts) = ledger.store().delivery(late.id).await.expect("read").expect("it is there");
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Some(AttemptOutcome::Permanent), Some(AttemptOutcome::Delivered)]);
}

#[tokio::test]
async fn what_a_process_still_tries_is_not_leased_by_it_again() {
    let ledger = Ledger::open().await;
    ledger.take(&[1, 2], HOUR).await;
    let first = ledger.turn(&[], 1, Duration::ZERO).await.leased.remove(0);
    let own = [first.id];
    let wanted = LeaseRequest { count: 9, at_once: 1, lease: HOUR, under_way: &own };
    let turn = ledger.store().take_turn("scada", &[], &wanted).await.expect("a turn");
    assert_eq!(bodies(&turn.leased), ["{\"episode\":2}"]);
}

#[tokio::test]
async fn what_a_process_that_died_had_leased_is_uncertain() {
    let ledger = Ledger::open().await;
    ledger.take(&[1], HOUR).await;
    let lost = ledger.lease(1).await.remove(0);
    assert_eq!(ledger.store().retry_delivery(lost.id, HOUR).await.expect("asked"), Retried::Leased);
    ledger.store().release_leases().await.expect("released");
    if on_postgres() {
        return; // another process may hold it
    }
    assert_eq!(ledger.states().await, [DeliveryState::Uncertain]);
    assert_eq!(ledger.store().retry_delivery(lost.id, HOUR).await.expect("asked"), Retried::Due);
    assert_eq!(ledger.lease(1).await.remove(0).attempt, 2);
    let (_, attempts) = ledger.store().delivery(lost.id).await.expect("read").expect("it is there");
    assert_eq!(
        (attempts[0].outcome, attempts[0].detail.as_deref()),
        (Some(AttemptOutcome::Uncertain), Some("the process ended"))
    );
}

#[tokio::test]
async fn what_is_of_no_use_is_given_up_and_the_next_is_due() {
    let ledger = Ledger::open().await;
    ledger.take(&[1], Duration::ZERO).await;
    ledger.take(&[1], HOUR).await;
    assert_eq!(ledger.lease(9).await, [], "the first is of no use, the second waits behind it");
    assert_eq!(ledger.store().expire_deliveries(9).await.expect("swept"), 1);
    assert_eq!(ledger.store().expire_deliveries(9).await.expect("swept"), 0);
    assert_eq!(ledger.states().await, [DeliveryState::Expired, DeliveryState::Pending]);
    assert_eq!(ledger.lease(9).await.remove(0).seq, 2);
}

#[tokio::test]
async fn a_try_that_would_come_too_late_is_not_waited_for() {
    let ledger = Ledger::open().await;
    ledger.take(&[1, 1], HOUR).await;
    let first = ledger.lease(1).await.remove(0);
    ledger.turn(&[finished(&first, AttemptOutcome::Transient, Some(HOUR * 2))], 0, HOUR).await;
    assert_eq!(ledger.states().await, [DeliveryState::Expired, DeliveryState::Pending]);
    assert_eq!(ledger.lease(1).await.remove(0).seq, 2);
}

#[tokio::test]
async fn what_is_tried_again_keeps_its_place() {
    let ledger = Ledger::open().await;
    ledger.take(&[1, 1, 1], HOUR).await;
    let retry = async |id: DeliveryId| ledger.store().retry_delivery(id, HOUR).await.expect("asked");
    let first = ledger.lease(9).await.remove(0);
    ledger.turn(&[finished(&first, AttemptOutcome::Transient, Some(HOUR / 2))], 0, HOUR).await;
    let second = DeliveryId::try_from(first.id.get() + 1).expect("an id");
    assert_eq!(retry(second).await, Retried::Due);
    assert_eq!(ledger.lease(9).await, [], "it waits for what is before it");
    assert_eq!(retry(first.id).await, Retried::Due);
    assert_eq!(ledger.lease(9).await.remove(0).id, first.id);
    let dead = Finished { attempt: 2, ..finished(&first, AttemptOutcome::Permanent, None) };
    let leased = ledger.turn(&[dead], 9, HOUR).await.leased.remove(0);
    assert_eq!(leased.id, second);
    // The first again, while the second is being tried: one after the other, and then the third.
    assert_eq!(retry(first.id).await, Retried::Due);
    assert_eq!(ledger.lease(9).await, []);
    let delivered = finished(&leased, AttemptOutcome::Delivered, None);
    let again = ledger.turn(&[delivered], 9, HOUR).await.leased.remove(0);
    assert_eq!((again.id, again.attempt), (first.id, 3));
    let third =
        ledger.turn(&[finished(&again, AttemptOutcome::Delivered, None)], 9, HOUR).await.leased.remove(0);
    assert_eq!(third.seq, 3);
}

#[tokio::test]
async fn what_is_over_is_removed_when_it_has_had_its_time_and_nothing_else() {
    let ledger = Ledger::open().await;
    ledger.take(&[1, 2, 3], HOUR).await;
    let leased = ledger.lease(2).await;
    let delivered: Vec<_> =
        leased.iter().map(|leased| finished(leased, AttemptOutcome::Delivered, None)).collect();
    ledger.turn(&delivered, 0, HOUR).await;
    assert_eq!(ledger.store().remove_notices(HOUR, 9).await.expect("swept"), 0, "its time is not over");
    let mut removed = 0;
    while removed == 0 {
        // The clock of SQLite tells milliseconds.
        removed = ledger.store().remove_notices(Duration::ZERO, 9).await.expect("swept");
    }
    assert_eq!(removed, 2);
    assert_eq!(ledger.states().await, [DeliveryState::Pending]);
    assert_eq!(ledger.store().remove_notices(Duration::ZERO, 9).await.expect("swept"), 0);
}

#[tokio::test]
async fn of_two_who_take_the_same_notices_one_is_too_late() {
    let ledger = Ledger::open().await;
    ledger.take(&[1, 2], HOUR).await;
    assert_eq!(
        ledger.store().take_notices((0, 9), &[]).await.expect("asked"),
        None,
        "the cursor stands at 2"
    );
    assert_eq!(ledger.store().notify_cursor().await.expect("a cursor"), 2);
}

#[tokio::test]
async fn the_log_keeps_what_nobody_has_taken_into_the_ledger() {
    let ledger = Ledger::open().await;
    let services = &ledger.running.services;
    let ids = services.given_plan().await;
    services.play(&ids, &steps(20)).await;
    let store = ledger.store();
    let first = store.episode_events((0, i64::MAX as u64), 1).await.expect("the log").remove(0).seq;
    let remove = async || {
        let mut transaction = store.begin().await.expect("free");
        transaction.remove_log(DateTime::<Utc>::MAX_UTC, 100_000).await.expect("removed");
        transaction.commit().await.expect("committed");
        store.head().await.expect("a head")
    };
    let head = remove().await;
    assert!(first < head.seq && head.floor == first - 1, "floor {}, first {first}", head.floor);
    tell_nobody(store).await;
    let head = remove().await;
    assert_eq!(head.floor, head.seq);
}
