//! Who stops waiting for the database takes nothing of it along: clients vanish while something is read for them.

use std::time::Duration;

use andon::domain::chart::ChartKind;
use andon::domain::ids::CharacteristicId;
use andon::settings::Settings;
use andon::store::Store;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{DEADLINE, TestServices, sample};

/// How often, and by how many at once. They share one connection, so one that is lost is missed.
const ROUNDS: u64 = 400;
const READERS: u64 = 2;

/// A read takes some hundreds of microseconds: about half of them are abandoned, at any of their steps.
const LONGEST_PATIENCE: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_nobody_waits_for_any_more_leaves_its_connection_as_it_was() {
    let directory = TempDir::new().expect("a temporary directory");
    let mut settings = Settings::default();
    settings.store.readers = 1;
    let open = TestServices::open(directory.path(), &settings).await;
    let id = open.services.given(ChartKind::IMr, 1..=1).await;
    for round in 0..ROUNDS {
        let mut readers = JoinSet::new();
        for reader in 0..READERS {
            readers.spawn(change_ones_mind(open.store.clone(), id, round * READERS + reader));
        }
        readers.join_all().await;
        // What is committed afterwards is seen: the connection is there, and within no transaction that began before.
        let engine = &open.services.engine;
        let recorded = engine.submit(sample(id, vec![10.0], None)).await.expect("committed").expect("taken");
        let page = timeout(DEADLINE, open.store.log_page(recorded.seq - 1, 10)).await.expect("in time");
        assert_eq!(page.expect("the connection is there").len(), 1, "in round {round}");
    }
    open.stop().await;
}

async fn change_ones_mind(store: Store, id: CharacteristicId, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let patience = sleep(LONGEST_PATIENCE.mul_f64(random.random()));
    let what = random.random_range(0..4);
    let read = async {
        match what {
            0 => store.log_page(0, 10).await.map(drop),
            1 => store.first_revisions_after(0).await.map(drop),
            // Several statements in one transaction.
            _ => store.state_of(id, 3).await.map(drop),
        }
    };
    tokio::select! {
        read = read => read.expect("the database is there"),
        () = patience => {}
    }
}
