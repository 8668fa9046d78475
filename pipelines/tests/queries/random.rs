//! Queries a few operators deep, over tables with nulls and duplicates, from a seed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Operators above a table at most.
const DEPTH: usize = 4;

const ROWS_MAX: usize = 25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
}

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            Self::Number => "BIGINT",
            Self::Text => "STRING",
        }
    }
}

/// The columns of a relation, named `c0`, `c1`, …
struct Relation {
    sql: String,
    kinds: Vec<Kind>,
}

impl Relation {
    fn of(&self, kind: Kind) -> Vec<usize> {
        (0..self.kinds.len()).filter(|column| self.kinds[*column] == kind).collect()
    }
}

/// A query, and the tables that it reads.
pub struct Question {
    tables: BTreeMap<&'static str, Vec<Vec<Value>>>,
    pub select: String,
    kinds: Vec<Kind>,
}

const TABLES: [&str; 2] = ["t", "u"];
const TABLE_KINDS: [Kind; 4] = [Kind::Number, Kind::Number, Kind::Text, Kind::Number];

impl Question {
    pub fn random(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let tables = TABLES.map(|name| {
            let rows = random.random_range(0..=ROWS_MAX);
            (name, (0..rows).map(|_| row(&mut random)).collect())
        });
        let depth = random.random_range(1..=DEPTH);
        let Relation { sql, kinds } = Writer { random }.relation(depth);
        Self { tables: tables.into_iter().collect(), select: sql, kinds }
    }

