//! What the store tells of the present: from where each characteristic counts, where it belongs, and how it stands, all as
//! of one position of the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use andon::domain::ids::CharacteristicId;
use andon::protocol::event::LoggedEvent;
use andon::services::Deletion;
use andon::settings::Settings;
use andon::store::{CharacteristicState, FirstRevisions, Page, SampleFilter, Store, StoreError};
use chrono::{DateTime, TimeDelta};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Step, TestApp, TestServices, address_of, plan, sample, tell_nobody};

fn id(id: i64) -> CharacteristicId {
    CharacteristicId::try_from(id).expect("positive")
}

/// Many steps, the same ones each time.
pub fn steps(count: usize) -> Vec<Step> {
    plan(count..count + 1).new_tree(&mut TestRunner::deterministic()).expect("a plan").current()
}

async fn whole_log(store: &Store) -> Vec<Arc<LoggedEvent>> {
    let head = store.head().await.expect("a head");
    let log = store.log_page(head.floor, 1_000_000).await.expect("the log");
    assert_eq!(log.len() as u64, head.seq - head.floor);
    log
}

/// What the log itself says of a position.
fn first_after(log: &[Arc<LoggedEvent>], after: u64) -> FirstRevisions {
    let mut first_after = HashMap::new();
    for event in log.iter().filter(|event| event.seq > after) {
        first_after.entry(event.characteristic_id).or_insert(event.revision);
    }
    FirstRevisions { head: log.last().expect("events").seq, first_after }
}

async fn remove_oldest(store: &Store, events: u32) {
    tell_nobody(store).await;
    let mut transaction = store.begin().await.expect("free");
    let later = DateTime::UNIX_EPOCH + TimeDelta::days(40_000);
    assert_eq!(transaction.remove_log(later, events).await.expect("removed"), u64::from(events));
    transaction.commit().await.expect("committed");
}

#[tokio::test]
async fn what_came_first_after_a_position_is_what_the_log_says() {
    let directory = TempDir::new().expect("a temporary directory");
    let running = TestServices::open(directory.path(), &Settings::default()).await;
    let ids = running.services.given_plan().await;
    running.services.play(&ids, &steps(20)).await;
    let (store, log) = (&running.store, whole_log(&running.store).await);
    let head = log.len() as u64;
    assert!(head > 100, "a real log: {head}");
    for after in [0, 1, 2, head / 3, head / 2, head - 1, head] {
        assert_eq!(store.first_revisions_after(after).await.expect("told"), first_after(&log, after));
    }
    for beyond in [head + 1, u64::MAX] {
        let told = store.first_revisions_after(beyond).await.expect("told");
        assert_eq!(told, FirstRevisions { head, first_after: HashMap::new() });
    }
    running.stop().await;
}

#[tokio::test]
async fn of_a_position_that_the_log_no_longer_knows_nothing_is_told() {
    let directory = TempDir::new().expect("a temporary directory");
    let running = TestServices::open(directory.path(), &Settings::default()).await;
    let ids = running.services.given_plan().await;
    running.services.play(&ids, &steps(10)).await;
    let (store, log) = (&running.store, whole_log(&running.store).await);
    remove_oldest(store, 30).await;
    assert!(matches!(store.first_revisions_after(29).await, Err(StoreError::Removed { floor: 30 })));
    assert_eq!(store.first_revisions_after(30).await.expect("told"), first_after(&log, 30));
    let rest = log.len() as u32 - 30;
    remove_oldest(store, rest).await;
    let head = log.len() as u64;
    assert!(
        matches!(store.first_revisions_after(head - 1).await, Err(StoreError::Removed { floor }) if floor == head)
    );
    assert_eq!(store.first_revisions_after(head).await.expect("told").first_after, HashMap::new());

    let mut transaction = store.begin().await.expect("free");
    transaction.renew_epoch();
    transaction.commit().await.expect("committed");
    assert!(matches!(store.first_revisions_after(head).await, Err(StoreError::Renewed)));
    assert!(matches!(store.state_of(ids[0], 1).await, Err(StoreError::Renewed)));
    assert!(matches!(store.log_page(head, 1).await, Err(StoreError::Renewed)));
    running.stop().await;
}

