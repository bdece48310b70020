//! File descriptors: each connection needs one, and a process may open fewer than its system would let it.
//!
//! The soft limit is often 1,024, for programs that use `select`; we do not, so we take what the hard limit allows, once,
//! before the first connection. It is the whole process's.

use std::os::fd::RawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// What is open besides the connections of listeners: the database, other requests, the log, a profiler.
const OTHERS: u64 = 200;

/// Raises the number of descriptors that may be open to the highest allowed; warns, if that is too low for so many
/// connections.
pub fn raise_limit(connections: u32) {
    let before = getrlimit(Resource::Nofile);
    if before.current != before.maximum {
        // `None` is no limit at all.
        match setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum }) {
            Ok(()) => info!(from = before.current, to = before.maximum, "more files may be open now"),
            Err(error) => warn!(error = %error, "the limit of open files could not be raised"),
        }
    }
    let allowed = getrlimit(Resource::Nofile).current;
    let needed = u64::from(connections) + OTHERS;
    if allowed.is_some_and(|allowed| allowed < needed) {
        warn!(
            allowed,
            needed,
            "fewer files may be open than http.connections needs: raise the hard limit (LimitNOFILE, ulimit -Hn), or \
             lower the setting"
        );
    }
}

/// Whether a second descriptor for a connection does no harm: fewer than half of those that may be open are in use, as the lowest free
/// one is always taken.
pub fn are_plentiful(descriptor: RawFd) -> bool {
    let allowed = getrlimit(Resource::Nofile).current;
    allowed.is_none_or(|allowed| u64::try_from(descriptor).is_ok_and(|number| number < allowed / 2))
}
