//! `protobuf`: rows as messages of a compiled descriptor.
//!
//! Flink names a generated Java class. Here `protobuf.descriptor-file` is what `protoc
//! --include_imports --descriptor_set_out` writes, and `protobuf.message-class-name` a message in it,
//! by its name in the .proto file or by that of its Java class.

use std::collections::HashMap;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::FieldRef;
use nowcast_engine::{Error, Result};
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind as Type, MapKey, MessageDescriptor,
    ReflectMessage, Value,
};

use super::cells::{Cells, Kind, range};
use super::column::Column;
use super::text::sql_name;
use super::values::Values;
use super::{DecodedRows, Decoder, Encoded, Encoder, Misfit};
use crate::nearest::did_you_mean;
use crate::options::Options;

/// `protobuf.*`, as in Flink, and `protobuf.descriptor-file`, which is ours.
#[derive(Debug, Clone)]
pub struct ProtobufOptions {
    message: MessageDescriptor,
    ignore_parse_errors: bool,
    read_default_values: bool,
    /// What a null in an array or map of strings is written as.
    null_string: String,
}

impl ProtobufOptions {
    /// Under `prefix` (`value.protobuf.`).
    pub fn read(options: &Options<'_>, prefix: &str) -> Result<Self> {
        let key = |name: &str| format!("{prefix}{name}");
        let file = options.required(&key("descriptor-file"))?;
        let name = options.required(&key("message-class-name"))?;
        let bytes = std::fs::read(file).map_err(|error| {
            options.refuse(&key("descriptor-file"), file, &format!("a file to read ({error})"))
        })?;
        let pool = DescriptorPool::decode(bytes.as_slice()).map_err(|error| {
            let expected = format!("a descriptor set of protoc ({error})");
            options.refuse(&key("descriptor-file"), file, &expected)
        })?;
        let message = pool.all_messages().find(|message| {
            message.full_name() == name || java_name(message).as_deref() == Some(name)
        });
        let message = message.ok_or_else(|| {
            let names: Vec<_> = pool.all_messages().map(|m| m.full_name().to_owned()).collect();
            let hint = did_you_mean(name, names.iter().map(String::as_str));
            options.refuse(&key("message-class-name"), name, &format!("a message of {file}{hint}"))
        })?;
        Ok(Self {
            message,
            ignore_parse_errors: options.flag(&key("ignore-parse-errors"), false)?,
            read_default_values: options.flag(&key("read-default-values"), false)?,
            null_string: options
                .text(&key("write-null-string-literal"))
                .unwrap_or_default()
                .to_owned(),
        })
    }

    /// The message's field of each column.
    fn fields(&self, fields: &[FieldRef]) -> Result<Vec<FieldDescriptor>> {
        fields.iter().map(|field| member(&self.message, field)).collect()
    }
}

/// `com.example.Outer$Inner`, where the file says that each message has its own Java file.
fn java_name(message: &MessageDescriptor) -> Option<String> {
    let file = message.parent_file();
    let options = file.file_descriptor_proto().options.clone()?;
    options.java_multiple_files.filter(|multiple| *multiple)?;
    let package = file.package_name();
    let path = message.full_name().strip_prefix(package)?.trim_start_matches('.');
    let package = options.java_package.unwrap_or_else(|| package.to_owned());
    Some(format!("{package}.{}", path.replace('.', "$")))
}

/// The field of a message for a column, of a type that fits it.
fn member(message: &MessageDescriptor, column: &FieldRef) -> Result<FieldDescriptor> {
    let name = column.name();
    let Some(field) = message.get_field_by_name(name) else {
        let names: Vec<_> = message.fields().map(|field| field.name().to_owned()).collect();
        let hint = did_you_mean(name, names.iter().map(String::as_str));
        let message = message.full_name();
        return Err(Error::user(format!(
            "the protobuf message {message} has no field \"{name}\"{hint}"
        )));
    };
    let mut sample = Column::new(column)?;
    check(&mut sample, &field).map_err(|misfit| {
        Error::user(format!("column \"{name}\" does not fit the protobuf message: {misfit}"))
    })?;
    Ok(field)
}

