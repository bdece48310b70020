//! Looks whether settings and database are fit to be served, beside whoever serves them already.

use crate::clock::Clock;
use crate::error_chain::error_chain;
use crate::http::auth::TokenAuthorizer;
use crate::http::{Access, Server};
use crate::notify::{OwnNotifiers, Plan, Surroundings};
use crate::settings::Settings;
use crate::store::{Inspection, Space, Unsound};

/// What a check has seen, or what is wrong.
type Outcome = Result<String, String>;

/// Makes all checks, one after the other, and tells each as it is done: its name, and what it saw or what is wrong.
/// Returns how many failed. Where the database cannot be reached, there is nothing more to check.
pub async fn inspect(settings: &Settings, mut tell: impl FnMut(&'static str, &Outcome)) -> u32 {
    let mut failed = 0;
    let mut tell = |name, outcome: Outcome| {
        failed += u32::from(outcome.is_err());
        tell(name, &outcome);
        outcome.is_ok()
    };
    let checked = settings.broadcast.check().map_err(chain).and(settings.http.check().map_err(chain));
    tell("settings", checked.map(|()| "understood".to_owned()));
    let surroundings = Surroundings::without_pictures(Clock::system(), settings.site.clone());
    let plan = Plan::new(settings.notify.clone(), OwnNotifiers::new(), &surroundings).map_err(chain);
    tell("receivers", plan.map(|plan| format!("{} receivers", plan.receivers().iter().count())));
    let tokens = TokenAuthorizer::new(&settings.auth);
    let access = match &tokens {
        Ok(tokens) if tokens.is_open() && settings.auth.allow_anonymous => Access::Anybody,
        Ok(tokens) if tokens.is_open() => Access::Loopback,
        _ => Access::Tokens,
    };
    tell("tokens", tokens.map(|_| format!("{} tokens", settings.auth.tokens.len())).map_err(chain));
    let address = Server::check(&settings.http, access);
    tell("address", address.map(|address| address.to_string()).map_err(chain));
    match Inspection::open(&settings.store).await {
        Ok(inspection) => {
            tell("database", Ok("reachable".to_owned()));
            inspect_database(inspection, settings, tell).await;
        }
        Err(error) => drop(tell("database", Err(chain(error)))),
    }
    failed
}

async fn inspect_database(
    mut inspection: Inspection,
    settings: &Settings,
    mut tell: impl FnMut(&'static str, Outcome) -> bool,
) {
    if !tell("schema", outcome(inspection.schema().await)) {
        return; // what is in tables of another shape cannot be judged
    }
    tell("log", outcome(inspection.log().await));
    tell("ids", outcome(inspection.ids().await));
    tell("counts", outcome(inspection.standings().await));
    tell("ledger", outcome(inspection.ledger().await));
    if let Some(integrity) = inspection.integrity().await.transpose() {
        tell("integrity", outcome(integrity));
    }
    match inspection.space().await {
        Ok(Some(Space { free_bytes: Some(free), database_bytes })) => {
            let text = format!("{} MiB left, the database takes {} MiB", free >> 20, database_bytes >> 20);
            tell("disk", if free < settings.store.min_free_bytes { Err(text) } else { Ok(text) });
        }
        Ok(_) => {}
        Err(error) => drop(tell("disk", Err(chain(error)))),
    }
}

fn outcome(seen: Result<String, Unsound>) -> Outcome {
    seen.map_err(chain)
}

fn chain(error: impl std::error::Error) -> String {
    error_chain(&error).to_string()
}
