//! One call, two databases: each function of `sql/` exists once for SQLite and once for PostgreSQL.

/// Runs a function of `sql/` on a connection that only reads.
macro_rules! read {
    ($store:expr, $module:ident::$function:ident($($argument:expr),*)) => {
        match &$store.backend {
            $crate::store::Backend::Sqlite(database) => {
                let mut connection = database.reader().await?;
                $crate::store::sqlite::sql::$module::$function(&mut connection, $($argument),*).await
            }
            $crate::store::Backend::Postgres(database) => {
                let mut connection = database.reader().await?;
                $crate::store::postgres::sql::$module::$function(&mut connection, $($argument),*).await
            }
        }
    };
}

/// The same within one transaction that only reads: all its statements see one moment.
macro_rules! read_at_once {
    ($store:expr, $module:ident::$function:ident($($argument:expr),*)) => {
        match &$store.backend {
            $crate::store::Backend::Sqlite(database) => {
                let mut moment = database.moment().await?;
                let read = $crate::store::sqlite::sql::$module::$function(&mut moment, $($argument),*).await;
                moment.rollback().await?;
                read
            }
            $crate::store::Backend::Postgres(database) => {
                let mut moment = database.moment().await?;
                let read = $crate::store::postgres::sql::$module::$function(&mut moment, $($argument),*).await;
                moment.rollback().await?;
                read
            }
        }
    };
}

/// Runs a function of `sql/` in a transaction of its own that does not take the log's head.
macro_rules! write_apart {
    ($store:expr, $module:ident::$function:ident($($argument:expr),*)) => {
        match &$store.backend {
            $crate::store::Backend::Sqlite(database) => {
                let mut apart = database.begin_apart().await?;
                let done =
                    $crate::store::sqlite::sql::$module::$function(&mut apart.open, $($argument),*).await?;
                apart.open.commit().await?;
                Ok(done)
            }
            $crate::store::Backend::Postgres(database) => {
                let mut apart = database.begin_apart().await?;
                let done =
                    $crate::store::postgres::sql::$module::$function(&mut apart.open, $($argument),*).await?;
                apart.open.commit().await?;
                Ok(done)
            }
        }
    };
}

/// Runs a function of `sql/` within a transaction, and notes whether the database is there.
macro_rules! within {
    ($transaction:expr, $module:ident::$function:ident($($argument:expr),*)) => {{
        let done = match &mut $transaction.open {
            $crate::store::transaction::Open::Sqlite(open) => {
                $crate::store::sqlite::sql::$module::$function(open, $($argument),*).await
            }
            $crate::store::transaction::Open::Postgres(open) => {
                $crate::store::postgres::sql::$module::$function(open, $($argument),*).await
            }
        };
        $transaction.note(done)
    }};
}
