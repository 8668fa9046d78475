//! Special forms of Flink SQL as plain calls, before DataFusion plans them.

use std::convert::Infallible;
use std::ops::ControlFlow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Ident, Interval,
    LimitClause, Query, Select, SetExpr, Spanned, TableFactor, TimezoneInfo, TrimWhereField,
    TypedString, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut, visit_expressions_mut,
};

use super::dialect::{TABLE_ARGUMENT, call, call_ident, text};
use super::group_windows::rewrite_group_windows;
use super::names::name_columns;
use super::row_in::row_in;
use crate::error::{SqlError, SqlResult};
use crate::functions::clock::CURRENT_ROW_TIMESTAMP;

/// Argument of ML_PREDICT in its lateral form: the alias of the input.
pub const LATERAL_INPUT: &str = "__INPUT_ALIAS";
/// Argument of ML_PREDICT in its lateral form: the alias of the outputs.
pub const LATERAL_OUTPUT: &str = "__OUTPUT_ALIAS";

/// What becomes of PROCTIME(), CURRENT_TIMESTAMP and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    Read,
    /// A watermark is event time.
    Refused,
}

pub fn rewrite_query(query: &mut Query) -> SqlResult<()> {
    rewrite_lateral(query);
    let ControlFlow::<Infallible>::Continue(()) = query.visit(&mut FetchIsLimit);
    name_columns(query);
    rewrite_group_windows(query)?;
    rewrite_expressions(query, Clocks::Read)
}

/// `OFFSET 2 ROWS FETCH NEXT 5 ROWS ONLY` as `LIMIT 5 OFFSET 2`.
struct FetchIsLimit;

impl VisitorMut for FetchIsLimit {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        if let Some(fetch) = query.fetch.take_if(|fetch| !fetch.with_ties && !fetch.percent) {
            let one = || Expr::value(Value::Number("1".into(), false));
            let offset = match query.limit_clause.take() {
                Some(LimitClause::LimitOffset { offset, .. }) => offset,
                _ => None,
            };
            let limit = Some(fetch.quantity.unwrap_or_else(one));
            query.limit_clause = Some(LimitClause::LimitOffset { limit, offset, limit_by: vec![] });
        }
        ControlFlow::Continue(())
    }
}

/// Rewrites an expression, or all in a query, from the leaves up.
pub fn rewrite_expressions(of: &mut impl VisitMut, clocks: Clocks) -> SqlResult<()> {
    let visited = visit_expressions_mut(of, |expr| match rewritten(expr, clocks) {
        Ok(None) => ControlFlow::Continue(()),
        Ok(Some(other)) => {
            *expr = other;
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    });
    match visited {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn rewritten(expr: &Expr, clocks: Clocks) -> SqlResult<Option<Expr>> {
    Ok(match expr {
        Expr::Interval(interval) => match composite_interval(interval)? {
            // How many digits a value has is seen from it.
            None if interval.leading_precision.is_some() => {
                Some(Expr::Interval(Interval { leading_precision: None, ..interval.clone() }))
            }
            other => other,
        },
        Expr::Extract { field, expr, .. } => Some(extract(&field.to_string(), *expr.clone())),
        Expr::Floor { expr, field } => Some(round_to("floor", expr, field)),
        Expr::Ceil { expr, field } => Some(round_to("ceil", expr, field)),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let parts = [Some(expr), substring_from.as_ref(), substring_for.as_ref()];
            Some(call("substring", parts.into_iter().flatten().map(|e| *e.clone()).collect()))
        }
        Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
            let side = match trim_where {
                Some(TrimWhereField::Leading) => "LEADING",
                Some(TrimWhereField::Trailing) => "TRAILING",
                Some(TrimWhereField::Both) | None => "BOTH",
            };
            let mut arguments = vec![*expr.clone(), text(side)];
            arguments.extend(trim_what.as_deref().cloned());
            arguments.extend(trim_characters.iter().flatten().cloned());
            Some(call("trim", arguments))
        }
        Expr::Position { expr, r#in } => Some(call("position", vec![*expr.clone(), *r#in.clone()])),
        Expr::Function(function) => rewritten_call(function, clocks)?,
        Expr::InSubquery { .. } | Expr::InList { .. } => row_in(expr)?,
        Expr::TypedString(literal) => timestamp_literal(literal),
        Expr::Value(ValueWithSpan { value: Value::UnicodeStringLiteral(value), .. }) => {
            Some(text(value.clone()))
        }
        // A literal with an exponent is a DOUBLE, one without is exact.
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. })
            if digits.contains(['e', 'E']) =>
        {
            Some(call("__cast", vec![text(digits.clone()), text("DOUBLE")]))
        }
        // Without ESCAPE no letter escapes, which DataFusion sees otherwise.
        Expr::Like { negated, any: false, expr, pattern, escape_char }
            if escape_char.is_some() || pattern.to_string().contains('\\') =>
        {
            let escape = escape_char.as_ref().map(|escape| Expr::Value(escape.clone()));
            let mut arguments = vec![*expr.clone(), *pattern.clone()];
            arguments.extend(escape);
            let test = call("like", arguments);
            Some(match negated {
                true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(test) },
                false => test,
            })
        }
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let escape = escape_char.as_ref().map(|escape| Expr::Value(escape.clone()));
            let mut arguments = vec![*expr.clone(), *pattern.clone()];
            arguments.extend(escape);
            let test = call("similar_to", arguments);
            Some(match negated {
                true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(test) },
                false => test,
            })
        }
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let parts = [Some(expr), Some(overlay_what), Some(overlay_from), overlay_for.as_ref()];
            Some(call("overlay", parts.into_iter().flatten().map(|e| *e.clone()).collect()))
        }
        Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => overlaps(left, right),
        _ => None,
    })
}

