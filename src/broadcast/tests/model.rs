//! Random days of a shard and its clients: whatever happens in whatever order, no alert is lost, repeated or out of
//! order, and the newest sample arrives.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use super::client::Wish;
use super::database::Kind;
use super::world::{CHARACTERISTICS, World};
use crate::broadcast::hazards::{Hazard, plant};

const CLIENTS: usize = 2;

#[derive(Debug, Clone)]
enum Action {
    Publish {
        of: i64,
        kind: Kind,
    },
    /// A burst, as from a batch.
    Burst {
        of: i64,
        kind: Kind,
        count: usize,
    },
    Deliver(usize),
    Shorten(u64),
    PassTime(u64),
    Connect(usize),
    Subscribe {
        client: usize,
        ids: Vec<i64>,
        wish: Wish,
        snapshot: bool,
    },
    Unsubscribe {
        client: usize,
        ids: Vec<i64>,
    },
    Take {
        client: usize,
        chunks: usize,
    },
    BeginSnapshot(i64),
    ReadFromDatabase(usize),
    HandOver(usize),
    Drop(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let client = || 0..CLIENTS;
    let of = || 1..=CHARACTERISTICS;
    let ids = || vec(1..=CHARACTERISTICS, 1..4);
    let kind = || {
        prop_oneof![
            6 => Just(Kind::Sample),
            1 => Just(Kind::History),
            4 => Just(Kind::Violation),
            1 => Just(Kind::Limits),
            2 => Just(Kind::Acknowledgement),
        ]
    };
    let wish = prop_oneof![5 => Just(Wish::Everything), 1 => Just(Wish::Violations), 1 => Just(Wish::Paced)];
    prop_oneof![
        10 => (of(), kind()).prop_map(|(of, kind)| Action::Publish { of, kind }),
        2 => (of(), kind(), 5usize..25).prop_map(|(of, kind, count)| Action::Burst { of, kind, count }),
        10 => (1usize..12).prop_map(Action::Deliver),
        1 => (1u64..20).prop_map(Action::Shorten),
        3 => (50u64..700).prop_map(Action::PassTime),
        6 => client().prop_map(Action::Connect),
        5 => (client(), ids(), wish, any::<bool>())
            .prop_map(|(client, ids, wish, snapshot)| Action::Subscribe { client, ids, wish, snapshot }),
        1 => (client(), ids()).prop_map(|(client, ids)| Action::Unsubscribe { client, ids }),
        10 => (client(), 1usize..6).prop_map(|(client, chunks)| Action::Take { client, chunks }),
        2 => of().prop_map(Action::BeginSnapshot),
        5 => client().prop_map(Action::ReadFromDatabase),
        5 => client().prop_map(Action::HandOver),
        3 => client().prop_map(Action::Drop),
    ]
}

fn day(steps: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Action>> {
    vec(action(), steps)
}

/// More by `MODEL_DAYS`, in the long run.
fn days() -> u32 {
    std::env::var("MODEL_DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(400)
}

fn live(actions: &[Action]) {
    let mut world = World::new(CLIENTS);
    for action in actions {
        match action {
            Action::Publish { of, kind } => world.publish(*of, *kind),
            Action::Burst { of, kind, count } => (0..*count).for_each(|_| world.publish(*of, *kind)),
            Action::Deliver(most) => world.deliver(*most),
            Action::Shorten(by) => world.shorten(*by),
            Action::PassTime(ms) => world.pass_time(*ms),
            Action::Connect(client) => world.connect(*client),
            Action::Subscribe { client, ids, wish, snapshot } => {
                world.subscribe(*client, ids, *wish, *snapshot);
            }
            Action::Unsubscribe { client, ids } => world.unsubscribe(*client, ids),
            Action::Take { client, chunks } => drop(world.take(*client, *chunks)),
            Action::BeginSnapshot(of) => world.begin_snapshot(*of),
            Action::ReadFromDatabase(client) => world.read_from_database(*client),
            Action::HandOver(client) => world.hand_over(*client),
            Action::Drop(client) => world.drop_connection(*client),
        }
        world.assert_bounded();
    }
    world.settle();
}

proptest! {
    #![proptest_config(Config { cases: days(), failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_happens_no_alert_is_lost_or_repeated_and_the_newest_sample_arrives(day in day(1..120)) {
        live(&day);
    }
}

/// How many random days it may take until a mistake shows.
const DAYS: u32 = 4_000;

fn assert_found(hazard: Hazard) {
    let mut runner = TestRunner::deterministic();
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // a mistake that is found is a panic that is caught
    let found = (0..DAYS).find(|_| {
        let day = day(40..160).new_tree(&mut runner).expect("a day").current();
        plant(Some(hazard));
        let outcome = catch_unwind(AssertUnwindSafe(|| live(&day)));
        plant(None);
        outcome.is_err()
    });
    std::panic::set_hook(quiet);
    assert!(found.is_some(), "{hazard:?} passes unseen");
}

macro_rules! found {
    ($($name:ident: $hazard:ident,)*) => {$(
        #[test]
        fn $name() {
            assert_found(Hazard::$hazard);
        }
    )*};
}

found! {
    a_replay_that_goes_live_too_early_is_found: LiveTooEarly,
    a_page_beyond_the_shard_is_found: PageBeyondShard,
    live_events_within_a_replay_are_found: LiveWhileReplaying,
    a_cleared_queue_that_is_forgotten_is_found: ClearedAndForgotten,
    a_cleared_queue_that_is_read_from_too_far_back_is_found: ClearedTooFar,
    an_alert_before_its_own_sample_is_found: AlertBeforeItsSample,
    a_sample_before_a_waiting_alert_is_found: SampleBeforeAlert,
    a_forgotten_skip_is_found: SkippedForgotten,
    an_uncounted_withheld_event_is_found: WithheldUncounted,
    acknowledgements_told_twice_are_found: AcknowledgedTwice,
    a_base_of_now_is_found: BaseOfNow,
    an_ignored_floor_is_found: FloorIgnored,
    a_stale_snapshot_is_found: StaleSnapshot,
    covered_events_told_again_are_found: CoveredToldAgain,
    a_snapshot_without_a_hold_is_found: SnapshotWithoutHold,
    a_sample_held_for_ever_is_found: HeldForEver,
}

fn publish(of: i64) -> Action {
    Action::Publish { of, kind: Kind::Sample }
}

fn burst(of: i64, kind: Kind, count: usize) -> Action {
    Action::Burst { of, kind, count }
}

fn subscribe(id: i64, snapshot: bool) -> Action {
    Action::Subscribe { client: 0, ids: vec![id], wish: Wish::Everything, snapshot }
}

/// Random days found it once: a sample that stood before the answer came behind it when the client fell behind.
#[test]
fn nothing_of_a_characteristic_comes_behind_the_answer_to_leaving_it() {
    let leave = Action::Unsubscribe { client: 0, ids: vec![3] };
    live(&[
        Action::Connect(0),
        subscribe(3, false),
        subscribe(1, false),
        publish(3),
        Action::Deliver(1),
        leave,
        burst(1, Kind::Sample, 12),
    ]);
}

/// Random days found it once: an overflow read again what a snapshot had told.
#[test]
fn what_a_snapshot_told_is_not_told_again_by_reading_the_log() {
    live(&[
        Action::Connect(0),
        subscribe(1, true),
        Action::Take { client: 0, chunks: 2 },
        burst(1, Kind::Acknowledgement, 6),
        publish(1),
        Action::ReadFromDatabase(0),
        Action::HandOver(0),
        Action::Take { client: 0, chunks: 2 },
        burst(1, Kind::Violation, 15),
    ]);
}
