//! From the log to the ledger: reads what is new about episodes, asks the routes who is told, and stores a delivery for
//! each.
//!
//! Knows the store and the routes; knows nothing of how receivers are told.
//!
//! * **State**: the cursor, in the database. It moves in the transaction that stores what was read, so that each notice is
//!   taken once, whatever dies when. Retention never removes what has not been taken.
//! * **What is scheduled** (later steps of escalations, reminders, what a silence holds back) begins here, within a
//!   `poll_interval_ms` of its time. Silences are asked whenever something is about to be due.
//! * **Woken** by the watched position of the log, or by a timer.
//! * **Full**: the log is the queue; a page is taken at a time, each under the plan that is in force when it begins.
//! * **Late or failing**: tried again at the next wake-up, and told once; nothing is passed over. Nobody waits for it.
//! * **Several processes** on one database: the cursor's row is the lock; who finds it moved reads on from there.
//! * **Dies**: the next one goes on at the cursor. **Stops**: between two pages.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, trace, warn};

use crate::domain::characteristic::Characteristic;
use crate::domain::episode::EpisodeChange;
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::Severity;
use crate::domain::silence::{Alarm, Silence};
use crate::error_chain::error_chain;
use crate::metrics::Metrics;
use crate::notify::Plan;
use crate::notify::evidence::Evidence;
use crate::notify::routes::{Decision, Subject};
use crate::protocol::episode::EpisodeUpdate;
use crate::protocol::event::LoggedEvent;
use crate::protocol::notice::Notice;
use crate::protocol::payload::ViolationView;
use crate::store::{Begin, Hold, NewDelivery, NewNotice, Store, StoreError};

/// Where it is in the log.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The cursor as it is stored.
    cursor: u64,
    /// Up to where nothing is left to take; the cursor is not moved for other kinds of events.
    read: u64,
}

impl Place {
    fn at(cursor: u64) -> Self {
        Self { cursor, read: cursor }
    }
}

/// Follows the log on behalf of the receivers.
#[derive(Debug)]
pub struct Dispatcher {
    store: Store,
    plans: watch::Receiver<Arc<Plan>>,
    /// The one that is carried out just now.
    plan: Arc<Plan>,
    metrics: Metrics,
    /// `None`: to be read, since it is not known whether it was moved.
    place: Option<Place>,
    is_failing: bool,
}

