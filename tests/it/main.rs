//! All integration tests, in one binary.

mod broadcast;
mod commit_loop;
mod commit_loop_verdicts;
mod crash;
mod faults;
mod interop;
mod log;
mod refusals_to_start;
mod shutdown;
mod statistics;
mod support;
