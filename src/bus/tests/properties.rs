//! Whatever the order of publishing and reading, nothing is lost in silence.

use std::num::NonZeroUsize;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{at_most, bus_of};
use crate::bus::{Lagged, Next, NextBatch, Subscription};

const READERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Publish,
    PublishAll(u64),
    Read { reader: usize },
    ReadBatch { reader: usize, max: NonZeroUsize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Publish),
        1 => (0_u64..12).prop_map(Step::PublishAll),
        3 => (0..READERS).prop_map(|reader| Step::Read { reader }),
        1 => (0..READERS, 1_usize..6)
            .prop_map(|(reader, max)| Step::ReadBatch { reader, max: at_most(max) }),
    ]
}

/// A reader that checks every answer against what it must be.
struct Checked {
    subscription: Subscription<u64>,
    /// The position of the next event, by this reader's own account.
    expected: u64,
    delivered: u64,
    lost: u64,
}

impl Checked {
    fn saw(&mut self, position: u64, event: u64) {
        assert_eq!(
            (position, event),
            (self.expected, self.expected),
            "each once, in order, no unannounced gap"
        );
        self.expected += 1;
        self.delivered += 1;
    }

    fn was_told(&mut self, lagged: Lagged, oldest: u64) {
        assert_eq!(lagged, Lagged { missed: oldest - self.expected, resume_at: oldest });
        assert!(lagged.missed > 0);
        self.lost += lagged.missed;
        self.expected = oldest;
    }

    fn read(&mut self, oldest: u64) -> bool {
        match self.subscription.try_next() {
            Some(Next::Event { position, event }) => self.saw(position, event),
            Some(Next::Lagged(lagged)) => self.was_told(lagged, oldest),
            Some(Next::Closed) => panic!("the bus is open"),
            None => return false,
        }
        true
    }

    fn read_batch(&mut self, max: NonZeroUsize, oldest: u64) {
        let mut out = vec![];
        match self.subscription.try_next_batch(max, &mut out) {
            Some(NextBatch::Events) => {
                assert!((1..=max.get()).contains(&out.len()));
                out.into_iter().for_each(|(position, event)| self.saw(position, event));
            }
            Some(NextBatch::Lagged(lagged)) => self.was_told(lagged, oldest),
            Some(NextBatch::Closed) => panic!("the bus is open"),
            None => {}
        }
    }
}

proptest! {
    #[test]
    fn every_gap_is_announced_with_its_exact_size_and_delivered_plus_lost_is_published(
        capacity in 1_usize..9,
        steps in vec(step(), 0..200),
    ) {
        let bus = bus_of(capacity);
        let mut readers: Vec<_> = (0..READERS)
            .map(|reader| Checked {
                subscription: bus.subscribe_cursor(format!("reader {reader}")),
                expected: 0,
                delivered: 0,
                lost: 0,
            })
            .collect();
        let mut published = 0;
        for step in steps {
            let oldest = u64::saturating_sub(published, capacity as u64);
            match step {
                Step::Publish => {
                    prop_assert_eq!(bus.publish(published), Ok(published));
                    published += 1;
                }
                Step::PublishAll(events) => {
                    let positions = published..published + events;
                    prop_assert_eq!(bus.publish_all(positions.clone()), Ok(positions));
                    published += events;
                }
                Step::Read { reader } => { readers[reader].read(oldest); }
                Step::ReadBatch { reader, max } => readers[reader].read_batch(max, oldest),
            }
        }
        let oldest = u64::saturating_sub(published, capacity as u64);
        let stats = bus.stats();
        for (reader, stats) in readers.iter_mut().zip(&stats.subscribers) {
            prop_assert_eq!((stats.handled, stats.lost), (reader.delivered, reader.lost));
            prop_assert_eq!((stats.position, stats.depth), (reader.expected, published - reader.expected));
            while reader.read(oldest) {}
            prop_assert_eq!(reader.delivered + reader.lost, published);
        }
        prop_assert_eq!(stats.published, published);
    }
}
