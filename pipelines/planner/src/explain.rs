//! What a plan looks like, for people.

use std::fmt::Write;

use nowcast_engine::{Graph, NodeKind, Route};

use crate::build::NodeNote;
use crate::planner::Job;

/// Sources first; each node with what it does, what it reads and how rows come to it.
pub fn text(graph: &Graph, notes: &[NodeNote]) -> String {
    let mut text = String::new();
    for (number, (node, note)) in graph.nodes.iter().zip(notes).enumerate() {
        let inputs: Vec<String> = node
            .inputs
            .iter()
            .map(|input| match &input.route {
                Route::Forward => format!("{}", input.from),
                Route::Hash(columns) => {
                    let schema = &graph.nodes[input.from].schema;
                    let names: Vec<&str> = columns
                        .iter()
                        .map(|column| schema.field(*column).name().as_str())
                        .collect();
                    format!("{} by ({})", input.from, names.join(", "))
                }
                Route::Single => format!("{} to one worker", input.from),
            })
            .collect();
        let state = match (&node.kind, note.kind.as_str()) {
            (
                NodeKind::Operator(_),
                "WindowAggregate" | "AttachedWindowAggregate" | "WindowTopN",
            ) => "  [state: open windows]",
            (NodeKind::Operator(_), "Over") => "  [state: by key]",
            _ => "",
        };
        let from =
            if inputs.is_empty() { String::new() } else { format!(" <- {}", inputs.join(", ")) };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{number}: {} `{}`{from}{state}", note.kind, node.name);
        if !note.text.is_empty() {
            let _ = writeln!(text, "     {}", note.text);
        }
    }
    text
}

/// The plan of a whole file.
pub fn explain(job: &Job) -> String {
    text(&job.graph, &job.notes)
}
