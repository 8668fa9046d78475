//! The graph while statements add to it.

use std::collections::{BTreeMap, BTreeSet};

use nowcast_engine::evolve::Part;
use nowcast_engine::graph::SourceNode;
use nowcast_engine::{Graph, Node, NodeKind, OnError, StagePlan};

use super::Lowered;
use super::reads::Reads;
use crate::error::SqlError;

/// What `EXPLAIN` says of a node.
#[derive(Debug, Clone)]
pub struct NodeNote {
    pub kind: String,
    pub text: String,
    /// Whether rows leave the node as a changelog.
    pub retracts: bool,
}

impl NodeNote {
    pub fn new(kind: &str, text: &str, retracts: bool) -> Self {
        Self { kind: kind.to_owned(), text: text.to_owned(), retracts }
    }
}

#[derive(Default)]
pub struct GraphBuilder {
    graph: Graph,
    notes: Vec<NodeNote>,
    /// By node: the views and named subqueries that it stands in, and its aggregates.
    views: BTreeMap<usize, String>,
    parts: BTreeMap<usize, Vec<Part>>,
    names: BTreeSet<String>,
    /// Sources of tables that several statements read, by table: the source's node, its rows, and
    /// what is read of it.
    scans: BTreeMap<String, (usize, Lowered, Reads)>,
    /// What becomes of rows that cannot be processed, by the node of a table that says so.
    on_error: BTreeMap<String, OnError>,
    warnings: Vec<String>,
    unportable: Vec<SqlError>,
}

impl GraphBuilder {
    /// `base`, or `base#2` and so on where it is taken. The same statements in the same order get
    /// the same names, so state finds its operator again.
    pub fn free_name(&mut self, base: &str) -> String {
        let numbered = (2..).map(|number| format!("{base}#{number}"));
        let mut names = std::iter::once(base.to_owned()).chain(numbered);
        let name = names.find(|name| !self.names.contains(name)).unwrap_or_else(|| base.to_owned());
        self.names.insert(name.clone());
        name
    }

    pub fn add(&mut self, node: Node, note: NodeNote) -> usize {
        self.graph.nodes.push(node);
        self.notes.push(note);
        self.graph.nodes.len() - 1
    }

    /// Says in which views and named subqueries a node stands.
    pub fn set_views(&mut self, node: usize, views: &[String]) {
        self.views.insert(node, views.join("."));
    }

    /// Says which aggregates a node keeps, in the order of its state.
    pub fn set_parts(&mut self, node: usize, parts: Vec<Part>) {
        self.parts.insert(node, parts);
    }

    /// What the operators do and are found by in another version of the query.
    pub fn stages(&self) -> Vec<StagePlan> {
        crate::stages::stages(&self.graph, &self.notes, &self.views, &self.parts)
    }

    /// Whether rows leave the node as a changelog.
    pub fn retracts(&self, node: usize) -> bool {
        self.notes[node].retracts
    }

    /// Says that what a node emits is a changelog, or is none, whatever its inputs are.
    pub fn set_retracts(&mut self, node: usize, retracts: bool) {
        self.notes[node].retracts = retracts;
    }

    pub fn scan_of(&self, table: &str) -> Option<(Lowered, Reads)> {
        self.scans.get(table).map(|(_, rows, reads)| (rows.clone(), reads.clone()))
    }

    pub fn share_scan(&mut self, source: usize, rows: Lowered, reads: Reads) {
        self.scans.insert(reads.table().name().to_owned(), (source, rows, reads));
    }

    /// Puts a source that reads more in the place of a shared one.
    pub fn widen_scan(&mut self, wider: SourceNode, text: String, reads: Reads) {
        if let Some((source, _, known)) = self.scans.get_mut(reads.table().name()) {
            self.graph.nodes[*source].kind = NodeKind::Source(wider);
            self.notes[*source].text = text;
            *known = reads;
        }
    }

    /// A table may be declared anew under its old name.
    pub fn forget_shared(&mut self) {
        self.scans.clear();
    }

    /// Says what becomes of rows that a node cannot process, where its table says so.
    pub fn set_on_error(&mut self, node: &str, on_error: Option<OnError>) {
        self.on_error.extend(on_error.map(|on_error| (node.to_owned(), on_error)));
    }

    /// What was said so, by node.
    pub fn take_on_error(&mut self) -> BTreeMap<String, OnError> {
        std::mem::take(&mut self.on_error)
    }

    /// Tells the user what the job may run into.
    pub fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Says what the newest Flink would refuse of this plan.
    pub fn unportable(&mut self, what: SqlError) {
        self.unportable.push(what);
    }

    /// What was said so.
    pub fn take_unportable(&mut self) -> Vec<SqlError> {
        std::mem::take(&mut self.unportable)
    }

    /// The graph, its notes and the warnings.
    pub fn finish(self) -> (Graph, Vec<NodeNote>, Vec<String>) {
        (self.graph, self.notes, self.warnings)
    }
}
