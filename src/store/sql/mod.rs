//! The SQL that is the same on both databases. This folder is compiled twice, below `sqlite/` and below
//! `postgres/`, each time with that database's types: one text, no driver in between that guesses at types.
//!
//! What the text must avoid, so that it stays one: unsigned numbers and `?` (PostgreSQL has neither; static text
//! says `$1`, lists are built with a `QueryBuilder`), and functions that only one of them has (those are
//! constants of the parent).

pub(in crate::store) mod characteristics;
pub(in crate::store) mod check;
pub(in crate::store) mod deliveries;
pub(in crate::store) mod digests;
pub(in crate::store) mod episodes;
pub(in crate::store) mod escalation;
pub(in crate::store) mod foreign;
pub(in crate::store) mod head;
pub(in crate::store) mod idempotency;
pub(in crate::store) mod ledger;
pub(in crate::store) mod log;
pub(in crate::store) mod phases;
pub(in crate::store) mod reason_codes;
pub(in crate::store) mod reminders;
pub(in crate::store) mod retention;
pub(in crate::store) mod revival;
pub(in crate::store) mod samples;
pub(in crate::store) mod silences;
pub(in crate::store) mod state;
pub(in crate::store) mod violations;

use std::collections::BTreeSet;

use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, HAS_TAG, LEASING, LOCKING, NOW, POSITION, Row};
use crate::domain::violation::Acknowledgement;
use crate::store::rows::{Cause, time};

/// Each id once: a page of violations names the same characteristic over and over. Of no ids, nothing is found.
fn push_ids(select: &mut QueryBuilder<Db>, start: &'static str, ids: impl Iterator<Item = i64>) {
    select.push(start);
    let mut list = select.separated(", ");
    list.push("NULL");
    for id in ids.collect::<BTreeSet<_>>() {
        list.push_bind(id);
    }
    select.push(")");
}

/// Text that a caller looks for. PostgreSQL takes no NUL; no name holds a control character, so another one is found
/// as little.
fn sought(text: &str) -> String {
    text.replace('\0', "\u{1}")
}

/// Those in a group or below it.
fn push_group(select: &mut QueryBuilder<Db>, group: &str) {
    select.push(POSITION).push("(group_path || '/', ").push_bind(sought(group) + "/").push(") = 1");
}

/// Those whose characteristic, in `column`, is not deleted: what is deleted is removed in small steps, and until
/// then nobody sees it.
fn push_not_deleted(query: &mut QueryBuilder<Db>, column: &'static str) {
    query.push("EXISTS (SELECT 1 FROM characteristics known WHERE known.id = ").push(column);
    query.push(" AND NOT known.deleted)");
}

/// The id of a characteristic; NULL, if it is deleted.
fn push_known_id(query: &mut QueryBuilder<Db>, id: i64) {
    query.push("(SELECT known.id FROM characteristics known WHERE NOT known.deleted AND known.id = ");
    query.push_bind(id).push(")");
}

/// The answer in a row, if there is one.
fn acknowledgement_from(row: &Row) -> Result<Option<Acknowledgement>, Cause> {
    let Some(at) = row.try_get("ack_at")? else { return Ok(None) };
    Ok(Some(Acknowledgement {
        user: row.try_get("ack_user")?,
        reason: row.try_get("ack_reason")?,
        comment: row.try_get("ack_comment")?,
        timestamp: time(at)?,
        source: row.try_get("ack_source")?,
    }))
}
