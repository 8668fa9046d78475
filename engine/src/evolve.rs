//! The state of one version of a query for the next: which operator goes on with which state, what is
//! converted on the way and what would be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt16Array, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::keys::{KeyCodec, key_group, key_hash};
use crate::operator::{KEY_GROUP, StateTable};

/// What errors of lost state begin with.
pub const LOSS: &str = "state would be lost";

/// An operator as a plan has it: what it is found by in another version, and what its state means. It
/// stands in the manifest of each checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StagePlan {
    /// The node's name in its graph.
    pub name: String,
    /// Of the query's own names: the table written, the view, the kind of operator, its key and the
    /// tables read; not of its place among others.
    pub id: String,
    /// The kind, such as `GroupAggregate`.
    pub does: String,
    /// Whether it keeps state.
    pub keeps: bool,
    /// Name and type of each column of its key.
    pub key: Vec<(String, String)>,
    /// The tables that its rows come from.
    pub reads: Vec<String>,
    /// What it does, in words that change when its state means something else.
    pub spec: String,
    /// The columns of the rows it keeps; none where it keeps `parts` alone.
    pub columns: Vec<String>,
    /// Their types.
    #[serde(default)]
    pub types: Vec<String>,
    /// The aggregates of one that aggregates, in the order of its state.
    pub parts: Vec<Part>,
    /// Whether rows that come in are taken back again.
    pub retracts: bool,
    /// Whether its state only repeats what others know, to write it: where it is lost, results are
    /// right again once they change.
    #[serde(default)]
    pub derived: bool,
}

/// One aggregate of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub text: String,
    /// Types of its arguments.
    pub types: Vec<String>,
}

/// State of an operator as it is there.
#[derive(Debug, Clone)]
pub struct Held {
    pub name: String,
    /// What is known of the operator; checkpoints of earlier versions know its name alone.
    pub plan: Option<StagePlan>,
    pub rows: usize,
    pub tables: Vec<(String, SchemaRef)>,
}

/// What becomes of an operator's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Converted,
    /// There was no such operator.
    New,
    Lost,
}

/// An operator in both versions, or in one of them.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its name in the new version; in the old one where it is lost.
    pub name: String,
    /// Its name in the old version.
    pub was: Option<String>,
    pub does: String,
    pub key: Vec<String>,
    pub reads: Vec<String>,
    /// Rows of state.
    pub rows: usize,
    pub fate: Fate,
    /// What is to be known of it.
    pub notes: Vec<String>,
    /// Whether it has state in either version.
    pub keeps: bool,
    /// Whether something is lost that only the user can give up.
    pub loses: bool,
    derived: bool,
    /// Of each new aggregate, the old one whose state it goes on with.
    parts: Vec<Option<usize>>,
}

/// Compares what is there with what a new version has. `blanks` gives the state of an operator that
/// has seen no rows ([`crate::Operator::blank`]), by its name.
pub fn compare(
    held: &[Held],
    plan: &[StagePlan],
    blanks: &dyn Fn(&str) -> Result<Vec<StateTable>>,
) -> Result<Vec<Change>> {
    let pairs = pairs(held, plan);
    let mut changes = vec![];
    for new in plan {
        let was = pairs.get(new.name.as_str()).map(|at| &held[*at]);
        match was {
            Some(was) => changes.push(change(was, new, &blanks(&new.name)?)),
            None if new.keeps => changes.push(Change::of(new, None, Fate::New)),
            None => {}
        }
    }
    let taken: BTreeSet<usize> = pairs.values().copied().collect();
    let left = held.iter().enumerate().filter(|(at, held)| !taken.contains(at) && held.rows > 0);
    changes.extend(left.map(|(_, held)| Change::left(held)));
    Ok(changes)
}

