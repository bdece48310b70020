//! WebSocket messages, both ways, except the logged events themselves (`protocol::event`).

mod answer;
mod refusal;
mod request;
mod subscription;
#[cfg(test)]
mod tests;

pub use answer::{Quality, ServerMessage, StatusView, TestView, Welcome};
pub use refusal::{ErrorCode, Refusal};
pub use request::{ClientMessage, Ping};
pub use subscription::{
    Chosen, Filter, InvalidPosition, Position, Subscription, Unsubscription, check_groups,
};
