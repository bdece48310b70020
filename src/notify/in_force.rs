//! The plan in force: one at a time, replaced as a whole.
//!
//! * **State**: the plan, watched. The [reloader](super::reload) alone replaces it; the dispatcher, the deliverer and the
//!   handlers read it each time they need it, and hold it no longer than what they do with it takes.
//! * **Full**: a plan that was replaced before somebody looked is passed over; only the newest counts.
//! * **Late**: nobody waits for anybody. The dispatcher takes up a new plan with its next page; of each receiver, the one who
//!   serves it under the new plan begins when the one before has ended, and the others go on meanwhile.
//! * **Lost**: nothing. What was to be told is in the log or in the ledger, whatever the plan.
//! * **Dies, stops**: with the process. The next one reads its settings anew.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::DeliveryId;
use crate::metrics::Metrics;
use crate::notify::{Deliverer, Dispatcher, MOST_REPLAYED, Plan, ReceiverSettings};
use crate::store::{Replay, Retried, Store, StoreError};

/// The plan in force. Cheap to clone; all clones speak of the same.
#[derive(Debug, Clone)]
pub struct PlanInForce(watch::Sender<Arc<Plan>>);

impl PlanInForce {
    /// Begins with this one.
    pub fn new(plan: Plan) -> Self {
        Self(watch::Sender::new(Arc::new(plan)))
    }

    /// As it is now.
    pub fn get(&self) -> Arc<Plan> {
        Arc::clone(&self.0.borrow())
    }

    /// Looks at it while it cannot be replaced.
    pub(super) fn look(&self, look: impl FnOnce(&Plan)) {
        look(&self.0.borrow());
    }

    /// The two tasks that carry it out.
    pub fn tasks(&self, store: &Store, metrics: &Metrics) -> (Dispatcher, Deliverer) {
        let dispatcher = Dispatcher::new(store.clone(), self.watch(), metrics.clone());
        (dispatcher, Deliverer::new(store.clone(), self.clone(), metrics.clone()))
    }

    /// Tries a delivery again, whether it is over or waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retry(&self, store: &Store, id: DeliveryId) -> Result<Retried, StoreError> {
        let Some((delivery, _)) = store.delivery(id).await? else { return Ok(Retried::Unknown) };
        let retried = store.retry_delivery(id, self.useful_for(&delivery.receiver)).await?;
        self.wake(&delivery.receiver);
        Ok(retried)
    }

    /// Tells anew what has ended in a stretch of time; says how much that is. `None`: it is more than [`MOST_REPLAYED`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replay(&self, store: &Store, replay: Replay) -> Result<Option<u64>, StoreError> {
        let (name, useful_for) = (replay.receiver.clone(), self.useful_for(&replay.receiver));
        let replayed = store.replay_deliveries(replay, useful_for, MOST_REPLAYED).await?;
        self.wake(&name);
        Ok(replayed)
    }

    fn useful_for(&self, receiver: &str) -> Duration {
        let plan = self.get();
        let known = plan.receivers.named(receiver).map(|known| known.settings.useful_minutes);
        let minutes = known.unwrap_or_else(|| ReceiverSettings::default().useful_minutes);
        Duration::from_secs(60 * u64::from(minutes))
    }

    /// Wakes whoever serves a receiver by now.
    fn wake(&self, receiver: &str) {
        if let Some(receiver) = self.get().receivers.named(receiver) {
            receiver.wake.notify_one();
        }
    }

    /// Puts another one in its place.
    pub(super) fn replace(&self, plan: Plan) {
        self.0.send_replace(Arc::new(plan));
    }

    /// Tells of each that comes; it must be asked again before each wait.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Plan>> {
        self.0.subscribe()
    }

    /// Does something under each plan, until its token is cancelled because another one is in force: the next begins when it
    /// has ended. Ends with `stop`, and when under the plan in force there is nothing to do.
    pub(super) async fn under_each<F: Future<Output = ()>>(
        &self,
        stop: &CancellationToken,
        work: impl Fn(&Plan, CancellationToken) -> Option<F>,
    ) {
        let mut plans = self.watch();
        while !stop.is_cancelled() {
            let until = stop.child_token();
            let Some(work) = work(&Arc::clone(&plans.borrow_and_update()), until.clone()) else { return };
            let other_plan = async {
                let _ = until.run_until_cancelled(plans.changed()).await;
                until.cancel();
            };
            tokio::join!(work, other_plan);
        }
    }
}