impl Dispatcher {
    /// A dispatcher that goes on at the stored cursor.
    pub(super) fn new(store: Store, plans: watch::Receiver<Arc<Plan>>, metrics: Metrics) -> Self {
        let plan = Arc::clone(&plans.borrow());
        Self { store, plans, plan, metrics, place: None, is_failing: false }
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut committed = self.store.committed();
        committed.mark_changed(); // what was committed before this moment, too
        while !stop.is_cancelled() {
            let head = *committed.borrow_and_update();
            let mut done = self.take_up_to(head, &stop).await;
            if done.is_ok() {
                done = self.begin_scheduled(&stop).await;
            }
            self.tell(done);
            let lag = head.saturating_sub(self.place.map_or(0, |place| place.read));
            self.metrics.notifying.set_lag(lag);
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = committed.changed(), if !self.is_failing => {}
                Ok(()) = self.plans.changed() => {}
                () = sleep(self.plan.poll_interval()) => {}
            }
        }
    }

    /// Tells that it fails, and that it works again, once each.
    fn tell(&mut self, done: Result<(), StoreError>) {
        match done {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    info!("notices are taken into the ledger again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let chain = error_chain(&error).to_string();
                    warn!(error = chain, "could not take notices into the ledger, trying again");
                }
            }
        }
    }

    fn page_notices(&self) -> u32 {
        self.plan.settings.page_notices.max(1)
    }

    /// Takes everything up to a position, page by page.
    async fn take_up_to(&mut self, head: u64, stop: &CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() {
            self.plan = Arc::clone(&self.plans.borrow_and_update());
            let mut place = match self.place.take() {
                Some(place) => place,
                None => Place::at(self.store.notify_cursor().await?),
            };
            let events = if place.read < head {
                self.store.episode_events((place.read, head), self.page_notices()).await?
            } else {
                Vec::new()
            };
            let Some(last) = events.last() else {
                // Nothing to store: what is passed over here is passed over as quickly by the next process.
                place.read = place.read.max(head);
                self.place = Some(place);
                break;
            };
            let notices = self.notices(&events).await?;
            if let Some(suppressed) = self.store.take_notices((place.cursor, last.seq), &notices).await? {
                trace!(target: "andon::points", { event.seq = last.seq }, "notices committed");
                self.place = Some(Place::at(last.seq));
                self.announce(&notices);
                self.metrics.notifying.suppressed("silenced", suppressed.silenced);
                self.metrics.notifying.suppressed("inhibited", suppressed.inhibited);
            } // otherwise another process was first
        }
        Ok(())
    }

    /// What was scheduled for now is due from now on, unless a silence holds it back.
    async fn begin_scheduled(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        self.store.hasten_next_steps(&self.plan.receivers.out_of_reach()).await?;
        while !stop.is_cancelled() {
            let due = self.store.due_steps(self.page_notices()).await?;
            if due.is_empty() {
                break;
            }
            let silences = self.store.silences_in_force().await?;
            let of = due.iter().map(|step| step.characteristic_id);
            let known = self.store.characteristics_by_id(of).await?;
            let begin = due.iter().map(|step| {
                let of = known.get(&step.characteristic_id);
                let alarm = alarm(step.characteristic_id, of, step.severity);
                Begin { id: step.id, held: held(&silences, &alarm, &step.receiver) }
            });
            let begun = self.store.begin_scheduled(&begin.collect::<Vec<_>>()).await?;
            let plan = Arc::clone(&self.plans.borrow());
            begun.iter().filter_map(|name| plan.receivers.named(name)).for_each(|it| it.wake.notify_one());
        }
        Ok(())
    }

    /// What is to be stored of these events.
    async fn notices(&self, events: &[Arc<LoggedEvent>]) -> Result<Vec<NewNotice>, StoreError> {
        let updates: Vec<_> =
            events.iter().filter_map(|event| Some((event.seq, understood(event)?))).collect();
        let episodes: Vec<_> = updates.iter().map(|(_, update)| &update.episode).collect();
        let ids = episodes.iter().map(|episode| episode.characteristic_id);
        let known = self.store.characteristics_by_id(ids).await?;
        let silences = self.store.silences_in_force().await?;
        let evidence = Evidence::about(&self.store, &episodes).await?;
        let notice = |(seq, update): (u64, EpisodeUpdate)| {
            let EpisodeUpdate { change, episode, .. } = &update;
            let of = known.get(&episode.characteristic_id);
            let tags: &[String] = of.map_or(&[], |characteristic| &characteristic.definition.tags);
            let decision = self.plan.routes.decide(&Subject::of(&update, tags));
            let routes = decision.routes.iter().map(ToString::to_string).collect();
            let shown = of.and_then(|of| Some((evidence.violation(episode)?, of)));
            let is_lesser = *change == EpisodeChange::Worsened
                && shown.is_some_and(|(violation, _)| violation.severity < episode.severity);
            let alarm = alarm(episode.characteristic_id, of, Some(episode.severity));
            let deliveries =
                self.deliveries(&decision, is_lesser, |receiver| held(&silences, &alarm, receiver));
            let notice = Notice {
                violation: shown.map(|(violation, of)| ViolationView::new(violation, of)),
                pattern_began_at: shown.and_then(|(violation, _)| evidence.began_at(violation)),
                reaction_plan: of.and_then(|of| of.definition.reaction_plan.clone()),
                update,
            };
            stored(seq, &notice, routes, deliveries)
        };
        Ok(updates.into_iter().map(notice).collect())
    }

    /// `is_lesser`: what is new is less severe than the episode. `held`: what holds back what goes to a receiver.
    fn deliveries(
        &self,
        decision: &Decision<'_>,
        is_lesser: bool,
        held: impl Fn(&str) -> Option<Hold>,
    ) -> Vec<NewDelivery> {
        let to =
            |name: &str| self.plan.receivers.named(name).expect("routes lead to receivers that are there");
        let told = decision.told.iter().map(|told| (to(told.receiver), *told));
        let deliveries = told.flat_map(|(receiver, told)| {
            let settings = &receiver.settings;
            let held = held(&settings.name);
            receiver.recipients.iter().map(move |recipient| NewDelivery {
                receiver: settings.name.clone(),
                recipient: recipient.clone(),
                route: told.route,
                step: told.step,
                after: told.after,
                useful_for: Duration::from_secs(60 * u64::from(settings.useful_minutes)),
                remind_after: told.remind_after,
                group_for: Duration::from_secs(settings.group_seconds.into()),
                held: held.clone(),
                is_lesser: is_lesser && told.inhibits,
            })
        });
        deliveries.collect()
    }

    /// Wakes those who serve the receivers now, whoever did when the page was begun.
    fn announce(&self, notices: &[NewNotice]) {
        let plan = self.plans.borrow();
        for notice in notices {
            self.metrics.notifying.noticed(notice.change.as_str());
            for delivery in &notice.deliveries {
                if let Some(receiver) = plan.receivers.named(&delivery.receiver) {
                    receiver.wake.notify_one();
                }
            }
        }
    }
}

/// What an `episode` event tells; `None`: nobody knows.
fn understood(event: &LoggedEvent) -> Option<EpisodeUpdate> {
    let update = event.episode_update();
    if update.is_none() {
        error!(event.seq = event.seq, "an episode event cannot be understood, nobody is told of it");
    }
    update
}

fn stored(seq: u64, notice: &Notice, routes: Vec<String>, deliveries: Vec<NewDelivery>) -> NewNotice {
    let EpisodeUpdate { change, episode, .. } = &notice.update;
    NewNotice {
        seq,
        episode_id: episode.id,
        characteristic_id: episode.characteristic_id,
        change: *change,
        severity: episode.severity,
        body: serde_json::to_string(notice).expect("names, numbers and times encode"),
        routes,
        deliveries,
    }
}

fn alarm(id: CharacteristicId, of: Option<&Characteristic>, severity: Option<Severity>) -> Alarm<'_> {
    let definition = of.map(|of| &of.definition);
    Alarm {
        characteristic_id: id,
        group: definition.and_then(|it| it.group.as_deref()),
        tags: definition.map_or(&[], |it| &it.tags),
        severity,
    }
}

/// What holds an alarm back from a receiver, the longest: the first of these.
fn held(silences: &[Silence], alarm: &Alarm<'_>, receiver: &str) -> Option<Hold> {
    silences.iter().find(|silence| silence.silenced.covers(alarm, receiver)).map(Hold::from)
}
