//! A model of a server that keeps its promises, breaks whenever it likes, and leaves out samples as it likes: what the
//! client hands out is every alert, once and in order, and every revision is accounted for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::client::Incoming;
use crate::client::progress::{Progress, Resumption};
use crate::protocol::client_side::Received;
use crate::protocol::socket::Subscription;

/// Subscribed to; of the third, only acknowledgements come.
const SUBSCRIBED: [i64; 2] = [1, 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sample,
    Violation,
    Ack,
}

#[derive(Debug, Clone, Copy)]
struct Logged {
    seq: u64,
    id: i64,
    revision: u64,
    kind: Kind,
}

impl Logged {
    fn is_due(self) -> bool {
        SUBSCRIBED.contains(&self.id) || self.kind == Kind::Ack
    }

    fn is_alert(self) -> bool {
        self.kind != Kind::Sample
    }

    /// `previous` is the revision before it that the client got.
    fn text(self, previous: u64) -> String {
        let Self { seq, id, revision, kind } = self;
        let name = match kind {
            Kind::Sample => "sample",
            Kind::Violation => "violation",
            Kind::Ack => return ack(seq, id, revision).replacen('{', &skipped(revision, previous), 1),
        };
        format!(
            r#"{}"type":"{name}","seq":{seq},"characteristic_id":{id},"revision":{revision},"payload":{{}}}}"#,
            skipped(revision, previous)
        )
    }
}

