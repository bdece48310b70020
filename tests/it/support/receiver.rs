//! A receiver in this process that behaves as a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use andon::domain::episode::EpisodeChange;
use andon::notify::{Alert, AlertNotifier, NotifyError, Receipt};
use async_trait::async_trait;

/// How it treats one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    Takes,
    Fails,
    /// Fails, and asks for so much patience.
    IsBusy(Duration),
    LeavesUncertain,
    Refuses,
    IsGone,
    Panics,
    /// Never answers.
    Hangs,
}

/// Remembers every attempt.
#[derive(Debug, Default)]
pub struct TestReceiver {
    treatments: Mutex<VecDeque<Treatment>>,
    afterwards: Option<Treatment>,
    attempts: Mutex<Vec<Alert>>,
    taken: Mutex<Vec<Alert>>,
    recipients: Vec<String>,
    tells_several: bool,
}

impl TestReceiver {
    /// One that takes everything.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// One that treats the first attempts like that, and takes the rest.
    pub fn treating(treatments: impl IntoIterator<Item = Treatment>) -> Arc<Self> {
        let treatments = Mutex::new(treatments.into_iter().collect());
        Arc::new(Self { treatments, ..Self::default() })
    }

    /// One that always treats attempts like that.
    pub fn always(treatment: Treatment) -> Arc<Self> {
        Arc::new(Self { afterwards: Some(treatment), ..Self::default() })
    }

    /// One of several recipients.
    pub fn with_recipients(recipients: &[&str]) -> Arc<Self> {
        let recipients = recipients.iter().map(|name| (*name).to_owned()).collect();
        Arc::new(Self { recipients, ..Self::default() })
    }

    /// One that can be told of several things in one message, and treats the first attempts like that.
    pub fn of_several(treatments: impl IntoIterator<Item = Treatment>) -> Arc<Self> {
        let treatments = Mutex::new(treatments.into_iter().collect());
        Arc::new(Self { treatments, tells_several: true, ..Self::default() })
    }

    /// Every attempt, in the order in which they began.
    pub fn attempts(&self) -> Vec<Alert> {
        self.attempts.lock().expect("not poisoned").clone()
    }

    /// What it has taken, in order.
    pub fn taken(&self) -> Vec<Alert> {
        self.taken.lock().expect("not poisoned").clone()
    }

    /// What was new in what it has taken.
    pub fn changes(&self) -> Vec<EpisodeChange> {
        self.taken().iter().map(|alert| alert.notice.update.change).collect()
    }

    /// Waits until it has taken so many.
    pub async fn has_taken(&self, count: usize) -> Vec<Alert> {
        super::eventually("the receiver has taken them", async || {
            Some(self.taken()).filter(|taken| taken.len() >= count)
        })
        .await
    }

    /// Waits until so many attempts have begun.
    pub async fn has_seen(&self, count: usize) -> Vec<Alert> {
        super::eventually("attempts have begun", async || {
            Some(self.attempts()).filter(|attempts| attempts.len() >= count)
        })
        .await
    }
}

#[async_trait]
impl AlertNotifier for TestReceiver {
    async fn notify(&self, alert: &Alert) -> Result<Receipt, NotifyError> {
        self.attempts.lock().expect("not poisoned").push(alert.clone());
        let next = self.treatments.lock().expect("not poisoned").pop_front();
        let treatment = next.or(self.afterwards);
        match treatment.unwrap_or(Treatment::Takes) {
            Treatment::Takes => {
                let mut taken = self.taken.lock().expect("not poisoned");
                taken.push(alert.clone());
                Ok(Receipt::new(format!("number {}", taken.len())))
            }
            Treatment::Fails => Err(NotifyError::transient("the line is busy")),
            Treatment::IsBusy(wait) => Err(NotifyError::busy("come back later", wait)),
            Treatment::LeavesUncertain => Err(NotifyError::uncertain("the line went dead")),
            Treatment::Refuses => Err(NotifyError::permanent("no such address")),
            Treatment::IsGone => Err(NotifyError::gone("moved away")),
            Treatment::Panics => panic!("a notifier that panics, on purpose"),
            Treatment::Hangs => std::future::pending().await,
        }
    }

    fn most_at_once(&self) -> u32 {
        if self.tells_several { 100 } else { 1 }
    }

    fn recipients(&self) -> Vec<String> {
        if self.recipients.is_empty() { vec![String::new()] } else { self.recipients.clone() }
    }
}
