//! The protobuf framing of an `.onnx` file, checked before a parser sees it.
//!
//! rten-onnx 0.27 loops for ever on a varint of more than ten bytes and trusts lengths before it
//! allocates or seeks by them; a file that passes here holds neither.

/// Graphs within graphs and types within types; real models nest two or three deep.
const DEPTH_MAX: usize = 32;

/// Messages that the parser descends into. Field numbers are those of `onnx.proto`.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    SequenceType,
    Shape,
    /// Strings and numbers only.
    Flat,
}

/// What a length-delimited field holds.
enum Held {
    Bytes,
    Varints,
    Message(Message),
}

fn held(message: Message, field: u64) -> Held {
    use Message::*;
    match (message, field) {
        (Model, 7) | (Attribute, 6) => Held::Message(Graph),
        (Model, 8 | 14) | (Tensor, 13) | (Shape, 1) => Held::Message(Flat),
        (Graph, 1) => Held::Message(Node),
        (Graph, 5) | (Attribute, 5) => Held::Message(Tensor),
        (Graph, 11..=13) => Held::Message(ValueInfo),
        (Node, 5) => Held::Message(Attribute),
        (ValueInfo, 2) | (SequenceType, 1) => Held::Message(Type),
        (Type, 1) => Held::Message(TensorType),
        (Type, 4) => Held::Message(SequenceType),
        (TensorType, 2) => Held::Message(Shape),
        (Attribute, 8) | (Tensor, 1 | 5 | 7) => Held::Varints,
        _ => Held::Bytes,
    }
}

/// Whether every length stays within its message and every varint within ten bytes.
pub(crate) fn check(bytes: &[u8]) -> Result<(), &'static str> {
    check_message(Message::Model, bytes, 0)
}

fn check_message(message: Message, mut rest: &[u8], depth: usize) -> Result<(), &'static str> {
    if depth > DEPTH_MAX {
        return Err("it is nested too deep");
    }
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match tag & 7 {
            0 => drop(varint(&mut rest)?),
            1 => drop(take(&mut rest, 8)?),
            2 => {
                let len = varint(&mut rest)?;
                let inner = take(&mut rest, len)?;
                check_held(held(message, tag >> 3), inner, depth)?;
            }
            5 => drop(take(&mut rest, 4)?),
            _ => return Err("it has an unknown wire type"),
        }
    }
    Ok(())
}

fn check_held(held: Held, mut inner: &[u8], depth: usize) -> Result<(), &'static str> {
    match held {
        Held::Bytes => {}
        Held::Message(message) => check_message(message, inner, depth + 1)?,
        Held::Varints => {
            while !inner.is_empty() {
                varint(&mut inner)?;
            }
        }
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0;
    for (i, &byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *rest = &rest[i + 1..];
            return Ok(value);
        }
    }
    Err("a number does not end")
}

fn take<'a>(rest: &mut &'a [u8], len: u64) -> Result<&'a [u8], &'static str> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let (taken, left) = rest.split_at_checked(len).ok_or("it ends too early")?;
    *rest = left;
    Ok(taken)
}
