//! The settings, read again while everything runs: what of them can be in force without a restart, and what cannot.

use std::sync::Arc;

use crate::notify::{self, ReadError, Reread, Source};
use crate::settings::Settings;

/// Reads all settings again.
pub(super) type Reader = Box<dyn Fn() -> Result<Settings, ReadError> + Send + Sync>;

/// What these settings say of receivers and routes, in a process that stops as those of its start say.
pub(super) fn of_notify(settings: &Settings, start: &Settings) -> notify::Settings {
    let mut notify = settings.notify.clone();
    notify.stop_grace_ms = notify.stop_grace_ms.min(start.stop.grace_ms / 2);
    notify
}

/// What settings say that are read again, and what of it needs a restart.
pub(super) fn source(read: Reader, start: Settings) -> Source {
    Arc::new(move || {
        let settings = read()?;
        let mut needs_restart = start.differing(&settings);
        needs_restart.retain(|section| *section != "notify");
        Ok(Reread { settings: of_notify(&settings, &start), needs_restart })
    })
}
