//! What a plan looks like: as text, as JSON and as a Mermaid diagram.

use std::collections::BTreeSet;
use std::fmt::Write;

use nowcast_engine::{ChangelogMode, Graph, KeptRows, NodeKind, Route};
use serde_json::{Value, json};

use crate::build::NodeNote;
use crate::planner::Job;

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line a node; with `changelog` also which changes leave it.
    Text {
        changelog: bool,
    },
    Json,
    Mermaid,
}

/// The plan of a whole file.
pub fn explain(job: &Job, format: Format) -> String {
    let plan = Plan { graph: &job.graph, notes: &job.notes, ttl: job.settings.get(TTL).cloned() };
    plan.write(format)
}

pub const TTL: &str = "table.exec.state.ttl";

/// A graph with what is known of its nodes.
pub struct Plan<'a> {
    pub graph: &'a Graph,
    pub notes: &'a [NodeNote],
    /// How long state without a window is kept, as set.
    pub ttl: Option<String>,
}

/// What an operator keeps between rows.
struct State {
    kept: &'static str,
    /// Columns of its key; empty where there is one state for all rows.
    by: Vec<String>,
    until: String,
}

/// Until when operators of a kind keep their state.
enum Lasts {
    Window,
    Rows,
    Ttl,
    /// As long as the table's rows.
    Table,
    Forever,
}

/// Kinds of nodes that keep state: what it is, and until when.
const STATES: &[(&str, &str, Lasts)] = &[
    ("WindowAggregate", "aggregates of open windows", Lasts::Window),
    ("AttachedWindowAggregate", "aggregates of open windows", Lasts::Window),
    ("Session", "rows of open sessions", Lasts::Window),
    ("SessionAggregate", "aggregates of open sessions", Lasts::Window),
    ("WindowTopN", "first rows of open windows", Lasts::Window),
    ("WindowDeduplicate", "one row of each open window", Lasts::Window),
    ("WindowJoin", "rows of open windows", Lasts::Window),
    ("IntervalJoin", "rows of both inputs", Lasts::Rows),
    ("TemporalJoin", "versions, and rows that wait for theirs", Lasts::Rows),
    (
        "MatchRecognize",
        "rows of matches under way, and rows that the watermark has not passed",
        Lasts::Rows,
    ),
    ("Over", "rows of the frame, and rows that the watermark has not passed", Lasts::Forever),
    ("SortedOver", "all rows, and the answer to each", Lasts::Ttl),
    ("GroupAggregate", "an aggregate a key", Lasts::Ttl),
    ("Join", "rows of both inputs", Lasts::Ttl),
    ("TopN", "first rows of each partition", Lasts::Ttl),
    ("Deduplicate", "one row a key", Lasts::Ttl),
    ("ChangelogNormalize", "the latest row of each key", Lasts::Ttl),
    (KeptRows::STAGE, "the last row of each key, for `nowcast reconcile`", Lasts::Table),
    ("TemporalSort", "rows that the watermark has not passed", Lasts::Rows),
    ("SortLimit", "the first rows", Lasts::Ttl),
    ("Limit", "the first rows", Lasts::Ttl),
    ("INTERSECT", "how often each row stands on both sides", Lasts::Ttl),
    ("EXCEPT", "how often each row stands on both sides", Lasts::Ttl),
];

/// Whether operators of this kind keep state.
pub fn keeps_state(kind: &str) -> bool {
    ["FirstRow", "UpsertMaterialize"].contains(&kind)
        || STATES.iter().any(|(known, ..)| *known == kind)
}

/// Whether operators of this kind wait for the watermark.
pub fn waits_for_watermark(kind: &str) -> bool {
    let lasting = STATES.iter().find(|(known, ..)| *known == kind);
    matches!(lasting, Some((_, _, Lasts::Window | Lasts::Rows))) || kind == "Over"
}

