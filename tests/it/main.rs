//! All integration tests, in one binary.

mod bad_input;
mod broadcast;
mod commit_loop;
mod commit_loop_verdicts;
mod crash;
mod faults;
mod interop;
mod log;
mod published_data;
mod refusals_to_start;
mod rest_acknowledgements;
mod rest_batches;
mod rest_characteristics;
mod rest_chart_data;
mod rest_limits;
mod rest_paths;
mod rest_recalculation;
mod rest_rules;
mod rest_samples;
mod rest_timestamps;
mod rest_violations;
mod shutdown;
mod statistics;
mod support;
