//! How often a rule set gives a false alarm, told at once: from the table, from what was simulated before, or
//! "not yet".
//!
//! * **Owns** the simulated figures and the rule sets that wait for theirs; one task, no lock.
//! * **Full**: as many rule sets wait as the settings say, each once, whoever asks; what finds no place is not
//!   simulated until it is asked for again, and counted. Figures not asked for longest are forgotten.
//! * **Late**: nobody waits for a simulation. One runs at a time, on a thread for blocking work.
//! * **Fails**: a simulation that panics is logged, and begun again when it is next asked for.
//! * **Stops**: the simulation under way ends with its present slice and is forgotten, as are those that wait.
//!
//! Knows the statistics; knows nothing of the store, and commits nothing.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lru::LruCache;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::domain::rules::RuleSet;
use crate::domain::run_length::AverageRunLength;
use crate::error_chain::error_chain;
use crate::metrics::Metrics;
use crate::services::Settings;
use crate::spc::{Patterns, RunLengthPlan, RunLengthSimulation, known_run_length};

/// Questions that may wait for the task, which answers each in microseconds.
const QUESTIONS: usize = 256;

/// 1 % of the mean, from about 10,000 runs: nobody chooses rules by less. A mean of 217 takes 2 million points, or
/// 0.7 s, at 0.3 us each.
const RELATIVE_STANDARD_ERROR: f64 = 0.01;

/// Any will do; one for all makes every answer repeatable.
const SEED: u64 = 1924;

/// Points between two looks at whether to stop: a millisecond or two.
const SLICE_POINTS: u32 = 5_000;

/// Tells run lengths. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RunLengths {
    questions: mpsc::Sender<Question>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Question {
    rules: RuleSet,
    asker: oneshot::Sender<Option<AverageRunLength>>,
}

impl RunLengths {
    /// The in-control run length of a rule set; `None` while it is not known. Asking has it simulated, if there
    /// is a place to wait.
    pub async fn in_control(&self, rules: &RuleSet) -> Option<AverageRunLength> {
        if let Some(known) = known_run_length(rules) {
            return Some(known);
        }
        let (asker, answer) = oneshot::channel();
        if self.questions.try_send(Question { rules: *rules, asker }).is_err() {
            self.metrics.run_lengths_refused.inc();
            return None;
        }
        answer.await.ok().flatten() // the task has stopped: it will not be known any more
    }
}

/// Simulates what is asked for, one rule set at a time.
#[derive(Debug)]
pub struct RunLengthSimulator {
    questions: mpsc::Receiver<Question>,
    metrics: Metrics,
    most_waiting: usize,
    most_points: u64,
    simulated: LruCache<Patterns, AverageRunLength>,
    waiting: VecDeque<RuleSet>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    patterns: Patterns,
    task: JoinHandle<Option<AverageRunLength>>,
}

impl RunLengthSimulator {
    /// The simulator, and the way to ask it.
    pub fn new(settings: &Settings, metrics: Metrics) -> (Self, RunLengths) {
        let (sender, questions) = mpsc::channel(QUESTIONS);
        let cached = NonZeroUsize::new(settings.run_length_cached_sets).unwrap_or(NonZeroUsize::MIN);
        let simulator = Self {
            questions,
            metrics: metrics.clone(),
            most_waiting: settings.run_length_waiting_sets,
            most_points: settings.run_length_points,
            simulated: LruCache::new(cached),
            waiting: VecDeque::new(),
            running: None,
        };
        (simulator, RunLengths { questions: sender, metrics })
    }

    /// Answers and simulates until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        // Dropped before its time, it takes the simulation along.
        let stop = stop.child_token();
        let _stop_simulation = stop.clone().drop_guard();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                question = self.questions.recv() => match question {
                    Some(question) => self.answer(question),
                    None => break,
                },
                (patterns, ended) = end(&mut self.running), if self.running.is_some() => {
                    self.running = None;
                    self.keep(patterns, ended);
                }
            }
            self.begin_next(&stop);
        }
        stop.cancel();
        if self.running.is_some() {
            let (patterns, ended) = end(&mut self.running).await;
            self.keep(patterns, ended);
        }
    }

    fn answer(&mut self, question: Question) {
        let Question { rules, asker } = question;
        let patterns = Patterns::from(&rules);
        let known = self.simulated.get(&patterns).copied();
        if known.is_none() {
            self.enlist(patterns, rules);
        }
        let _ = asker.send(known); // who asked may have gone
    }

    fn enlist(&mut self, patterns: Patterns, rules: RuleSet) {
        let runs = self.running.as_ref().is_some_and(|running| running.patterns == patterns);
        if runs || self.waiting.iter().any(|waiting| Patterns::from(waiting) == patterns) {
            return;
        }
        if self.waiting.len() >= self.most_waiting.max(1) {
            self.metrics.run_lengths_refused.inc();
            return;
        }
        self.waiting.push_back(rules);
    }

    fn begin_next(&mut self, stop: &CancellationToken) {
        if self.running.is_some() {
            return;
        }
        let Some(rules) = self.waiting.pop_front() else { return };
        self.metrics.run_length_simulations.inc();
        let plan = RunLengthPlan {
            rules,
            shift_sigmas: 0.0,
            seed: SEED,
            relative_standard_error: RELATIVE_STANDARD_ERROR,
            most_points: self.most_points,
        };
        let stop = stop.clone();
        let task = spawn_blocking(move || simulate(plan, &stop));
        self.running = Some(Running { patterns: Patterns::from(&rules), task });
    }

    fn keep(&mut self, patterns: Patterns, ended: Result<Option<AverageRunLength>, JoinError>) {
        match ended {
            Ok(Some(simulated)) => {
                debug!(run_length.points = ?simulated.points, "simulated the run length of a rule set");
                self.simulated.put(patterns, simulated);
            }
            Ok(None) => {} // stopped
            Err(error) => error!(error = %error_chain(&error), "a simulation of run lengths failed"),
        }
    }
}

/// Waits for the simulation under way.
///
/// # Cancel safety
/// Cancelled before its end, it has changed nothing.
async fn end(running: &mut Option<Running>) -> (Patterns, Result<Option<AverageRunLength>, JoinError>) {
    let running = running.as_mut().expect("asked for only while one is under way");
    (running.patterns, (&mut running.task).await)
}

/// Slice by slice, until it is enough; `None` if it is stopped before.
fn simulate(plan: RunLengthPlan, stop: &CancellationToken) -> Option<AverageRunLength> {
    let mut simulation = RunLengthSimulation::new(plan);
    while !simulation.is_finished() {
        if stop.is_cancelled() {
            return None;
        }
        simulation.advance(SLICE_POINTS);
    }
    Some(simulation.estimate())
}
