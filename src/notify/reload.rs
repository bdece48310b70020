//! Reads the settings again while everything runs, and puts what they say of receivers and routes in force.
//!
//! * **State**: nothing but what a plan is made of: the notifiers of the embedding program, which stay the same, and the
//!   surroundings of the start.
//! * **All or nothing**: a plan is built and checked as at the start, and only then put in force. One that cannot be leaves
//!   everything as it is; that is told in the log, and to whoever asked.
//! * **One after the other**: each order reads the settings anew when its turn comes, so the last to come finds the newest.
//! * **Full**: [`MOST_WAITING`] orders wait; further ones are refused.
//! * **Late**: an order waits for its files as long as they take, and so do those behind it; nobody else does. One whose caller has
//!   gone is carried out all the same.
//! * **Stops** at once: what is not in force by then is not put in force, and who still asks is refused.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::error_chain::error_chain;
use crate::metrics::Notifying;
use crate::notify::{OwnNotifiers, Plan, PlanInForce, Settings, Surroundings};

/// Orders that wait for the one before them: people press a button again, and no more than that.
const MOST_WAITING: usize = 8;

/// What settings say when they are read again.
#[derive(Debug, Clone)]
pub struct Reread {
    /// Of receivers and routes.
    pub settings: Settings,
    /// Sections whose changes need a restart.
    pub needs_restart: Vec<&'static str>,
}

/// Why settings could not be read; its text is shown to whoever asked, and holds no secret.
pub type ReadError = Box<dyn Error + Send + Sync>;

/// Reads settings; it may block.
pub type Source = Arc<dyn Fn() -> Result<Reread, ReadError> + Send + Sync>;

/// What is in force after a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// The names of the receivers, in the order of the settings.
    pub receivers: Vec<String>,
    /// Sections that have changed, too, and need a restart.
    pub needs_restart: Vec<&'static str>,
}

/// Why nothing was reloaded.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is nowhere to read from.
    #[error("this program brings its settings itself: there is nowhere to read them again")]
    NoSource,
    /// They cannot be in force.
    #[error("nothing has changed, since the settings cannot be used")]
    Unusable(#[source] ReadError),
    /// Too many have asked already.
    #[error("others who have asked for the same are waiting")]
    Busy,
    /// It is too late for that.
    #[error("the server is stopping")]
    Stopping,
}

type Answer = oneshot::Sender<Result<Reloaded, ReloadError>>;

/// Asks for reloads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloader(mpsc::Sender<Answer>);

impl Reloader {
    /// Reads the settings again and puts them in force. How that went is told in the log, too.
    ///
    /// # Errors
    /// [`ReloadError`]; then nothing has changed.
    ///
    /// # Cancel safety
    /// It is done all the same.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ReloadError::Busy,
            mpsc::error::TrySendError::Closed(_) => ReloadError::Stopping,
        })?;
        answered.await.unwrap_or(Err(ReloadError::Stopping))
    }
}

/// What plans are made of, besides settings.
#[derive(Clone)]
pub struct Ingredients {
    /// Notifiers of the embedding program: under each plan the same.
    pub own: OwnNotifiers,
    /// What built-in ones use.
    pub surroundings: Surroundings,
    /// Where settings are read again; `None`: nowhere.
    pub source: Option<Source>,
}

/// Carries the orders out.
pub struct Reloading {
    ingredients: Ingredients,
    plan: PlanInForce,
    metrics: Notifying,
    orders: mpsc::Receiver<Answer>,
}

impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading").field("orders", &self.orders).finish_non_exhaustive()
    }
}

