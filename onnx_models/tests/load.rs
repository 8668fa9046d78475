//! Files and options that are refused, and the words that say why.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use arrow::datatypes::{DataType, Field};
use common::Builder;
use nowcast_engine::{Error, ErrorKind, Model, ModelProvider};
use nowcast_onnx::{
    BackendChoice, HotSwap, ModelFile, OnnxProvider, RuntimeSearch, check_signature, list, verify,
};
use rten_onnx::onnx::{DataLocation, DataType as Element};

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

fn refused(path: &Path) -> String {
    let error = ModelFile::read(path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    text
}

/// A graph that gives back its input, with the given shapes of input and output.
fn identity(element: Element, input: &[Option<i64>], output: &[Option<i64>]) -> Builder {
    Builder::new()
        .input("x", element, input)
        .node("Identity", &["x"], "y")
        .output("y", element, output)
}

#[test]
fn files_that_are_no_model_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    assert!(refused(&at("absent.onnx")).contains("entity not found"));
    assert!(refused(dir.path()).contains("is a directory"));
    fs::write(at("empty.onnx"), "").unwrap();
    assert!(refused(&at("empty.onnx")).contains("not an ONNX model"));
    fs::write(at("text.onnx"), "not a model at all\n").unwrap();
    assert!(refused(&at("text.onnx")).contains("not an ONNX model"));
    // The parser of rten loops for ever on this one.
    fs::write(at("ones.onnx"), [0xff; 100]).unwrap();
    assert!(refused(&at("ones.onnx")).contains("not an ONNX model"));
    let whole = fs::read(common::shipped("demand_lstm")).unwrap();
    for part in 1..40 {
        fs::write(at("part.onnx"), &whole[..whole.len() * part / 40]).unwrap();
        refused(&at("part.onnx"));
    }
}

/// Flipped bytes: whatever is loaded or refused, nothing panics.
#[test]
fn damaged_files_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.onnx");
    let whole = fs::read(common::roots().write(&path)).unwrap();
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            fs::write(&path, bytes).unwrap();
            if let Ok(file) = ModelFile::read(&path) {
                let _ = common::provider().open("m", file, BackendChoice::Rten);
            }
        }
    }
}

#[test]
fn weights_in_other_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = common::roots();
    let weights = &mut model.graph.initializer[0];
    weights.raw_data = None;
    weights.data_location = Some(DataLocation::EXTERNAL);
    weights.external_data = vec![common::entry("location", "/etc/hostname")];
    let text = refused(&model.write(&dir.path().join("external.onnx")));
    assert!(text.ends_with("weights \"axes\" lie in another file; store the model as one file"));
}

#[test]
fn shapes_and_types_that_cannot_be_fed_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.onnx");
    let cases = [
        (Element::DOUBLE, vec![None], "input \"x\": expected FLOAT or INT64 elements, got DOUBLE"),
        (Element::FLOAT, vec![Some(1), Some(3)], "got [1, 3]: its first dimension is fixed"),
        (
            Element::FLOAT,
            vec![None, None],
            "got [batch, batch]: only the first dimension may be free",
        ),
        (Element::FLOAT, vec![], "got []: it has no batch dimension"),
    ];
    for (element, dims, expected) in cases {
        let text = refused(&identity(element, &dims, &dims).write(&path));
        assert!(text.contains(expected), "{text}");
    }
    let bad_padding = common::roots().metadata("nowcast.pad.x", "right:0");
    let text = refused(&bad_padding.write(&path));
    assert!(text.ends_with("metadata \"nowcast.pad.x\": expected left:<number>, got \"right:0\""));
}

#[test]
fn a_model_that_does_not_do_what_it_declares_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.onnx");
    for backend in common::backends() {
        let open = |model: Builder| {
            let file = ModelFile::read(model.write(&path)).unwrap();
            common::provider().open("m", file, backend).unwrap_err().to_string()
        };
        let text = open(identity(Element::FLOAT, &[None, Some(3)], &[None, Some(4)]));
        assert!(
            text.starts_with(&format!("model \"m\" ({}): {backend}: ", path.display())),
            "{text}"
        );
        let unknown = Builder::new()
            .input("x", Element::FLOAT, &[None])
            .node("Frobnicate", &["x"], "y")
            .output("y", Element::FLOAT, &[None]);
        assert!(open(unknown).contains("Frobnicate"));
    }
}

