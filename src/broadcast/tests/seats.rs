//! Single stories through seats.

use std::future::poll_fn;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::node::{Client, Node, RING, groups, ids, revisions, since, story};
use crate::broadcast::OrderError;
use crate::broadcast::encoding::Encoding;
use crate::broadcast::hazards::{Hazard, plant};
use crate::protocol::event::EventKind;
use crate::protocol::socket::{Filter, Subscription, Unsubscription};

#[tokio::test(start_paused = true)]
async fn who_leaves_its_groups_while_one_is_looked_up_goes_on_listening() {
    story(async {
        let node = Node::start(&[(1, "a")]);
        let mut client = node.connect().await;
        let both = Subscription { groups: vec!["a".to_owned()], ..ids(&[1]) };
        assert_eq!(client.subscribe(both).await["type"], "subscribed");
        node.let_catalog_answer(0).await;
        node.put(7, "b");
        node.sample(7); // whose group nobody knows
        sleep(Duration::from_millis(100)).await;
        client
            .seat
            .unsubscribe(&Unsubscription { groups: vec!["a".to_owned()], ..Unsubscription::default() });
        assert_eq!(client.next().await["type"], "unsubscribed");
        node.let_catalog_answer(1).await;
        let alert = node.violation(1);
        assert_eq!(client.next().await["seq"], alert);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_replay_tells_what_happened_in_a_group_while_the_characteristic_was_there() {
    story(async {
        let node = Node::start(&[(1, "a"), (2, "b")]);
        let mut live = node.connect().await;
        live.subscribe(groups(&["a"])).await;
        let fired = node.violation(1);
        let moved = node.changes(1, &json!({"group": "b"}));
        node.violation(1); // in b
        let back = node.changes(1, &json!({"group": "a"}));
        let last = node.violation(1);
        let told = live.positions_up_to(last).await;
        assert_eq!(told, [fired, moved, back, last]);

        let mut away = node.connect().await;
        assert_eq!(away.subscribe(since(0, groups(&["a"]))).await["recovered"], true);
        assert_eq!(away.positions_up_to(last).await, told, "the same as live");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_told_by_name_is_counted_from_now_when_its_group_resumes() {
    async fn next_revision() -> (u64, u64) {
        let node = Node::start(&[(1, "a"), (2, "a")]);
        let mut client = node.connect().await;
        client.subscribe(ids(&[1])).await;
        let seen = node.violation(1);
        node.violation(2);
        assert_eq!(client.next().await["seq"], seen);
        let answer = client.subscribe(since(0, groups(&["a"]))).await;
        assert_eq!(answer["revisions"]["2"], 0, "{answer}");
        let known = revisions(&answer)["1"];
        let last = node.violation(1);
        loop {
            let event = client.next().await;
            if event["seq"] == last {
                return (known, event["revision"].as_u64().expect("a number"));
            }
        }
    }
    let (known, next) = story(next_revision()).await;
    assert_eq!(next, known + 1);
    plant(Some(Hazard::OutrankedFromThen));
    let (known, next) = story(next_revision()).await;
    plant(None);
    assert_ne!(next, known + 1, "the mistake would be seen");
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_that_came_live_is_not_told_again_by_any_later_resume() {
    story(async {
        let node = Node::start(&[(1, "a")]);
        node.sample(1);
        sleep(Duration::from_millis(100)).await;
        let mut client = node.connect().await; // after 1
        client.subscribe(ids(&[1])).await;
        let between = node.sample(1);
        let acknowledged = node.publish(1, EventKind::AckUpdate, &json!({"violation_id": 1}));
        assert_eq!(client.positions_up_to(acknowledged).await, [between, acknowledged]);
        let answer = client.subscribe(since(between, ids(&[1]))).await;
        assert_eq!(answer["recovered"], true);
        let last = node.violation(1);
        let told = client.positions_up_to(last).await;
        assert!(!told.contains(&acknowledged), "{told:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn all_are_all_there_are_now_with_or_without_events() {
    story(async {
        let everything = || Subscription { snapshot: true, ..Subscription::all() };
        let node = Node::start(&[(1, "a"), (2, "a")]);
        node.put(3, "b"); // made since then, and nothing has happened to it
        let mut client = node.connect().await;
        let answer = client.subscribe(everything()).await;
        assert_eq!(answer["characteristic_ids"], json!([1, 2, 3]));
        for _ in 0..3 {
            client.next_of("snapshot").await;
        }
        node.changes(2, &json!({"deleted": true}));
        assert_eq!(client.next_of("characteristic_update").await["characteristic_id"], 2);
        let answer = client.subscribe(everything()).await;
        assert_eq!(answer["characteristic_ids"], json!([1, 3]));
        client.next_of("snapshot").await;
        client.next_of("snapshot").await;
        let answer = client.subscribe(groups(&["a"])).await;
        assert_eq!(answer["characteristic_ids"], json!([1]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_while_groups_are_looked_up_waits_for_the_same_look() {
    story(async {
        let node = Node::start(&[(1, "a")]);
        node.put(2, "a");
        node.let_catalog_answer(0).await;
        let (mut first, mut second) = (node.connect().await, node.connect().await);
        let answers =
            async { tokio::join!(first.subscribe(groups(&["a"])), second.subscribe(groups(&["a"]))) };
        let release = async {
            sleep(Duration::from_millis(100)).await;
            node.let_catalog_answer(1).await;
        };
        let ((first, second), ()) = tokio::join!(answers, release);
        assert_eq!(first["characteristic_ids"], json!([1, 2]));
        assert_eq!(second["characteristic_ids"], json!([1, 2]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_place_to_resume_from_never_goes_back_in_an_event_stream() {
    story(async {
        let node = Node::start(&[(1, "a"), (2, "a")]);
        let mut client = node.connect_as(Encoding::EventStream).await;
        let filter = Filter { sample_max_hz: Some(1.0), ..Filter::default() };
        let paced = Subscription { filter: Some(filter), ..Subscription::all() };
        client.seat.subscribe(&paced).await;
        node.sample(1);
        let held = node.sample(1); // until its second is over
        let alert = node.violation(2);
        let mut text = String::new();
        while !text.contains(&format!("\"seq\":{held},")) {
            text += std::str::from_utf8(&client.chunk().await).expect("UTF-8");
        }
        let places = text.lines().filter_map(|line| line.strip_prefix("id: e.")?.parse::<u64>().ok());
        let places: Vec<_> = places.collect();
        assert!(places.is_sorted() && places.last() == Some(&alert), "{places:?}: {text}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_second_question_is_answered_between_pages_of_snapshots() {
    story(async {
        let many: Vec<_> = (1..=200).map(|raw| (raw, "a")).collect();
        let node = Node::start(&many);
        let mut client = node.connect().await;
        let with_snapshots = Subscription { snapshot: true, ..Subscription::all() };
        assert_eq!(client.subscribe(with_snapshots).await["type"], "subscribed");
        assert_eq!(client.next().await["type"], "snapshot");
        let Client { seat, outflow, .. } = &mut client;
        let question = ids(&[1]);
        let written = async {
            loop {
                tokio::select! {
                    _ = poll_fn(|context| outflow.poll_chunk(context)) => {}
                    code = seat.attend() => panic!("ended: {code:?}"),
                }
            }
        };
        // All snapshots together take longer: two hundred of them one after the other, by pages of 32.
        tokio::select! {
            () = seat.subscribe(&question) => {}
            () = written => {}
            () = sleep(Duration::from_secs(2)) => panic!("not answered in time"),
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sample_that_is_kept_back_has_one_moment_however_often_alerts_take_it_along() {
    story(async {
        let node = Node::start(&[(1, "a")]);
        let mut client = node.connect().await;
        let filter = Filter { sample_max_hz: Some(0.1), ..Filter::default() };
        client.subscribe(Subscription { filter: Some(filter), ..ids(&[1]) }).await;
        node.sample(1);
        let mut last = 0;
        for _ in 0..50 {
            node.sample(1);
            last = node.violation(1);
        }
        client.positions_up_to(last).await;
        assert_eq!(node.shard.held(), 1);
        assert!(client.hears_nothing().await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_reads_the_log_goes_on_with_everything_else() {
    story(async {
        let node = Node::start(&[(1, "a")]);
        let mut client = node.connect().await;
        client.subscribe(ids(&[1])).await;
        node.pages.forget_permits(1_000);
        let first = node.violation(1);
        let last = first + 3 * RING.get() as u64;
        while node.violation(1) < last {}
        sleep(Duration::from_secs(1)).await; // it has fallen off the ring, and the log does not answer
        let seen = timeout(Duration::from_secs(1), node.broadcaster.connections(None)).await;
        assert_eq!(seen.expect("orders are obeyed").len(), 1);
        let mut told = vec![];
        loop {
            match client.frame().await {
                (0x89, _) => break, // a ping in between
                (_, text) => told.push(serde_json::from_slice::<Value>(&text).expect("JSON")["type"].clone()),
            }
        }
        assert!(told.iter().all(|kind| kind == "heartbeat"), "{told:?}");
        node.pages.add_permits(1_000);
        assert!(client.positions_up_to(last).await.into_iter().eq(first..=last));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_order_for_who_is_still_told_what_it_missed_is_refused_and_leaves_no_trace() {
    story(async {
        let node = Node::start(&[(1, "a"), (2, "a")]);
        let last = (0..=RING.get()).map(|_| node.violation(1)).fold(0, u64::max); // more than the ring holds
        sleep(Duration::from_secs(1)).await;
        node.pages.forget_permits(1_000);
        let mut client = node.connect().await;
        assert_eq!(client.subscribe(since(0, ids(&[1]))).await["recovered"], true);
        let number = client.seat.id();
        let ordered = node.broadcaster.subscribe(number, ids(&[2]));
        let ordered = tokio::select! {
            ordered = ordered => ordered,
            message = client.next() => panic!("{message}"),
        };
        assert_eq!(ordered, Err(OrderError::Replaying));
        node.pages.add_permits(1_000);
        assert_eq!(client.positions_up_to(last).await.len() as u64, last);
        node.violation(2); // which it was not subscribed to
        let next = node.violation(1);
        assert_eq!(client.positions_up_to(next).await, [next]);
    })
    .await;
}
