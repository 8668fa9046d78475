//! What a plan may run into although it is right: watermarks that cannot move.

use nowcast_engine::{Graph, NodeKind};

use crate::build::NodeNote;
use crate::catalog::{Catalog, Relation, Table};
use crate::error::SqlError;
use crate::explain::{sources_of, waits_for_watermark};
use crate::planner::Settings;

const TABLE_IDLE: &str = "scan.watermark.idle-timeout";
const JOB_IDLE: &str = "table.exec.source.idle-timeout";

/// Looks at every node that waits for a watermark and at the sources that move it.
pub fn of_watermarks(
    graph: &Graph,
    notes: &[NodeNote],
    catalog: &Catalog,
    settings: &Settings,
) -> Vec<String> {
    let mut warnings: Vec<String> = vec![];
    let mut warn = |warning: SqlError| {
        let warning = warning.to_string();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    };
    for (id, node) in graph.nodes.iter().enumerate() {
        if !waits_for_watermark(&notes[id].kind) {
            continue;
        }
        let sources = sources_of(graph, id);
        let timed = |source: &usize| match &graph.nodes[*source].kind {
            NodeKind::Source(source) => source.watermark.is_some() || source.factory.bounded(),
            _ => true,
        };
        // Where no source has a watermark, the node goes by the wall clock.
        let by_event_time = sources.iter().any(|source| match &graph.nodes[*source].kind {
            NodeKind::Source(source) => source.watermark.is_some(),
            _ => false,
        });
        if !by_event_time {
            continue;
        }
        for source in &sources {
            let Some(table) = table_of(catalog, &graph.nodes[*source].name) else { continue };
            let at = table.declared.name.span.start;
            if !timed(source) {
                let message = format!(
                    "`{}` waits for the watermark of `{}`, which has none: nothing will come out",
                    node.name,
                    table.name()
                );
                warn(SqlError::new(at, message).hint("declare WATERMARK FOR a time column"));
                continue;
            }
            let NodeKind::Source(reading) = &graph.nodes[*source].kind else { continue };
            if reading.factory.bounded() {
                continue;
            }
            if let Some((column, bound)) = &table.watermark
                && bound.column_refs().is_empty()
            {
                let at = table.declared.watermark.as_ref().map_or(at, |it| it.column.span.start);
                let name = table.schema.field(*column).name();
                let message =
                    format!("the watermark of `{name}` is the constant {bound} and never moves");
                warn(SqlError::new(at, message).hint(format!("compute it from `{name}`")));
            }
            let (key, idle) = match table.definition.options.get(TABLE_IDLE) {
                Some(idle) => (TABLE_IDLE, Some(idle)),
                None => (JOB_IDLE, settings.get(JOB_IDLE)),
            };
            if idle.is_some_and(|idle| is_zero(idle)) {
                let at = table.place(&format!("'{key}'"));
                let message = format!(
                    "'{key}' is off: one partition of `{}` without rows holds back all of `{}`",
                    table.name(),
                    node.name
                );
                warn(SqlError::new(at, message).hint(format!("'{TABLE_IDLE}' = '5 s'")));
            }
        }
    }
    warnings
}

/// The table that a source node reads: nodes of further scans are numbered.
fn table_of<'a>(catalog: &'a Catalog, node: &str) -> Option<&'a Table> {
    match catalog.relations.get(node.split('#').next()?)? {
        Relation::Table(table) => Some(table),
        Relation::View(_) => None,
    }
}

/// `0`, `0 s`, `0ms`.
fn is_zero(duration: &str) -> bool {
    let digits: String = duration.trim().chars().take_while(char::is_ascii_digit).collect();
    !digits.is_empty() && digits.chars().all(|digit| digit == '0')
}
