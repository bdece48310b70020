//! The wire from the client's end: the text of what it says, and what it reads.
//!
//! Both sides only ever add, so a type, field or value that this version does not know is kept as text and is
//! never an error.

mod received;
mod said;

pub use received::{
    EventMessage, EventPayload, OtherMessage, Received, ReceivedSnapshot, ServerText, SnapshotState,
};
