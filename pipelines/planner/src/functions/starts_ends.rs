//! `STARTSWITH(s, part)` and `ENDSWITH(s, part)`.

use arrow::array::BooleanArray;

use super::scalar::{Body, Function, Kind, all, boolean, of_two_texts};

pub fn starts() -> Function {
    Function {
        name: "startswith",
        form: "STARTSWITH(s, part)",
        about: "whether it begins with a part",
        takes: all(&[Kind::Text, Kind::Text]),
        gives: boolean,
        body: Body::Plain(|columns, _| {
            of_two_texts::<_, BooleanArray>(columns, |text, part| Some(text.starts_with(part)))
        }),
    }
}

pub fn ends() -> Function {
    Function {
        name: "endswith",
        form: "ENDSWITH(s, part)",
        about: "whether it ends with a part",
        takes: all(&[Kind::Text, Kind::Text]),
        gives: boolean,
        body: Body::Plain(|columns, _| {
            of_two_texts::<_, BooleanArray>(columns, |text, part| Some(text.ends_with(part)))
        }),
    }
}
