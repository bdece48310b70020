//! Serves one receiver: takes turns at the ledger, sends what is due, and records how it went.
//!
//! Each receiver has its own, so that one that hangs, fails or panics takes nothing from the others.
//!
//! * **State**: attempts under way, what is not recorded yet, the [`Breaker`], and the [`Rate`]. All else is in the ledger.
//! * **A turn** is one short transaction: it records what has finished and leases as much as can be sent at once. None is
//!   open during an attempt.
//! * **Woken** by the dispatcher, by the end of an attempt, by the time at which something is due, or by a timer.
//! * **Full**: what cannot be sent now, or may not be since the [`Rate`] is used up, stays in the ledger. Where one message
//!   can tell several things, the next one tells all that waits.
//! * **Late**: an attempt ends with the receiver's `timeout_ms`; the lease is longer than that.
//! * **The ledger fails**: what has finished is kept and told again; nothing is leased meanwhile.
//! * **Dies**: leases end, or are released by the next process; what was under way is tried again under the same name.
//! * **Stops**, with the process or for its successor under another plan: leases nothing more, waits `stop_grace_ms` for attempts
//!   under way, records; what is cut short counts as uncertain and is due at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, error, info, info_span, trace, warn};

use crate::clock;
use crate::domain::delivery::AttemptOutcome;
use crate::error_chain::error_chain;
use crate::metrics::Notifying;
use crate::notify::backoff::wait_after;
use crate::notify::breaker::Breaker;
use crate::notify::notifier::{Alert, AlertNotifier, Failure, NotifyError, Part, Receipt};
use crate::notify::rate::Rate;
use crate::notify::receivers::Receiver;
use crate::protocol::notice::Notice;
use crate::store::{Finished, LeaseRequest, Leased, Store, StoreError, Turn};

/// What is told of an attempt that a stop has ended.
const CUT_SHORT: &str = "cut short: the process stopped, or its settings were reloaded";
/// How long a stopping worker waits before it tells a ledger that has failed again.
const RECORD_AGAIN: Duration = Duration::from_millis(100);
/// How long until what a notifier does beside is begun again.
const BEGIN_AGAIN: Duration = Duration::from_secs(1);
/// A lease is so much longer than an attempt may take: what a turn at a busy ledger takes.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// How much of an answer or an error is kept.
const MOST_DETAIL: usize = 500;

/// How long a worker waits for things.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a hint, at most.
    pub poll_interval: Duration,
    /// For attempts under way, when it stops.
    pub stop_grace: Duration,
}

/// How an attempt ended.
type Outcome = Result<Receipt, NotifyError>;

/// What is known of an attempt under way.
#[derive(Debug)]
struct UnderWay {
    leased: Leased,
    begun: Instant,
}

/// Serves one receiver.
#[derive(Debug)]
pub(super) struct Worker {
    receiver: Receiver,
    store: Store,
    metrics: Notifying,
    name: Arc<str>,
    patience: Patience,
    breaker: Breaker,
    rate: Rate,
    at_once: u32,
    attempts: JoinSet<Outcome>,
    under_way: HashMap<Id, UnderWay>,
    finished: Vec<Finished>,
    is_failing: bool,
    is_stopping: bool,
}

impl Worker {
    pub(super) fn new(receiver: Receiver, store: Store, metrics: Notifying, patience: Patience) -> Self {
        let settings = &receiver.settings;
        let pause = Duration::from_millis(settings.breaker_pause_ms);
        let breaker = Breaker::new(settings.breaker_failures, pause);
        let rate = Rate::new(settings.rate_messages, Duration::from_secs(settings.rate_seconds.into()));
        let is_grouped = settings.group_seconds > 0 || settings.rate_messages > 0;
        let at_once = if is_grouped { receiver.notifier.most_at_once().max(1) } else { 1 };
        let name = Arc::from(settings.name.as_str());
        metrics.set_breaker(&name, false);
        Self {
            name,
            receiver,
            store,
            metrics,
            patience,
            breaker,
            rate,
            at_once,
            attempts: JoinSet::new(),
            under_way: HashMap::new(),
            finished: Vec::new(),
            is_failing: false,
            is_stopping: false,
        }
    }

