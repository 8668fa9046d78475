//! MATCH_RECOGNIZE.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_expr::{Expr, UserDefinedLogicalNodeCore};
use nowcast_transforms::{
    AggregateCall, Condition, End, MatchClock, MatchRecognize, MatchRecognizeSpec, Reference,
};

use super::{Lowered, Lowering, boxed, by};
use crate::catalog::Role;
use crate::error::SqlResult;
use crate::evaluate::compile;
use crate::match_recognize::{Match, MatchArgument, MatchCondition, MatchReference};
use crate::node::FlinkNode;

impl Lowering<'_> {
    pub(super) fn match_recognize(
        &mut self,
        matching: &Match,
        node: &FlinkNode,
    ) -> SqlResult<Lowered> {
        let input = self.lower(&node.input)?;
        self.inserts_only(&input, &["MATCH_RECOGNIZE"], "MATCH_RECOGNIZE")?;
        let below = node.input.schema();
        let wanted: Vec<Expr> = matching.columns.iter().cloned().map(Expr::Column).collect();
        let all: Vec<Expr> = below.iter().map(Expr::from).collect();
        let input = match wanted == all {
            true => input,
            false => self.calc(input, below, None, &wanted)?,
        };
        let clock = self.clock(matching, &input)?;
        let conditions = matching.variables.iter().map(|variable| {
            variable.condition.as_ref().map(|of| self.condition(of, matching)).transpose()
        });
        let conditions = conditions.collect::<SqlResult<Vec<_>>>()?;
        let measures = matching.measures.iter().map(|measure| self.reference(measure, matching));
        let measures = measures.collect::<SqlResult<Vec<_>>>()?;
        let fields = node.schema().fields().iter().cloned();
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let role = |(nth, measure): (usize, &MatchReference)| match measure {
            MatchReference::Time => Role::EventTime,
            MatchReference::ProcessingTime => Role::ProcessingTime,
            MatchReference::Row { column, .. } if nth < matching.partition.len() => {
                super::columns::not_event_time(input.roles[*column])
            }
            _ => Role::Plain,
        };
        let roles = matching.measures.iter().enumerate().map(role).collect();
        let spec = MatchRecognizeSpec {
            clock,
            time: matching.time,
            order: matching.order.clone(),
            partition: matching.partition.clone(),
            quantifiers: matching.variables.iter().map(|variable| variable.quantifier).collect(),
            conditions,
            within_ms: matching.within_ms,
            skip: matching.skip,
            measures,
            input_schema: Arc::clone(&input.schema),
            schema: Arc::clone(&schema),
        };
        if matching.within_ms.is_none() {
            self.graph.warn(format!(
                "{}: MATCH_RECOGNIZE without WITHIN keeps matches under way forever, its state grows \
                 with the keys: PATTERN (…) WITHIN INTERVAL '1' HOUR ends them",
                self.scope
            ));
        }
        let within = matching.within_ms.map(|ms| format!(" WITHIN {ms} ms")).unwrap_or_default();
        let names: Vec<&str> = matching.fields.iter().map(|field| field.name().as_str()).collect();
        let text = format!("{}{within}: {}", matching.text, names.join(", "));
        let from = vec![(input.node, by(&matching.partition))];
        let make = move |_| Ok(boxed(MatchRecognize::new(spec.clone())?));
        self.operator("MatchRecognize", &text, from, schema, roles, Arc::new(make))
    }

    /// The time that rows are matched in.
    fn clock(&self, matching: &Match, input: &Lowered) -> SqlResult<MatchClock> {
        let conditions = matching.variables.iter().filter_map(|of| of.condition.as_ref());
        let references = conditions.flat_map(|of| &of.references).chain(&matching.measures);
        let references: Vec<&MatchReference> = references.collect();
        let reads = |reference| references.contains(&&reference);
        let name = &matching.columns[matching.time].name;
        let (words, message, hint) = match input.roles[matching.time] {
            Role::EventTime if reads(MatchReference::ProcessingTime) => (
                "MATCH_PROCTIME",
                "MATCH_PROCTIME of rows in the order of an event time is not supported yet",
                "MATCH_ROWTIME() is their time",
            ),
            Role::EventTime => return Ok(MatchClock::EventTime),
            Role::ProcessingTime if reads(MatchReference::Time) => (
                "MATCH_ROWTIME",
                "MATCH_ROWTIME of rows in the order of a processing time",
                "MATCH_PROCTIME() is their time",
            ),
            Role::ProcessingTime if !matching.order.is_empty() => (
                name.as_str(),
                "further sort keys behind a processing time are not supported yet",
                "ORDER BY the processing time alone",
            ),
            Role::ProcessingTime => return Ok(MatchClock::ProcessingTime),
            _ => return Err(self.not_event_time(name)),
        };
        Err(self.extent.error_at(&[words], message).hint(hint))
    }

    fn condition(&self, of: &MatchCondition, matching: &Match) -> SqlResult<Condition> {
        let (condition, _) =
            compile(&of.condition, &of.schema).map_err(|error| self.extent.translate(error))?;
        let references = of.references.iter().map(|of| self.reference(of, matching));
        let fields = of.schema.fields().iter();
        let fields: Vec<Field> = fields.map(|field| field.as_ref().clone()).collect();
        Ok(Condition {
            columns: of.columns.clone(),
            references: references.collect::<SqlResult<_>>()?,
            schema: Arc::new(Schema::new(fields)),
            condition,
        })
    }

    fn reference(&self, of: &MatchReference, matching: &Match) -> SqlResult<Reference> {
        Ok(match of {
            MatchReference::Time => Reference::Time,
            MatchReference::ProcessingTime => {
                Reference::Row { variable: None, end: End::Last, offset: 0, column: matching.time }
            }
            MatchReference::Row { variable, end, offset, column } => {
                Reference::Row { variable: *variable, end: *end, offset: *offset, column: *column }
            }
            MatchReference::Aggregate { variable, aggregate } => {
                let arg = |arg: &MatchArgument| match arg {
                    MatchArgument::Column(column) => Expr::from(matching.columns[*column].clone()),
                    MatchArgument::Constant(value) => Expr::Literal(value.clone(), None),
                };
                let args = aggregate.args.iter().map(arg).collect();
                let (function, args) = self.function(&aggregate.function, args)?;
                let place = |arg: Expr| {
                    matching.columns.iter().position(|known| Expr::from(known.clone()) == arg)
                };
                let args = args.into_iter().map(place).collect::<Option<Vec<_>>>();
                let args = args.ok_or_else(|| {
                    self.extent.error_at(
                        &[&aggregate.function],
                        "an aggregate of constants inside MATCH_RECOGNIZE is not supported yet",
                    )
                })?;
                let output = aggregate.output.clone();
                let call = AggregateCall { function, args, distinct: false, filter: None, output };
                Reference::Aggregate { variable: *variable, call }
            }
        })
    }
}
