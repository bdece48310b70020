//! What `andon tail` says about its connection, beside the output.

use super::view::View;
use crate::cli::lines::printable;
use crate::client::{ClientError, Gap, Repeated, Resumption};
use crate::protocol::socket::TestView;

/// An error with its causes, safe to print: a close reason or a refusal is the server's text.
pub fn of_error(error: ClientError) -> anyhow::Error {
    let mut told = String::new();
    for cause in anyhow::Error::new(error).chain().map(ToString::to_string) {
        match told.as_str() {
            "" => told = cause,
            before if before.ends_with(&cause) => {} // some libraries repeat the cause in their own words
            _ => told += &format!(": {cause}"),
        }
    }
    anyhow::Error::msg(printable(&told))
}

pub fn of_beginning(server: &str, view: &View) -> String {
    format!("connected to {server}, listening to {}", view.what())
}

pub fn of_start(seq: u64) -> String {
    format!("events after position {seq} of the log follow")
}

pub fn of_resumption(resumption: &Resumption) -> String {
    match resumption {
        Resumption::Recovered { withheld } => {
            let left_out: u64 = withheld.iter().map(|withheld| withheld.revisions).sum();
            let but = match left_out {
                0 => String::new(),
                count => format!(", but for {count} that had been held back and do not come"),
            };
            format!("what was missed follows{but}")
        }
        Resumption::Lost { from_seq, to_seq } => format!(
            "up to {} events are lost: the log no longer holds what was missed (positions {from_seq} to {to_seq}); \
             the present state follows",
            (to_seq + 1).saturating_sub(*from_seq)
        ),
        Resumption::AnotherLog { epoch } => format!(
            "but the log is another one ({epoch}): what was missed cannot be told; the present state follows"
        ),
    }
}

pub fn of_resumed(replayed: u64) -> String {
    match replayed {
        0 => "nothing was missed".to_owned(),
        1 => "that was all: 1 event came late".to_owned(),
        count => format!("that was all: {count} events came late"),
    }
}

pub fn of_gap(Gap { characteristic_id, expected, got }: Gap) -> String {
    format!("characteristic {characteristic_id}: expected revision {expected}, got {got}")
}

pub fn of_repeated(Repeated { seq, characteristic_id, revision }: Repeated) -> String {
    format!(
        "characteristic {characteristic_id}: revision {revision} (position {seq}) came again and is left out"
    )
}

pub fn of_test(test: &TestView) -> String {
    let by = test.user.as_deref().map(|user| format!(" ({user})")).unwrap_or_default();
    format!("somebody tries whether messages arrive: {}{by}", test.message)
}
