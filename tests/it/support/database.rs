//! The database file seen by somebody else: a plain connection that knows nothing of the store.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

/// Another program at the same file.
pub struct Database(SqliteConnection);

impl Database {
    /// Opens the file, which must be there.
    pub async fn open(file: &Path) -> Self {
        Self::connect(SqliteConnectOptions::new().filename(file)).await
    }

    /// Makes an empty database.
    pub async fn create(file: &Path) -> Self {
        Self::connect(SqliteConnectOptions::new().filename(file).create_if_missing(true)).await
    }

    async fn connect(options: SqliteConnectOptions) -> Self {
        let options = options.busy_timeout(Duration::from_secs(20));
        Self(SqliteConnection::connect_with(&options).await.expect("the database opens"))
    }

    /// Runs one statement.
    pub async fn run(&mut self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::query(statement).execute(&mut self.0).await.expect("the statement runs");
    }

    /// All rows of a query.
    pub async fn rows(&mut self, query: &str) -> Vec<SqliteRow> {
        sqlx::query(AssertSqlSafe(query.to_owned())).fetch_all(&mut self.0).await.expect("the query runs")
    }

    /// The one number that a query gives.
    pub async fn number(&mut self, query: &str) -> i64 {
        self.rows(query).await[0].get(0)
    }

    /// Keeps everybody else from writing, until [`Database::unlock`].
    pub async fn lock(&mut self) {
        self.run("BEGIN EXCLUSIVE").await;
    }

    /// Lets others write again.
    pub async fn unlock(&mut self) {
        self.run("ROLLBACK").await;
    }

    /// From now on samples of the operator `poison` are refused; `how` is ABORT (as a constraint does) or
    /// ROLLBACK (which ends the transaction, as a full disk does).
    pub async fn refuse_poison(&mut self, how: &str) {
        self.run(&format!(
            "CREATE TRIGGER poisoned BEFORE INSERT ON samples WHEN NEW.operator = 'poison' \
             BEGIN SELECT RAISE({how}, 'poisoned'); END"
        ))
        .await;
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.0.close().await.expect("closes");
    }
}
