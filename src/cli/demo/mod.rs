//! `andon demo`: the whole of Andon on a throw-away database.
//!
//! Two published data sets, and a simulated process that drifts, shifts and recovers. They go in through the
//! domain services, as in an embedding program; what comes out is read over a WebSocket, as by any client.

mod feed;
mod process;

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::cli::tail::{self, TailArgs};
use crate::health::{Health, Stage};
use crate::settings::{Overrides, Settings};
use crate::telemetry;

const A_DAY: Duration = Duration::from_secs(86_400);

/// What `andon demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to listen.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Samples of each process in a second.
    #[arg(long, value_name = "N", default_value_t = 2.0)]
    rate: f64,
    /// Print no samples, only what they cause.
    #[arg(long)]
    quiet_samples: bool,
    /// A settings file (TOML): who is told, and what else differs. The database is thrown away in any case.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Stop after so many seconds [default: with Ctrl-C].
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
}

/// Serves, feeds and prints until `stop`.
///
/// # Errors
/// A port that cannot be had, or a part that failed.
pub async fn run(arguments: DemoArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let pause = Duration::try_from_secs_f64(1.0 / arguments.rate).ok().filter(|pause| *pause <= A_DAY);
    let pause = pause.context("--rate must be at least one sample a day")?;
    let lasting = arguments.seconds.map(Duration::try_from_secs_f64).transpose();
    let lasting = lasting.context("--seconds must be a number from 0")?;
    let directory = tempfile::tempdir().context("could not make a throw-away database")?;
    let mut settings = match &arguments.config {
        Some(file) => Settings::load(Some(file), Overrides::new())?,
        None => Settings::default(),
    };
    settings.http.listen = arguments.listen.clone();
    settings.store.url = format!("sqlite://{}", directory.path().join("demo.db").display());
    // What its log would be told of episodes, it prints.
    settings.log.filter = "warn,andon::notify::log=off".to_owned();
    telemetry::start(&settings.log)?;

    let app = App::builder(settings).build().await?;
    let (server, health) = (format!("http://{}", app.address()), app.health());
    let services = feed::Services {
        alerts: app.alerts(),
        catalog: app.catalog(),
        limits: app.limits(),
        engine: app.engine(),
    };
    // The feeders, the printer and the clock end before the server does, so that nothing is cut short.
    let (stop_feeding, stop_serving) = (stop.child_token(), CancellationToken::new());
    let serving = tokio::spawn(app.run(stop_serving.clone()));

    let shown = async {
        until_running(&health).await;
        let (rings, flow) = (feed::piston_rings(&services).await?, feed::flow_rate(&services).await?);
        where_to_look(&server)?;
        let simulator = process::start(services.engine.clone(), flow, pause, stop_feeding.clone());
        let everything = TailArgs::everything(server.clone(), arguments.quiet_samples);
        let printing = tokio::spawn(tail::run(everything, stop_feeding.clone()));
        let feeding = async {
            feed::later_rings(&services, rings, pause, &stop_feeding).await?;
            stop_feeding.cancelled().await;
            anyhow::Ok(())
        };
        match lasting {
            Some(lasting) => match tokio::time::timeout(lasting, feeding).await {
                Ok(fed) => fed?,
                Err(_) => stop_feeding.cancel(),
            },
            None => feeding.await?,
        }
        tokio::task::spawn_blocking(move || simulator.join())
            .await?
            .map_err(|_| anyhow::anyhow!("the simulator failed"))??;
        printing.await?
    };
    let shown = tokio::select! {
        shown = shown => shown,
        () = ended_early(&health) => Ok(()), // what the server says of it comes below
    };
    stop_feeding.cancel();
    stop_serving.cancel();
    serving.await??;
    shown
}

async fn until_running(health: &Health) {
    while health.stage() == Stage::Starting {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The server stopped although nobody told it to.
async fn ended_early(health: &Health) {
    while health.stage() != Stage::Stopping {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn where_to_look(server: &str) -> io::Result<()> {
    let api = format!("{server}/api/v1");
    let andon = env::args().next().unwrap_or_else(|| "andon".to_owned()); // as it was called just now
    writeln!(
        io::stdout(),
        "Andon serves {server} on a throw-away database; Ctrl-C ends it. Look at it in a browser:\n\
         \n  \
         who needs someone {server}/\n  \
         a chart           {server}/characteristics/1\n\
         \n\
         or from another terminal:\n\
         \n  \
         live events       {andon} tail --server {server}\n  \
         what there is     curl '{api}/characteristics'\n  \
         who was told      curl '{api}/deliveries'\n  \
         open violations   curl '{api}/violations?acknowledged=false'\n  \
         answer one        curl -X POST '{api}/violations/1/acknowledge' -H 'Content-Type: application/json' \\\n                    \
         -d '{{\"reason\":\"Tool Change\",\"user\":\"you\"}}'\n"
    )
}
