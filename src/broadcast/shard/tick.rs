//! What happens by time alone: pings, heartbeats, clients that say or take nothing, samples whose moment has come.

use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shard;
use crate::broadcast::connection::{Pace, Shared};
use crate::broadcast::encoding::Encoding;
use crate::broadcast::feed::{Feed, Need};
use crate::broadcast::frame::Item;
use crate::broadcast::settings::Settings;
use crate::protocol::close::CloseCode;

/// The longest time between two looks at all connections: thousands of them are a cost even where nothing happens.
const LONGEST: Duration = Duration::from_millis(500);

/// The shortest.
const SHORTEST: Duration = Duration::from_millis(5);

/// How often a shard looks at its connections: an eighth of the shortest time that it watches over.
pub(super) fn tick_interval(settings: &Settings) -> Duration {
    let ms = Duration::from_millis;
    let watched = [
        ms(settings.ping_interval_ms),
        ms(settings.pong_timeout_ms),
        ms(settings.stall_timeout_ms),
        Duration::from_secs_f64(settings.heartbeat_seconds.max(0.01)),
    ];
    let shortest = watched.into_iter().min().unwrap_or(LONGEST);
    (shortest / 8).clamp(SHORTEST, LONGEST)
}

impl Shard {
    /// Looks at every connection.
    pub(in crate::broadcast) fn tick(&mut self, now: Instant) {
        self.obey_deferred(now);
        let (mut frames, mut bytes, mut subscriptions) = (0, 0, 0);
        let mut stalled = Duration::ZERO;
        for shared in self.connections.values() {
            self.tick_one(shared, now);
            let state = shared.state.borrow();
            let depth = state.lanes.depth();
            frames += depth.0;
            bytes += depth.1;
            stalled = stalled.max(state.stalled_for(now));
            subscriptions += self.subscription_count(shared.id);
        }
        let waiting = &self.local.waiting;
        waiting.frames.set(i64::try_from(frames).unwrap_or(i64::MAX));
        waiting.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        waiting.stalled.set(stalled.as_secs_f64());
        waiting.subscriptions.set(i64::try_from(subscriptions).unwrap_or(i64::MAX));
        self.local.tally.borrow_mut().add_to(&self.local.metrics);
    }

    fn tick_one(&self, shared: &Rc<Shared>, now: Instant) {
        let settings = &self.local.settings;
        let mut state = shared.state.borrow_mut();
        if state.farewell.is_some() {
            return;
        }
        let is_socket = state.encoding != Encoding::EventStream;
        let verdict =
            if is_socket && state.pulse.silence(now) >= Duration::from_millis(settings.pong_timeout_ms) {
                Some(CloseCode::NoPong)
            } else if state.stalled_for(now) >= Duration::from_millis(settings.stall_timeout_ms) {
                Some(CloseCode::TooSlow)
            } else {
                None
            };
        if let Some(code) = verdict {
            drop(state);
            self.end(shared, code, None);
            return;
        }
        let rhythm = self.local.rhythm();
        let mut is_due = false;
        if is_socket && state.pulse.ping_is_due(now, rhythm) {
            state.queue(Item::Ping, now);
            is_due = true;
        }
        if state.pulse.heartbeat_is_due(now, rhythm) {
            state.queue(Item::Heartbeat, now);
            is_due = true;
        }
        if let Feed::Replay(replay) = &mut state.feed
            && matches!(replay.need, Some(Need::FirstWords { until: Some(until) }) if until <= now)
        {
            replay.need = None;
            is_due = true;
        }
        if state.snapshots_from.is_some_and(|from| from <= now) {
            state.snapshots_from = None;
            is_due = true;
        }
        drop(state);
        if is_due {
            self.local.mark(shared);
        }
    }

    /// The next moment at which a held sample may leave.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.held.borrow().peek().map(|Reverse((moment, ..))| *moment)
    }

    /// Lets go of the samples whose moment has come.
    pub(in crate::broadcast) fn release(&mut self, now: Instant) {
        let mut held = self.held.borrow_mut();
        while let Some(Reverse((moment, connection, id))) = held.peek().copied()
            && moment <= now
        {
            held.pop();
            let Some(shared) = self.connections.get(&connection) else { continue };
            let mut state = shared.state.borrow_mut();
            let Some(paced) = state.paced.get_mut(&id) else { continue };
            paced.is_scheduled = false;
            if !state.lanes.release(id) {
                continue; // it left before, in front of an alert
            }
            if let Some(pace) = self.interest(connection, id).and_then(|it| it.sample_pace()) {
                state.paced.insert(id, Pace::from(now + pace));
            }
            state.stalled_since.get_or_insert(now);
            drop(state);
            self.local.mark(shared);
        }
    }
}