/// Which state each operator of the new version goes on with: by its id, else the only one that does
/// the same with the same tables under another name.
fn pairs<'a>(held: &[Held], plan: &'a [StagePlan]) -> BTreeMap<&'a str, usize> {
    let mut pairs = BTreeMap::new();
    let mut free: BTreeSet<usize> = (0..held.len()).collect();
    for new in plan {
        let same = |at: &&usize| match &held[**at].plan {
            Some(old) => old.id == new.id,
            None => held[**at].name == new.name,
        };
        if let Some(at) = free.iter().find(same).copied() {
            free.remove(&at);
            pairs.insert(new.name.as_str(), at);
        }
    }
    let alike = |old: &StagePlan, new: &StagePlan| {
        let of = |it: &StagePlan| {
            let key: Vec<String> = it.key.iter().map(|(name, _)| name.clone()).collect();
            (it.does.clone(), key, it.reads.clone(), it.spec.clone())
        };
        of(old) == of(new)
    };
    let open: Vec<&StagePlan> =
        plan.iter().filter(|new| !pairs.contains_key(new.name.as_str())).collect();
    for new in &open {
        let olds: Vec<usize> = free
            .iter()
            .copied()
            .filter(|at| held[*at].plan.as_ref().is_some_and(|old| alike(old, new)))
            .collect();
        let rivals = open.iter().filter(|other| alike(other, new)).count();
        if let ([at], 1) = (olds.as_slice(), rivals) {
            free.remove(at);
            pairs.insert(new.name.as_str(), *at);
        }
    }
    pairs
}

impl Change {
    fn of(plan: &StagePlan, was: Option<&Held>, fate: Fate) -> Self {
        Self {
            name: plan.name.clone(),
            was: was.map(|was| was.name.clone()),
            does: plan.does.clone(),
            key: plan.key.iter().map(|(name, _)| name.clone()).collect(),
            reads: plan.reads.clone(),
            rows: was.map_or(0, |was| was.rows),
            fate,
            notes: vec![],
            keeps: plan.keeps || was.is_some_and(|was| was.rows > 0),
            loses: false,
            derived: plan.derived,
            parts: vec![],
        }
    }

    /// State without an operator.
    fn left(held: &Held) -> Self {
        let unknown = StagePlan { name: held.name.clone(), ..StagePlan::default() };
        let plan = held.plan.as_ref().unwrap_or(&unknown);
        let note = match plan.derived {
            true => "the query needs it no more",
            false => "the query has no such operator any more",
        };
        Self {
            name: held.name.clone(),
            loses: !plan.derived,
            notes: vec![note.to_owned()],
            ..Self::of(plan, Some(held), Fate::Lost)
        }
    }

    fn lost(self, why: String) -> Self {
        let loses = self.rows > 0 && !self.derived;
        let mut notes = vec![why];
        if self.derived {
            notes.push("a row that is deleted before it changes stays in the table".to_owned());
        }
        Self { fate: Fate::Lost, loses, notes, ..self }
    }
}

