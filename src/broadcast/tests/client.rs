//! A client as it should be: it keeps what it was told, resumes from the highest position it received, and knows from
//! the contract alone when it was told wrong.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::database::Kind;

/// What a client wants of a characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Everything,
    /// By a filter.
    Violations,
    /// Samples at a pace.
    Paced,
}

/// What it knows of a characteristic that it listens to.
#[derive(Debug, Clone)]
pub struct Listening {
    pub wish: Wish,
    /// Alerts after this position are due.
    pub after: u64,
    /// The server has said so, on whatever connection.
    pub is_confirmed: bool,
    /// The newest revision, as the contract counts; known once `subscribed` has come.
    pub revision: Option<u64>,
    /// A snapshot told everything up to this revision.
    pub covered: u64,
    /// The same of the present connection.
    pub covered_here: u64,
    /// A snapshot has to come.
    pub awaits_snapshot: bool,
    /// It has asked for no more.
    pub is_leaving: bool,
}

/// Everything a client remembers, over all its connections.
#[derive(Debug, Default)]
pub struct Memory {
    pub listening: BTreeMap<i64, Listening>,
    /// Where it would resume.
    pub position: Option<u64>,
    /// Where it has resumed: samples before it that were still pending then will never come.
    pub resumed_from: u64,
    /// Alerts by position.
    pub alerts: BTreeSet<u64>,
    /// Samples by position, of the present connection.
    pub samples: BTreeSet<u64>,
    /// The newest sample of each characteristic, ever.
    pub newest_sample: BTreeMap<i64, u64>,
    /// Acknowledgements are due from here on.
    pub acknowledgements_after: Option<u64>,
    /// Subscriptions without a position that are not answered yet, and whether each asked for snapshots.
    pub asked: VecDeque<bool>,
    /// The newest alert of the present connection.
    last_alert: u64,
    resuming: bool,
    pub resumed: u64,
}

impl Memory {
    /// A new connection begins.
    pub fn connect(&mut self) {
        (self.last_alert, self.resuming) = (0, false);
        self.asked.clear();
        self.samples.clear();
        self.listening.retain(|_, listening| !listening.is_leaving);
        for listening in self.listening.values_mut() {
            (listening.revision, listening.covered_here) = (None, 0);
        }
    }

    /// It asks for what it missed.
    pub fn resume(&mut self, from: u64) {
        (self.resuming, self.resumed_from) = (true, from);
    }

    /// Reads one message.
    ///
    /// # Panics
    /// If the contract is broken.
    pub fn hear(&mut self, message: &Value, alerts: &[(u64, i64, u64, Kind)]) {
        let number = |name: &str| message[name].as_u64().unwrap_or_else(|| panic!("{name}: {message}"));
        match message["type"].as_str().expect("a type") {
            // Who does not resume begins anew: what happened while it was away was not asked for.
            "welcome" if !self.resuming => {
                self.acknowledgements_after = message["payload"]["seq"].as_u64();
            }
            "welcome" => {}
            "subscribed" => self.on_subscribed(message),
            "unsubscribed" => {
                for id in message["characteristic_ids"].as_array().expect("ids") {
                    self.listening.remove(&id.as_i64().expect("an id"));
                }
            }
            "snapshot" => {
                let listening = self.listening.get_mut(&(number("characteristic_id") as i64));
                if let Some(listening) = listening {
                    listening.covered = listening.covered.max(number("revision"));
                    listening.covered_here = number("revision");
                    listening.awaits_snapshot = false;
                }
            }
            "resumed" => {
                assert!(self.resuming, "nobody asked");
                (self.resuming, self.resumed) = (false, self.resumed + 1);
            }
            "heartbeat" => {}
            kind => self.on_event(kind, message, alerts),
        }
    }

    fn on_subscribed(&mut self, message: &Value) {
        let seq = message["seq"].as_u64().expect("a position");
        let is_lost = message["recovered"] == false;
        // A snapshot that came before this answer was another one, of which the client had not been told yet.
        let is_asked = message["recovered"].is_null() && self.asked.pop_front() == Some(true);
        for (id, revision) in message["revisions"].as_object().expect("revisions") {
            let id: i64 = id.parse().expect("an id");
            let Some(listening) = self.listening.get_mut(&id) else { continue };
            if !listening.is_confirmed {
                (listening.after, listening.is_confirmed) = (seq, true); // what was before was not asked for
            }
            listening.revision = revision.as_u64();
            listening.awaits_snapshot |= is_asked;
            if is_lost {
                (listening.after, listening.awaits_snapshot) = (listening.after.max(seq), true);
            }
        }
        if is_lost {
            (self.position, self.resuming) = (Some(seq), false);
            self.acknowledgements_after = Some(seq);
        }
        self.position.get_or_insert(seq);
    }

    fn on_event(&mut self, kind: &str, message: &Value, alerts: &[(u64, i64, u64, Kind)]) {
        let seq = message["seq"].as_u64().expect("a position");
        let id = message["characteristic_id"].as_i64().expect("an id");
        let revision = message["revision"].as_u64().expect("a revision");
        let skipped = message["skipped"].as_u64().unwrap_or(0);
        if let Some(known) = self.listening.get_mut(&id).and_then(|listening| listening.revision.as_mut()) {
            assert_eq!(revision, *known + 1 + skipped, "revisions of {id}: {message}");
            *known = revision;
        } else {
            assert_eq!(kind, "ack_update", "not asked for: {message}");
        }
        if kind == "sample" {
            let before = alerts.iter().take_while(|(position, ..)| *position < seq);
            for alert in before {
                assert!(!self.misses(*alert), "sample {seq} left before alert {alert:?}");
            }
            assert!(self.samples.insert(seq), "sample {seq} twice");
            self.newest_sample.insert(id, seq);
        } else {
            assert!(self.last_alert < seq, "alert {seq} after {}", self.last_alert);
            self.last_alert = seq;
            assert!(self.alerts.insert(seq), "alert {seq} twice");
        }
        if let Some(listening) = self.listening.get(&id) {
            assert!(
                revision > listening.covered_here || kind == "ack_update",
                "a snapshot told it: {message}"
            );
        }
        self.position = self.position.max(Some(seq));
    }

    /// Whether an alert was due and has not come.
    pub fn misses(&self, (seq, id, revision, kind): (u64, i64, u64, Kind)) -> bool {
        if self.alerts.contains(&seq) {
            return false;
        }
        if kind == Kind::Acknowledgement {
            return self.acknowledgements_after.is_some_and(|after| seq > after);
        }
        let Some(listening) = self.listening.get(&id).filter(|it| it.revision.is_some() && !it.is_leaving)
        else {
            return false;
        };
        let is_wanted = kind == Kind::Violation || listening.wish != Wish::Violations;
        let is_told = revision <= listening.covered || listening.awaits_snapshot;
        is_wanted && seq > listening.after && !is_told
    }
}