#[tokio::test]
async fn a_group_is_told_of_every_characteristic_that_is_there() {
    let app = TestApp::spawn().await;
    let mut expected = HashMap::new();
    for (name, group) in [("a", Some("plant")), ("b", Some("plant/line4")), ("c", None), ("d", Some("lab"))] {
        let given = app.given_a_characteristic(&json!({"name": name, "group": group})).await;
        expected.insert(id(given), group.map(str::to_owned));
    }
    assert_eq!(app.call("DELETE", "/characteristics/4", None).await.0, 204);
    assert_eq!(
        app.call("PATCH", "/characteristics/2", Some(&json!({"group": "plant/line9", "retired": true})))
            .await
            .0,
        200
    );
    expected.remove(&id(4));
    expected.insert(id(2), Some("plant/line9".to_owned()));
    let database = app.database();
    let directory = Arc::clone(app.directory());
    app.stop().await.expect("stops");

    let settings = andon::store::Settings { url: address_of(&database), ..Default::default() };
    let (store, _handover) = Store::open(&settings).await.expect("the store opens");
    assert_eq!(store.groups().await.expect("told"), expected);
    let some = [id(3), id(2), id(4), id(99), id(2)];
    let of_some = HashMap::from([(id(3), None), (id(2), Some("plant/line9".to_owned()))]);
    assert_eq!(store.groups_of(&some).await.expect("told"), of_some);
    let many: Vec<_> = (1..=25_000).map(id).collect();
    assert_eq!(store.groups_of(&many).await.expect("told"), expected);
    assert_eq!(store.groups_of(&[]).await.expect("told"), HashMap::new());
    store.close().await;
    drop(directory);
}

/// How a characteristic stands, by what the log says up to a position.
#[derive(Debug, Default, PartialEq)]
struct Told {
    revision: u64,
    newest_sample: Option<i64>,
    limits: Option<i64>,
    open: BTreeSet<i64>,
    fired: Vec<i64>,
}

/// The messages of a log, each read once.
async fn messages(store: &Store) -> Vec<Value> {
    let log = whole_log(store).await;
    log.iter().map(|event| serde_json::from_slice(&event.message()).expect("JSON")).collect()
}

fn told(log: &[Value], of: CharacteristicId, up_to: u64) -> Told {
    let mut told = Told::default();
    let (mut of_sample, mut withdrawn) = (BTreeMap::<i64, Vec<i64>>::new(), BTreeSet::new());
    for message in log.iter().take(up_to as usize).filter(|event| event["characteristic_id"] == of.get()) {
        let payload = &message["payload"];
        let number = |name: &str| payload[name].as_i64().expect("a number");
        told.revision = message["revision"].as_u64().expect("a number");
        match message["type"].as_str().expect("a type") {
            "sample" => told.newest_sample = Some(number("sample_id")),
            "control_limits" => told.limits = Some(number("limits_id")),
            "violation" => {
                told.open.insert(number("violation_id"));
                of_sample.entry(number("sample_id")).or_default().push(number("violation_id"));
            }
            "ack_update" => drop(told.open.remove(&number("violation_id"))),
            "violation_update" if payload["status"] == "withdrawn" => {
                told.open.remove(&number("violation_id"));
                withdrawn.insert(number("violation_id"));
            }
            "characteristic_update" | "sample_update" | "episode" => {}
            other => panic!("the plan has no {other}"),
        }
    }
    let fired = told.newest_sample.and_then(|newest| of_sample.remove(&newest)).unwrap_or_default();
    told.fired = fired.into_iter().filter(|violation| !withdrawn.contains(violation)).collect();
    told
}