/// An operator that is there in both versions.
fn change(was: &Held, new: &StagePlan, blanks: &[StateTable]) -> Change {
    let mut change = Change::of(new, Some(was), Fate::Kept);
    let mut retyped = BTreeSet::new();
    change.parts = (0..new.parts.len()).map(Some).collect();
    if let Some(old) = &was.plan {
        if old.spec != new.spec {
            return change.lost(format!("it was: {}; it is: {}", old.spec, new.spec));
        }
        if old.columns != new.columns {
            let (was, is) = (old.columns.join(", "), new.columns.join(", "));
            return change.lost(format!("it keeps rows of ({was}), now of ({is})"));
        }
        // Rows may be kept as bytes, which only the operator itself could read.
        if blanks.is_empty() && old.types != new.types {
            let (was, is) = (old.types.join(", "), new.types.join(", "));
            return change.lost(format!("it keeps rows of types ({was}), now of ({is})"));
        }
        change.parts = parts(&old.parts, &new.parts);
        let added: Vec<&str> = unmatched(&new.parts, &change.parts);
        if !added.is_empty() && new.retracts && was.rows > 0 {
            let added = added.join(", ");
            return change.lost(format!("{added} cannot begin now, since rows are taken back"));
        }
        let dropped: Vec<&str> = old
            .parts
            .iter()
            .enumerate()
            .filter(|(at, _)| !change.parts.contains(&Some(*at)))
            .map(|(_, part)| part.text.as_str())
            .collect();
        if !added.is_empty() {
            change.notes.push(format!("{} from now on", added.join(", ")));
        }
        if !dropped.is_empty() {
            change.notes.push(format!("without {}", dropped.join(", ")));
        }
        // One in place of another: results go on that were never computed over the same rows.
        change.loses = !added.is_empty() && !dropped.is_empty() && was.rows > 0;
        for (nth, from) in change.parts.iter().enumerate() {
            if from.is_some_and(|from| old.parts[from].types != new.parts[nth].types) {
                retyped.insert(nth);
            }
        }
    }
    for (name, schema) in &was.tables {
        if blanks.is_empty() {
            break;
        }
        let Some(blank) = blank_of(blanks, name) else {
            return change.lost(format!("its state {name:?} is of another kind"));
        };
        let none = RecordBatch::new_empty(Arc::clone(schema));
        match convert(&none, &blank.rows, &change.parts, &retyped) {
            Ok((_, notes)) => {
                let fresh = notes.into_iter().filter(|note| !change.notes.contains(note));
                let fresh: Vec<String> = fresh.collect();
                change.notes.extend(fresh);
            }
            Err(why) => return change.lost(why),
        }
    }
    let keys_differ = was.plan.as_ref().is_some_and(|old| old.key != new.key);
    let by_key = |(_, schema): &(String, SchemaRef)| schema.field_with_name("key_0").is_ok();
    if keys_differ && (blanks.is_empty() || !was.tables.iter().all(by_key)) {
        let words = |key: &[(String, String)]| {
            let columns = key.iter().map(|(name, ty)| format!("{name} {ty}"));
            columns.collect::<Vec<_>>().join(", ")
        };
        let old = was.plan.as_ref().map_or_else(String::new, |old| words(&old.key));
        return change.lost(format!("its key was ({old}), now ({})", words(&new.key)));
    }
    if !change.notes.is_empty() {
        change.fate = Fate::Converted;
    }
    change
}

/// Of each new aggregate the old one: of the same words, else of the same but for casts.
fn parts(old: &[Part], new: &[Part]) -> Vec<Option<usize>> {
    let mut free: BTreeSet<usize> = (0..old.len()).collect();
    let mut found = vec![None; new.len()];
    let exact = |old: &Part, new: &Part| old == new;
    let words = |old: &Part, new: &Part| old.text == new.text;
    let bare = |old: &Part, new: &Part| without_casts(&old.text) == without_casts(&new.text);
    for same in [exact as fn(&Part, &Part) -> bool, words, bare] {
        for (nth, part) in
            new.iter().enumerate().filter(|(nth, _)| found[*nth].is_none()).collect::<Vec<_>>()
        {
            if let Some(at) = free.iter().copied().find(|at| same(&old[*at], part)) {
                free.remove(&at);
                found[nth] = Some(at);
            }
        }
    }
    found
}

fn unmatched<'a>(parts: &'a [Part], from: &[Option<usize>]) -> Vec<&'a str> {
    let new = parts.iter().zip(from).filter(|(_, from)| from.is_none());
    new.map(|(part, _)| part.text.as_str()).collect()
}

/// `sum(CAST(a AS Int64))` as `sum(a)`: which casts the planner adds depends on the type.
fn without_casts(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(start) = text.find("CAST(") {
        let (mut depth, mut end, mut cut) = (0, None, None);
        for (at, letter) in text[start + 4..].char_indices() {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 1 && text[start + 4 + at..].starts_with(" AS ") {
                cut = Some(start + 4 + at);
            }
            if depth == 0 {
                end = Some(start + 4 + at);
                break;
            }
        }
        let (Some(end), Some(cut)) = (end, cut) else { break };
        text = format!("{}{}{}", &text[..start], &text[start + 5..cut], &text[end + 1..]);
    }
    text
}

