//! How far this process is: told by `app`, asked by `http` and the services.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

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

/// The stage of this process, and whether its disk is nearly full. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stage: AtomicU8,
    disk_is_low: AtomicBool,
}

impl Health {
    /// Tells a new stage.
    pub fn enter(&self, stage: Stage) {
        self.0.stage.store(stage as u8, Ordering::Release);
    }

    /// The present stage.
    pub fn stage(&self) -> Stage {
        match self.0.stage.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Running,
            _ => Stage::Stopping,
        }
    }

    /// Tells whether the disk is nearly full; says whether that is news.
    pub fn tell_disk(&self, is_low: bool) -> bool {
        self.0.disk_is_low.swap(is_low, Ordering::AcqRel) != is_low
    }

    /// Whether the disk is nearly full.
    pub fn disk_is_low(&self) -> bool {
        self.0.disk_is_low.load(Ordering::Acquire)
    }
}
