//! Who is in, and how fast they came. Pure memory: no clock, no lock.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::http::admission::address::Prefix;

/// Addresses without a connection that are remembered, the latest ones: an address is forgotten before its bucket is
/// full again only if so many others come after it within that time (five seconds, with the defaults).
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(8_192).expect("8,192 is not zero");

/// Seconds. Whoever is told to wait has not gone by then.
const LONGEST_WAIT: f64 = 3_600.0;

/// How fast connections may come: a bucket that fills again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// On average.
    pub per_second: f64,
    /// At once.
    pub burst: u32,
}

/// How many may be in, and how fast they may come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Connections at the same time.
    pub connections: u32,
    /// Those of one address.
    pub connections_per_address: u32,
    /// New ones.
    pub rate: Rate,
    /// New ones from one address.
    pub rate_per_address: Rate,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// All places are taken.
    #[error("as many are connected as may be (http.connections)")]
    Full,
    /// All places of this address are taken.
    #[error(
        "as many are connected from one address as may be (http.connections_per_address; for those behind a proxy see \
         http.trusted_proxies)"
    )]
    FullFromThere,
    /// Too many came at once; the next may come after this time.
    #[error("too many connect at once (http.connects_per_second)")]
    TooFast(Duration),
    /// Too many came from this address at once; the next may come after this time.
    #[error(
        "too many connect at once from one address (http.connects_per_second_per_address; for those behind a proxy \
         see http.trusted_proxies)"
    )]
    TooFastFromThere(Duration),
}

impl Refusal {
    /// Its name among the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FullFromThere => "full_from_address",
            Self::TooFast(_) => "too_fast",
            Self::TooFastFromThere(_) => "too_fast_from_address",
        }
    }
}

/// What is left in a bucket.
#[derive(Debug, Clone, Copy)]
struct Tokens {
    left: f64,
    seen: Instant,
}

/// What is known of one address.
#[derive(Debug, Clone, Copy)]
struct Entry {
    open: u32,
    tokens: Tokens,
}

/// All connections, and those of each address.
#[derive(Debug)]
pub struct Book {
    room: Room,
    open: u32,
    tokens: Tokens,
    /// Addresses with connections: so at most as many as there may be connections.
    present: HashMap<Prefix, Entry>,
    /// Addresses that had some.
    absent: LruCache<Prefix, Tokens>,
}

impl Tokens {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { left: f64::from(rate.burst), seen: now }
    }

    /// How long until one is there; `None`: it is.
    fn wait(&mut self, rate: Rate, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.seen).as_secs_f64();
        self.seen = self.seen.max(now);
        self.left = (self.left + passed * rate.per_second).min(f64::from(rate.burst));
        let lacking = 1.0 - self.left;
        (lacking > 0.0).then(|| Duration::from_secs_f64((lacking / rate.per_second).min(LONGEST_WAIT)))
    }
}

impl Book {
    /// Nobody is in.
    pub fn new(room: Room, now: Instant) -> Self {
        let tokens = Tokens::full(room.rate, now);
        let absent = LruCache::sparse(REMEMBERED);
        Self { room, open: 0, tokens, present: HashMap::new(), absent }
    }

    /// Lets one connection in, from this address, if it is known.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing has changed, and nobody has to [leave](Self::leave).
    pub fn enter(&mut self, prefix: Option<Prefix>, now: Instant) -> Result<(), Refusal> {
        let Room { connections, connections_per_address, rate, rate_per_address } = self.room;
        if self.open >= connections {
            return Err(Refusal::Full);
        }
        let mut entry = prefix.map(|prefix| self.take_out(prefix, now));
        let verdict = match &mut entry {
            Some(entry) if entry.open >= connections_per_address => Err(Refusal::FullFromThere),
            Some(entry) => match entry.tokens.wait(rate_per_address, now) {
                Some(wait) => Err(Refusal::TooFastFromThere(wait)),
                None => Ok(()),
            },
            None => Ok(()),
        };
        let verdict = verdict.and_then(|()| match self.tokens.wait(rate, now) {
            Some(wait) => Err(Refusal::TooFast(wait)),
            None => Ok(()),
        });
        if verdict.is_ok() {
            self.open += 1;
            self.tokens.left -= 1.0;
            if let Some(entry) = &mut entry {
                entry.open += 1;
                entry.tokens.left -= 1.0;
            }
        }
        if let (Some(prefix), Some(entry)) = (prefix, entry) {
            self.put_back(prefix, entry);
        }
        verdict
    }

    /// A connection that was let in has ended.
    pub fn leave(&mut self, prefix: Option<Prefix>) {
        self.open -= 1;
        if let Some(prefix) = prefix
            && let Some(mut entry) = self.present.remove(&prefix)
        {
            entry.open -= 1;
            self.put_back(prefix, entry);
        }
    }

    fn take_out(&mut self, prefix: Prefix, now: Instant) -> Entry {
        self.present.remove(&prefix).unwrap_or_else(|| {
            let tokens = self.absent.pop(&prefix);
            Entry { open: 0, tokens: tokens.unwrap_or_else(|| Tokens::full(self.room.rate_per_address, now)) }
        })
    }

