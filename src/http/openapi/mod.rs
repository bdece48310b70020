//! The OpenAPI document: what handlers take and answer is read from their types, the rest is said in `routes.rs`.
//!
//! An [`Operation`] is the route and its description in one, so none can be there without the other. The document
//! is built once at start; it knows no store and no request.

mod contract;
mod document;
mod operation;
mod schemas;
mod takes;

pub use contract::{Answers, Success};
pub use document::{Document, document, serve};
pub use operation::{Operation, delete, get, head, patch, post, put};