/// Whether a column can hold the default value of a field, and so all its values.
fn check(column: &mut Column, field: &FieldDescriptor) -> Result<(), Misfit> {
    let unfit = |column: &Column| {
        let ty = sql_name(column.field.data_type());
        Err(format!("{ty} for {}", field.full_name()))
    };
    match (&mut column.values, field.kind()) {
        (Values::Map(_, _, values), Type::Message(entry)) if field.is_map() => {
            check(values, &entry.map_entry_value_field())
        }
        (Values::List(_, items), _) if field.is_list() => check_kind(items, field),
        _ if field.is_map() || field.is_list() => unfit(column),
        _ => check_kind(column, field),
    }
}

fn check_kind(column: &mut Column, field: &FieldDescriptor) -> Result<(), Misfit> {
    let kind = field.kind();
    if let (Values::Struct(parts), Type::Message(message)) = (&mut column.values, &kind) {
        return parts.columns().iter().try_for_each(|column| {
            member(message, &column.field).map(drop).map_err(|error| error.to_string())
        });
    }
    let fits = match &column.values {
        Values::Bool(_) => kind == Type::Bool,
        Values::I8(_) | Values::I16(_) => matches!(kind, Type::Enum(_)),
        Values::I32(_) => {
            !matches!(
                kind,
                Type::Double
                    | Type::Float
                    | Type::Bool
                    | Type::String
                    | Type::Bytes
                    | Type::Message(_)
            ) && !is_long(&kind)
        }
        Values::I64(_) => is_long(&kind) || matches!(kind, Type::Enum(_)),
        Values::F32(_) => kind == Type::Float,
        Values::F64(_) => kind == Type::Double,
        Values::Text(_) => matches!(kind, Type::String | Type::Enum(_)),
        Values::Binary(_) => kind == Type::Bytes,
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(format!("{} for {}", sql_name(column.field.data_type()), field.full_name())),
    }
}

fn is_long(kind: &Type) -> bool {
    matches!(kind, Type::Int64 | Type::Uint64 | Type::Sint64 | Type::Fixed64 | Type::Sfixed64)
}

/// A field that is not there is NULL where it could tell, as in Flink: an empty list or map, an unset
/// message, `optional` or proto2 field; with `read-default-values` it has its default.
pub struct ProtobufDecoder {
    options: ProtobufOptions,
    fields: Vec<FieldDescriptor>,
    rows: DecodedRows,
}

impl ProtobufDecoder {
    /// Of messages with `fields`, those that are `wanted`.
    ///
    /// # Errors
    /// For fields, wanted or not, that the message does not have.
    pub fn new(
        fields: &[FieldRef],
        wanted: &[FieldRef],
        options: &ProtobufOptions,
    ) -> Result<Self> {
        options.fields(fields)?;
        let rows = DecodedRows::new(wanted)?;
        Ok(Self { fields: options.fields(wanted)?, options: options.clone(), rows })
    }

    fn read(&mut self, message: &[u8]) -> Result<(), Misfit> {
        let message = DynamicMessage::decode(self.options.message.clone(), message)
            .map_err(|error| format!("malformed protobuf: {error}"))?;
        for (column, field) in self.rows.columns.iter_mut().zip(&self.fields) {
            push_field(column, &message, field, self.options.read_default_values)
                .map_err(|misfit| format!("field \"{}\": {misfit}", field.name()))?;
        }
        Ok(())
    }
}

impl Decoder for ProtobufDecoder {
    fn decode(&mut self, message: &[u8]) -> Result<usize, Misfit> {
        match self.read(message) {
            Ok(()) => {
                self.rows.len += 1;
                Ok(1)
            }
            Err(misfit) => {
                self.rows.truncate(self.rows.len);
                if self.options.ignore_parse_errors { Ok(0) } else { Err(misfit) }
            }
        }
    }

