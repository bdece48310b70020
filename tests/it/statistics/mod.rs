//! The statistics against exact figures, published data, a brute-force model and simulation.

mod boundaries;
mod constants;
mod episodes;
mod estimation;
mod involved;
mod limits;
mod messages;
mod model;
mod published;
mod run_lengths;
mod support;
mod unequal_sizes;
