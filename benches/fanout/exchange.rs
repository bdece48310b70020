//! What the driver tells its child processes, and what they answer: JSON, one object a line.

use std::io::{Write as _, stdout};
use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::load::{Load, processor_time};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Command {
    /// Publish this on the bus (or write it, in the floor); answered with `Done` after the last event.
    Publish(Load),
    /// Answered with `Usage`.
    Usage,
    /// Record so many samples of ten characteristics; answered with `Fed`.
    Feed { samples: u64 },
    /// Record one sample every so many microseconds; its value is the time in microseconds. Answered with `Done`.
    Record { samples: u64, every_us: u64 },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    Listening {
        address: SocketAddr,
    },
    Done,
    Usage(Usage),
    Fed {
        /// The position before the first sample.
        after: u64,
        /// The position of the last one.
        last: u64,
        /// The characteristic that `Record` records.
        recorded_id: u64,
    },
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Usage {
    pub processor_ns: u64,
    pub resident_bytes: u64,
}

impl Usage {
    pub fn of_this_process() -> Self {
        Self { processor_ns: processor_time(), resident_bytes: resident_bytes() }
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells of every process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("kilobytes");
    kilobytes * 1_024
}

/// Answers the driver.
pub fn say(reply: &Reply) {
    let mut line = serde_json::to_string(reply).expect("replies encode");
    line.push('\n');
    // A driver that has gone is noticed where commands are read.
    let _ = stdout().lock().write_all(line.as_bytes());
}

/// As many descriptors as this process may have.
pub fn raise_descriptor_limit() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