    fn rows(&mut self) -> &mut DecodedRows {
        &mut self.rows
    }
}

fn push_field(
    column: &mut Column,
    message: &DynamicMessage,
    field: &FieldDescriptor,
    defaults: bool,
) -> Result<(), Misfit> {
    let could_tell = field.supports_presence() || field.is_list() || field.is_map();
    if could_tell && !defaults && !message.has_field(field) {
        return column.push_null();
    }
    push(column, &message.get_field(field), field, defaults)
}

fn push(
    column: &mut Column,
    value: &Value,
    field: &FieldDescriptor,
    defaults: bool,
) -> Result<(), Misfit> {
    match value {
        Value::Bool(value) => column.push_bool(*value),
        Value::I32(value) => column.push_i64((*value).into()),
        Value::I64(value) => column.push_i64(*value),
        // As Java, which has no unsigned integers.
        Value::U32(value) => column.push_i64((*value as i32).into()),
        Value::U64(value) => column.push_i64(*value as i64),
        Value::F32(value) => column.push_f64((*value).into()),
        Value::F64(value) => column.push_f64(*value),
        Value::String(text) => column.push_bytes(text.as_bytes()),
        Value::Bytes(bytes) => column.push_bytes(bytes),
        Value::EnumNumber(number) => match (&column.values, field.kind()) {
            (Values::Text(_), Type::Enum(symbols)) => match symbols.get_value(*number) {
                Some(symbol) => column.push_bytes(symbol.name().as_bytes()),
                None => Err(format!("{number} is no {}", symbols.full_name())),
            },
            _ => column.push_i64((*number).into()),
        },
        Value::Message(message) => {
            let Values::Struct(parts) = &mut column.values else {
                return Err(column.misfit("a message"));
            };
            for column in parts.settled() {
                let inner = message.descriptor().get_field_by_name(column.name());
                let inner = inner.ok_or_else(|| format!("no field \"{}\"", column.name()))?;
                push_field(column, message, &inner, defaults)?;
            }
            column.push_valid();
            Ok(())
        }
        Value::List(values) => {
            let Values::List(offsets, items) = &mut column.values else {
                return Err(column.misfit("a list"));
            };
            for value in values {
                push(items, value, field, defaults)?;
            }
            offsets.push(items.len());
            column.push_valid();
            Ok(())
        }
        Value::Map(entries) => push_map(column, entries, field, defaults),
    }
}

fn push_map(
    column: &mut Column,
    entries: &HashMap<MapKey, Value>,
    field: &FieldDescriptor,
    defaults: bool,
) -> Result<(), Misfit> {
    let (Values::Map(offsets, keys, values), Type::Message(entry)) =
        (&mut column.values, field.kind())
    else {
        return Err(column.misfit("a map"));
    };
    // Protobuf's maps have no order; a read must give the same rows each time.
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    for (key, value) in entries {
        let (key_field, value_field) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        push(keys, &Value::from(key.clone()), &key_field, defaults)?;
        push(values, value, &value_field, defaults)?;
    }
    offsets.push(keys.len());
    column.push_valid();
    Ok(())
}

/// A NULL sets no field; within arrays and maps it is the type's default.
pub struct ProtobufEncoder {
    options: ProtobufOptions,
    fields: Vec<FieldDescriptor>,
}

impl ProtobufEncoder {
    pub fn new(fields: &[FieldRef], options: &ProtobufOptions) -> Result<Self> {
        Ok(Self { fields: options.fields(fields)?, options: options.clone() })
    }