impl Plan<'_> {
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Text { changelog } => self.text(changelog),
            // A value of plain parts always serialises.
            Format::Json => serde_json::to_string_pretty(&self.json()).unwrap_or_default(),
            Format::Mermaid => self.mermaid(),
        }
    }

    /// Sources first; each node with what it does, what it reads and how rows come to it.
    fn text(&self, changelog: bool) -> String {
        let mut text = String::new();
        for (id, node) in self.graph.nodes.iter().enumerate() {
            let note = &self.notes[id];
            let inputs: Vec<String> = (0..node.inputs.len())
                .map(|port| match self.route(id, port) {
                    Some(how) => format!("{} {how}", node.inputs[port].from),
                    None => node.inputs[port].from.to_string(),
                })
                .collect();
            // Writing to a String cannot fail.
            let _ = write!(text, "{id}: {} `{}`", note.kind, node.name);
            if !inputs.is_empty() {
                let _ = write!(text, " <- {}", inputs.join(", "));
            }
            if changelog {
                let _ = write!(text, "  changelog: {}", self.changes(id));
            }
            text.push('\n');
            if !note.text.is_empty() {
                let _ = writeln!(text, "     {}", note.text);
            }
            if let Some(state) = self.state(id) {
                let by = if state.by.is_empty() {
                    "one for all rows".to_owned()
                } else {
                    format!("by ({})", state.by.join(", "))
                };
                let _ = writeln!(text, "     state: {}, {by}, kept {}", state.kept, state.until);
            }
            let moved_by = self.moved_by(id);
            if !moved_by.is_empty() {
                let _ = writeln!(text, "     watermark: {}", moved_by.join(" and "));
            }
        }
        text
    }

    fn json(&self) -> Value {
        let nodes = (0..self.graph.nodes.len()).map(|id| {
            let (node, note) = (&self.graph.nodes[id], &self.notes[id]);
            let inputs = (0..node.inputs.len()).map(|port| {
                let ship = self.route(id, port).unwrap_or_else(|| "forward".into());
                json!({ "id": node.inputs[port].from, "ship_strategy": ship })
            });
            let state = self
                .state(id)
                .map(|state| json!({ "kept": state.kept, "key": state.by, "until": state.until }));
            let columns = node.schema.fields().iter().map(|field| {
                json!({ "name": field.name(), "type": crate::types::sql_name(field.data_type()) })
            });
            json!({
                "id": id,
                "type": note.kind,
                "pact": match node.kind {
                    NodeKind::Source(_) => "Data Source",
                    NodeKind::Operator(_) => "Operator",
                    NodeKind::Sink(_) => "Data Sink",
                },
                "name": node.name,
                "contents": note.text,
                "changelog_mode": self.changes(id),
                "columns": columns.collect::<Vec<_>>(),
                "predecessors": inputs.collect::<Vec<_>>(),
                "state": state,
                "watermark": self.moved_by(id),
            })
        });
        json!({ "nodes": nodes.collect::<Vec<_>>() })
    }

    fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (id, node) in self.graph.nodes.iter().enumerate() {
            let (left, right) = match node.kind {
                NodeKind::Source(_) => ("[(", ")]"),
                NodeKind::Operator(_) => ("[", "]"),
                NodeKind::Sink(_) => ("[[", "]]"),
            };
            let label = escaped(&format!("{} {}", self.notes[id].kind, node.name));
            let state = match self.state(id) {
                Some(state) => format!("<br/>state: {}", escaped(state.kept)),
                None => String::new(),
            };
            let _ = writeln!(text, "  n{id}{left}\"{label}{state}\"{right}");
            for (port, input) in node.inputs.iter().enumerate() {
                let how = self.route(id, port).unwrap_or_default();
                let label = escaped(format!("{how} {}", self.changes(input.from)).trim());
                let _ = writeln!(text, "  n{} -- \"{label}\" --> n{id}", input.from);
            }
        }
        text
    }

    /// How rows change worker on their way into a node; `None` where they do not.
    fn route(&self, id: usize, port: usize) -> Option<String> {
        let input = &self.graph.nodes[id].inputs[port];
        match &input.route {
            Route::Forward => None,
            Route::Hash(columns) => {
                let schema = &self.graph.nodes[input.from].schema;
                let names: Vec<&str> =
                    columns.iter().map(|column| schema.field(*column).name().as_str()).collect();
                Some(format!("by ({})", names.join(", ")))
            }
            Route::Single => Some("to one worker".to_owned()),
        }
    }

    /// The changes that leave a node; of a sink, those that it takes.
    fn changes(&self, id: usize) -> &'static str {
        let mode = match &self.graph.nodes[id].kind {
            NodeKind::Source(source) => source.factory.changelog_mode(),
            NodeKind::Sink(sink) => sink.changelog_mode(),
            NodeKind::Operator(_) if self.notes[id].retracts => ChangelogMode::Retract,
            NodeKind::Operator(_) => ChangelogMode::Append,
        };
        match mode {
            ChangelogMode::Append => "[I]",
            ChangelogMode::Upsert => "[I,UA,D]",
            ChangelogMode::Retract => "[I,UB,UA,D]",
        }
    }

    fn state(&self, id: usize) -> Option<State> {
        let (_, kept, lasts) = STATES.iter().find(|(kind, ..)| *kind == self.notes[id].kind)?;
        let node = &self.graph.nodes[id];
        let by = node.inputs.first().map_or(vec![], |input| match &input.route {
            Route::Hash(columns) => {
                let schema = &self.graph.nodes[input.from].schema;
                columns.iter().map(|column| schema.field(*column).name().clone()).collect()
            }
            Route::Forward | Route::Single => vec![],
        });
        let until = match lasts {
            Lasts::Window => "until the watermark has passed the end of the window".to_owned(),
            Lasts::Rows => "until the watermark has passed what may still match".to_owned(),
            Lasts::Table => "as long as the table keeps it".to_owned(),
            Lasts::Forever => "forever".to_owned(),
            Lasts::Ttl => match &self.ttl {
                Some(ttl) if !ttl.trim_start().starts_with('0') => {
                    format!("for {ttl} without a change ({TTL})")
                }
                _ => format!("forever (no {TTL})"),
            },
        };
        Some(State { kept, by, until })
    }

    /// The watermarks that move a node that waits for them: the least one counts.
    fn moved_by(&self, id: usize) -> Vec<String> {
        if !waits_for_watermark(&self.notes[id].kind) {
            return vec![];
        }
        let watermark = |source: &usize| match &self.graph.nodes[*source].kind {
            NodeKind::Source(node) => {
                let strategy = node.watermark.as_ref()?;
                let schema = &self.graph.nodes[*source].schema;
                let column = schema.field(strategy.column).name();
                Some(format!("{}.{column}", self.graph.nodes[*source].name))
            }
            _ => None,
        };
        sources_of(self.graph, id).iter().filter_map(watermark).collect()
    }
}

/// The sources upstream of a node.
pub fn sources_of(graph: &Graph, id: usize) -> BTreeSet<usize> {
    let (mut found, mut open) = (BTreeSet::new(), vec![id]);
    while let Some(node) = open.pop() {
        if matches!(graph.nodes[node].kind, NodeKind::Source(_)) {
            found.insert(node);
        }
        open.extend(graph.nodes[node].inputs.iter().map(|input| input.from));
    }
    found
}

/// Text inside a quoted label of Mermaid.
fn escaped(text: &str) -> String {
    text.replace('"', "#quot;").replace('`', "")
}
