//! Looks whether a database hangs together, beside whoever serves it.
//!
//! Reads only, on one connection of its own: takes no lock, brings no schema up to date, and reads in pages, never in
//! one long transaction. What a running server changes in between is no finding.
//!
//! Each check answers with what it saw, or with [`Unsound`].

use std::collections::HashMap;
use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection, SqliteConnection};

use crate::domain::ids::CharacteristicId;
use crate::domain::silence::Silence;
use crate::store::{CharacteristicRecord, LogHead, Settings, Space, StoreError, postgres, space, sqlite};

const LOG_PAGE: u32 = 5_000;
const STANDINGS_PAGE: u32 = 100;
/// How many findings of a kind are told one by one.
const MOST_TOLD: usize = 5;

/// What a check has found.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// It could not look.
    #[error("could not be read")]
    Unreadable(#[from] StoreError),
    /// It looked, and this is wrong.
    #[error("{0}")]
    Wrong(String),
}

/// One characteristic's counts beside a recount.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Counted {
    id: i64,
    revision: i64,
    open_violations: i64,
    unacknowledged: i64,
    open_recounted: i64,
    unacknowledged_recounted: i64,
    miscounted_episodes: i64,
}

/// A database that is only looked at.
#[derive(Debug)]
pub struct Inspection {
    connection: Looking,
    /// The newest revision that the log tells of each characteristic.
    revisions: HashMap<i64, i64>,
}

#[derive(Debug)]
enum Looking {
    Sqlite(Box<SqliteConnection>, std::path::PathBuf),
    Postgres(Box<PgConnection>),
}

macro_rules! look {
    ($inspection:expr, $module:ident::$function:ident($($argument:expr),*)) => {
        match &mut $inspection.connection {
            Looking::Sqlite(connection, _) => sqlite::sql::$module::$function(connection, $($argument),*).await,
            Looking::Postgres(connection) => postgres::sql::$module::$function(connection, $($argument),*).await,
        }
    };
}