/// Makes state of an old version state of a new one; what that changes, in words. `parts` are the old
/// aggregates of the new ones, `retyped` the new ones whose arguments have another type.
fn convert(
    rows: &RecordBatch,
    blank: &RecordBatch,
    parts: &[Option<usize>],
    retyped: &BTreeSet<usize>,
) -> std::result::Result<(RecordBatch, Vec<String>), String> {
    let mut notes = vec![];
    let (mut columns, mut fields): (Vec<ArrayRef>, Vec<Field>) = (vec![], vec![]);
    let (mut used, mut moved) = (BTreeSet::new(), false);
    let old = rows.schema();
    for (at, field) in blank.schema().fields().iter().enumerate() {
        let of_part = part_of(field.name());
        let from = match of_part {
            None => Some(field.name().clone()),
            Some((nth, column)) => {
                let from = parts.get(nth).copied().flatten();
                from.map(|from| format!("state_{from}_{column}"))
            }
        };
        fields.push(field.as_ref().clone().with_nullable(true));
        let Some(from) = from else {
            let first = UInt32Array::from_value(0, rows.num_rows());
            let filled = take(blank.column(at), &first, None).map_err(|error| error.to_string())?;
            columns.push(filled);
            continue;
        };
        let Some((place, was)) = old.column_with_name(&from) else {
            return Err(format!("its state has no column {from}"));
        };
        used.insert(place);
        let (was, is) = (was.data_type(), field.data_type());
        let opaque = of_part.is_some_and(|(nth, _)| retyped.contains(&nth)) && holds_bytes(was);
        if opaque || (was != is && !widens(was, is)) {
            return Err(format!("its state cannot change from {was} to {is}"));
        }
        let column = rows.column(place);
        if was == is {
            columns.push(Arc::clone(column));
            continue;
        }
        let note = format!("{was} becomes {is}");
        if !notes.contains(&note) {
            notes.push(note);
        }
        moved |= is_key(&from);
        let safe = CastOptions { safe: false, ..CastOptions::default() };
        let cast = cast_with_options(column, is, &safe).map_err(|error| error.to_string())?;
        columns.push(cast);
    }
    for (place, field) in old.fields().iter().enumerate() {
        let dropped = part_of(field.name()).is_some_and(|(nth, _)| !parts.contains(&Some(nth)));
        if !used.contains(&place) && !dropped {
            return Err(format!("its state had a column {} more", field.name()));
        }
    }
    if moved {
        let key =
            |(field, column): (&Field, &ArrayRef)| is_key(field.name()).then(|| Arc::clone(column));
        let keys: Vec<ArrayRef> = fields.iter().zip(&columns).filter_map(key).collect();
        let groups = key_groups(&keys).map_err(|error| error.to_string())?;
        for (field, column) in fields.iter().zip(&mut columns) {
            if field.name() == KEY_GROUP {
                *column = Arc::clone(&groups);
            }
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let schema = Arc::new(Schema::new(fields));
    let converted = RecordBatch::try_new_with_options(schema, columns, &options);
    Ok((converted.map_err(|error| error.to_string())?, notes))
}

fn key_groups(keys: &[ArrayRef]) -> Result<ArrayRef> {
    let types: Vec<DataType> = keys.iter().map(|key| key.data_type().clone()).collect();
    let encoded = KeyCodec::new(&types)?.encode(keys)?;
    let groups = encoded.iter().map(|key| key_group(key_hash(key.as_ref())));
    Ok(Arc::new(UInt16Array::from_iter_values(groups)))
}

/// Whether a column of state is one of the key, such as `key_0`.
fn is_key(column: &str) -> bool {
    column.starts_with("key_") && column != KEY_GROUP
}

/// Of `state_2_0`: the aggregate and its column.
fn part_of(column: &str) -> Option<(usize, &str)> {
    let (nth, column) = column.strip_prefix("state_")?.split_once('_')?;
    Some((nth.parse().ok()?, column))
}

/// Whether each value of a type is one of another.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, List};
    match (from, to) {
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (Float32, Float64) => true,
        (Decimal128(from, scale), Decimal128(to, same)) => scale == same && from <= to,
        (List(from), List(to)) => {
            from.data_type() == to.data_type() || widens(from.data_type(), to.data_type())
        }
        _ => false,
    }
}

/// Whether values are in it as bytes of their type.
fn holds_bytes(ty: &DataType) -> bool {
    match ty {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::List(item) => holds_bytes(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_bytes(field.data_type())),
        _ => false,
    }
}

/// What a table is of: the parts of one are named `table@part`.
fn blank_of<'a>(blanks: &'a [StateTable], table: &str) -> Option<&'a StateTable> {
    let name = table.split('@').next().unwrap_or(table);
    blanks.iter().find(|blank| blank.name == name)
}

