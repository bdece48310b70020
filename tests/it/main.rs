//! All integration tests, in one binary.

mod broadcast;
mod statistics;
mod support;
