//! Pages: what a reader without a place on the bus finds at a position.

use proptest::prelude::*;

use super::{at_most, bus_of, finishes, soon};
use crate::bus::{Closed, EventBus, OutOfRing};

/// A page of at most `max` events, by itself.
fn page<E: Clone + Send + Sync + 'static>(bus: &EventBus<E>, position: u64, max: usize) -> Vec<E> {
    let mut out = vec![];
    bus.page(position, at_most(max), &mut out).unwrap();
    out
}

#[test]
fn a_page_begins_with_the_event_at_its_position_and_has_at_most_so_many() {
    let bus = bus_of(4);
    bus.publish_all('a'..='f').unwrap();
    assert_eq!(page(&bus, 2, 1), ['c']);
    assert_eq!(page(&bus, 3, 2), ['d', 'e']); // over the end of the ring's memory
    assert_eq!(page(&bus, 2, 4), ['c', 'd', 'e', 'f']);
    assert_eq!(page(&bus, 5, 1_000), ['f']);
    assert_eq!(page(&bus, 4, usize::MAX), ['e', 'f']);
}

#[test]
fn a_page_is_appended_to_what_is_there() {
    let bus = bus_of(4);
    bus.publish_all('a'..='c').unwrap();
    let mut out = vec!['x'];
    bus.page(1, at_most(2), &mut out).unwrap();
    assert_eq!(out, ['x', 'b', 'c']);
}

#[test]
fn where_the_next_event_goes_a_page_is_empty() {
    let bus = bus_of(2);
    assert!(page(&bus, 0, 8).is_empty());
    bus.publish_all('a'..='c').unwrap();
    assert!(page(&bus, 3, 8).is_empty());
}

#[test]
fn a_page_from_outside_the_ring_is_refused_with_what_the_ring_holds() {
    let (bus, mut out) = (bus_of(2), vec!['x']);
    bus.publish_all('a'..='c').unwrap();
    for position in [0, 4, u64::MAX] {
        let refused = bus.page(position, at_most(8), &mut out);
        assert_eq!(refused, Err(OutOfRing { position, oldest: 1, next: 3 }));
    }
    assert_eq!(out, ['x']);
}

#[test]
fn a_page_is_nobodys_place_and_counts_as_nothing() {
    let bus = bus_of(4);
    let cursor = bus.subscribe_cursor("cursor");
    bus.publish_all(0..3).unwrap();
    let before = bus.stats();
    assert_eq!(page(&bus, 0, 2), [0, 1]);
    assert_eq!(bus.stats(), before);
    assert_eq!(cursor.position(), 0);
}

#[tokio::test]
async fn a_bus_that_was_shut_down_still_shows_what_it_holds() {
    let bus = bus_of(4);
    bus.publish_all('a'..='c').unwrap();
    soon(bus.shutdown(super::DEADLINE)).await;
    assert_eq!(bus.publish('d'), Err(Closed));
    assert_eq!(page(&bus, 1, 8), ['b', 'c']);
}

/// Readers that walk over the ring while it is written find every event where it belongs.
#[test]
fn pages_read_beside_publishers_have_no_hole_and_no_event_twice() {
    const PUBLISHED: u64 = 200_000;
    finishes(|| {
        let bus = bus_of(64);
        let readers = [7, 64, 1_000].map(|max| {
            let bus = bus.clone();
            std::thread::spawn(move || {
                let (mut position, mut out) = (0, vec![]);
                while position < PUBLISHED {
                    match bus.page(position, at_most(max), &mut out) {
                        Ok(()) => {
                            assert!(out.len() <= max);
                            out.drain(..).for_each(|event| {
                                assert_eq!(event, position, "each event stands at its position");
                                position += 1;
                            });
                        }
                        Err(OutOfRing { oldest, .. }) => {
                            assert!(oldest > position, "nobody reads ahead");
                            position = oldest;
                        }
                    }
                }
            })
        });
        for number in 0..PUBLISHED {
            assert_eq!(bus.publish(number), Ok(number));
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

proptest! {
    #[test]
    fn a_page_holds_what_a_cursor_would_read_from_there(
        capacity in 1_usize..9,
        start in 0_u64..20,
        published in 0_u64..40,
        position in 0_u64..64,
        max in 1_usize..12,
    ) {
        let bus = EventBus::new(crate::bus::Settings { capacity: at_most(capacity) }, start);
        bus.publish_all(start..start + published).unwrap();
        let (mut paged, mut read) = (vec![], vec![]);
        let outcome = bus.page(position, at_most(max), &mut paged);
        match bus.subscribe_from("cursor", position) {
            Ok(mut cursor) => {
                prop_assert_eq!(outcome, Ok(()));
                cursor.try_next_batch(at_most(max), &mut read);
            }
            Err(refused) => prop_assert_eq!(outcome, Err(refused)),
        }
        prop_assert_eq!(paged, read.into_iter().map(|(_, event)| event).collect::<Vec<_>>());
    }
}
