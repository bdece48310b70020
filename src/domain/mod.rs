//! What the words mean.
pub mod ids;
