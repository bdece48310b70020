//! All integration tests, in one binary.

mod broadcast;
mod commit_loop;
mod commit_loop_verdicts;
mod faults;
mod interop;
mod log;
mod refusals_to_start;
mod statistics;
mod support;