    fn value(&self, cells: &Cells<'_>, row: usize, field: &FieldDescriptor) -> Result<Value> {
        match (&cells.kind, field.kind()) {
            (Kind::List(offsets, items), _) if field.is_list() => {
                let values = range(offsets, row).map(|at| self.single(items, at, field));
                Ok(Value::List(values.collect::<Result<_>>()?))
            }
            (Kind::Map(offsets, keys, values), Type::Message(entry)) if field.is_map() => {
                let (key_field, value_field) =
                    (entry.map_entry_key_field(), entry.map_entry_value_field());
                let entries = range(offsets, row).map(|at| {
                    let key = self.single(keys, at, &key_field)?.into_map_key();
                    let key = key.ok_or_else(|| Error::bug("a map key of another type"))?;
                    Ok((key, self.single(values, at, &value_field)?))
                });
                Ok(Value::Map(entries.collect::<Result<_>>()?))
            }
            _ => self.single(cells, row, field),
        }
    }

    /// A value that is not repeated.
    fn single(&self, cells: &Cells<'_>, row: usize, field: &FieldDescriptor) -> Result<Value> {
        let kind = field.kind();
        if cells.is_null(row) {
            return Ok(match kind {
                Type::String => Value::String(self.options.null_string.clone()),
                kind => Value::default_value(&kind),
            });
        }
        Ok(match &cells.kind {
            Kind::Bool(values) => Value::Bool(values.value(row)),
            Kind::I8(values) => integer(values[row].into(), &kind),
            Kind::I16(values) => integer(values[row].into(), &kind),
            Kind::I32(values) => integer(values[row].into(), &kind),
            Kind::I64(values) => integer(values[row], &kind),
            Kind::F32(values) => Value::F32(values[row]),
            Kind::F64(values) => Value::F64(values[row]),
            Kind::Binary(values) => Value::Bytes(values.value(row).to_vec().into()),
            Kind::Text(_) | Kind::LargeText(_) | Kind::TextView(_) => match kind {
                Type::Enum(symbols) => {
                    let symbol = symbols.get_value_by_name(cells.text(row));
                    let number = symbol.map(|symbol| symbol.number());
                    Value::EnumNumber(number.unwrap_or_else(|| symbols.default_value().number()))
                }
                _ => Value::String(cells.text(row).to_owned()),
            },
            Kind::Struct(names, columns) => {
                let Type::Message(message) = kind else { return Err(unfit(field)) };
                let mut inner = DynamicMessage::new(message.clone());
                for (name, (_, cells)) in names.iter().zip(columns) {
                    let member =
                        message.get_field_by_name(name.name()).ok_or_else(|| unfit(field))?;
                    if !cells.is_null(row) {
                        inner.set_field(&member, self.value(cells, row, &member)?);
                    }
                }
                Value::Message(inner)
            }
            _ => return Err(unfit(field)),
        })
    }
}

fn unfit(field: &FieldDescriptor) -> Error {
    Error::bug(format!("a column that was checked does not fit {}", field.full_name()))
}

fn integer(value: i64, kind: &Type) -> Value {
    match kind {
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => Value::I64(value),
        Type::Uint64 | Type::Fixed64 => Value::U64(value as u64),
        Type::Uint32 | Type::Fixed32 => Value::U32(value as u32),
        Type::Enum(_) => Value::EnumNumber(value as i32),
        _ => Value::I32(value as i32),
    }
}

impl Encoder for ProtobufEncoder {
    fn encode(&self, columns: &[ArrayRef], _: Option<&Int64Array>) -> Result<Encoded> {
        super::check_width(self.fields.len(), columns)?;
        let cells = columns.iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
        let mut encoded = Encoded::default();
        for row in 0..columns.first().map_or(0, |column| column.len()) {
            let mut message = DynamicMessage::new(self.options.message.clone());
            for (field, cells) in self.fields.iter().zip(&cells) {
                if !cells.is_null(row) {
                    message.set_field(field, self.value(cells, row, field)?);
                }
            }
            encoded.push(|out| out.extend(message.encode_to_vec()));
        }
        Ok(encoded)
    }
}
