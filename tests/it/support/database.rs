//! The database of a test, and the same database seen by somebody else: a plain connection that knows nothing of the
//! store.
//!
//! A test names its database by a file in a directory of its own. With `TEST_STORE=postgres` that name stands for a
//! schema of its own in the database that `TEST_POSTGRES` names.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::ProptestConfig;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Connection as _, PgConnection, Row, SqliteConnection, TypeInfo as _, ValueRef as _};

const TEST_POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// Whether the databases of this run are schemas of PostgreSQL.
pub fn on_postgres() -> bool {
    match std::env::var("TEST_STORE") {
        Ok(store) if store == "postgres" => true,
        Ok(store) => panic!("TEST_STORE is {store:?}: it can be postgres, or not set for SQLite"),
        Err(_) => false,
    }
}

/// How often a property is tried that needs databases of its own for each case: PostgreSQL takes a second for one.
pub fn of_databases(cases: u32, max_shrink_iters: u32) -> ProptestConfig {
    let cases = if on_postgres() { cases / 4 } else { cases };
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters, ..ProptestConfig::default() }
}

/// The address of the database that this file stands for; it is there afterwards.
pub fn address_of(file: &Path) -> String {
    if !on_postgres() {
        return format!("sqlite://{}", file.display());
    }
    let schema = schema_of(file);
    let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
    // Wherever it is called from, with a runtime or without.
    let created = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&server()).await.expect("PostgreSQL is there");
            sqlx::query(&create).execute(&mut connection).await.expect("a schema");
        });
    });
    created.join().expect("created");
    let separator = if server().contains('?') { '&' } else { '?' };
    format!("{}{separator}options=-csearch_path%3D{schema}", server())
}

fn server() -> String {
    std::env::var("TEST_POSTGRES").unwrap_or_else(|_| TEST_POSTGRES.to_owned())
}

/// Named after the directory, which is a test's own.
fn schema_of(file: &Path) -> String {
    let directory = file.parent().and_then(Path::file_name).expect("in a directory").to_string_lossy();
    let name: String = directory.chars().filter(char::is_ascii_alphanumeric).collect();
    let stem = file.file_stem().expect("a name").to_string_lossy();
    format!("test_{}_{stem}", name.to_lowercase() + &hash(&directory))
}

/// Directories that differ only in case are two.
fn hash(text: &str) -> String {
    let sum = text.bytes().fold(5_381_u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(byte));
    format!("{sum:08x}")
}

/// Another program at the same database.
pub enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Cell {
    pub fn integer(&self) -> i64 {
        match self {
            Self::Integer(number) => *number,
            other => panic!("{other:?} is no integer"),
        }
    }

    pub fn real(&self) -> f64 {
        match self {
            Self::Real(number) => *number,
            other => panic!("{other:?} is no real number"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            other => panic!("{other:?} is no blob"),
        }
    }

    /// `None` of null.
    pub fn get(&self) -> Option<&Self> {
        (*self != Self::Null).then_some(self)
    }
}

macro_rules! cells {
    ($name:ident, $row:ty) => {
        fn $name(row: &$row) -> Vec<Cell> {
            (0..row.len())
                .map(|index| {
                    let raw = row.try_get_raw(index).expect("a column");
                    let kind = raw.type_info().name().to_owned();
                    match kind.as_str() {
                        _ if raw.is_null() => Cell::Null,
                        "INTEGER" | "INT8" => Cell::Integer(row.get(index)),
                        "BOOL" | "BOOLEAN" => Cell::Integer(i64::from(row.get::<bool, _>(index))),
                        "REAL" | "FLOAT8" => Cell::Real(row.get(index)),
                        "BLOB" | "BYTEA" => Cell::Bytes(row.get(index)),
                        _ => Cell::Text(row.get(index)),
                    }
                })
                .collect()
        }
    };
}

cells!(cells_of_sqlite, SqliteRow);
cells!(cells_of_postgres, PgRow);

impl Database {
    /// Opens the database that a file stands for, which must be there.
    pub async fn open(file: &Path) -> Self {
        if on_postgres() {
            let options: PgConnectOptions = address_of(file).parse().expect("an address");
            return Self::Postgres(PgConnection::connect_with(&options).await.expect("PostgreSQL is there"));
        }
        Self::connect(SqliteConnectOptions::new().filename(file)).await
    }

    /// Makes an empty database file.
    pub async fn create(file: &Path) -> Self {
        Self::connect(SqliteConnectOptions::new().filename(file).create_if_missing(true)).await
    }

    async fn connect(options: SqliteConnectOptions) -> Self {
        let options = options.busy_timeout(Duration::from_secs(20));
        Self::Sqlite(SqliteConnection::connect_with(&options).await.expect("the database opens"))
    }

    /// Runs one statement.
    pub async fn run(&mut self, statement: &str) {
        match self {
            Self::Sqlite(connection) => sqlx::query(statement).execute(connection).await.map(drop),
            Self::Postgres(connection) => sqlx::raw_sql(statement).execute(connection).await.map(drop),
        }
        .expect("the statement runs");
    }

    /// All rows of a query.
    pub async fn rows(&mut self, query: &str) -> Vec<Vec<Cell>> {
        match self {
            Self::Sqlite(connection) => {
                let rows = sqlx::query(query).fetch_all(connection).await.expect("the query runs");
                rows.iter().map(cells_of_sqlite).collect()
            }
            Self::Postgres(connection) => {
                let rows = sqlx::query(query).fetch_all(connection).await.expect("the query runs");
                rows.iter().map(cells_of_postgres).collect()
            }
        }
    }

    /// The one number that a query gives.
    pub async fn number(&mut self, query: &str) -> i64 {
        self.rows(query).await[0][0].integer()
    }

    /// Keeps everybody else from writing, until [`Database::unlock`].
    pub async fn lock(&mut self) {
        match self {
            Self::Sqlite(_) => self.run("BEGIN EXCLUSIVE").await,
            Self::Postgres(_) => self.run("BEGIN; SELECT * FROM log_head FOR UPDATE").await,
        }
    }

    /// Lets others write again.
    pub async fn unlock(&mut self) {
        self.run("ROLLBACK").await;
    }

    /// From now on samples of the operator `poison` are refused; `how` is ABORT (as a constraint does) or
    /// ROLLBACK (which ends the transaction; on PostgreSQL every error does).
    pub async fn refuse_poison(&mut self, how: &str) {
        match self {
            Self::Sqlite(_) => {
                self.run(&format!(
                    "CREATE TRIGGER poisoned BEFORE INSERT ON samples WHEN NEW.operator = 'poison' \
                     BEGIN SELECT RAISE({how}, 'poisoned'); END"
                ))
                .await;
            }
            Self::Postgres(_) => {
                self.run(
                    "CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS \
                     $$ BEGIN RAISE EXCEPTION 'poisoned' USING ERRCODE = 'check_violation'; END $$; \
                     CREATE TRIGGER poisoned BEFORE INSERT ON samples FOR EACH ROW \
                     WHEN (NEW.operator = 'poison') EXECUTE FUNCTION poisoned()",
                )
                .await;
            }
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
        .expect("closes");
    }
}
