//! Operators as another version of the query finds them again.

use std::collections::{BTreeMap, BTreeSet};

use nowcast_engine::evolve::Part;
use nowcast_engine::{Graph, NodeKind, Route, StagePlan};

use crate::build::NodeNote;
use crate::explain::{keeps_state, sources_of};

/// The operators of a graph. Their ids are made of names that the query gives (the table written, views
/// and named subqueries, the kind, the key, the tables read), so that an operator more, or another order
/// of statements, changes none of the others. Operators of equal names are numbered in their order.
pub fn stages(
    graph: &Graph,
    notes: &[NodeNote],
    views: &BTreeMap<usize, String>,
    parts: &BTreeMap<usize, Vec<Part>>,
) -> Vec<StagePlan> {
    let mut taken = BTreeSet::new();
    let mut stages = vec![];
    for (at, node) in graph.nodes.iter().enumerate() {
        if !matches!(node.kind, NodeKind::Operator(_)) {
            continue;
        }
        let (note, own) = (&notes[at], parts.get(&at));
        let input = |from: usize| &graph.nodes[from].schema;
        let key = node.inputs.iter().find_map(|input| match &input.route {
            Route::Hash(columns) => Some((input.from, columns)),
            Route::Forward | Route::Single => None,
        });
        let key: Vec<(String, String)> = key.map_or(vec![], |(from, columns)| {
            let column = |column: &usize| {
                let field = input(from).field(*column);
                (field.name().clone(), field.data_type().to_string())
            };
            columns.iter().map(column).collect()
        });
        let reads: Vec<String> =
            sources_of(graph, at).into_iter().map(|it| unnumbered(&graph.nodes[it].name)).collect();
        let columns = node.inputs.iter().flat_map(|it| input(it.from).fields().iter());
        let (columns, types): (Vec<String>, Vec<String>) =
            columns.map(|field| (field.name().clone(), field.data_type().to_string())).unzip();
        let names: Vec<&str> = key.iter().map(|(name, _)| name.as_str()).collect();
        let table = unnumbered(node.name.split('/').next().unwrap_or_default());
        let id = format!(
            "{table}/{}/{}({}) of {}",
            views.get(&at).map_or("", String::as_str),
            note.kind,
            names.join(","),
            reads.join(",")
        );
        let numbered = (2..).map(|number| format!("{id}#{number}"));
        let mut ids = std::iter::once(id.clone()).chain(numbered);
        let id = ids.find(|id| !taken.contains(id)).unwrap_or_else(|| id.clone());
        taken.insert(id.clone());
        stages.push(StagePlan {
            name: node.name.clone(),
            id,
            does: note.kind.clone(),
            keeps: keeps_state(&note.kind),
            key,
            reads,
            spec: note.text.clone(),
            columns: if own.is_some() { vec![] } else { columns },
            types: if own.is_some() { vec![] } else { types },
            parts: own.cloned().unwrap_or_default(),
            derived: note.kind == "UpsertMaterialize",
            retracts: node.inputs.iter().any(|input| notes[input.from].retracts),
        });
    }
    stages
}

/// The name without the number of a further node of that name.
fn unnumbered(name: &str) -> String {
    name.split('#').next().unwrap_or(name).to_owned()
}