    /// Runs until `stop`, and until what is under way then has ended or been cut short.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let wake = Arc::clone(&self.receiver.wake);
        let (grace, stop_beside) = (self.patience.stop_grace, CancellationToken::new());
        let beside = run_beside(Arc::clone(&self.receiver.notifier), stop_beside.clone());
        let mut beside = AbortOnDropHandle::new(tokio::spawn(beside.in_current_span()));
        while !stop.is_cancelled() {
            let next = self.turn().await;
            let can_begin_more = self.room() > 0;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.attempts.join_next_with_id() => self.ended(ended),
                () = wake.notified(), if can_begin_more && !self.is_failing => {}
                () = sleep_until(next) => {}
            }
            while let Some(ended) = self.attempts.try_join_next_with_id() {
                self.ended(ended);
            }
        }
        self.finish().await;
        stop_beside.cancel();
        if timeout(grace, &mut beside).await.is_err() {
            beside.abort();
            let _ = beside.await; // the next one, under another plan, is not beside this one
        }
    }

    fn room(&mut self) -> u32 {
        let under_way = self.under_way.len() as u32;
        let free = self.receiver.settings.concurrency.saturating_sub(under_way);
        let now = Instant::now();
        self.rate.room(self.breaker.room(free, under_way, now), now)
    }

    /// Records what has finished, and begins what can be begun; says when to come back, if nothing happens before.
    async fn turn(&mut self) -> Instant {
        let now = Instant::now();
        let (count, poll) = (self.room(), now + self.patience.poll_interval);
        if count == 0 && self.finished.is_empty() {
            let held = self.breaker.held_until(now).max(self.rate.held_until(now));
            return held.unwrap_or(poll).min(poll);
        }
        match self.record_and_lease(count).await {
            Ok(turn) => {
                if std::mem::take(&mut self.is_failing) {
                    info!(receiver.name = &*self.name, "the delivery ledger can be used again");
                }
                self.finished.clear();
                self.rate.sent(turn.leased.len(), Instant::now());
                for leased in turn.leased {
                    self.begin(leased);
                }
                turn.next_due_in.map_or(poll, |wait| poll.min(Instant::now() + wait))
            }
            Err(error) => {
                self.tell_failing(&error);
                poll
            }
        }
    }

    async fn record_and_lease(&self, count: u32) -> Result<Turn, StoreError> {
        let under_way: Vec<_> = self.under_way.values().map(|under_way| under_way.leased.id).collect();
        let lease = self.timeout() + LEASE_MARGIN;
        let wanted = LeaseRequest { count, at_once: self.at_once, lease, under_way: &under_way };
        let turn = self.store.take_turn(&self.name, &self.finished, &wanted).await?;
        for Finished { id, attempt, .. } in &self.finished {
            trace!(target: "andon::points", { delivery.id = %id, attempt }, "recorded");
        }
        for Leased { id, attempt, .. } in &turn.leased {
            trace!(target: "andon::points", { delivery.id = %id, attempt }, "leased");
        }
        Ok(turn)
    }

    fn tell_failing(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let (receiver, chain) = (&*self.name, error_chain(error).to_string());
            warn!(receiver.name = receiver, error = chain, "could not use the delivery ledger, trying again");
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.receiver.settings.timeout_ms)
    }

    fn begin(&mut self, leased: Leased) {
        let (notifier, limit) = (Arc::clone(&self.receiver.notifier), self.timeout());
        let (alert, id, number) = (alert_of(&leased), leased.id, leased.attempt);
        let span = info_span!("attempt", receiver.name = &*self.name, delivery.id = %leased.id);
        let attempt = async move {
            let alert = alert.map_err(NotifyError::permanent)?;
            let (parts, most) = (1 + alert.others.len(), notifier.most_at_once().max(1));
            if parts > most as usize {
                let text = format!("put together when a message could tell more: {parts} things, not {most}");
                return Err(NotifyError::permanent(text));
            }
            let uncertain = |_| NotifyError::uncertain(format!("no answer within {limit:?}"));
            trace!(target: "andon::points", { delivery.id = %id, attempt = number }, "sending");
            let sent = timeout(limit, notifier.notify(&alert)).await;
            trace!(target: "andon::points", { delivery.id = %id, attempt = number }, "sent");
            sent.map_err(uncertain)?
        };
        let id = self.attempts.spawn(attempt.instrument(span)).id();
        self.under_way.insert(id, UnderWay { leased, begun: Instant::now() });
    }

    fn ended(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_panic() => {
                (error.id(), Err(NotifyError::transient("the notifier panicked")))
            }
            Err(error) => (error.id(), Err(NotifyError::uncertain(CUT_SHORT))),
        };
        let UnderWay { leased, begun } =
            self.under_way.remove(&id).expect("each attempt is known until it ends");
        let now = Instant::now();
        let finished = self.judge(&leased, outcome, now - begun, now);
        self.metrics.attempted(&self.name, finished.outcome.as_str(), finished.duration);
        self.metrics.set_breaker(&self.name, self.breaker.is_open());
        self.receiver.is_out_of_reach.store(self.breaker.is_open(), Ordering::Relaxed);
        self.finished.push(finished);
    }

    /// What the end of an attempt means for its delivery and for its receiver.
    fn judge(&mut self, leased: &Leased, outcome: Outcome, duration: Duration, now: Instant) -> Finished {
        let settings = &self.receiver.settings;
        let longest = Duration::from_millis(settings.max_backoff_ms);
        let first = Duration::from_millis(settings.backoff_ms);
        // What a stop cuts short is for the next process, at once.
        let wait = if self.is_stopping {
            Duration::ZERO
        } else {
            wait_after(leased.attempt, first, longest, clock::fraction())
        };
        let finished = |outcome, detail: Option<&str>, retry_after| Finished {
            id: leased.id,
            attempt: leased.attempt,
            outcome,
            duration,
            detail: detail.map(shortened),
            retry_after,
        };
        let error = match outcome {
            Ok(receipt) => {
                self.breaker.answered();
                return finished(AttemptOutcome::Delivered, receipt.answer(), None);
            }
            Err(error) => error,
        };
        let text = error_chain(&error).to_string();
        let (name, number) = (&settings.name, leased.attempt);
        match error.failure() {
            Failure::Transient { retry_after } => {
                let retry_after = retry_after.map(|wait| wait.min(longest));
                self.breaker.failed(retry_after, now);
                let wait = retry_after.unwrap_or_default().max(wait);
                warn!(receiver.name = name, delivery.id = %leased.id, attempt = number, error = text,
                    "receiver {name} did not take delivery {}, next try in {wait:?}", leased.id);
                finished(AttemptOutcome::Transient, Some(&text), Some(wait))
            }
            Failure::Uncertain => {
                self.breaker.failed(None, now);
                warn!(receiver.name = name, delivery.id = %leased.id, attempt = number, error = text,
                    "whether receiver {name} has taken delivery {} is not known, next try in {wait:?}", leased.id);
                finished(AttemptOutcome::Uncertain, Some(&text), Some(wait))
            }
            Failure::Permanent if !leased.others.is_empty() => {
                self.breaker.answered();
                warn!(receiver.name = name, delivery.id = %leased.id, attempt = number, error = text,
                    "receiver {name} refuses delivery {} for good, which tells several things: they are told one by one",
                    leased.id);
                finished(AttemptOutcome::Permanent, Some(&text), Some(Duration::ZERO))
            }
            Failure::Permanent => {
                self.breaker.answered();
                error!(receiver.name = name, delivery.id = %leased.id, attempt = number, error = text,
                    "receiver {name} refuses delivery {} for good", leased.id);
                finished(AttemptOutcome::Permanent, Some(&text), None)
            }
            Failure::Gone => {
                self.breaker.gone();
                error!(receiver.name = name, delivery.id = %leased.id, attempt = number, error = text,
                    "receiver {name} wants nothing any more: nothing is sent to it until the next start");
                finished(AttemptOutcome::Permanent, Some(&text), None)
            }
        }
    }

    /// Waits for what is under way and records it as it ends; then cuts short what takes too long.
    async fn finish(mut self) {
        let deadline = Instant::now() + self.patience.stop_grace;
        self.is_stopping = true;
        self.record().await;
        while !self.attempts.is_empty() {
            match timeout_at(deadline, self.attempts.join_next_with_id()).await {
                Ok(Some(ended)) => self.ended(ended),
                Ok(None) => {}
                Err(_) => {
                    self.attempts.abort_all();
                    while let Some(ended) = self.attempts.join_next_with_id().await {
                        self.ended(ended);
                    }
                }
            }
            self.record().await;
        }
        while !self.finished.is_empty() && Instant::now() < deadline {
            sleep(RECORD_AGAIN).await;
            self.record().await;
        }
    }

    /// Records what has finished, and leases nothing.
    async fn record(&mut self) {
        if self.finished.is_empty() {
            return;
        }
        match self.record_and_lease(0).await {
            Ok(_) => self.finished.clear(),
            Err(error) => self.tell_failing(&error),
        }
    }
}

