//! The broadcaster against a model, with one mistake planted at a time: the model has to find each.

mod client;
mod database;
mod model;
mod node;
mod seats;
mod world;