impl Inspection {
    /// Connects to a database that is there.
    ///
    /// # Errors
    /// [`StoreError`], if it cannot be reached.
    pub async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let address = |_| StoreError::Address(settings.shown_url());
        let connection = if settings.url.starts_with("postgres") {
            let options = PgConnectOptions::from_str(&settings.url).map_err(address)?;
            let options = options.application_name("andon check");
            let options = options.options([("default_transaction_read_only", "on")]);
            Looking::Postgres(Box::new(options.connect().await?))
        } else {
            let options = SqliteConnectOptions::from_str(&settings.url).map_err(address)?;
            let busy_timeout = std::time::Duration::from_millis(settings.busy_timeout_ms);
            let options = options.read_only(true).create_if_missing(false).busy_timeout(busy_timeout);
            let path = options.get_filename().to_owned();
            Looking::Sqlite(Box::new(options.connect().await?), path)
        };
        Ok(Self { connection, revisions: HashMap::new() })
    }

    /// A characteristic by its id, as text, or by its key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristic(&mut self, named: &str) -> Result<Option<CharacteristicRecord>, StoreError> {
        let by_key = look!(self, characteristics::ids_by_key(&[named.to_owned()]))?;
        let by_id = || named.parse().ok().and_then(|id: i64| CharacteristicId::try_from(id).ok());
        match by_key.into_values().next().or_else(by_id) {
            Some(id) => look!(self, characteristics::one(id)),
            None => Ok(None),
        }
    }

    /// The silences that are in force, the one that ends last first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn silences(&mut self) -> Result<Vec<Silence>, StoreError> {
        look!(self, silences::in_force())
    }

    /// Whether the schema is the one that this version writes.
    ///
    /// # Errors
    /// [`Unsound`].
    pub async fn schema(&mut self) -> Result<String, Unsound> {
        let Ok(taken) = look!(self, check::schema()) else {
            return Err(Unsound::Wrong("no database of Andon".to_owned()));
        };
        let known = match &self.connection {
            Looking::Sqlite(..) => &sqlite::MIGRATIONS,
            Looking::Postgres(_) => &postgres::MIGRATIONS,
        };
        for step in known.iter() {
            let wrong = match taken.iter().find(|(version, ..)| *version == step.version) {
                None => "is missing: start this version once, it brings the schema up to date",
                Some((_, checksum, _)) if checksum[..] != step.checksum[..] => {
                    "is not the one this version has"
                }
                Some((.., false)) => "was begun and not finished",
                Some(_) => continue,
            };
            return Err(Unsound::Wrong(format!("step {} of the schema {wrong}", step.version)));
        }
        let newest = taken.last().map_or(0, |(version, ..)| *version);
        if known.iter().all(|step| step.version != newest) {
            return Err(Unsound::Wrong(format!(
                "the schema is of a newer version: it has step {newest}, which this one does not know"
            )));
        }
        Ok(format!("version {newest}"))
    }

    /// Whether positions and each characteristic's revisions have no gap from the floor to the head.
    ///
    /// # Errors
    /// [`Unsound`].
    pub async fn log(&mut self) -> Result<String, Unsound> {
        let head = look!(self, head::read())?;
        let LogHead { seq, floor, .. } = head;
        if floor > seq {
            return Err(Unsound::Wrong(format!("the floor {floor} is beyond the head {seq}")));
        }
        let mut position = floor;
        while position < seq {
            let page = look!(self, check::log_rows(position, LOG_PAGE))?;
            if page.first().is_none_or(|(first, ..)| *first as u64 != position + 1) {
                // Retention may have been here meanwhile: then the log begins later now.
                let floor = look!(self, head::read())?.floor;
                if floor <= position {
                    return Err(missing(position, page.first().map(|(first, ..)| *first as u64), seq));
                }
                position = floor;
                self.revisions.clear();
                continue;
            }
            for (found, characteristic_id, revision) in page {
                if found as u64 != position + 1 {
                    return Err(missing(position, Some(found as u64), seq));
                }
                position = found as u64;
                let before = self.revisions.get(&characteristic_id).copied();
                if let Some(before) = before.filter(|before| revision != before + 1) {
                    return Err(Unsound::Wrong(format!(
                        "at position {found}, revision {revision} of characteristic {characteristic_id} \
                         follows revision {before}"
                    )));
                }
                self.revisions.insert(characteristic_id, revision);
            }
        }
        match look!(self, check::strays())? {
            0 => Ok(format!("positions {} to {seq}, epoch {}", floor + 1, head.epoch)),
            strays => Err(Unsound::Wrong(format!("{strays} events below the floor or beyond the head"))),
        }
    }

    /// Whether the ids that come next are above all that were given.
    ///
    /// # Errors
    /// [`Unsound`].
    pub async fn ids(&mut self) -> Result<String, Unsound> {
        let ids = look!(self, check::ids())?;
        for (what, (next, most)) in
            ["characteristic", "limits", "sample", "violation", "episode"].iter().zip(ids)
        {
            if let Some(most) = most.filter(|most| *most >= next) {
                let text = format!("the next {what} would get id {next}, and there is {most} already");
                return Err(Unsound::Wrong(text));
            }
        }
        Ok(format!("{} samples and {} violations were counted so far", ids[2].0 - 1, ids[3].0 - 1))
    }

    /// Whether what is counted of each characteristic is what a recount gives, and its newest revision is not behind
    /// the log. Call it after [`Inspection::log`].
    ///
    /// # Errors
    /// [`Unsound`].
    pub async fn standings(&mut self) -> Result<String, Unsound> {
        let (mut after, mut seen, mut wrong) = (0, 0_u64, Vec::new());
        loop {
            let page = look!(self, check::standings(after, STANDINGS_PAGE))?;
            let Some(last) = page.last() else { break };
            after = last.id;
            seen += page.len() as u64;
            for counted in page {
                let Counted { id, revision, .. } = counted;
                for (what, stored, recounted) in [
                    ("open_violations", counted.open_violations, counted.open_recounted),
                    ("unacknowledged", counted.unacknowledged, counted.unacknowledged_recounted),
                ] {
                    if stored != recounted {
                        wrong.push(format!(
                            "{what} of characteristic {id} is {stored}, recounted {recounted}"
                        ));
                    }
                }
                if counted.miscounted_episodes > 0 {
                    wrong.push(format!(
                        "the open episode of characteristic {id} does not count what is in it"
                    ));
                }
                if let Some(logged) = self.revisions.get(&id).filter(|logged| **logged > revision) {
                    wrong.push(format!(
                        "characteristic {id} stands at revision {revision}, its log at {logged}"
                    ));
                }
            }
        }
        told(wrong).map(|()| format!("{seen} characteristics recounted"))
    }

    /// Whether every notice has all its deliveries, and every change of an episode that the dispatcher has passed, since the
    /// oldest notice that is kept, has its notice.
    ///
    /// # Errors
    /// [`Unsound`].
    pub async fn ledger(&mut self) -> Result<String, Unsound> {
        let (lacking, passed, stuck, deliveries, waiting) = look!(self, check::ledger())?;
        let mut wrong = Vec::new();
        wrong.extend(lacking.map(|seq| format!("deliveries of the notice at position {seq} are missing")));
        wrong.extend(passed.map(|seq| format!("nobody was told of the episode's change at position {seq}")));
        wrong.extend(stuck.map(|id| format!("delivery {id} waits behind nothing, and will never be tried")));
        told(wrong).map(|()| format!("{deliveries} deliveries, {waiting} of them not over"))
    }

    /// What the database says of itself; only SQLite is asked, a table at a time.
    ///
    /// # Errors
    /// [`Unsound`].
    pub async fn integrity(&mut self) -> Result<Option<String>, Unsound> {
        let Looking::Sqlite(connection, _) = &mut self.connection else { return Ok(None) };
        let unreadable = |error: sqlx::Error| Unsound::Unreadable(error.into());
        let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
            .fetch_all(&mut **connection)
            .await
            .map_err(unreadable)?;
        let mut wrong = Vec::new();
        for table in &tables {
            let name = table.replace('"', "\"\"");
            let check = format!("PRAGMA integrity_check(\"{name}\")");
            let said: Vec<String> =
                sqlx::query_scalar(&check).fetch_all(&mut **connection).await.map_err(unreadable)?;
            wrong.extend(said.into_iter().filter(|line| line != "ok").map(|line| format!("{table}: {line}")));
            let check = format!("PRAGMA foreign_key_check(\"{name}\")");
            let rows = sqlx::query(&check).fetch_all(&mut **connection).await.map_err(unreadable)?;
            if !rows.is_empty() {
                wrong.push(format!("{table}: {} rows refer to rows that are not there", rows.len()));
            }
        }
        told(wrong).map(|()| Some(format!("{} tables", tables.len())))
    }

    /// How much room there is; `None` where the database is elsewhere.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn space(&self) -> Result<Option<Space>, StoreError> {
        match &self.connection {
            Looking::Sqlite(_, path) => space::of_file(path.clone()).await.map(Some),
            Looking::Postgres(_) => Ok(None),
        }
    }
}

fn missing(position: u64, next: Option<u64>, head: u64) -> Unsound {
    let first = position + 1;
    Unsound::Wrong(match next {
        Some(next) if next == first + 1 => format!("position {first} of the log is missing"),
        Some(next) => format!("positions {first} to {} of the log are missing", next - 1),
        None => format!("the log ends at position {position}, its head says {head}"),
    })
}

fn told(mut wrong: Vec<String>) -> Result<(), Unsound> {
    let more = wrong.len().saturating_sub(MOST_TOLD);
    wrong.truncate(MOST_TOLD);
    if more > 0 {
        wrong.push(format!("and {more} more"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Unsound::Wrong(wrong.join("; "))) }
}