#[test]
fn wrong_options_name_what_is_known() {
    let error = |pairs: &[(&str, &str)]| {
        let result = common::provider().load("demand", &options(pairs));
        result.err().unwrap().to_string()
    };
    assert_eq!(
        error(&[("provider", "onnx"), ("pth", "x.onnx")]),
        "model \"demand\": unknown option \"pth\"; known are provider, path, backend, task, monitor-interval"
    );
    assert_eq!(
        error(&[("provider", "onnx")]),
        "model \"demand\": option \"path\" is missing: the .onnx file"
    );
    assert_eq!(
        error(&[("path", "x.onnx"), ("backend", "torch")]),
        "model \"demand\": option \"backend\": expected auto, rten or onnxruntime, got \"torch\""
    );
    assert_eq!(
        error(&[("path", "x.onnx")]),
        "model \"demand\": model file x.onnx: entity not found"
    );
}

#[test]
fn without_onnx_runtime_auto_scores_with_rten_and_onnxruntime_says_where_it_looked() {
    let nowhere = RuntimeSearch { setting: Some("/nowhere/lib.so".into()), ..Default::default() };
    let provider = OnnxProvider::new(nowhere);
    let path = common::shipped("demand_lstm");
    let file = ModelFile::read(&path).unwrap();
    let model = provider.open("demand", file.clone(), BackendChoice::Auto).unwrap();
    assert_eq!((model.backend(), model.version()), ("rten", "demand@1"));
    let error = provider.open("demand", file, BackendChoice::OnnxRuntime).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "model \"demand\" ({}): onnxruntime: /nowhere/lib.so: no such library",
            path.display()
        )
    );
}

#[test]
fn declarations_are_matched_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = common::roots().write(&dir.path().join("m.onnx"));
    let model = common::open(&path, BackendChoice::Rten);
    let list = |item: DataType| DataType::List(Field::new_list_field(item, true).into());
    let column = |name: &str, data_type: DataType| (name.to_string(), data_type);
    let x = || column("x", list(DataType::Float64));
    let plan = || column("plan", DataType::Int32);
    let sum = || column("sum", DataType::Float64);
    let price = || column("price", DataType::Int64);
    let check = |inputs: Vec<_>, outputs: Vec<_>| {
        check_signature(&model, &inputs, &outputs).map_err(|e: Error| e.to_string())
    };

    let matched = check(vec![plan(), x()], vec![price(), sum()]).unwrap();
    assert_eq!((matched.inputs, matched.outputs), (vec![1, 0], vec![1, 0]));
    assert_eq!(check(vec![x(), plan()], vec![price()]).unwrap().outputs, [1]);

    let version = model.version();
    let cases = [
        (vec![x()], vec![], "input \"plan\" is not declared: a number (int64)"),
        (
            vec![x(), plan(), column("z", DataType::Int64)],
            vec![],
            "no input \"z\"; the file has x, plan",
        ),
        (
            vec![column("x", DataType::Utf8), plan()],
            vec![],
            "input \"x\": expected an array of 3 numbers (float), got Utf8",
        ),
        (
            vec![x(), plan()],
            vec![column("total", DataType::Int64)],
            "no output \"total\"; the file has sum, price",
        ),
        (
            vec![x(), plan()],
            vec![column("sum", DataType::Int64)],
            "output \"sum\": expected a number (float), got Int64",
        ),
    ];
    for (inputs, outputs, expected) in cases {
        assert_eq!(check(inputs, outputs).unwrap_err(), format!("model \"{version}\": {expected}"));
    }
}