impl Reloading {
    /// The task that replaces this plan, and who orders it to.
    pub fn new(ingredients: Ingredients, plan: PlanInForce, metrics: Notifying) -> (Self, Reloader) {
        let (ask, orders) = mpsc::channel(MOST_WAITING);
        (Self { ingredients, plan, metrics, orders }, Reloader(ask))
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.serve()).await;
        stop.cancelled().await; // also where nobody can ask any more
    }

    async fn serve(&mut self) {
        while let Some(answer) = self.orders.recv().await {
            let reloaded = self.reload().await;
            self.tell(&reloaded);
            let _ = answer.send(reloaded); // who asked may have gone
        }
    }

    async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let Ingredients { own, surroundings, source } = self.ingredients.clone();
        let source = source.ok_or(ReloadError::NoSource)?;
        let planned = spawn_blocking(move || -> Result<_, ReadError> {
            let Reread { settings, needs_restart } = source()?;
            Ok((Plan::new(settings, own, &surroundings)?, needs_restart))
        });
        let planned = planned.await.unwrap_or_else(|_| Err("reading them has failed".into()));
        let (plan, needs_restart) = planned.map_err(ReloadError::Unusable)?;
        let receivers = plan.receivers().iter().map(|receiver| receiver.settings.name.clone()).collect();
        self.plan.replace(plan);
        Ok(Reloaded { receivers, needs_restart })
    }

    fn tell(&self, reloaded: &Result<Reloaded, ReloadError>) {
        match reloaded {
            Ok(Reloaded { receivers, needs_restart }) => {
                self.metrics.reloaded("applied");
                info!(receivers = receivers.len(), "receivers and routes were reloaded");
                if !needs_restart.is_empty() {
                    let sections = needs_restart.join(", ");
                    warn!(
                        sections,
                        "settings in {sections} have changed, too: they are not applied before a restart"
                    );
                }
            }
            Err(ReloadError::Unusable(error)) => {
                self.metrics.reloaded("refused");
                let chain = error_chain(&**error);
                error!(error = chain, "receivers and routes were not reloaded: the settings cannot be used");
            }
            Err(_) => {} // there was nothing to do
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::clock::Clock;
    use crate::metrics::Metrics;
    use crate::site;

    fn reloading(source: Option<Source>) -> (Reloading, Reloader, PlanInForce) {
        let surroundings = Surroundings::without_pictures(Clock::system(), site::Settings::default());
        let plan = Plan::new(Settings::default(), OwnNotifiers::new(), &surroundings).expect("bare");
        let plan = PlanInForce::new(plan);
        let ingredients = Ingredients { own: OwnNotifiers::new(), surroundings, source };
        let (task, reloader) = Reloading::new(ingredients, plan.clone(), Metrics::default().notifying);
        (task, reloader, plan)
    }

    fn page(page_notices: u32) -> Reread {
        Reread { settings: Settings { page_notices, ..Settings::default() }, needs_restart: vec![] }
    }

    #[tokio::test]
    async fn of_many_at_once_each_reads_in_its_turn_and_those_beyond_the_limit_are_refused() {
        let (turns, inside) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(())));
        let counted = Arc::clone(&turns);
        let source: Source = Arc::new(move || {
            let _alone = inside.try_lock().expect("one after the other");
            Ok(page(100 + counted.fetch_add(1, Ordering::SeqCst)))
        });
        let (task, reloader, plan) = reloading(Some(source));
        let asked: Vec<_> = (0..=MOST_WAITING).map(|_| reloader.reload()).collect();
        let answers = async {
            let answers = futures_util::future::join_all(asked).await;
            let busy = answers.iter().filter(|answer| matches!(answer, Err(ReloadError::Busy))).count();
            (answers.iter().filter(|answer| answer.is_ok()).count(), busy)
        };
        let stop = CancellationToken::new();
        let (running, counts) = (task.run(stop.clone()), async {
            let counts = answers.await;
            stop.cancel();
            counts
        });
        let (counts, ()) = tokio::join!(counts, running);
        assert_eq!(counts, (MOST_WAITING, 1));
        assert_eq!(turns.load(Ordering::SeqCst) as usize, MOST_WAITING);
        assert_eq!(plan.get().settings.page_notices as usize, 100 + MOST_WAITING - 1, "the last one counts");
    }

    #[tokio::test]
    async fn who_asks_while_it_stops_is_refused_and_nothing_changes() {
        let (task, reloader, plan) = reloading(Some(Arc::new(|| Ok(page(7)))));
        let stop = CancellationToken::new();
        stop.cancel();
        let (waiting, ()) = tokio::join!(reloader.reload(), task.run(stop));
        assert!(matches!(waiting, Err(ReloadError::Stopping)), "{waiting:?}");
        assert!(matches!(reloader.reload().await, Err(ReloadError::Stopping)));
        assert_eq!(plan.get().settings.page_notices, Settings::default().page_notices);
    }

    #[tokio::test]
    async fn a_source_that_panics_or_is_not_there_leaves_everything_as_it_is() {
        for (source, told) in [
            (None, "this program brings its settings itself: there is nowhere to read them again"),
            (
                Some(Arc::new(|| -> Result<Reread, ReadError> { panic!("on purpose") }) as Source),
                "nothing has changed, since the settings cannot be used: reading them has failed",
            ),
        ] {
            let (task, reloader, _) = reloading(source);
            let stop = CancellationToken::new();
            let running = tokio::spawn(task.run(stop.clone()));
            let error = reloader.reload().await.expect_err("refused");
            assert_eq!(error_chain(&error), told);
            stop.cancel();
            running.await.expect("it goes on until it is stopped");
        }
    }
}
