//! How the process is, over REST.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer of `GET /health/live`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AliveView {
    pub status: Alive,
}

/// The only thing that a process which answers can say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alive {
    #[default]
    Alive,
}

/// Answer of `GET /health/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyView {
    pub status: Ready,
    pub parts: PartsView,
}

/// Whether the process takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    Ready,
    /// Still, but that may end soon.
    Degraded,
    NotReady,
}

/// What readiness hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartsView {
    pub process: ProcessStage,
    pub database: DatabaseState,
    /// There while it is low.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub disk: Option<DiskState>,
}

/// How far the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessStage {
    Starting,
    Running,
    Stopping,
}

/// Whether the database takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseState {
    Writable,
    Unavailable,
}

/// What there is to tell of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    /// Little room is left.
    Low,
}

impl ReadyView {
    /// Ready, if the process runs and the database takes writes; degraded, if the disk is low.
    pub fn new(parts: PartsView) -> Self {
        let status = match (parts.process, parts.database, parts.disk) {
            (ProcessStage::Running, DatabaseState::Writable, None) => Ready::Ready,
            (ProcessStage::Running, DatabaseState::Writable, Some(DiskState::Low)) => Ready::Degraded,
            _ => Ready::NotReady,
        };
        Self { status, parts }
    }

    /// Whether the process takes work.
    pub fn takes_work(&self) -> bool {
        self.status != Ready::NotReady
    }
}