/// What the notifier does beside, begun again should it end.
async fn run_beside(notifier: Arc<dyn AlertNotifier>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let (notifier, until) = (Arc::clone(&notifier), stop.clone());
        let running = async move { notifier.run(until).await }.in_current_span();
        let ended = AbortOnDropHandle::new(tokio::spawn(running)).await;
        if !stop.is_cancelled() {
            error!(ended = ?ended, "what a notifier does beside has ended early, it is begun again");
            sleep(BEGIN_AGAIN).await;
        }
    }
}

/// What the notifier is given.
fn alert_of(leased: &Leased) -> serde_json::Result<Alert> {
    let read = |reminder: u32, body: &str| {
        serde_json::from_str::<Notice>(body).map(|notice| Part { reminder, notice: Arc::new(notice) })
    };
    let mut parts = vec![read(leased.reminder, &leased.body)?];
    for part in &leased.others {
        parts.push(read(part.reminder, &part.body)?);
    }
    let Part { notice, reminder } = parts.remove(headline(&parts));
    Ok(Alert {
        delivery_id: super::delivery_name(&leased.epoch, leased.id),
        attempt: leased.attempt,
        recipient: leased.recipient.clone(),
        step: leased.step,
        reminder,
        notice,
        others: parts,
    })
}

/// Which of them matters most: the newest of the severest that somebody has to answer.
fn headline(parts: &[Part]) -> usize {
    let rank = |notice: &Notice| (!notice.update.change.is_answer(), notice.update.episode.severity);
    let most = parts.iter().enumerate().max_by_key(|(place, part)| (rank(&part.notice), *place));
    most.map_or(0, |(place, _)| place)
}

/// As much of a text as is kept, without what would break a line.
fn shortened(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MOST_DETAIL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_an_answer_is_one_line_and_short() {
        assert_eq!(shortened("no\r\nmore\0"), "no  more ");
        assert_eq!(shortened(&"é".repeat(600)), "é".repeat(500));
    }
}
