//! At fixed parameters our filters are statsmodels': states, log-likelihood, forecasts, to 1e-6.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test prints its figures and stops at the first error"
)]

mod data;

use data::Series;
use nowcast_forecast::{
    Ets, EtsParams, EtsRegression, EtsSpec, EtsState, Form, Sarimax, SarimaxParams, SarimaxSpec,
    Start, Trend,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

const TOLERANCE: f64 = 1e-6;
/// Of variances against 50,000 simulated paths, whose own error is about 1 %.
const SIMULATED_TOLERANCE: f64 = 0.03;
/// The same where our formula is of first order only: an additive error under a multiplicative season.
const FIRST_ORDER_TOLERANCE: f64 = 0.10;

#[test]
fn filters_equal_statsmodels() {
    let text = include_str!("reference/reference.json");
    let reference: Value = serde_json::from_str(text).unwrap();
    let folder = data::folder();
    let mut checked = 0;
    let mut worst: f64 = 0.0;
    for case in reference["cases"].as_array().unwrap() {
        let name = text_of(&case["series"]);
        let input = &reference["inputs"][name];
        let synthetic = input.get("values").map(|values| Series {
            values: numbers(values),
            regressors: {
                let rows =
                    input["regressors"].as_array().unwrap().iter().map(numbers).collect::<Vec<_>>();
                if rows.is_empty() { vec![vec![]; numbers(values).len()] } else { rows }
            },
        });
        let Some(series) =
            synthetic.or_else(|| folder.as_ref().map(|folder| data::series(folder, name)))
        else {
            continue;
        };
        assert_eq!(
            digest(&series),
            text_of(&input["sha256"]),
            "{name} is not the series the reference saw"
        );
        let mut check = Check { about: String::new(), worst: 0.0 };
        match text_of(&case["kind"]) {
            "ets" => ets(case, &series, &mut check),
            "sarimax" => sarimax(case, &series, &mut check),
            "regression" => regression(case, &series, &mut check),
            kind => panic!("unknown kind {kind}"),
        }
        println!("{}: worst relative difference {:.1e}", check.about, check.worst);
        worst = worst.max(check.worst);
        checked += 1;
    }
    println!("{checked} cases, worst relative difference {worst:.1e}");
    assert!(checked >= 9, "the synthetic cases are always there");
}

fn ets(case: &Value, series: &Series, check: &mut Check) {
    let name = text_of(&case["model"]);
    check.about = format!("ETS {name} on {}", text_of(&case["series"]));
    let form = |letter: &str| match letter {
        "A" => Some(Form::Additive),
        "M" => Some(Form::Multiplicative),
        _ => None,
    };
    let trend = match &name[1..name.len() - 1] {
        "A" => Trend::Additive,
        "Ad" => Trend::Damped,
        _ => Trend::None,
    };
    let season = form(&name[name.len() - 1..]);
    let spec =
        EtsSpec { error: form(&name[..1]).unwrap(), trend, season, period: count(&case["period"]) };
    let mut ets = Ets::new(spec, smoothing(&case["params"]), state(&case["initial"]));
    let mut states = case["states"].as_array().unwrap().iter().peekable();
    for (t, value) in series.values.iter().enumerate() {
        ets.observe(Some(*value));
        if let Some(expected) = states.next_if(|state| count(&state["at"]) == t) {
            let mut ours = vec![ets.state().level];
            ours.extend((trend != Trend::None).then_some(ets.state().trend));
            ours.extend(ets.state().season_latest());
            check.vector(&format!("state {t}"), &ours, &numbers(&expected["values"]));
        }
    }
    assert!(states.next().is_none(), "every state was reached");
    check.number("llf", ets.log_likelihood(), number(&case["llf"]));
    check.number("scale", ets.scale(), number(&case["scale"]));
    let mean = numbers(&case["mean"]);
    let forecast = ets.forecast(mean.len());
    check.vector("mean", &forecast.iter().map(|f| f.mean).collect::<Vec<_>>(), &mean);
    let ours: Vec<f64> = forecast.iter().map(|f| f.variance).collect();
    if let Some(variance) = case.get("variance") {
        check.vector("variance", &ours, &numbers(variance));
    }
    if let Some(variance) = case.get("simulated_variance") {
        for (h, (ours, simulated)) in ours.iter().zip(numbers(variance)).enumerate() {
            let off = (ours / simulated - 1.0).abs();
            let first_order = name.starts_with('A') && name.ends_with('M');
            let tolerance = if first_order { FIRST_ORDER_TOLERANCE } else { SIMULATED_TOLERANCE };
            assert!(off < tolerance, "{}: variance {h}: {ours} simulated {simulated}", check.about);
        }
    }
}

fn sarimax(case: &Value, series: &Series, check: &mut Check) {
    let order: Vec<usize> = case["order"].as_array().unwrap().iter().map(count).collect();
    let seasonal: Vec<usize> = case["seasonal"].as_array().unwrap().iter().map(count).collect();
    check.about = format!("SARIMAX {order:?} {seasonal:?} on {}", text_of(&case["series"]));
    let spec = SarimaxSpec {
        p: order[0],
        d: order[1],
        q: order[2],
        seasonal_p: seasonal[0],
        seasonal_d: seasonal[1],
        seasonal_q: seasonal[2],
        period: seasonal[3],
        regressors: count(&case["regressors"]),
    };
    let names: Vec<&str> = case["names"].as_array().unwrap().iter().map(text_of).collect();
    let of = |wanted: fn(&str) -> bool| -> Vec<f64> {
        names
            .iter()
            .filter(|name| wanted(name))
            .map(|name| number(&case["params"][*name]))
            .collect()
    };
    let params = SarimaxParams {
        ar: of(|name| name.starts_with("ar.L") && !name.starts_with("ar.S")),
        ma: of(|name| name.starts_with("ma.L")),
        seasonal_ar: of(|name| name.starts_with("ar.S.")),
        seasonal_ma: of(|name| name.starts_with("ma.S.")),
        beta: of(|name| name.starts_with('x')),
        variance: number(&case["params"]["sigma2"]),
    };
    let exact = case["exact"].as_bool().unwrap();
    let start = if exact { Start::Exact } else { Start::Approximate { variance: 1e6 } };
    let mut sarimax = Sarimax::new(spec, params, start).unwrap();
    let unit = case.get("divided_by").map_or(1.0, number);
    let missing: Vec<usize> = case["missing"].as_array().unwrap().iter().map(count).collect();
    let row = |t: usize| &series.regressors[t][..spec.regressors];
    let mut states = case["states"].as_array().unwrap().iter().peekable();
    for (t, value) in series.values.iter().enumerate() {
        let value = (!missing.contains(&t)).then_some(value / unit);
        sarimax.observe(value, row(t));
        if let Some(expected) = states.next_if(|state| count(&state["at"]) == t) {
            let expected = numbers(&expected["values"]);
            check.vector(&format!("state {t}"), &projected(sarimax.kalman().filtered()), &expected);
        }
    }
    check.number("llf", sarimax.log_likelihood(), number(&case["llf"]));
    let mean = numbers(&case["mean"]);
    let future: Vec<Vec<f64>> = (0..mean.len()).map(|t| row(t).to_vec()).collect();
    let forecast = sarimax.forecast(&future);
    check.vector("mean", &forecast.iter().map(|f| f.mean).collect::<Vec<_>>(), &mean);
    let ours: Vec<f64> = forecast.iter().map(|f| f.variance).collect();
    check.vector("variance", &ours, &numbers(&case["variance"]));
    let steady = if sarimax.kalman().is_steady() { ", constant gain" } else { "" };
    check.about += &format!(", {} states{steady}", spec.states());
}

/// As in `generate.py`: sums over the whole state that give no observation away.
fn projected(state: &[f64]) -> [f64; 3] {
    let sum =
        |weight: fn(f64) -> f64| state.iter().enumerate().map(|(i, x)| x * weight(i as f64)).sum();
    [sum(f64::cos), sum(f64::sin), sum(|i| (2.5 * i).cos())]
}

fn regression(case: &Value, series: &Series, check: &mut Check) {
    check.about = format!("regression with ETS AAdA errors on {}", text_of(&case["series"]));
    let period = count(&case["period"]);
    let season = Some(Form::Additive);
    let spec = EtsSpec { error: Form::Additive, trend: Trend::Damped, season, period };
    let mut initial: Vec<EtsState> =
        case["initial"].as_array().unwrap().iter().map(state).collect();
    let columns = initial.split_off(1);
    let mut model =
        EtsRegression::new(spec, smoothing(&case["params"]), initial.remove(0), columns);
    for (value, row) in series.values.iter().zip(&series.regressors) {
        model.observe(Some(*value), row);
    }
    let solved = model.sums().solve();
    check.vector("beta", &solved.beta, &numbers(&case["beta"]));
    check.number("scale", solved.scale, number(&case["scale"]));
    let mean = numbers(&case["mean"]);
    let forecast = model.forecast(mean.len(), Some(&series.regressors[..mean.len()]));
    check.vector("mean", &forecast.iter().map(|f| f.mean).collect::<Vec<_>>(), &mean);
}

struct Check {
    about: String,
    worst: f64,
}

impl Check {
    fn number(&mut self, what: &str, ours: f64, theirs: f64) {
        self.vector(what, &[ours], &[theirs]);
    }

    /// Each entry to 1e-6 of the largest.
    fn vector(&mut self, what: &str, ours: &[f64], theirs: &[f64]) {
        assert_eq!(ours.len(), theirs.len(), "{}: {what}: length", self.about);
        let size = theirs.iter().fold(f64::MIN_POSITIVE, |size, x| size.max(x.abs()));
        for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
            let off = (a - b).abs() / size;
            assert!(off < TOLERANCE, "{}: {what}[{i}]: ours {a}, statsmodels {b}", self.about);
            self.worst = self.worst.max(off);
        }
    }
}

fn smoothing(params: &Value) -> EtsParams {
    EtsParams {
        alpha: number(&params["smoothing_level"]),
        beta: number(&params["smoothing_trend"]),
        gamma: number(&params["smoothing_seasonal"]),
        phi: number(&params["damping_trend"]),
    }
}

fn state(initial: &Value) -> EtsState {
    EtsState::new(number(&initial["level"]), number(&initial["trend"]), numbers(&initial["season"]))
}

fn digest(series: &Series) -> String {
    let mut hasher = Sha256::new();
    series.values.iter().for_each(|x| hasher.update(x.to_le_bytes()));
    series.regressors.iter().flatten().for_each(|x| hasher.update(x.to_le_bytes()));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn count(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap()
}
