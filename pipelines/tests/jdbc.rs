//! PostgreSQL at the doors of a job: tables read, looked up and written by SQL alone.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::path::Path;

use common::{fail, given, nowcast, succeed, written_lines};
use tokio_postgres::{Client, NoTls};

/// A schema of its own.
struct Postgres {
    runtime: tokio::runtime::Runtime,
    judge: Client,
    schema: String,
    /// The options that name the server.
    place: String,
}

impl Postgres {
    fn new(test: &str, ddl: &str) -> Option<Self> {
        let url = given("NOWCAST_POSTGRES")?;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (judge, connection) = runtime.block_on(tokio_postgres::connect(&url, NoTls)).unwrap();
        runtime.spawn(connection);
        let schema = format!("nowcast_sql_{test}_{}", std::process::id());
        let (user, server) = url.strip_prefix("postgresql://").unwrap().split_once('@').unwrap();
        let place = format!(
            "'connector' = 'jdbc', 'url' = 'jdbc:postgresql://{server}?currentSchema={schema}', \
             'username' = '{user}'"
        );
        let postgres = Self { runtime, judge, schema, place };
        let schema = &postgres.schema;
        postgres.execute(&format!(
            "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; \
             SET search_path = {schema}; {ddl}"
        ));
        Some(postgres)
    }

    fn execute(&self, sql: &str) {
        self.runtime.block_on(self.judge.batch_execute(sql)).unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.execute(&format!("DROP SCHEMA {} CASCADE", self.schema));
    }
}

/// `(k, n)` rows with a processing time.
fn orders(folder: &Path, lines: &[&str]) -> String {
    let input = folder.join("orders.json");
    std::fs::write(&input, lines.join("\n")).unwrap();
    format!(
        "CREATE TABLE orders (n BIGINT, customer BIGINT, country STRING, proc AS PROCTIME()) WITH (
           'connector' = 'filesystem', 'path' = '{}', 'format' = 'json');\n",
        input.display()
    )
}

fn out(folder: &Path, columns: &str) -> String {
    format!(
        "CREATE TABLE answer ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}',
           'format' = 'csv');\n",
        folder.join("out").display()
    )
}

fn run(folder: &Path, sql: &str) -> std::process::Command {
    let file = folder.join("job.sql");
    std::fs::write(&file, sql).unwrap();
    let mut run = nowcast();
    run.arg("run").arg(file).args(["--no-http", "--workers", "2", "--data-dir"]);
    run.arg(folder.join("data"));
    run
}

const ORDERS: &[&str] = &[
    r#"{"n":1,"customer":1,"country":"NO"}"#,
    r#"{"n":2,"customer":2,"country":"BR"}"#,
    r#"{"n":3,"customer":9,"country":"NO"}"#,
    r#"{"n":4,"customer":null,"country":"NO"}"#,
    r#"{"n":5,"customer":1,"country":null}"#,
];

const CUSTOMERS: &str = "CREATE TABLE customers (id integer PRIMARY KEY, name varchar(20), country char(2), \
    since timestamptz, rating numeric(4, 2)); INSERT INTO customers VALUES \
    (1, 'Ada', 'NO', '2024-01-31 12:00:00Z', 9.5), (2, 'Bo', 'BR', NULL, NULL), (3, NULL, 'NO', NULL, 1)";

#[test]
fn rows_meet_what_postgresql_holds_of_their_key() {
    let Some(postgres) = Postgres::new("lookup", CUSTOMERS) else { return };
    for cache in ["", ", 'lookup.cache' = 'PARTIAL', 'lookup.partial-cache.max-rows' = '1'"] {
        let folder = common::folder();
        let folder = folder.path();
        let sql = format!(
            "{}CREATE TABLE customers (id BIGINT, name STRING, country STRING, since TIMESTAMP_LTZ(3),
               rating DECIMAL(4, 2), PRIMARY KEY (id) NOT ENFORCED)
             WITH ({}, 'table-name' = 'customers'{cache});
             {}INSERT INTO answer SELECT n, name, rating, CAST(since AS STRING) FROM orders AS o
             LEFT JOIN customers FOR SYSTEM_TIME AS OF o.proc AS c ON o.customer = c.id;",
            orders(folder, ORDERS),
            postgres.place,
            out(folder, "n BIGINT, name STRING, rating DECIMAL(4, 2), since STRING"),
        );
        succeed(&mut run(folder, &sql));
        let mut lines = written_lines(&folder.join("out"));
        lines.sort();
        let ada = "Ada,9.50,2024-01-31 12:00:00.000";
        let expected =
            [&format!("1,{ada}"), "2,Bo,,", "3,,,", "4,,,", &format!("5,{ada}")].map(String::from);
        assert_eq!(lines, expected);
    }
}

#[test]
fn a_key_of_several_columns_has_several_rows_and_conditions() {
    let ddl = "CREATE TABLE prices (country text, customer bigint, item text, price double precision); \
        INSERT INTO prices VALUES ('NO', 1, 'tea', 2.5), ('NO', 1, 'milk', 1), ('BR', 1, 'tea', 7), \
        ('BR', 2, 'tea', 3), ('BR', 2, NULL, 8), (NULL, 1, 'tea', 9)";
    let Some(postgres) = Postgres::new("several", ddl) else { return };
    let folder = common::folder();
    let folder = folder.path();
    let sql = format!(
        "{}CREATE TABLE prices (customer BIGINT, item STRING, price DOUBLE, country STRING)
         WITH ({}, 'table-name' = 'prices');
         {}INSERT INTO answer SELECT n, item, price FROM orders AS o
         JOIN prices FOR SYSTEM_TIME AS OF o.proc AS p
         ON o.country = p.country AND o.customer = p.customer AND p.price < 5;",
        orders(folder, ORDERS),
        postgres.place,
        out(folder, "n BIGINT, item STRING, price DOUBLE"),
    );
    succeed(&mut run(folder, &sql));
    let mut lines = written_lines(&folder.join("out"));
    lines.sort();
    assert_eq!(lines, ["1,milk,1.0", "1,tea,2.5", "2,tea,3.0"]);
}

#[test]
fn what_cannot_be_looked_up_is_said() {
    let Some(postgres) = Postgres::new("refused", CUSTOMERS) else { return };
    let folder = common::folder();
    let folder = folder.path();
    let job = |table: &str| {
        let sql = format!(
            "{}CREATE TABLE customers (id BIGINT, name STRING) WITH ({}, {table});
             {}INSERT INTO answer SELECT n, name FROM orders AS o
             JOIN customers FOR SYSTEM_TIME AS OF o.proc AS c ON o.customer = c.id;",
            orders(folder, ORDERS),
            postgres.place,
            out(folder, "n BIGINT, name STRING"),
        );
        run(folder, &sql)
    };
    let gone = ["postgresql table custmers does not exist"];
    fail(&mut job("'table-name' = 'custmers'"), &gone);
    let full = ["option \"lookup.cache\" is NONE or PARTIAL, not \"FULL\""];
    fail(&mut job("'table-name' = 'customers', 'lookup.cache' = 'FULL'"), &full);
}
