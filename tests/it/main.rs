//! All integration tests, in one binary.

mod broadcast;
mod interop;
mod statistics;
mod support;