#[test]
fn a_failed_reload_leaves_the_old_model_serving() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let first = common::roots().metadata("nowcast.version", "1").write(&at("1.onnx"));
    let second = common::roots().metadata("nowcast.version", "2").write(&at("2.onnx"));
    let other = identity(Element::FLOAT, &[None], &[None]).write(&at("other.onnx"));
    fs::write(at("broken.onnx"), [0xff; 100]).unwrap();
    for backend in common::backends() {
        let swap = HotSwap::open(&common::provider(), "m", &first, backend).unwrap();
        let held = swap.model();
        let scores = |model: &dyn Model| {
            let x = common::float_list(vec![Some(vec![Some(4.0); 3])]);
            common::floats_of(&model.score(&[x, common::ints(&[Some(0)])]).unwrap().outputs[0])
        };
        for bad in [at("absent.onnx"), at("broken.onnx")] {
            swap.reload(&bad).unwrap_err();
        }
        let error = swap.reload(&other).unwrap_err().to_string();
        assert!(error.ends_with("expected x float[3], plan int64, got x float"), "{error}");
        assert_eq!(swap.model().version(), "m@1");
        assert_eq!(scores(&*swap.model()), [Some(6.0)]);
        assert_eq!(swap.reload(&second).unwrap().version(), "m@2");
        assert_eq!(swap.model().version(), "m@2");
        assert_eq!((held.version(), scores(&*held)), ("m@1", vec![Some(6.0)]));
    }
}

#[test]
fn a_watched_model_is_replaced_when_its_file_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.onnx");
    common::roots().metadata("nowcast.version", "1").write(&path);
    let provider = common::provider();
    let load = |interval: &str| {
        let path = path.display().to_string();
        let options = [("provider", "onnx"), ("path", &path), ("monitor-interval", interval)];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
        provider.load("m", &options.into())
    };
    let refused = |interval: &str| load(interval).err().unwrap().to_string();
    assert_eq!(refused("0 s"), "model \"m\": option \"monitor-interval\" is 0: leave it out");
    assert!(refused("soon").contains("\"soon\" is no duration"), "{}", refused("soon"));

    let model = load("10 s").unwrap();
    let [watched] = <[_; 1]>::try_from(provider.take_watched()).ok().unwrap();
    assert_eq!(watched.every, Duration::from_secs(10));
    assert!(provider.take_watched().is_empty());
    let serves = |epoch| model.current(epoch).unwrap().version().to_owned();
    let look = || watched.model.reload_changed();
    assert!(look().unwrap().is_none());

    common::roots().metadata("nowcast.version", "version 2").write(&path);
    assert_eq!(serves(1), "m@1");
    assert_eq!(look().unwrap().unwrap().version(), "m@version 2");
    // Another worker at the same barrier.
    assert_eq!(serves(1), "m@1");
    assert_eq!(serves(2), "m@version 2");
    assert!(look().unwrap().is_none());

    // Written again as it was.
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes).unwrap();
    assert!(look().unwrap().is_none());
    // Half of it: said once.
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    look().unwrap_err();
    assert!(look().unwrap().is_none());
    fs::remove_file(&path).unwrap();
    assert!(look().unwrap().is_none());
    assert_eq!(serves(3), "m@version 2");
    common::roots().metadata("nowcast.version", "3").write(&path);
    assert_eq!(look().unwrap().unwrap().version(), "m@3");
}

#[test]
fn verify_compares_the_runtimes() {
    for name in ["demand_lstm", "next_title"] {
        let report = verify(&common::provider(), common::shipped(name), 42).unwrap();
        println!("{report}");
        assert!(report.backends[0].outcome.is_ok());
        assert!(report.to_string().contains(&report.file.sha256));
        if common::backends().len() == 1 {
            assert!(report.parity.is_none() && report.backends[1].outcome.is_err());
            continue;
        }
        for parity in report.parity.unwrap() {
            assert_eq!((parity.rows, parity.scored_by_one), (67, 0));
            // Items of nearly equal probability may change places; the probabilities may not.
            if parity.output != "top_items" {
                assert!(parity.max_abs_diff <= 1e-5 * parity.max_abs.max(1.0), "{parity:?}");
            }
        }
    }
}

#[test]
fn models_are_listed_with_their_cards() {
    let listed = list(common::models_dir()).unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|l| (l.file.as_ref().unwrap().name.as_str(), l.title.as_deref().unwrap()))
        .collect();
    assert_eq!(
        names,
        [
            ("demand_lstm", "Hourly demand, next 24 hours"),
            ("next_title", "Next title of a session")
        ]
    );
    let error = list("/nowhere").unwrap_err().to_string();
    assert_eq!(error, "model folder /nowhere: entity not found");
}