    fn put_back(&mut self, prefix: Prefix, entry: Entry) {
        if entry.open > 0 {
            self.present.insert(prefix, entry);
        } else {
            self.absent.put(prefix, entry.tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room {
        connections: 6,
        connections_per_address: 3,
        rate: Rate { per_second: 10.0, burst: 8 },
        rate_per_address: Rate { per_second: 2.0, burst: 5 },
    };

    fn from(number: u32) -> Option<Prefix> {
        Some(Prefix::of(IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + number))))
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn places_are_counted_in_total_and_for_each_address() {
        let now = Instant::now();
        let mut book = Book::new(ROOM, now);
        for _ in 0..3 {
            assert_eq!(book.enter(from(1), now), Ok(()));
        }
        assert_eq!(book.enter(from(1), now), Err(Refusal::FullFromThere));
        for address in 2..=4 {
            assert_eq!(book.enter(from(address), now), Ok(()));
        }
        assert_eq!(book.enter(from(5), now), Err(Refusal::Full));
        book.leave(from(2));
        assert_eq!(book.enter(from(1), now), Err(Refusal::FullFromThere));
        assert_eq!(book.enter(from(5), now), Ok(()));
        assert_eq!(book.enter(None, now), Err(Refusal::Full));
    }

    #[tokio::test]
    async fn a_storm_is_let_in_at_its_rate() {
        let start = Instant::now();
        let mut book = Book::new(ROOM, start);
        let mut come_and_go = |address, now| {
            let verdict = book.enter(from(address), now);
            if verdict.is_ok() {
                book.leave(from(address));
            }
            verdict
        };
        let burst: Vec<_> = (0..5).map(|_| come_and_go(1, start)).collect();
        assert_eq!(burst, [Ok(()); 5]);
        // Leaving and coming again is no way around it.
        assert_eq!(come_and_go(1, start), Err(Refusal::TooFastFromThere(Duration::from_millis(500))));
        assert_eq!(
            come_and_go(1, after(start, 400)),
            Err(Refusal::TooFastFromThere(Duration::from_millis(100)))
        );
        assert_eq!(come_and_go(1, after(start, 500)), Ok(()));
        let others: Vec<_> = (2..9).map(|address| come_and_go(address, after(start, 500))).collect();
        assert_eq!(others, [Ok(()); 7], "the bucket of all is full again");
        assert_eq!(come_and_go(9, after(start, 500)), Err(Refusal::TooFast(Duration::from_millis(100))));
        assert_eq!(come_and_go(9, after(start, 600)), Ok(()));
    }

    #[tokio::test]
    async fn whoever_is_refused_for_the_sake_of_all_keeps_its_own_share() {
        let now = Instant::now();
        let mut book = Book::new(Room { connections: 1_000, connections_per_address: 1_000, ..ROOM }, now);
        for address in 10..18 {
            assert_eq!(book.enter(from(address), now), Ok(()));
        }
        for _ in 0..100 {
            assert!(matches!(book.enter(from(1), now), Err(Refusal::TooFast(_))));
        }
        for at in 1..=5 {
            assert_eq!(book.enter(from(1), after(now, at * 100)), Ok(()));
        }
    }

    #[tokio::test]
    async fn only_so_many_absent_addresses_are_remembered() {
        let now = Instant::now();
        let rate = Rate { per_second: 1.0, burst: 1_000_000 };
        let mut book = Book::new(Room { rate, connections: 100, ..ROOM }, now);
        for _ in 0..3 {
            assert_eq!(book.enter(from(0), now), Ok(()));
        }
        for address in 1..20_000 {
            assert_eq!(book.enter(from(address), now), Ok(()));
            book.leave(from(address));
        }
        assert_eq!((book.present.len(), book.absent.len()), (1, REMEMBERED.get()));
        assert_eq!(book.enter(from(0), now), Err(Refusal::FullFromThere), "who is there is not forgotten");
    }

    proptest! {
        #[test]
        fn whatever_comes_and_goes_the_counts_hold(
            steps in proptest::collection::vec((0u32..4, any::<bool>(), 0u64..400), 1..200),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let mut now = runtime.block_on(async { Instant::now() });
            let mut book = Book::new(ROOM, now);
            let mut inside: Vec<u32> = vec![];
            let mut entered: Vec<(u32, Instant)> = vec![];
            for (address, comes, ms) in steps {
                now += Duration::from_millis(ms);
                if comes {
                    let there = inside.iter().filter(|it| **it == address).count();
                    match book.enter(from(address), now) {
                        Ok(()) => {
                            prop_assert!(inside.len() < 6 && there < 3);
                            inside.push(address);
                            entered.push((address, now));
                        }
                        Err(Refusal::Full) => prop_assert_eq!(inside.len(), 6),
                        Err(Refusal::FullFromThere) => prop_assert_eq!(there, 3),
                        Err(Refusal::TooFast(_) | Refusal::TooFastFromThere(_)) => {}
                    }
                } else if let Some(index) = inside.iter().position(|it| *it == address) {
                    inside.swap_remove(index);
                    book.leave(from(address));
                }
                prop_assert_eq!(book.open as usize, inside.len());
                // In any second no more than a burst and what the rate gives.
                let lately = entered.iter().filter(|(_, at)| now.duration_since(*at) < Duration::from_secs(1));
                prop_assert!(lately.clone().count() <= 8 + 10);
                prop_assert!(lately.filter(|(from, _)| *from == address).count() <= 5 + 2);
            }
            for address in inside {
                book.leave(from(address));
            }
            prop_assert_eq!((book.open, book.present.len()), (0, 0));
        }
    }
}