/// The state of one table of an operator that goes on.
pub(crate) fn converted(
    change: &Change,
    table: &str,
    rows: &RecordBatch,
    blanks: &[StateTable],
) -> std::result::Result<RecordBatch, String> {
    let Some(blank) = blank_of(blanks, table) else {
        return Ok(rows.clone());
    };
    // What is retyped and cannot be was found when versions were compared.
    convert(rows, &blank.rows, &change.parts, &BTreeSet::new()).map(|(rows, _)| rows)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, Int32Array, Int64Array};
    use arrow::datatypes::{Int64Type, UInt16Type};

    use super::*;

    fn part(text: &str, ty: &str) -> Part {
        Part { text: text.into(), types: vec![ty.into()] }
    }

    fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
        RecordBatch::try_from_iter(columns.iter().cloned()).unwrap()
    }

    #[test]
    fn aggregates_are_found_by_their_words_then_without_casts() {
        let old = [part("sum(a)", "Int32"), part("sum(CAST(a AS Float64))", "Float64")];
        let new = [
            part("count(*)", ""),
            part("sum(CAST(a AS Float64))", "Float64"),
            part("sum(a)", "Int32"),
        ];
        assert_eq!(parts(&old, &new), [None, Some(1), Some(0)]);
        let old = [part("sum(CAST(a AS Int64))", "Int64")];
        assert_eq!(parts(&old, &[part("sum(a)", "Int64")]), [Some(0)]);
        assert_eq!(without_casts("sum(CAST(CAST(a AS Int8) + b AS Int64))"), "sum(a + b)");
        assert_eq!(without_casts("CAST("), "CAST(");
    }

    #[test]
    fn wider_keys_move_to_their_groups_and_new_aggregates_begin() {
        let keys = Arc::new(Int32Array::from_iter_values(0..100)) as ArrayRef;
        let ints = |value: i64, rows| Arc::new(Int64Array::from_value(value, rows)) as ArrayRef;
        let groups = key_groups(&[Arc::clone(&keys)]).unwrap();
        let old = batch(&[(KEY_GROUP, groups), ("key_0", keys), ("state_0_0", ints(7, 100))]);
        let wide = Arc::new(Int64Array::from_iter_values(0..1)) as ArrayRef;
        let group = key_groups(&[Arc::clone(&wide)]).unwrap();
        let blank = batch(&[
            (KEY_GROUP, group),
            ("key_0", wide),
            ("state_0_0", ints(0, 1)),
            ("state_1_0", ints(0, 1)),
        ]);
        let (new, notes) = convert(&old, &blank, &[None, Some(0)], &BTreeSet::new()).unwrap();
        assert_eq!(notes, ["Int32 becomes Int64"]);
        let expected = key_groups(&[Arc::new(Int64Array::from_iter_values(0..100))]).unwrap();
        assert_eq!(new.column(0).as_primitive::<UInt16Type>(), expected.as_primitive());
        assert!(new.column(2).as_primitive::<Int64Type>().values().iter().all(|it| *it == 0));
        assert!(new.column(3).as_primitive::<Int64Type>().values().iter().all(|it| *it == 7));
        assert_eq!(new.num_rows(), new.column(1).len());
    }

    #[test]
    fn what_does_not_fit_is_no_conversion() {
        let ints = |value: i64| Arc::new(Int64Array::from_value(value, 1)) as ArrayRef;
        let narrow = Arc::new(Int32Array::from_value(1, 1)) as ArrayRef;
        let none = BTreeSet::new();
        let (old, blank) = (batch(&[("column_0", ints(1))]), batch(&[("column_0", narrow)]));
        let why = convert(&old, &blank, &[], &none).unwrap_err();
        assert_eq!(why, "its state cannot change from Int64 to Int32");
        let more = batch(&[("column_0", ints(1)), ("column_1", ints(1))]);
        assert!(convert(&old, &more, &[], &none).is_err());
        assert!(convert(&more, &old, &[], &none).is_err());
    }
}