fn rewritten_call(function: &Function, clocks: Clocks) -> SqlResult<Option<Expr>> {
    let [name] = function.name.0.as_slice() else { return Ok(None) };
    let Some(name) = name.as_ident() else { return Ok(None) };
    let upper = name.value.to_uppercase();
    let arguments = positional(function);
    Ok(match (upper.as_str(), arguments.as_slice()) {
        ("IF", [condition, then, otherwise]) => {
            Some(case(condition.clone(), then.clone(), otherwise.clone()))
        }
        ("IFNULL", [_, _]) => Some(call_ident(renamed(name, "coalesce"), arguments)),
        ("MOD", [left, right]) => Some(Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: BinaryOperator::Modulo,
            right: Box::new(right.clone()),
        }))),
        (
            "YEAR" | "QUARTER" | "MONTH" | "WEEK" | "DAYOFYEAR" | "DAYOFMONTH" | "DAYOFWEEK"
            | "HOUR" | "MINUTE" | "SECOND",
            [time],
        ) => Some(extract(&upper, time.clone())),
        ("TIMESTAMPADD" | "TIMESTAMPDIFF", [Expr::Identifier(unit), rest @ ..]) => {
            let unit = text(unit.value.to_uppercase());
            let arguments = std::iter::once(unit).chain(rest.iter().cloned()).collect();
            Some(call_ident(name.clone(), arguments))
        }
        ("JSON", [json]) => Some(json.clone()),
        ("SUBSTR", _) => Some(call_ident(renamed(name, "substring"), arguments)),
        ("CEILING", _) => Some(call_ident(renamed(name, "ceil"), arguments)),
        ("ROW", _) => Some(call_ident(renamed(name, "row"), arguments)),
        _ => clock(name, arguments.len(), clocks)?,
    })
}

/// What the clock says, over CURRENT_ROW_TIMESTAMP().
fn clock(name: &Ident, arguments: usize, clocks: Clocks) -> SqlResult<Option<Expr>> {
    let upper = name.value.to_uppercase();
    let timestamp = DataType::Timestamp(Some(3), TimezoneInfo::None);
    let now = || call_ident(renamed(name, CURRENT_ROW_TIMESTAMP), vec![]);
    let said = match upper.as_str() {
        // Known by their own names.
        "PROCTIME" | "CURRENT_ROW_TIMESTAMP" => None,
        "CURRENT_TIMESTAMP" | "NOW" => Some(now()),
        "LOCALTIMESTAMP" => Some(cast(now(), timestamp)),
        "CURRENT_DATE" => Some(cast(now(), DataType::Date)),
        "CURRENT_TIME" | "LOCALTIME" => Some(cast(now(), DataType::Time(None, TimezoneInfo::None))),
        "UNIX_TIMESTAMP" if arguments == 0 => Some(call_ident(name.clone(), vec![now()])),
        _ => return Ok(None),
    };
    if clocks == Clocks::Refused {
        return Err(SqlError::new(name.span.start, format!("{upper} does not move a watermark"))
            .hint("compute the watermark from the time column"));
    }
    Ok(said)
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// The arguments of a call by position.
pub fn positional(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return vec![] };
    let expr = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().filter_map(expr).collect()
}

