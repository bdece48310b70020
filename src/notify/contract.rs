//! What every notifier has to keep to, as checks that an integrator runs against its own.
//!
//! The far end is a double of the receiver that speaks its real protocol; what a receiver of that kind cannot do (a file
//! is never busy) it says, and that check is left out.
//!
//! ```no_run
//! # use andon::notify::{AlertNotifier, contract::{self, FarEnd}};
//! # async fn checked(notifier: &dyn AlertNotifier, far_end: &dyn FarEnd) {
//! let checked = contract::check(notifier, far_end).await.expect("keeps the contract");
//! println!("{checked:?}");
//! # }
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::select;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::domain::episode::EpisodeChange;
use crate::error_chain::error_chain;
use crate::notify::notifier::{Alert, AlertNotifier, Failure, NotifyError, Part, Receipt};
use crate::notify::sample::sample_alert;

/// An attempt at a far end that answers ends within this.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a far end that hangs is waited for.
const HANGING: Duration = Duration::from_millis(500);

/// How the far end treats who comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It takes what it is told.
    Takes,
    /// It is not able to just now.
    Busy,
    /// It does not want this alert.
    Refuses,
    /// It never answers.
    Hangs,
    /// It ends the connection after it has been told, without an answer.
    Breaks,
    /// It is not there.
    Absent,
}

/// A double of the receiver.
#[async_trait]
pub trait FarEnd: Send + Sync {
    /// Sets how it treats who comes next; `false`: such a receiver cannot be like that.
    async fn set(&self, mood: Mood) -> bool;

    /// The names (`delivery_id`) of what it has taken, in order, with repetitions.
    async fn taken(&self) -> Vec<String>;

    /// What must never be in the text of an error.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a notifier does not keep to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {found}")]
pub struct Broken {
    /// Which of the checks.
    pub check: &'static str,
    /// What it has found.
    pub found: String,
}

/// Runs all checks, and what the notifier does beside; gives the names of those that were made.
///
/// # Errors
/// [`Broken`], with the first that fails.
pub async fn check(notifier: &dyn AlertNotifier, far_end: &dyn FarEnd) -> Result<Vec<&'static str>, Broken> {
    select! {
        checked = check_all(notifier, far_end) => checked,
        () = notifier.run(CancellationToken::new()) => Err(broken("what it does beside goes on", "it ended")),
    }
}

async fn check_all(notifier: &dyn AlertNotifier, far_end: &dyn FarEnd) -> Result<Vec<&'static str>, Broken> {
    let checks = Checks { notifier, far_end };
    let mut made = vec!["it has recipients, each once"];
    checks.recipients()?;
    for (name, mood, allowed) in FAILURES {
        if checks.failure(name, mood, allowed).await? {
            made.push(name);
        }
    }
    if checks.far_end.set(Mood::Hangs).await {
        made.push(CUT_SHORT);
        checks.cut_short().await?;
    }
    if !checks.far_end.set(Mood::Takes).await {
        return Err(broken(TAKEN, "the far end must be able to take alerts"));
    }
    checks.taken().await?;
    checks.repeated().await?;
    checks.at_once().await?;
    checks.hostile().await?;
    made.extend([TAKEN, REPEATED, AT_ONCE, HOSTILE]);
    if notifier.most_at_once() > 1 {
        checks.together().await?;
        made.push(TOGETHER);
    }
    Ok(made)
}

const TAKEN: &str = "what the far end takes is a success, for each kind of notice";
const REPEATED: &str = "a repetition has the same name";
const AT_ONCE: &str = "several alerts at a time all arrive";
const TOGETHER: &str = "several notices in one message arrive as one";
const HOSTILE: &str = "whatever a characteristic is called, its alert arrives";
const CUT_SHORT: &str = "an attempt that is cut short leaves the notifier usable";

/// A check, the far end's mood, and what the failure may be.
type Failing = (&'static str, Mood, fn(Failure) -> bool);

const FAILURES: [Failing; 4] = [
    ("a far end that is not there is a transient failure", Mood::Absent, is_transient),
    ("a far end that is busy is a transient failure", Mood::Busy, is_transient),
    ("a far end that refuses is a permanent failure", Mood::Refuses, |f| f == Failure::Permanent),
    ("a connection that ends without an answer is no success", Mood::Breaks, |f| {
        f == Failure::Uncertain || is_transient(f)
    }),
];

fn is_transient(failure: Failure) -> bool {
    matches!(failure, Failure::Transient { .. })
}

/// Names that have broken programs before: line breaks for headers, markup for pages, what is no letter for encodings.
const HOSTILE_NAMES: [&str; 6] = [
    "Bore\r\nBcc: everybody@example.com",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }} %s ${HOME}",
    "Ø Bohrung \u{2300} 内径 \u{1F6A8}",
    "a/b#+$c",
    "\u{202E}erob\u{0}",
];

struct Checks<'a> {
    notifier: &'a dyn AlertNotifier,
    far_end: &'a dyn FarEnd,
}