    pub fn columns_by_table(&self) -> Value {
        let columns = |_: &&str| -> Value {
            let columns = TABLE_KINDS.iter().enumerate();
            columns.map(|(number, kind)| json!([format!("c{number}"), kind.sql()])).collect()
        };
        TABLES
            .iter()
            .map(|name| ((*name).to_owned(), columns(name)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    pub fn rows_by_table(&self) -> Value {
        json!(self.tables)
    }

    /// The file for nowcast; its tables are written to `folder`.
    pub fn statements(&self, folder: &Path) -> String {
        let mut sql = String::new();
        for (name, rows) in &self.tables {
            let path = folder.join(format!("{name}.json"));
            let line = |row: &Vec<Value>| {
                let cells = row.iter().enumerate();
                let object: serde_json::Map<_, _> =
                    cells.map(|(number, cell)| (format!("c{number}"), cell.clone())).collect();
                Value::Object(object).to_string() + "\n"
            };
            std::fs::write(&path, rows.iter().map(line).collect::<String>()).unwrap();
            let columns = declared(&TABLE_KINDS);
            writeln!(
                sql,
                "CREATE TABLE {name} ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');",
                path.display()
            )
            .unwrap();
        }
        let columns = declared(&self.kinds);
        writeln!(sql, "CREATE TABLE answer ({columns}) WITH ('connector' = 'blackhole');").unwrap();
        writeln!(sql, "INSERT INTO answer {};", self.select).unwrap();
        sql
    }
}

fn declared(kinds: &[Kind]) -> String {
    let columns = kinds.iter().enumerate();
    let columns = columns.map(|(number, kind)| format!("c{number} {}", kind.sql()));
    columns.collect::<Vec<_>>().join(", ")
}

/// Few values, so that keys meet.
fn row(random: &mut ChaCha8Rng) -> Vec<Value> {
    let cell = |random: &mut ChaCha8Rng, kind: Kind| match (random.random_range(0..7), kind) {
        (0, _) => Value::Null,
        (_, Kind::Number) => random.random_range(-3..4).into(),
        (_, Kind::Text) => (*["a", "b", "B", "", "ä"].choose(random).unwrap()).into(),
    };
    TABLE_KINDS.iter().map(|kind| cell(random, *kind)).collect()
}

struct Writer {
    random: ChaCha8Rng,
}

impl Writer {
    fn one_of(&mut self, range: usize) -> usize {
        self.random.random_range(0..range)
    }

    fn relation(&mut self, depth: usize) -> Relation {
        if depth == 0 {
            let table = TABLES[self.one_of(TABLES.len())];
            return Relation {
                sql: format!("SELECT c0, c1, c2, c3 FROM {table}"),
                kinds: TABLE_KINDS.to_vec(),
            };
        }
        let input = self.relation(depth - 1);
        match self.one_of(10) {
            0 => self.filtered(&input),
            1 => self.projected(&input),
            2 | 3 => self.grouped(&input),
            4 | 5 => self.joined(&input),
            6 => self.combined(&input),
            7 => self.first_rows(&input),
            8 => self.so_far(&input),
            _ => self.halved(&input),
        }
    }

    fn filtered(&mut self, input: &Relation) -> Relation {
        let condition = self.condition(input, "q.");
        Relation {
            sql: format!("SELECT * FROM ({}) AS q WHERE {condition}", input.sql),
            kinds: input.kinds.clone(),
        }
    }

    fn projected(&mut self, input: &Relation) -> Relation {
        let columns = 1 + self.one_of(4);
        let kinds: Vec<Kind> = (0..columns)
            .map(|_| [Kind::Number, Kind::Number, Kind::Text][self.one_of(3)])
            .collect();
        let exprs: Vec<String> = kinds
            .iter()
            .enumerate()
            .map(|(number, kind)| format!("{} AS c{number}", self.value(input, *kind, "q.")))
            .collect();
        let distinct = if self.one_of(3) == 0 { "DISTINCT " } else { "" };
        Relation {
            sql: format!("SELECT {distinct}{} FROM ({}) AS q", exprs.join(", "), input.sql),
            kinds,
        }
    }

    /// By one key at least: without any, a stream that never had a row has no row either, where a
    /// batch counts 0. Flink's streams are so too.
    fn grouped(&mut self, input: &Relation) -> Relation {
        let mut keys: Vec<usize> = (0..input.kinds.len()).filter(|_| self.one_of(3) == 0).collect();
        if keys.is_empty() {
            keys.push(self.one_of(input.kinds.len()));
        }
        keys.truncate(2);
        let mut kinds: Vec<Kind> = keys.iter().map(|key| input.kinds[*key]).collect();
        let mut exprs: Vec<String> = keys.iter().map(|key| format!("q.c{key}")).collect();
        for _ in 0..=self.one_of(2) {
            let (call, kind) = self.aggregate(input);
            let filter = match self.one_of(4) {
                0 => format!(" FILTER (WHERE {})", self.condition(input, "q.")),
                _ => String::new(),
            };
            // A sum of DuckDB's is wider.
            exprs.push(format!("CAST({call}{filter} AS {})", kind.sql()));
            kinds.push(kind);
        }
        let named = exprs.iter().enumerate().map(|(number, expr)| format!("{expr} AS c{number}"));
        let named = named.collect::<Vec<_>>().join(", ");
        let by: Vec<String> = keys.iter().map(|key| format!("q.c{key}")).collect();
        let mut sql =
            format!("SELECT {named} FROM ({}) AS q GROUP BY {}", input.sql, by.join(", "));
        if self.one_of(4) == 0 {
            write!(sql, " HAVING COUNT(*) > {}", self.one_of(3)).unwrap();
        }
        Relation { sql, kinds }
    }

    fn aggregate(&mut self, input: &Relation) -> (String, Kind) {
        let (numbers, texts) = (input.of(Kind::Number), input.of(Kind::Text));
        let any = self.one_of(input.kinds.len());
        match self.one_of(7) {
            0 => ("COUNT(*)".to_owned(), Kind::Number),
            1 => (format!("COUNT(q.c{any})"), Kind::Number),
            2 => (format!("COUNT(DISTINCT q.c{any})"), Kind::Number),
            3 if !texts.is_empty() => {
                let column = texts[self.one_of(texts.len())];
                (format!("{}(q.c{column})", ["MIN", "MAX"][self.one_of(2)]), Kind::Text)
            }
            _ if !numbers.is_empty() => {
                let column = numbers[self.one_of(numbers.len())];
                let distinct = if self.one_of(4) == 0 { "DISTINCT " } else { "" };
                match self.one_of(3) {
                    0 => (format!("MIN(q.c{column})"), Kind::Number),
                    1 => (format!("MAX(q.c{column})"), Kind::Number),
                    _ => (format!("SUM({distinct}q.c{column})"), Kind::Number),
                }
            }
            _ => ("COUNT(*)".to_owned(), Kind::Number),
        }
    }

    fn joined(&mut self, left: &Relation) -> Relation {
        let depth = self.one_of(2);
        let right = self.relation(depth);
        let mut equal: Vec<(usize, usize)> = vec![];
        for (l, kind) in left.kinds.iter().enumerate() {
            let pairs = (0..right.kinds.len()).filter(|r| right.kinds[*r] == *kind);
            equal.extend(pairs.map(|r| (l, r)));
        }
        let Some((l, r)) = equal.choose(&mut self.random).copied() else {
            return self.filtered(left);
        };
        let mut on = format!("l.c{l} = r.c{r}");
        if self.one_of(3) == 0
            && let Some((l, r)) = equal.choose(&mut self.random)
        {
            let compare = ["<", "<=", "<>", "="][self.one_of(4)];
            write!(on, " AND l.c{l} {compare} r.c{r}").unwrap();
        }
        if self.one_of(4) == 0 {
            let not = ["", "NOT "][self.one_of(2)];
            return Relation {
                sql: format!(
                    "SELECT * FROM ({}) AS l WHERE {not}EXISTS (SELECT 1 FROM ({}) AS r WHERE {on})",
                    left.sql, right.sql
                ),
                kinds: left.kinds.clone(),
            };
        }
        let how = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL OUTER JOIN"][self.one_of(4)];
        let columns = (0..left.kinds.len()).map(|column| format!("l.c{column}"));
        let columns = columns.chain((0..right.kinds.len()).map(|column| format!("r.c{column}")));
        let named = columns.enumerate().map(|(number, column)| format!("{column} AS c{number}"));
        let named = named.collect::<Vec<_>>().join(", ");
        let kinds = left.kinds.iter().chain(&right.kinds).copied().collect();
        Relation {
            sql: format!(
                "SELECT {named} FROM ({}) AS l {how} ({}) AS r ON {on}",
                left.sql, right.sql
            ),
            kinds,
        }
    }

    fn combined(&mut self, left: &Relation) -> Relation {
        let right = self.relation(0);
        let exprs = left.kinds.clone();
        let exprs: Vec<String> = exprs
            .iter()
            .enumerate()
            .map(|(number, kind)| format!("{} AS c{number}", self.value(&right, *kind, "q.")))
            .collect();
        let how = ["UNION ALL", "UNION", "INTERSECT", "EXCEPT"];
        let how = how[self.one_of(how.len())];
        Relation {
            sql: format!(
                "SELECT * FROM ({}) AS l {how} SELECT {} FROM ({}) AS q",
                left.sql,
                exprs.join(", "),
                right.sql
            ),
            kinds: left.kinds.clone(),
        }
    }

    /// All columns are in the order, so that rows which tie are equal.
    fn first_rows(&mut self, input: &Relation) -> Relation {
        let key = self.one_of(input.kinds.len());
        let columns = input.kinds.len();
        let first = self.one_of(columns);
        let order: Vec<String> = (0..columns)
            .map(|number| {
                let column = (first + number) % columns;
                match self.one_of(2) {
                    0 => format!("q.c{column} ASC NULLS FIRST"),
                    _ => format!("q.c{column} DESC NULLS LAST"),
                }
            })
            .collect();
        let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
        let limit = 1 + self.one_of(3);
        Relation {
            sql: format!(
                "SELECT {} FROM (SELECT q.*, ROW_NUMBER() OVER (PARTITION BY q.c{key} ORDER BY {}) AS rn FROM ({}) AS q) AS n WHERE rn <= {limit}",
                names.join(", "),
                order.join(", "),
                input.sql
            ),
            kinds: input.kinds.clone(),
        }
    }

    /// Each row with what there is up to it and to those that sort equal: which of these is first would be
    /// chance.
    fn so_far(&mut self, input: &Relation) -> Relation {
        let columns = input.kinds.len();
        let (key, by) = (self.one_of(columns), self.one_of(columns));
        let (call, kind) = match self.one_of(4) {
            0 => (["RANK()", "DENSE_RANK()"][self.one_of(2)].to_owned(), Kind::Number),
            _ => self.aggregate(input),
        };
        let partition = match self.one_of(4) {
            0 => String::new(),
            _ => format!("PARTITION BY q.c{key} "),
        };
        let mut exprs: Vec<String> = (0..columns).map(|column| format!("q.c{column}")).collect();
        exprs.push(format!(
            "CAST({call} OVER ({partition}ORDER BY q.c{by} ASC NULLS FIRST) AS {}) AS c{columns}",
            kind.sql()
        ));
        Relation {
            sql: format!("SELECT {} FROM ({}) AS q", exprs.join(", "), input.sql),
            kinds: input.kinds.iter().copied().chain([kind]).collect(),
        }
    }

    /// Rows with a column among those of another relation, or not.
    fn halved(&mut self, input: &Relation) -> Relation {
        let other = self.relation(0);
        let column = self.one_of(input.kinds.len());
        let candidates = other.of(input.kinds[column]);
        let Some(of) = candidates.choose(&mut self.random) else { return self.filtered(input) };
        Relation {
            sql: format!(
                "SELECT * FROM ({}) AS q WHERE q.c{column} IN (SELECT o.c{of} FROM ({}) AS o)",
                input.sql, other.sql
            ),
            kinds: input.kinds.clone(),
        }
    }

    fn value(&mut self, input: &Relation, kind: Kind, prefix: &str) -> String {
        let columns = input.of(kind);
        let column = columns.choose(&mut self.random).map(|column| format!("{prefix}c{column}"));
        match (kind, column, self.one_of(5)) {
            (Kind::Number, Some(column), 0) => format!("{column} + 1"),
            (Kind::Number, Some(column), 1) => format!("{column} * 2"),
            (Kind::Number, Some(column), 2) => {
                let condition = self.condition(input, prefix);
                format!("CASE WHEN {condition} THEN {column} ELSE CAST(0 AS BIGINT) END")
            }
            (Kind::Text, Some(column), 0) => format!("UPPER({column})"),
            (Kind::Text, Some(column), 1) => format!("COALESCE({column}, 'none')"),
            (_, Some(column), _) => column,
            (Kind::Number, None, _) => "CAST(1 AS BIGINT)".to_owned(),
            (Kind::Text, None, _) => "'x'".to_owned(),
        }
    }

    fn condition(&mut self, input: &Relation, prefix: &str) -> String {
        let column = self.one_of(input.kinds.len());
        let of = format!("{prefix}c{column}");
        let literal = match input.kinds[column] {
            Kind::Number => (self.one_of(7) as i64 - 3).to_string(),
            Kind::Text => format!("'{}'", ["a", "b", "B", ""][self.one_of(4)]),
        };
        match self.one_of(6) {
            0 => format!("{of} IS NULL"),
            1 => format!("{of} IS NOT NULL"),
            2 => format!("NOT ({of} = {literal})"),
            3 => {
                let other = self.one_of(input.kinds.len());
                format!("({of} > {literal} OR {prefix}c{other} IS NULL)")
            }
            _ => format!("{of} {} {literal}", ["<", ">=", "<>", "="][self.one_of(4)]),
        }
    }
}