fn renamed(name: &Ident, to: &str) -> Ident {
    Ident { value: to.into(), ..name.clone() }
}

fn case(condition: Expr, then: Expr, otherwise: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result: then }],
        else_result: Some(Box::new(otherwise)),
    }
}

fn extract(unit: &str, time: Expr) -> Expr {
    call("extract", vec![text(unit.to_uppercase()), time])
}

/// `FLOOR(ts TO HOUR)`, `FLOOR(x)`.
fn round_to(function: &str, expr: &Expr, field: &CeilFloorKind) -> Expr {
    match field {
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {
            call(function, vec![expr.clone()])
        }
        CeilFloorKind::DateTimeField(unit) => call(
            &format!("{function}_to"),
            vec![expr.clone(), text(unit.to_string().to_uppercase())],
        ),
        CeilFloorKind::Scale(scale) => {
            call(function, vec![expr.clone(), Expr::Value(scale.clone())])
        }
    }
}

/// `TIMESTAMP '… 12:00:00.5'` has as many fractional digits as are written.
fn timestamp_literal(literal: &TypedString) -> Option<Expr> {
    let DataType::Timestamp(None, zone) = &literal.data_type else { return None };
    let written = literal.value.value.clone().into_string()?;
    let digits = written.split_once('.').map_or(0, |(_, fraction)| fraction.trim().len());
    let data_type = DataType::Timestamp(Some(digits as u64), *zone);
    Some(Expr::TypedString(TypedString { data_type, ..literal.clone() }))
}

/// `(a, b) OVERLAPS (c, d)`: each a start with an end or a length.
fn overlaps(left: &Expr, right: &Expr) -> Option<Expr> {
    let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right) else { return None };
    let ([a, b], [c, d]) = (left.as_slice(), right.as_slice()) else { return None };
    let end = |start: &Expr, end: &Expr| match end {
        Expr::Interval(_) => binary(start.clone(), BinaryOperator::Plus, end.clone()),
        _ => end.clone(),
    };
    let (b, d) = (end(a, b), end(c, d));
    let span = |from: &Expr, to: &Expr| {
        let ordered = binary(from.clone(), BinaryOperator::LtEq, to.clone());
        [case(ordered.clone(), from.clone(), to.clone()), case(ordered, to.clone(), from.clone())]
    };
    let ([first, last], [from, to]) = (span(a, &b), span(c, &d));
    Some(Expr::Nested(Box::new(binary(
        binary(last, BinaryOperator::GtEq, from),
        BinaryOperator::And,
        binary(to, BinaryOperator::GtEq, first),
    ))))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// `INTERVAL '1 02:03' DAY TO MINUTE` as seconds, which DataFusion knows.