/// Holds a state against what the log said at its position.
fn assert_is_of_its_position(state: &CharacteristicState, log: &[Value], most: usize) {
    let record = &state.record;
    let told = told(log, record.characteristic.id, state.seq);
    let ids = |violations: &[andon::domain::violation::Violation]| -> Vec<i64> {
        violations.iter().map(|violation| violation.id.get()).collect()
    };
    assert_eq!(record.standing.revision, told.revision);
    assert_eq!(state.newest_sample.as_ref().map(|sample| sample.id.get()), told.newest_sample);
    assert_eq!(record.phase.as_ref().map(|phase| phase.id.get()), told.limits);
    assert_eq!(record.standing.open_violations, told.open.len() as u64);
    let newest_open: Vec<_> = told.open.iter().rev().take(most).copied().collect();
    assert_eq!((ids(&state.open_violations), ids(&state.fired)), (newest_open, told.fired));
}

/// Were it read in several transactions, something of it would be of another moment than its position.
#[tokio::test]
async fn a_state_is_of_one_moment_whatever_is_committed_meanwhile() {
    const MOST: u32 = 5;
    let directory = TempDir::new().expect("a temporary directory");
    let mut settings = Settings::default();
    settings.services.commands_per_commit = 2; // many commits
    let running = TestServices::open(directory.path(), &settings).await;
    let ids = running.services.given_plan().await;
    let (services, charts) = (running.services.clone(), ids.clone());
    let playing = tokio::spawn(async move { services.play(&charts, &steps(30)).await });
    let mut states = vec![];
    while !playing.is_finished() {
        for of in &ids {
            states.push(running.store.state_of(*of, MOST).await.expect("read").expect("it is there"));
        }
    }
    playing.await.expect("played");
    for of in &ids {
        states.push(running.store.state_of(*of, MOST).await.expect("read").expect("it is there"));
    }
    let log = messages(&running.store).await;
    states.dedup(); // it may have looked twice between two commits
    let moments: BTreeSet<_> = states.iter().map(|state| state.seq).collect();
    assert!(moments.len() > 10, "read beside commits: {moments:?}");
    states.iter().for_each(|state| assert_is_of_its_position(state, &log, MOST as usize));
    running.stop().await;
}

#[tokio::test]
async fn a_state_has_the_newest_open_violations_and_counts_all_of_them() {
    let directory = TempDir::new().expect("a temporary directory");
    let running = TestServices::open(directory.path(), &Settings::default()).await;
    let ids = running.services.given_plan().await;
    let (store, services) = (&running.store, &running.services);
    let nothing = store.state_of(ids[0], 100).await.expect("read").expect("it is there");
    assert_eq!((nothing.seq, nothing.record.standing.revision), (0, 0));
    assert_eq!((nothing.newest_sample, nothing.fired, nothing.open_violations), (None, vec![], vec![]));
    assert_eq!(store.state_of(id(99), 100).await.expect("read"), None);

    let limits = Step::SetLimits { of: 0, center_line: 0.0, sigma: 1.0 };
    services.play(&ids, &[limits]).await;
    for number in 0..120 {
        let value = vec![99.0 + f64::from(number)];
        services
            .engine
            .queue(sample(ids[0], value, None))
            .await
            .expect("queued")
            .recorded()
            .await
            .expect("stored")
            .expect("taken");
    }
    services.play(&ids, &[Step::Acknowledge { of: 0 }]).await; // the ten oldest
    let state = store.state_of(ids[0], 100).await.expect("read").expect("it is there");
    let log = messages(store).await;
    assert_eq!((state.seq, state.open_violations.len()), (log.len() as u64, 100));
    assert!(state.record.standing.open_violations > 110, "{:?}", state.record.standing);
    assert_is_of_its_position(&state, &log, 100);
    assert_eq!(Some(state.record), store.characteristic(ids[0]).await.expect("read"));
    let filter = SampleFilter { characteristic_id: Some(ids[0]), ..SampleFilter::default() };
    let newest = store.newest(&filter, Page { offset: 0, limit: 1 }).await.expect("read");
    assert_eq!(state.newest_sample, newest.into_iter().next());

    let deletion = Deletion { id: ids[0], with_history: true, user: None };
    services.catalog.delete(deletion).await.expect("committed").expect("deleted");
    assert_eq!(store.state_of(ids[0], 100).await.expect("read"), None);
    running.stop().await;
}
