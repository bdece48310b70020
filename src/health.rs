//! How far this process is: told by `app`, asked by `http` and the services.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where a process stands between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Not everything runs yet.
    Starting,
    /// Everything runs.
    Running,
    /// No new work is taken.
    Stopping,
}

/// The stage of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<AtomicU8>);

impl Health {
    /// Tells a new stage.
    pub fn enter(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }

    /// The present stage.
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Running,
            _ => Stage::Stopping,
        }
    }
}
