//! Verdicts depend on what is stored, not on what a process happens to remember: neither forgetting a
//! characteristic nor starting anew changes one.

use andon::settings::Settings;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{Ledger, Outcome, Step, TestServices, of_databases, plan};

fn settings(warm_characteristics: usize, commands_per_commit: usize) -> Settings {
    let mut settings = Settings::default();
    settings.services.warm_characteristics = warm_characteristics;
    settings.services.commands_per_commit = commands_per_commit;
    settings
}

/// Plays the steps on a new database, starting anew before each of the places in `restarts`.
async fn played(steps: &[Step], settings: &Settings, restarts: &[usize]) -> Vec<Outcome> {
    let directory = TempDir::new().expect("a temporary directory");
    let mut running = TestServices::open(directory.path(), settings).await;
    let ids = running.services.given_plan().await;
    let (mut outcomes, mut done) = (vec![], 0);
    for &place in restarts {
        outcomes.extend(running.services.play(&ids, &steps[done..place]).await);
        running.stop().await;
        running = TestServices::open(directory.path(), settings).await;
        done = place;
    }
    outcomes.extend(running.services.play(&ids, &steps[done..]).await);
    running.stop().await;
    Ledger::read(&directory.path().join("andon.db")).await.assert_sound();
    outcomes
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(of_databases(32, 200))]

    #[test]
    fn a_state_that_is_constantly_forgotten_gives_the_same_verdicts(
        steps in plan(4..24), commands_per_commit in 1usize..24,
    ) {
        let remembering = run(played(&steps, &settings(10_000, 512), &[]));
        let forgetting = run(played(&steps, &settings(1, commands_per_commit), &[]));
        prop_assert_eq!(forgetting, remembering);
    }

    #[test]
    fn a_restart_in_the_middle_gives_the_same_verdicts(
        (steps, restarts) in plan(4..24).prop_flat_map(|steps| {
            let places = proptest::collection::btree_set(1..steps.len(), 1..4);
            (Just(steps), places.prop_map(Vec::from_iter))
        }),
    ) {
        let uninterrupted = run(played(&steps, &settings(10_000, 512), &[]));
        let interrupted = run(played(&steps, &settings(10_000, 512), &restarts));
        prop_assert_eq!(interrupted, uninterrupted);
    }
}
