//! The domain services the field names: [`SpcEngine`], [`AlertManager`], [`ControlLimitService`], the
//! [`Catalog`] of what they work on, and [`ForeignEvents`] that other systems have judged.
//!
//! They never publish and never notify: they **commit**. Each call becomes a command in one bounded queue;
//! the [commit loop](commit_loop) takes what waits, judges on copies of the warm state, writes everything in
//! one transaction, and only then makes the copies the state and answers the callers. So samples, limits,
//! rules and acknowledgements have one order, and what one transaction holds is exactly what is published.
//!
//! What is stored, they also read and draw for whoever shows it: [`Charted`] and the [`Painter`].
//!
//! Knows the store, the statistics, the pictures and the domain; knows nothing of sockets, HTTP or the event bus.

mod alert_manager;
mod auto_limits;
mod catalog;
mod charted;
pub mod commit_loop;
mod control_limits;
mod definitions;
mod deletion;
mod episodes;
mod exclusion;
pub mod foreign_events;
pub mod lines;
mod lookups;
mod once;
mod pictures;
mod queue;
mod recalculation;
mod rejudging;
pub mod retention;
mod run_lengths;
mod spc_engine;
mod warm;
mod work;

use std::num::NonZeroU32;

use chrono::TimeDelta;
use serde::Deserialize;

pub use alert_manager::{
    AcknowledgeError, Acknowledged, AlertManager, Answer, Chosen, ManyAnswered, OneAnswered,
};
pub use catalog::{Catalog, CreateError, ReasonCodesError, RulesUpdateError};
pub use charted::Charted;
pub use commit_loop::CommitLoop;
pub use control_limits::{ControlLimitService, GivenLimits, LimitsChange, LimitsRefusal, Signed};
pub use definitions::{ChangeError, Defined, Redefinition};
pub use deletion::{DeleteError, Deletion};
pub use episodes::{AcknowledgeEpisodeError, AcknowledgedEpisode, EpisodeAnswered};
pub use exclusion::{Decided, Decision, ExclusionError};
pub use foreign_events::ForeignEvents;
pub use once::{Answered, Keep, Once, Request};
pub use pictures::{PICTURED, Painter, PictureError};
pub use queue::{CommitError, CommitQueue};
pub use recalculation::{BaselineSignals, Recalculated, Selection};
pub use retention::Retention;
pub use run_lengths::{RunLengthSimulator, RunLengths};
pub use spc_engine::{
    CharacteristicRef, NewSample, Queued, RecordedSample, SampleAnswer, SampleError, SpcEngine,
};

use crate::domain::episode::EpisodePolicy;

/// How commands are gathered and judged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Commands that may wait for the commit loop.
    pub queue_commands: usize,
    /// How long a caller waits for a place in that queue before it is told to come back.
    pub queue_timeout_ms: u64,
    /// Commands that share one transaction, at most.
    pub commands_per_commit: usize,
    /// Bytes of measurements and texts that share one transaction, at most.
    pub bytes_per_commit: usize,
    /// Characteristics whose state is kept warm (about 1 KB each); the others are read again when needed.
    pub warm_characteristics: usize,
    /// Samples that a recalculation reads, at most: the newest ones.
    pub baseline_samples: u32,
    /// How often to try whether an unwritable database takes writes again.
    pub probe_interval_ms: u64,
    /// Points in control in a row after which an episode is over.
    pub episode_close_points: NonZeroU32,
    /// Points that violate after an episode was acknowledged, with which the acknowledgement lapses.
    pub episode_lapse_points: NonZeroU32,
    /// When nothing was heard of a process for so long, its next violation opens another episode.
    pub episode_stale_hours: NonZeroU32,
    /// Simulated run lengths that are kept; each is one rule set.
    pub run_length_cached_sets: usize,
    /// Rule sets that may wait for the simulation of theirs.
    pub run_length_waiting_sets: usize,
    /// Points that one such simulation takes, at most.
    pub run_length_points: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_commands: 4_096,
            queue_timeout_ms: 5_000,
            commands_per_commit: 512,
            bytes_per_commit: 1 << 20,
            warm_characteristics: 10_000,
            baseline_samples: 50_000,
            probe_interval_ms: 1_000,
            episode_close_points: NonZeroU32::new(8).expect("not zero"),
            episode_lapse_points: NonZeroU32::new(10).expect("not zero"),
            episode_stale_hours: NonZeroU32::new(7 * 24).expect("not zero"),
            run_length_cached_sets: 1_000,
            run_length_waiting_sets: 16,
            run_length_points: 10_000_000,
        }
    }
}

impl Settings {
    /// When an episode ends, and when an answer has not helped.
    fn episode_policy(&self) -> EpisodePolicy {
        EpisodePolicy {
            close_points: self.episode_close_points,
            lapse_points: self.episode_lapse_points,
            stale_after: TimeDelta::hours(self.episode_stale_hours.get().into()),
        }
    }
}
