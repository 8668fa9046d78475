//! A query that stands alone: its rows on the screen.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Error, Graph, Job, JobOptions, NodeKind, Route, Sink,
    SinkContext, SinkFactory, World,
};
use nowcast_planner::text_table;
use tokio::sync::mpsc;

/// Batches between a query and the screen.
const QUEUE: usize = 16;

/// Rows of a live table that are on the screen at once.
const LIVE_ROWS: usize = 40;

/// How often a live table is drawn again.
const REDRAW: Duration = Duration::from_millis(200);

type Row = Vec<Option<String>>;

/// Where the rows of queries go: to whoever runs the query.
pub struct Rows(mpsc::Sender<Batch>);

impl Rows {
    pub fn new() -> (Arc<Self>, mpsc::Receiver<Batch>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Arc::new(Self(sender)), receiver)
    }
}

#[async_trait]
impl SinkFactory for Rows {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    async fn open(&self, _: SinkContext) -> nowcast_engine::Result<Box<dyn Sink>> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

#[async_trait]
impl Sink for Rows {
    async fn write(
        &mut self,
        batch: &Batch,
        _: &mut Vec<DeadLetter>,
    ) -> nowcast_engine::Result<()> {
        let sent = self.0.send(batch.clone()).await;
        sent.map_err(|_| Error::outside("stopped: the query has ended"))
    }

    async fn flush(&mut self) -> nowcast_engine::Result<()> {
        Ok(())
    }
}

/// The rows that stand, in the order in which they came.
#[derive(Default)]
struct Standing {
    rows: Vec<Option<Row>>,
    places: HashMap<Row, Vec<usize>>,
}

impl Standing {
    fn change(&mut self, row: Row, insert: bool) {
        if insert {
            self.places.entry(row.clone()).or_default().push(self.rows.len());
            self.rows.push(Some(row));
        } else if let Some(at) = self.places.get_mut(&row).and_then(Vec::pop) {
            self.rows[at] = None;
        }
        // Places of rows taken back are given up once they are the most.
        if self.rows.len() > 2 * (self.places.len() + 64) && self.rows.len() > 2 * self.len() {
            let standing: Vec<Row> = self.rows.drain(..).flatten().collect();
            self.places.clear();
            standing.into_iter().for_each(|row| self.change(row, true));
        }
    }

