//! The options of a `jdbc` table, for either end.

use std::collections::BTreeMap;
use std::time::Duration;

use nowcast_engine::{Error, LookupOptions, Result, TableDefinition};
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;

use super::tls::{Tls, tls};
use crate::options::Options;

/// Rows in one transaction, unless `sink.buffer-flush.max-rows` says otherwise. More than Flink's 100:
/// a flush is two statements, however many rows there are.
const BUFFER_ROWS: usize = 1_000;
/// Tries after the first, as in Flink.
const RETRIES: u32 = 3;
/// How long connecting may take, as in Flink.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

pub struct JdbcTable {
    pub table: TableDefinition,
    pub config: Config,
    /// `None` where the connection is never encrypted.
    pub tls: Option<Tls>,
    /// As the user wrote it: PostgreSQL folds its case and finds its schema.
    pub remote: String,
    pub partitions: Option<Partitions>,
    /// Rows of one fetch; `None`: as many as a batch holds.
    pub fetch_rows: Option<usize>,
    pub buffer_rows: usize,
    pub retries: u32,
    pub lookup: LookupOptions,
}

/// A scan cut by ranges of a column.
#[derive(Debug, Clone)]
pub struct Partitions {
    pub column: String,
    /// First and last value of each range.
    pub ranges: Vec<(i64, i64)>,
}

impl JdbcTable {
    pub fn read(table: &TableDefinition) -> Result<Self> {
        let options = Options::new(table);
        let (mut config, tls) = config(&options)?;
        if let Some(user) = options.text("username") {
            config.user(user);
        }
        if let Some(password) = options.text("password") {
            config.password(password);
        }
        if config.get_user().is_none() {
            return Err(options.required("username").err().unwrap_or_else(|| Error::bug("a user")));
        }
        config.connect_timeout(
            options.duration("connection.max-retry-timeout")?.unwrap_or(CONNECT_TIMEOUT),
        );
        // There is one driver.
        options.choice("driver", &[("org.postgresql.Driver", ())])?;
        let partitions = partitions(&options)?;
        if let Some(Partitions { column, .. }) = &partitions
            && table.schema.index_of(column).is_err()
        {
            let expected = "a column of the table";
            return Err(options.refuse("scan.partition.column", column, expected));
        }
        let fetch_rows: Option<usize> = options.parsed("scan.fetch-size", "a number of rows")?;
        // A scan is one transaction in any case.
        options.flag("scan.auto-commit", true)?;
        let buffer_rows: Option<usize> =
            options.parsed("sink.buffer-flush.max-rows", "a number of rows")?;
        // A sink flushes whenever nothing more waits to be written, so sooner than this.
        options.duration("sink.buffer-flush.interval")?;
        // Every worker has its instance; known for portability.
        options.parsed::<usize>("sink.parallelism", "a number")?;
        options.parsed::<usize>("scan.parallelism", "a number")?;
        let read = Self {
            table: table.clone(),
            config,
            tls,
            remote: options.required("table-name")?.to_owned(),
            partitions,
            fetch_rows: fetch_rows.filter(|rows| *rows > 0),
            buffer_rows: buffer_rows.unwrap_or(BUFFER_ROWS).max(1),
            retries: options.parsed("sink.max-retries", "a number")?.unwrap_or(RETRIES),
            lookup: crate::lookup::read(&options)?,
        };
        options.finish()?;
        if let Some(metadata) = table.metadata.first() {
            return Err(crate::registry::no_metadata(table, metadata, "jdbc"));
        }
        Ok(read)
    }

    /// What messages begin with.
    pub fn name(&self) -> String {
        format!("table \"{}\": postgresql table {}", self.table.name, self.remote)
    }
}

/// `jdbc:postgresql://host:port/database?user=…&password=…&currentSchema=…`
fn config(options: &Options<'_>) -> Result<(Config, Option<Tls>)> {
    let url = options.required("url")?;
    let refuse = |why: &str| {
        // A URL may hold a password.
        let shown = url.split('?').next().unwrap_or(url);
        let shown = shown.rsplit_once('@').map_or(shown, |(_, place)| place);
        let expected = format!("jdbc:postgresql://host:port/database ({why})");
        options.refuse("url", shown, &expected)
    };
    let Some(rest) = url.strip_prefix("jdbc:postgresql://") else {
        return Err(refuse("PostgreSQL is what there is"));
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut config: Config =
        format!("postgresql://{place}").parse().map_err(|error| refuse(&format!("{error}")))?;
    if config.get_dbname().is_none() {
        return Err(refuse("the database is missing"));
    }
    let mut of_tls = BTreeMap::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| refuse(&format!("\"{key}\" is no UTF-8")))?;
        match key {
            "user" => drop(config.user(&*value)),
            "password" => drop(config.password(&*value)),
            "ApplicationName" => drop(config.application_name(&*value)),
            "currentSchema" => drop(config.options(format!("-c search_path={value}"))),
            // They tune the Java driver and change nothing here.
            "reWriteBatchedInserts" | "stringtype" | "prepareThreshold" | "tcpKeepAlive" => {}
            key if key.starts_with("ssl") => drop(of_tls.insert(key, value.into_owned())),
            other => return Err(refuse(&format!("\"{other}\" is unknown"))),
        }
    }
    let (mode, tls) = tls(&of_tls).map_err(|why| refuse(&why))?;
    config.ssl_mode(mode);
    Ok((config, tls))
}

fn partitions(options: &Options<'_>) -> Result<Option<Partitions>> {
    let column = options.text("scan.partition.column");
    let num: Option<i64> = options.parsed("scan.partition.num", "a number of partitions")?;
    let lower: Option<i64> = options.parsed("scan.partition.lower-bound", "an integer")?;
    let upper: Option<i64> = options.parsed("scan.partition.upper-bound", "an integer")?;
    let (column, num, lower, upper) = match (column, num, lower, upper) {
        (None, None, None, None) => return Ok(None),
        (Some(column), Some(num), Some(lower), Some(upper)) => (column, num, lower, upper),
        _ => {
            let table = options.table();
            return Err(Error::user(format!(
                "table \"{table}\": \"scan.partition.column\", \"scan.partition.num\", \
                 \"scan.partition.lower-bound\" and \"scan.partition.upper-bound\" come together"
            )));
        }
    };
    if num < 1 || lower > upper {
        let given = format!("{num} from {lower} to {upper}");
        return Err(options.refuse("scan.partition.num", &given, "at least 1, of a range"));
    }
    Ok(Some(Partitions { column: column.to_owned(), ranges: ranges(num, lower, upper) }))
}

/// Cuts `lower..=upper` as Flink does: ranges of equal size, the first ones larger by one.
fn ranges(num: i64, lower: i64, upper: i64) -> Vec<(i64, i64)> {
    let values = i128::from(upper) - i128::from(lower) + 1;
    let num = i128::from(num).min(values);
    let (size, larger) = (values / num, values % num);
    let mut start = i128::from(lower);
    let mut ranges = vec![];
    for at in 0..num {
        let end = start + size - 1 + i128::from(at < larger);
        // Between the bounds, which are i64.
        ranges.push((start as i64, end as i64));
        start = end + 1;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_bounds_once() {
        assert_eq!(ranges(3, 0, 9), [(0, 3), (4, 6), (7, 9)]);
        assert_eq!(ranges(5, 1, 3), [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(ranges(1, -5, 5), [(-5, 5)]);
        let all = ranges(2, i64::MIN, i64::MAX);
        assert_eq!(all, [(i64::MIN, -1), (0, i64::MAX)]);
    }
}
