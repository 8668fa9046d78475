//! Connections to PostgreSQL, and what its catalogue says of a table.

use std::collections::BTreeMap;

use nowcast_engine::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::options::JdbcTable;

/// A connection that is served until it is dropped, and the table's columns.
pub struct Connection {
    pub client: Client,
    /// The table's name with its schema, quoted where it must be.
    pub remote: String,
    /// Of each column of ours, in order: its quoted name and its type there.
    pub columns: Vec<RemoteColumn>,
}

pub struct RemoteColumn {
    pub name: String,
    /// As SQL writes it, without a length: `character varying`.
    pub ty: String,
}

impl JdbcTable {
    /// Connects and checks that the table has all columns. A column whose name is not there as
    /// written is looked for in lower case, as Flink's unquoted names find it.
    ///
    /// # Errors
    /// Of kind `Outside` where the server does not answer, of kind `User` where it refuses, or has
    /// no such table or column.
    pub async fn connect(&self) -> Result<Connection> {
        let client = match self.tls.clone() {
            None => self.serve(self.config.connect(NoTls).await),
            Some(tls) => self.serve(self.config.connect(tls).await),
        }?;
        // A time without a zone is UTC in either direction, whatever the server's zone.
        let zone = client.batch_execute("SET TimeZone = 'UTC'").await;
        zone.map_err(|error| self.failed(&error))?;
        let found = client
            .query_opt("SELECT to_regclass($1)::oid, to_regclass($1)::text", &[&self.remote])
            .await
            .map_err(|error| self.failed(&error))?;
        let found = found.and_then(|row| Some((row.get::<_, Option<u32>>(0)?, row.get(1))));
        let (oid, remote): (u32, String) =
            found.ok_or_else(|| Error::user(format!("{} does not exist", self.name())))?;
        let there = client
            .query(
                "SELECT attname::text, quote_ident(attname), format_type(atttypid, -1) \
                 FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped",
                &[&oid],
            )
            .await
            .map_err(|error| self.failed(&error))?;
        let there: BTreeMap<String, (String, String)> =
            there.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        let column = |field: &arrow::datatypes::FieldRef| {
            let name = field.name();
            let found = there.get(name).or_else(|| there.get(&name.to_lowercase()));
            let (name, ty) = found.ok_or_else(|| {
                let names = there.keys().map(String::as_str);
                let hint = crate::nearest::did_you_mean(name, names);
                Error::user(format!("{} has no column \"{name}\"{hint}", self.name()))
            })?;
            Ok(RemoteColumn { name: name.clone(), ty: ty.clone() })
        };
        let columns = self.table.schema.fields().iter().map(column).collect::<Result<_>>()?;
        Ok(Connection { client, remote, columns })
    }

    /// Has a connection served until its client is dropped.
    fn serve<S, T>(
        &self,
        connected: Result<(Client, tokio_postgres::Connection<S, T>), tokio_postgres::Error>,
    ) -> Result<Client>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (client, connection) = connected.map_err(|error| self.failed(&error))?;
        let name = self.name();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("{name}: {error}");
            }
        });
        Ok(client)
    }

    /// An error of the server or of the way to it.
    pub fn failed(&self, error: &tokio_postgres::Error) -> Error {
        let Some(db) = error.as_db_error() else {
            let cause = std::error::Error::source(error)
                .map_or_else(String::new, |source| format!(": {source}"));
            return Error::outside(format!("{}: {error}{cause}", self.name()));
        };
        let detail = db.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
        let problem = format!("{}: {}{detail}", self.name(), db.message());
        match may_pass(db.code()) {
            true => Error::outside(problem),
            false => Error::user(problem),
        }
    }
}

/// Whether the same statement may succeed later: the server is full, stopping or starting, or
/// another transaction was in the way.
fn may_pass(code: &SqlState) -> bool {
    ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.code().starts_with(class))
}
