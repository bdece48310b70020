//! Andon inside another program: samples go in by function call, from a plain thread, and violations come out
//! of the event bus, besides everything that the HTTP server and the WebSocket offer.
//!
//! Run it with `cargo run --example embed_app`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;
use std::time::Duration;

use andon::app::App;
use andon::domain::characteristic::Definition;
use andon::domain::chart::ChartKind;
use andon::domain::rules::RuleSet;
use andon::domain::sample::Mode;
use andon::protocol::event::{EventKind, LoggedEvent};
use andon::services::{CharacteristicRef, GivenLimits, NewSample, Signed};
use andon::settings::Settings;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let mut settings = Settings::default();
    settings.http.listen = "127.0.0.1:0".to_owned();
    settings.store.url = format!("sqlite://{}", directory.path().join("andon.db").display());
    let app = App::builder(settings).build().await?;

    // What is committed, and only that, arrives here: a task of the bus calls the closure for each violation.
    let alarms =
        app.bus().subscribe("alarms", [EventKind::Violation], |event: Arc<LoggedEvent>| async move {
            println!("alarm at position {}: {}", event.seq, String::from_utf8_lossy(&event.message()));
        });

    let (catalog, limits, engine) = (app.catalog(), app.limits(), app.engine());
    let (address, stop) = (app.address(), CancellationToken::new());
    let running = tokio::spawn(app.run(stop.clone()));
    println!("serving http://{address}");

    let definition = Definition {
        name: "Oven temperature".to_owned(),
        key: None,
        description: None,
        chart: ChartKind::IMr,
        subgroup_size: 1,
        min_measurements: 1,
        unit: Some("°C".to_owned()),
        decimals: Some(1),
        target: None,
        usl: None,
        lsl: None,
        group: Some("bakery/oven1".to_owned()),
        tags: vec![],
        reaction_plan: Some("Check the burner.".to_owned()),
        auto_limits_after: None,
    };
    let oven = catalog.create(definition, RuleSet::default()).await??.id;
    let given = GivenLimits::Sigma { center_line: 220.0, sigma: 1.5 };
    limits.set(oven, given, Signed::default()).await??;

    // A driver's thread knows no async: it hands each sample over and goes on when it is stored.
    let runtime = tokio::runtime::Handle::current();
    let driver = std::thread::spawn(move || {
        for value in [219.6, 220.8, 226.2] {
            let sample = NewSample {
                characteristic: CharacteristicRef::Id(oven),
                measurements: vec![value],
                timestamp: None,
                mode: Mode::Live,
                key: None,
                batch: None,
                operator: None,
                metadata: None,
            };
            match runtime.block_on(engine.submit(sample)) {
                Ok(Ok(recorded)) => {
                    println!("stored sample {} at position {}", recorded.sample.id, recorded.seq)
                }
                Ok(Err(refused)) => println!("not a sample: {refused}"),
                Err(failed) => println!("not stored, send it again: {failed}"),
            }
        }
    });
    tokio::task::spawn_blocking(move || driver.join()).await?.map_err(|_| "the driver failed")?;

    stop.cancel();
    running.await??; // commits and publishes what waits, and lets the handlers finish
    tokio::time::timeout(Duration::from_secs(5), alarms.ended()).await?;
    Ok(())
}
