//! JSON values into columns by serde's visitors: any JSON, at the price of a call a token.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Display};

use arrow::datatypes::FieldRef;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess,
};
use serde_json::value::RawValue;

use super::column::{Column, Misfit};
use super::json_decode::JsonOptions;
use super::text::TimestampStandard;
use super::values::Values;

/// What a message's parts share. A value that does not fit does not end the parse: its fault is
/// noted with its path, so that malformed JSON is told from a wrong type.
pub(super) struct Context<'a> {
    pub(super) options: &'a JsonOptions,
    pub(super) fault: RefCell<Option<Misfit>>,
}

impl Context<'_> {
    /// Puts a null where `misfit` happened.
    fn misfit(&self, path: &Path<'_>, column: &mut Column, misfit: Misfit) {
        if self.options.ignore_parse_errors && column.push_null().is_ok() {
            return;
        }
        column.push_hole();
        self.fault.borrow_mut().get_or_insert_with(|| format!("field \"{path}\": {misfit}"));
    }

    fn check(&self, path: &Path<'_>, column: &mut Column, pushed: Result<(), Misfit>) {
        if let Err(misfit) = pushed {
            self.misfit(path, column, misfit);
        }
    }
}

/// Where a value is, for messages: `user.tags[2]`.
pub(super) enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => write!(f, "{name}"),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// An object whose fields are columns.
pub(super) struct Row<'a> {
    pub(super) fields: &'a [FieldRef],
    pub(super) columns: &'a mut [Column],
    pub(super) row: usize,
    pub(super) path: &'a Path<'a>,
    pub(super) context: &'a Context<'a>,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> de::Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { fields, columns, row, path, context } = self;
        let mut guess = 0;
        while let Some(found) = object.next_key_seed(FieldOf { fields, guess })? {
            let Some(at) = found else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            guess = at + 1;
            let column = &mut columns[at];
            column.truncate(row);
            let path = &Path::Field(path, fields[at].name());
            object.next_value_seed(Value { column, path, context })?;
        }
        for (field, column) in fields.iter().zip(columns) {
            if column.len() > row {
                continue;
            }
            let pushed = match context.options.fail_on_missing_field {
                true => Err("is missing".into()),
                false => column.push_null().map_err(|_| "is missing, and NOT NULL".into()),
            };
            context.check(&Path::Field(path, field.name()), column, pushed);
        }
        Ok(())
    }
}

/// Finds the field of a key: most often the one behind the last.
struct FieldOf<'a> {
    fields: &'a [FieldRef],
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for FieldOf<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl de::Visitor<'_> for FieldOf<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        if self.fields.get(self.guess).is_some_and(|field| field.name() == name) {
            return Ok(Some(self.guess));
        }
        Ok(self.fields.iter().position(|field| field.name() == name))
    }
}

/// One value into one column.
pub(super) struct Value<'a> {
    pub(super) column: &'a mut Column,
    pub(super) path: &'a Path<'a>,
    pub(super) context: &'a Context<'a>,
}

impl Value<'_> {
    fn pushed<E>(self, push: impl FnOnce(&mut Column) -> Result<(), Misfit>) -> Result<(), E> {
        let pushed = push(self.column);
        self.context.check(self.path, self.column, pushed);
        Ok(())
    }

    fn digits<E: de::Error>(self, raw: &RawValue) -> Result<(), E> {
        let standard = self.context.options.timestamps;
        let text = match raw.get() {
            "null" => return self.pushed(Column::push_null),
            quoted if quoted.starts_with('"') => {
                serde_json::from_str::<Cow<'_, str>>(quoted).map_err(E::custom)?
            }
            digits => Cow::Borrowed(digits),
        };
        self.pushed(|column| column.push_text(&text, standard))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.column.values {
            // A float in between would change the digits.
            Values::Decimal(..) => self.digits(<&RawValue>::deserialize(json)?),
            _ => json.deserialize_any(self),
        }
    }
}

impl<'de> de::Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.pushed(Column::push_null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.pushed(|column| column.push_bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.pushed(|column| column.push_i64(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.pushed(|column| column.push_u64(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.pushed(|column| match column.values {
            // As Jackson's `getIntValue` and `getLongValue`; beyond their range nothing fits.
            Values::I32(_) | Values::I64(_) if value.abs() < 9.2e18 => {
                column.push_i64(value as i64)
            }
            _ => column.push_f64(value),
        })
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        let standard = self.context.options.timestamps;
        self.pushed(|column| column.push_text(value, standard))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let Self { column, path, context } = self;
        match &mut column.values {
            Values::List(offsets, items) => {
                let mut index = 0;
                while array
                    .next_element_seed(Value {
                        column: &mut *items,
                        path: &Path::Item(path, index),
                        context,
                    })?
                    .is_some()
                {
                    index += 1;
                }
                offsets.push(items.len());
                column.push_valid();
            }
            Values::Text(_) => {
                let mut text = String::new();
                de::Visitor::visit_seq(JsonText(&mut text), array)?;
                let pushed = column.push_text(&text, TimestampStandard::Sql);
                context.check(path, column, pushed);
            }
            _ => {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                let misfit = column.misfit("an array");
                context.misfit(path, column, misfit);
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { column, path, context } = self;
        let row = column.len();
        match &mut column.values {
            Values::Struct(parts) => {
                let (fields, columns) = parts.settled_fields();
                de::Visitor::visit_map(Row { fields, columns, row, path, context }, object)?;
                column.push_valid();
            }
            Values::Map(offsets, keys, values) => {
                while let Some(key) = object.next_key::<Cow<'_, str>>()? {
                    let path = Path::Field(path, &key);
                    let pushed = keys.push_text(&key, TimestampStandard::Sql);
                    context.check(&path, keys, pushed);
                    object.next_value_seed(Value { column: &mut *values, path: &path, context })?;
                }
                offsets.push(keys.len());
                column.push_valid();
            }
            Values::Text(_) => {
                let mut text = String::new();
                de::Visitor::visit_map(JsonText(&mut text), object)?;
                let pushed = column.push_text(&text, TimestampStandard::Sql);
                context.check(path, column, pushed);
            }
            _ => {
                while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                let misfit = column.misfit("an object");
                context.misfit(path, column, misfit);
            }
        }
        Ok(())
    }
}

/// Writes a value as JSON text again, its fields in the order they came in.
struct JsonText<'a>(&'a mut String);

impl JsonText<'_> {
    fn push<E: de::Error>(self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), E> {
        self.0.push_str(&serde_json::to_string(value).map_err(E::custom)?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for JsonText<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for JsonText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push_str("null");
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.push(&value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.push(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        self.0.push('[');
        let start = self.0.len();
        loop {
            let before = self.0.len();
            if before > start {
                self.0.push(',');
            }
            if array.next_element_seed(JsonText(self.0))?.is_none() {
                self.0.truncate(before);
                self.0.push(']');
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        self.0.push('{');
        let start = self.0.len();
        while let Some(key) = object.next_key::<Cow<'_, str>>()? {
            if self.0.len() > start {
                self.0.push(',');
            }
            JsonText(self.0).push(&*key)?;
            self.0.push(':');
            object.next_value_seed(JsonText(self.0))?;
        }
        self.0.push('}');
        Ok(())
    }
}