fn composite_interval(interval: &Interval) -> SqlResult<Option<Expr>> {
    let (Some(from), Some(to)) = (&interval.leading_field, &interval.last_field) else {
        return Ok(None);
    };
    let at = interval.value.span().start;
    let Expr::Value(value) = interval.value.as_ref() else { return Ok(None) };
    let literal = value.value.clone().into_string().unwrap_or_default();
    let bad = || SqlError::new(at, format!("'{literal}' is no interval {from} TO {to}"));
    if matches!(from, DateTimeField::Year) {
        let (years, months) = literal.split_once('-').ok_or_else(bad)?;
        let years: i64 = years.trim().parse().map_err(|_| bad())?;
        let months: i64 = months.trim().parse().map_err(|_| bad())?;
        return Ok(Some(plain_interval(format!("{}", years * 12 + months), DateTimeField::Month)));
    }
    let digits = literal.trim().trim_start_matches('-');
    let parts: Vec<&str> = digits.split([' ', ':']).collect();
    let units = [
        (DateTimeField::Day, 86_400.0),
        (DateTimeField::Hour, 3_600.0),
        (DateTimeField::Minute, 60.0),
        (DateTimeField::Second, 1.0),
    ];
    let first = units.iter().position(|(unit, _)| unit == from).ok_or_else(bad)?;
    let last = units.iter().position(|(unit, _)| unit == to).ok_or_else(bad)?;
    if last < first || parts.len() != last - first + 1 {
        return Err(bad());
    }
    let mut seconds = 0.0;
    for (part, (_, length)) in parts.iter().zip(&units[first..]) {
        seconds += part.parse::<f64>().map_err(|_| bad())? * length;
    }
    let sign = if literal.trim().starts_with('-') { "-" } else { "" };
    Ok(Some(plain_interval(format!("{sign}{seconds}"), DateTimeField::Second)))
}

fn plain_interval(value: String, unit: DateTimeField) -> Expr {
    Expr::Interval(Interval {
        value: Box::new(text(value)),
        leading_field: Some(unit),
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

/// `FROM t, LATERAL TABLE(ML_PREDICT(TABLE t, …)) AS p` reads `t` once: the rows of `t` with the
/// outputs as columns of `p`.
fn rewrite_lateral(query: &mut Query) {
    if let Some(with) = &mut query.with {
        with.cte_tables.iter_mut().for_each(|table| rewrite_lateral(&mut table.query));
    }
    rewrite_lateral_in(&mut query.body);
}

fn rewrite_lateral_in(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => rewrite_lateral_of(select),
        SetExpr::Query(query) => rewrite_lateral(query),
        SetExpr::SetOperation { left, right, .. } => {
            rewrite_lateral_in(left);
            rewrite_lateral_in(right);
        }
        _ => {}
    }
}

fn rewrite_lateral_of(select: &mut Select) {
    for table in &mut select.from {
        if let TableFactor::Derived { subquery, .. } = &mut table.relation {
            rewrite_lateral(subquery);
        }
    }
    let [input, scored] = select.from.as_slice() else { return };
    if !input.joins.is_empty() || !scored.joins.is_empty() {
        return;
    }
    let TableFactor::Table { name, alias, args: None, .. } = &input.relation else { return };
    let TableFactor::Function { lateral: true, name: table, args, alias: Some(output), .. } =
        &scored.relation
    else {
        return;
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(predict)))] = args.as_slice()
    else {
        return;
    };
    let is = |name: &sqlparser::ast::ObjectName, wanted: &str| {
        name.to_string().eq_ignore_ascii_case(wanted)
    };
    if !is(table, "TABLE") || !is(&predict.name, "ML_PREDICT") || !reads(predict, &name.to_string())
    {
        return;
    }
    let input_alias = alias.as_ref().map_or_else(|| name.to_string(), |a| a.name.value.clone());
    let mut predict = predict.clone();
    if let FunctionArguments::List(list) = &mut predict.args {
        for (parameter, value) in
            [(LATERAL_INPUT, input_alias), (LATERAL_OUTPUT, output.name.value.clone())]
        {
            list.args.push(FunctionArg::Named {
                name: Ident::new(parameter),
                arg: FunctionArgExpr::Expr(text(value)),
                operator: FunctionArgOperator::RightArrow,
            });
        }
    }
    select.from.truncate(1);
    select.from[0].relation =
        TableFactor::TableFunction { expr: Expr::Function(predict), alias: None };
}

/// Whether an argument of the call is `TABLE name`.
fn reads(predict: &Function, name: &str) -> bool {
    let FunctionArguments::List(list) = &predict.args else { return false };
    list.args.iter().any(|argument| {
        let (FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(table)))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(Expr::Function(table)), .. }) = argument
        else {
            return false;
        };
        table.name.to_string() == TABLE_ARGUMENT
            && matches!(positional(table).as_slice(), [Expr::Identifier(table), ..] if table.value == name)
    })
}