impl Checks<'_> {
    fn recipients(&self) -> Result<(), Broken> {
        let recipients = self.notifier.recipients();
        let each_once: BTreeSet<_> = recipients.iter().collect();
        let is_fine = !recipients.is_empty() && each_once.len() == recipients.len();
        is_fine.then_some(()).ok_or_else(|| broken("it has recipients, each once", format!("{recipients:?}")))
    }

    fn alert(&self, delivery_id: &str, change: EpisodeChange, name: &str) -> Alert {
        let recipient = self.notifier.recipients().into_iter().next().unwrap_or_default();
        sample_alert(delivery_id, &recipient, change, name)
    }

    async fn tell(&self, check: &'static str, alert: &Alert) -> Result<Result<Receipt, NotifyError>, Broken> {
        let too_late = |_| broken(check, format!("no answer within {DEADLINE:?}"));
        timeout(DEADLINE, self.notifier.notify(alert)).await.map_err(too_late)
    }

    async fn must_arrive(&self, check: &'static str, alert: &Alert) -> Result<(), Broken> {
        if let Err(error) = self.tell(check, alert).await? {
            return Err(broken(check, format!("it failed: {}", error_chain(&error))));
        }
        let taken = self.far_end.taken().await;
        let arrived = taken.contains(&alert.delivery_id);
        arrived.then_some(()).ok_or_else(|| broken(check, format!("{} did not arrive", alert.delivery_id)))
    }

    /// Whether the far end can be like that.
    async fn failure(
        &self,
        check: &'static str,
        mood: Mood,
        allowed: fn(Failure) -> bool,
    ) -> Result<bool, Broken> {
        if !self.far_end.set(mood).await {
            return Ok(false);
        }
        let alert = self.alert(&format!("contract-{mood:?}"), EpisodeChange::Opened, "Bore");
        let Err(error) = self.tell(check, &alert).await? else {
            return Err(broken(check, "it said that it had arrived"));
        };
        if !allowed(error.failure()) {
            return Err(broken(check, format!("it is {:?}", error.failure())));
        }
        let text = error_chain(&error).to_string();
        match self.far_end.secrets().iter().find(|secret| text.contains(secret.as_str())) {
            Some(_) => Err(broken(check, "the error's text holds a secret")),
            None => Ok(true),
        }
    }

    async fn cut_short(&self) -> Result<(), Broken> {
        let alert = self.alert("contract-hanging", EpisodeChange::Opened, "Bore");
        if timeout(HANGING, self.notifier.notify(&alert)).await.is_ok_and(|outcome| outcome.is_ok()) {
            return Err(broken(CUT_SHORT, "it said that it had arrived, and nobody had answered"));
        }
        self.far_end.set(Mood::Takes).await;
        self.must_arrive(CUT_SHORT, &self.alert("contract-after-hanging", EpisodeChange::Opened, "Bore"))
            .await
    }

    async fn taken(&self) -> Result<(), Broken> {
        for change in EpisodeChange::ALL {
            let name = format!("contract-{}", change.as_str());
            self.must_arrive(TAKEN, &self.alert(&name, change, "Bore")).await?;
        }
        Ok(())
    }

    async fn repeated(&self) -> Result<(), Broken> {
        let mut alert = self.alert("contract-repeated", EpisodeChange::Opened, "Bore");
        self.must_arrive(REPEATED, &alert).await?;
        alert.attempt = 2;
        self.must_arrive(REPEATED, &alert).await?;
        // A receiver that tells repetitions by their name takes it once.
        let taken = self.far_end.taken().await;
        let times = taken.iter().filter(|name| **name == alert.delivery_id).count();
        (1..=2).contains(&times).then_some(()).ok_or_else(|| broken(REPEATED, format!("{times} times")))
    }

    async fn at_once(&self) -> Result<(), Broken> {
        let alerts: Vec<_> = (0..16)
            .map(|number| self.alert(&format!("contract-{number}"), EpisodeChange::Opened, "Bore"))
            .collect();
        let all = join_all(alerts.iter().map(|alert| self.must_arrive(AT_ONCE, alert))).await;
        all.into_iter().collect()
    }

    async fn together(&self) -> Result<(), Broken> {
        let mut alert = self.alert("contract-together", EpisodeChange::Opened, "Bore");
        let part = |change| Part { reminder: 0, notice: self.alert("", change, "Width").notice };
        let others = EpisodeChange::ALL.map(part);
        (alert.others, alert.reminder) = (others.into(), 1);
        let before = self.far_end.taken().await.len();
        self.must_arrive(TOGETHER, &alert).await?;
        match self.far_end.taken().await.len() - before {
            1 => Ok(()),
            messages => Err(broken(TOGETHER, format!("{messages} messages"))),
        }
    }

    async fn hostile(&self) -> Result<(), Broken> {
        for (number, name) in HOSTILE_NAMES.into_iter().enumerate() {
            let alert = self.alert(&format!("contract-hostile-{number}"), EpisodeChange::Opened, name);
            self.must_arrive(HOSTILE, &alert).await?;
        }
        Ok(())
    }
}

fn broken(check: &'static str, found: impl fmt::Display) -> Broken {
    Broken { check, found: found.to_string() }
}