    fn len(&self) -> usize {
        self.places.values().map(Vec::len).sum()
    }
}

/// How rows are shown.
enum Screen {
    /// All at the end.
    Whole,
    /// As a table drawn again and again: lines that are drawn now, and when.
    Live { drawn: usize, at: Option<Instant> },
    /// Each change as a line; columns of the key tell updates from others.
    Changes { key: Vec<usize> },
}

/// Runs the query of a graph and shows its rows, until it ends or Ctrl-C.
pub async fn show(
    graph: Graph,
    mut options: JobOptions,
    mut rows: mpsc::Receiver<Batch>,
) -> Result<()> {
    let bounded = graph.nodes.iter().all(|node| match &node.kind {
        NodeKind::Source(source) => source.factory.bounded(),
        _ => true,
    });
    let Some(last) = graph.nodes.last() else { return Ok(()) };
    let schema = Arc::clone(&last.schema);
    let key = match last.inputs.first().map(|input| &input.route) {
        Some(Route::Hash(key)) => key.clone(),
        _ => vec![],
    };
    let mut screen = match (bounded, std::io::stdout().is_terminal()) {
        (true, _) => Screen::Whole,
        (false, true) => Screen::Live { drawn: 0, at: None },
        (false, false) => Screen::Changes { key },
    };
    options.checkpoint_interval = None;
    options.resume = false;
    if bounded {
        options.idle_timeout = None;
    }
    let job = Job::start(graph, options, World::bare()).await?;
    let (stats, stop) = (job.stats(), job.stopper());
    let mut ended = Box::pin(job.wait());
    let mut interrupted = Box::pin(tokio::signal::ctrl_c());
    let mut standing = Standing::default();
    let mut redraw = tokio::time::interval(REDRAW);
    let (mut stopped, mut result) = (false, None);
    loop {
        tokio::select! {
            // Rows first: those that a query has sent before its end are shown.
            biased;
            Some(batch) = rows.recv() => take(&batch, &mut standing, &mut screen)?,
            done = &mut ended, if result.is_none() => {
                result = Some(done);
                rows.close();
            }
            _ = &mut interrupted, if !stopped => {
                stopped = true;
                stop();
            }
            _ = redraw.tick() => {
                draw(&mut screen, &schema, &standing, false);
                if result.is_some() && rows.is_empty() {
                    break;
                }
            }
        }
    }
    match result {
        Some(Err(error)) if !stopped => return Err(error.into()),
        _ => draw(&mut screen, &schema, &standing, true),
    }
    let aside = |count: fn(&nowcast_engine::stats::StageReading) -> u64| {
        stats.read().iter().map(count).sum::<u64>()
    };
    let late = aside(|stage| stage.late);
    let dead = aside(|stage| stage.dead_letters + stage.skipped);
    if late + dead > 0 {
        say!("{late} late rows, {dead} rows that could not be processed");
    }
    Ok(())
}

fn take(batch: &Batch, standing: &mut Standing, screen: &mut Screen) -> Result<()> {
    let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));
    let options = options.with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.fZ"));
    let columns = batch.rows().columns();
    let formatters = columns.iter().map(|column| ArrayFormatter::try_new(column, &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    let cells = |row: usize| -> Row {
        let cells = columns.iter().zip(&formatters);
        cells
            .map(|(column, cell)| (!column.is_null(row)).then(|| cell.value(row).to_string()))
            .collect()
    };
    let inserts = |row: usize| batch.weights().is_none_or(|weights| weights.value(row) > 0);
    let mut before: Option<Row> = None;
    for at in 0..batch.num_rows() {
        let (row, insert) = (cells(at), inserts(at));
        match screen {
            Screen::Whole | Screen::Live { .. } => standing.change(row, insert),
            Screen::Changes { key } => {
                let same =
                    |other: &Row| !key.is_empty() && key.iter().all(|k| other[*k] == row[*k]);
                let next = (at + 1 < batch.num_rows()).then(|| cells(at + 1));
                let kind = match insert {
                    true if before.as_ref().is_some_and(same) => "+U",
                    true => "+I",
                    false if next.as_ref().is_some_and(same) && inserts(at + 1) => "-U",
                    false => "-D",
                };
                let text = row.iter().map(|cell| cell.as_deref().unwrap_or("NULL"));
                say!("{kind}[{}]", text.collect::<Vec<_>>().join(", "));
                before = (!insert).then_some(row);
            }
        }
    }
    Ok(())
}

/// Shows the rows that stand, where it is time for it.
fn draw(screen: &mut Screen, schema: &SchemaRef, standing: &Standing, last: bool) {
    let head: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let all = standing.rows.iter().flatten();
    let count = match standing.len() {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    };
    match screen {
        Screen::Whole if last => {
            let rows: Vec<Row> = all.cloned().collect();
            say!("{}{count}", text_table(&head, &rows));
        }
        Screen::Live { drawn, at } => {
            if !last && at.is_some_and(|at| at.elapsed() < REDRAW) {
                return;
            }
            let newest = standing.len().saturating_sub(LIVE_ROWS);
            let rows: Vec<Row> = all.skip(newest).cloned().collect();
            let text = format!(
                "{}{count}{}",
                text_table(&head, &rows),
                if last { "" } else { ", Ctrl-C ends" }
            );
            let mut out = std::io::stdout();
            // Up over what is drawn, and everything below away.
            if *drawn > 0 {
                let _ = write!(out, "\x1b[{drawn}A\x1b[J");
            }
            let _ = writeln!(out, "{text}");
            *drawn = text.lines().count();
            *at = Some(Instant::now());
        }
        Screen::Whole | Screen::Changes { .. } => {}
    }
}
