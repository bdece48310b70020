//! Many threads at once: one order for all, exact counts, no lost wake-up.

use std::sync::mpsc;

use super::{at_most, bus_of, soon};
use crate::bus::{EventBus, Next, NextBatch, Subscription};

const PUBLISHERS: u64 = 4;
const EVENTS_EACH: u64 = 100_000;
const PUBLISHED: u64 = PUBLISHERS * EVENTS_EACH;

/// An event says who published it and as which of theirs.
type Signed = (u64, u64);

fn publish_from_plain_threads(bus: EventBus<Signed>) -> Vec<std::thread::JoinHandle<()>> {
    let publish = move |publisher| {
        let bus = bus.clone();
        std::thread::spawn(move || {
            for number in 0..EVENTS_EACH {
                bus.publish((publisher, number)).unwrap();
            }
        })
    };
    (0..PUBLISHERS).map(publish).collect()
}

/// Everything until the bus closes: the events with their positions, and how many were lost.
async fn read_to_the_end(mut cursor: Subscription<Signed>) -> (Vec<(u64, Signed)>, u64) {
    let (mut seen, mut lost) = (vec![], 0);
    loop {
        let first_new = seen.len();
        match cursor.next_batch(at_most(256), &mut seen).await {
            NextBatch::Events => {
                let expected = first_new as u64 + lost..;
                assert!(
                    seen[first_new..]
                        .iter()
                        .zip(expected)
                        .all(|((position, _), expected)| *position == expected)
                );
            }
            NextBatch::Lagged(lagged) => {
                lost += lagged.missed;
                assert_eq!(lagged.resume_at, first_new as u64 + lost);
            }
            NextBatch::Closed => return (seen, lost),
        }
    }
}

fn assert_each_publisher_kept_its_order(seen: &[(u64, Signed)]) {
    let mut next_of = [0; PUBLISHERS as usize];
    for (_, (publisher, number)) in seen {
        let next = &mut next_of[*publisher as usize];
        assert!(number >= next, "publisher {publisher}: {number} after {next}");
        *next = number + 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_room_for_all_every_reader_gets_every_event_of_every_thread_in_one_order() {
    let bus = bus_of(PUBLISHED as usize);
    let readers = ["a", "b", "c"].map(|name| tokio::spawn(read_to_the_end(bus.subscribe_cursor(name))));
    let publishers = publish_from_plain_threads(bus);
    let mut orders = vec![];
    for reader in readers {
        let (seen, lost) = soon(reader).await.unwrap();
        assert_eq!((seen.len() as u64, lost), (PUBLISHED, 0));
        orders.push(seen);
    }
    assert!(orders[0] == orders[1] && orders[1] == orders[2], "readers saw different orders");
    assert_each_publisher_kept_its_order(&orders[0]);
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_small_ring_delivered_and_lost_add_up_to_published_for_every_reader() {
    let bus = bus_of(16);
    let readers = ["a", "b", "c"].map(|name| tokio::spawn(read_to_the_end(bus.subscribe_cursor(name))));
    let publishers = publish_from_plain_threads(bus);
    for reader in readers {
        let (seen, lost) = soon(reader).await.unwrap();
        assert_eq!(seen.len() as u64 + lost, PUBLISHED);
        assert_each_publisher_kept_its_order(&seen);
    }
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
}

/// The publisher goes on only when everybody has read: one lost wake-up and nobody moves again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost_in_twenty_thousand_rounds_between_a_thread_and_sleeping_readers() {
    const ROUNDS: u64 = 20_000;
    const READERS: usize = 3;
    let bus = bus_of(4);
    let (read, everybody_read) = mpsc::channel();
    let readers = [(); READERS].map(|()| {
        let (mut cursor, read) = (bus.subscribe_cursor("reader"), read.clone());
        tokio::spawn(async move {
            while let Next::Event { position, .. } = cursor.next().await {
                read.send(position).unwrap();
            }
        })
    });
    let publisher = tokio::task::spawn_blocking(move || {
        for round in 0..ROUNDS {
            bus.publish(()).unwrap();
            for _ in 0..READERS {
                assert_eq!(everybody_read.recv_timeout(super::DEADLINE), Ok(round));
            }
        }
    });
    soon(publisher).await.unwrap();
    for reader in readers {
        soon(reader).await.unwrap();
    }
}