fn skipped(revision: u64, previous: u64) -> String {
    format!(r#"{{"skipped":{},"#, revision - previous - 1)
}

#[derive(Debug, Clone)]
enum Step {
    Log(i64, Kind),
    /// So many messages reach the client.
    Deliver(usize),
    /// The connection breaks; acknowledgements happen between the next welcome and the subscription, and it may break
    /// before the answer.
    Break {
        early: Vec<i64>,
        is_answered: bool,
    },
}

/// The server and what it has on the way to its one client.
#[derive(Default)]
struct Model {
    log: Vec<Logged>,
    revisions: BTreeMap<i64, u64>,
    /// Leaves in this order, events with the revision before them.
    ready: VecDeque<String>,
    /// The newest sample of each, with the revision before it.
    behind: BTreeMap<i64, (Logged, u64)>,
    /// Of characteristics whose newest events were told too early: the revision before those.
    early: BTreeMap<i64, u64>,
    /// Where the client began.
    beginning: u64,
    /// It resumes so many positions before where it was asked to: a mistake.
    goes_back: u64,
}

impl Model {
    fn append(&mut self, id: i64, kind: Kind) -> Logged {
        let revision = self.revisions.entry(id).or_insert(0);
        *revision += 1;
        let event = Logged { seq: self.log.len() as u64 + 1, id, revision: *revision, kind };
        self.log.push(event);
        event
    }

    fn newest(&self, id: i64) -> u64 {
        self.revisions.get(&id).copied().unwrap_or(0)
    }

    fn head(&self) -> u64 {
        self.log.len() as u64
    }

    /// Offers what happens to the client.
    fn offer(&mut self, event: Logged) {
        if !event.is_due() {
            return;
        }
        let older = self.behind.remove(&event.id);
        if event.is_alert() {
            if let Some((sample, previous)) = older {
                self.ready.push_back(sample.text(previous));
            }
            let previous = self.early.remove(&event.id).unwrap_or(event.revision - 1);
            self.ready.push_back(event.text(previous));
        } else {
            let early = self.early.remove(&event.id).unwrap_or(event.revision - 1);
            let previous = older.map_or(early, |(_, previous)| previous);
            self.behind.insert(event.id, (event, previous));
        }
    }

    fn pop(&mut self) -> Option<String> {
        self.ready.pop_front().or_else(|| {
            let (_, (sample, previous)) = self.behind.pop_first()?;
            Some(sample.text(previous))
        })
    }

    fn welcome(&mut self, client: &mut Reader) {
        self.ready.clear();
        self.behind.clear();
        self.early.clear();
        client.progress.on_welcome("one", self.head());
    }

    /// Answers a subscription; what was told since the welcome is not told again.
    fn answer(&mut self, since: Option<u64>, told_after: u64) {
        let first_after = |id: i64| self.log.iter().find(|event| event.id == id && Some(event.seq) > since);
        let base = |id: i64| {
            let newest = self.newest(id);
            let first = first_after(id).filter(|_| since.is_some());
            first.map_or(newest, |event| event.revision - 1)
        };
        let recovered = if since.is_some() { r#""recovered":true,"# } else { "" };
        let (seq, bases) = (since.unwrap_or(self.head()), SUBSCRIBED.map(base));
        self.ready.push_back(format!(
            r#"{{"type":"subscribed","characteristic_ids":[1,2],{recovered}"epoch":"one","seq":{seq},"revisions":{{"1":{},"2":{}}}}}"#,
            bases[0], bases[1]
        ));
        let Some(since) = since else { return };
        let (mut count, mut told) = (0, BTreeMap::new());
        let from = since.saturating_sub(self.goes_back).max(self.beginning);
        for event in self.log.iter().filter(|event| event.seq > from && event.is_due()) {
            // What was told since the welcome counts as skipped now.
            if event.kind != Kind::Ack || event.seq <= told_after {
                let previous = told.remove(&event.id).unwrap_or(event.revision - 1);
                self.ready.push_back(event.text(previous));
                count += 1;
            } else {
                told.entry(event.id).or_insert(event.revision - 1);
            }
        }
        self.early = told;
        self.ready.push_back(resumed(self.head(), count));
    }
}

/// The client, and what it handed out.
#[derive(Default)]
struct Reader {
    progress: Progress,
    alerts: Vec<u64>,
    /// Of each characteristic that it listens to.
    revisions: BTreeMap<i64, Vec<u64>>,
    /// Revisions that were handed out, or told to be left out.
    accounted_for: BTreeMap<i64, BTreeSet<u64>>,
    gaps: usize,
    /// Where it began to count.
    bases: BTreeMap<i64, u64>,
}

impl Reader {
    fn read(&mut self, text: &str) {
        self.progress.on_received(Received::parse(text).expect(text)).expect("of use");
        while let Some(incoming) = self.progress.next() {
            match incoming {
                Incoming::Event(event) => {
                    if event.is_alert() {
                        self.alerts.push(event.seq);
                    }
                    let id = event.characteristic_id.get();
                    self.revisions.entry(id).or_default().push(event.revision);
                    let revisions = event.revision - event.skipped..=event.revision;
                    self.accounted_for.entry(id).or_default().extend(revisions);
                }
                Incoming::Resumption(Resumption::Recovered { withheld }) => {
                    for withheld in withheld {
                        let id = withheld.characteristic_id.get();
                        let newest = self.newest(id);
                        let revisions = newest + 1..=newest + withheld.revisions;
                        self.accounted_for.entry(id).or_default().extend(revisions);
                    }
                }
                Incoming::Gap(_) => self.gaps += 1,
                _ => {}
            }
        }
    }

    /// The newest revision that was handed out or told to be left out.
    fn newest(&self, id: i64) -> u64 {
        let told = self.accounted_for.get(&id).and_then(|revisions| revisions.last());
        told.or(self.bases.get(&id)).copied().unwrap_or(0)
    }

    fn asks(&mut self) -> u64 {
        let position = self.progress.position().cloned().expect("welcomed");
        let seq = position.seq;
        let ids = SUBSCRIBED.map(id).to_vec();
        self.progress.on_asked(&Subscription::these(ids).since(position));
        seq
    }
}

fn run(before: &[(i64, Kind)], steps: &[Step], goes_back: u64) -> (Model, Reader) {
    let (mut model, mut client) = (Model::default(), Reader::default());
    for (id, kind) in before {
        model.append(*id, *kind);
    }
    (model.goes_back, model.beginning) = (goes_back, model.head());
    model.welcome(&mut client);
    client.progress.on_asked(&Subscription::these(SUBSCRIBED.map(id).to_vec()));
    model.answer(None, 0);
    client.bases = model.revisions.clone();
    let first = model.pop().expect("the answer");
    client.read(&first);
    let comes_back = Step::Break { early: vec![], is_answered: true };
    for step in steps.iter().chain([&comes_back, &Step::Deliver(usize::MAX)]) {
        match step {
            Step::Log(id, kind) => {
                let event = model.append(*id, *kind);
                model.offer(event);
            }
            Step::Deliver(most) => {
                for text in std::iter::from_fn(|| model.pop()).take(*most) {
                    client.read(&text);
                }
            }
            Step::Break { early, is_answered } => {
                model.welcome(&mut client);
                let (welcomed_at, since) = (model.head(), client.asks());
                for id in early {
                    let event = model.append(*id, Kind::Ack);
                    client.read(&event.text(event.revision - 1));
                }
                if *is_answered {
                    model.answer(Some(since), welcomed_at);
                } else {
                    model.welcome(&mut client);
                    let (welcomed_at, since) = (model.head(), client.asks());
                    model.answer(Some(since), welcomed_at);
                }
            }
        }
    }
    (model, client)
}

fn an_event() -> impl Strategy<Value = (i64, Kind)> {
    let kind = prop_oneof![3 => Just(Kind::Sample), 1 => Just(Kind::Violation), 1 => Just(Kind::Ack)];
    (1..=3_i64, kind)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let early = prop::collection::vec(1..=3_i64, 0..3);
    let step = prop_oneof![
        6 => an_event().prop_map(|(id, kind)| Step::Log(id, kind)),
        3 => (1..5_usize).prop_map(Step::Deliver),
        1 => (early, any::<bool>()).prop_map(|(early, is_answered)| Step::Break { early, is_answered }),
    ];
    prop::collection::vec(step, 0..80)
}

/// Every alert after the beginning, once and in order, and of each characteristic its revisions in order.
fn assert_complete(model: &Model, client: &Reader, beginning: usize) {
    let due: Vec<u64> = model.log[beginning..]
        .iter()
        .filter(|event| event.is_due() && event.is_alert())
        .map(|event| event.seq)
        .collect();
    assert_eq!(client.alerts, due);
    for id in SUBSCRIBED {
        let handed = client.revisions.get(&id).map_or(&[][..], Vec::as_slice);
        assert!(handed.is_sorted_by(|one, other| one < other), "{id}: {handed:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_alert_is_handed_out_once_and_every_revision_is_accounted_for(
        before in prop::collection::vec(an_event(), 0..6),
        steps in steps(),
    ) {
        let (model, client) = run(&before, &steps, 0);
        assert_complete(&model, &client, before.len());
        assert_eq!((client.gaps, client.progress.repeated()), (0, 0));
        for id in SUBSCRIBED {
            let all = client.bases.get(&id).map_or(1, |base| base + 1)..=model.newest(id);
            let accounted_for = client.accounted_for.get(&id).cloned().unwrap_or_default();
            assert_eq!(accounted_for, all.collect());
        }
    }

    #[test]
    fn a_server_that_tells_again_what_was_told_changes_nothing(
        before in prop::collection::vec(an_event(), 0..6),
        steps in steps(),
        goes_back in 1..20_u64,
    ) {
        let (model, client) = run(&before, &steps, goes_back);
        assert_complete(&model, &client, before.len());
    }
}
