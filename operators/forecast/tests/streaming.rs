//! The forecaster as an operator drives it: warm-up, gaps, refits, save and load, regressors, coverage.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test prints its figures and stops at the first error"
)]

mod data;

use nowcast_forecast::{Forecast, Forecaster, Options, Scores};
use serde_json::{Value, json};

fn forecaster(json: Value) -> Forecaster {
    Forecaster::new(&Options::from_json(&json).unwrap()).unwrap()
}

/// A weekly rhythm on a slow wave, with noise that is the same on every machine.
fn wave(t: u64) -> f64 {
    let noise = (t.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
        >> 33)
        % 1000;
    let season = [3.0, 1.0, -2.0, 0.0, 5.0, -4.0, -3.0][(t % 7) as usize];
    100.0 + 10.0 * season + 0.02 * t as f64 + noise as f64 / 100.0
}

fn shop(t: u64) -> Option<f64> {
    (t % 17 != 3).then(|| wave(t))
}

fn bits(forecasts: &[Forecast]) -> Vec<[u64; 4]> {
    forecasts.iter().map(|f| [f.mean, f.lower, f.upper, f.sd].map(f64::to_bits)).collect()
}

fn every_model() -> Vec<Value> {
    vec![
        json!({"season": 7}),
        json!({"season": 7, "error": "mul", "seasonal": "mul", "trend": "none", "non_negative": true}),
        json!({"season": 7, "error": "mul", "damped": false}),
        json!({"season": 7, "regressors": 2}),
        json!({"trend": "none", "confidence": 0.5}),
        json!({"model": "sarimax", "season": 7}),
        json!({"model": "sarimax", "season": 7, "regressors": 2, "p": 2, "d": 0, "P": 1, "D": 0, "Q": 0}),
        json!({"model": "naive", "season": 7}),
        json!({"season": 7, "transform": "sqrt"}),
        json!({"season": 7, "transform": "log", "regressors": 1}),
    ]
}

#[test]
fn save_and_load_continue_bit_for_bit() {
    for options in every_model() {
        let mut straight = forecaster(options.clone());
        let mut broken = forecaster(options.clone());
        let width = straight.options().regressors;
        for t in 0..200 {
            let row = [f64::from(u32::from(t % 11 == 0)), (t as f64 / 9.0).sin()];
            straight.observe(shop(t), &row[..width]).unwrap();
            broken.observe(shop(t), &row[..width]).unwrap();
            // A crash after every window, warm-up and refits included.
            broken = Forecaster::load(&broken.save()).unwrap();
            let future = vec![vec![0.5; width]; 9];
            let ours = broken.forecast(9, Some(&future)).unwrap();
            let theirs = straight.forecast(9, Some(&future)).unwrap();
            assert_eq!(ours.as_deref().map(bits), theirs.as_deref().map(bits), "{options} at {t}");
        }
        assert!(straight.is_warm(), "{options} has a fitted model by then");
        assert_eq!(straight.save(), broken.save(), "{options}");
    }
}

#[test]
fn every_model_beats_a_guess_once_warm() {
    for options in every_model() {
        let mut forecaster = forecaster(options.clone());
        let width = forecaster.options().regressors;
        let mut scores = Scores::new(1);
        for t in 0..300 {
            let row = [f64::from(u32::from(t % 11 == 0)), (t as f64 / 9.0).sin()];
            let ahead = forecaster.forecast(1, Some(&[row[..width].to_vec()])).unwrap();
            if t >= 100 {
                scores.observe(wave(t), ahead.as_ref().map(|all| &all[0]));
            }
            forecaster.observe(shop(t), &row[..width]).unwrap();
        }
        let (mase, coverage) = (scores.mase().unwrap(), scores.coverage().unwrap());
        println!("{options}: MASE {mase:.3} against the latest value, coverage {coverage:.2}");
        let seasonal = forecaster.options().season > 1;
        assert!(mase < if seasonal { 0.3 } else { 1.0 }, "{options}: MASE {mase}");
    }
}

#[test]
fn before_warm_up_the_answer_is_honest() {
    let mut forecaster = forecaster(json!({"season": 7, "confidence": 0.8}));
    assert_eq!(forecaster.forecast(3, None).unwrap(), None);
    forecaster.observe(None, &[]).unwrap();
    assert_eq!(forecaster.forecast(3, None).unwrap(), None, "a missing value says nothing");
    forecaster.observe(Some(50.0), &[]).unwrap();
    let first = forecaster.forecast(3, None).unwrap().unwrap();
    assert!(first.iter().all(|f| f.mean == 50.0 && f.upper - f.lower > 50.0), "{first:?}");
    for t in 0..9 {
        forecaster.observe(Some(50.0 + f64::from(t % 7)), &[]).unwrap();
    }
    assert!(!forecaster.is_warm());
    // Windows 0 … 8 had 50 51 52 53 54 55 56 50 51: a season ago of the next one is 52.
    let seasonal = forecaster.forecast(8, None).unwrap().unwrap();
    assert_eq!(
        seasonal.iter().map(|f| f.mean).collect::<Vec<_>>(),
        [52., 53., 54., 55., 56., 50., 51., 52.]
    );
    assert!(seasonal[7].sd > seasonal[0].sd, "a second season ahead is wider");
}

#[test]
fn a_gap_makes_the_next_forecast_a_later_one() {
    for options in [
        json!({"season": 7}),
        json!({"model": "sarimax", "season": 7}),
        json!({"season": 7, "regressors": 1}),
    ] {
        let mut forecaster = forecaster(options.clone());
        let row = vec![1.0; forecaster.options().regressors];
        // The next refit after 150 comes later than 160.
        for t in 0..150 {
            forecaster.observe(Some(wave(t)), &row).unwrap();
        }
        let before = forecaster.forecast(12, None).unwrap().unwrap();
        for _ in 0..5 {
            forecaster.observe(None, &row).unwrap();
        }
        let after = forecaster.forecast(7, None).unwrap().unwrap();
        for (a, b) in after.iter().zip(&before[5..]) {
            assert!((a.mean / b.mean - 1.0).abs() < 1e-9, "{options}: {a:?} {b:?}");
            assert!((a.sd / b.sd - 1.0).abs() < 1e-9, "{options}: {a:?} {b:?}");
        }
    }
}

#[test]
fn degenerate_series_never_give_nonsense() {
    type Values = fn(u64) -> Option<f64>;
    let series: [(&str, Values); 7] = [
        ("constant", |_| Some(5.0)),
        ("zero", |_| Some(0.0)),
        ("missing", |_| None),
        ("huge", |t| Some(if t % 9 == 0 { 1e300 } else { -1e300 })),
        ("not finite", |t| Some(if t % 2 == 0 { f64::NAN } else { f64::INFINITY })),
        ("one position never seen", |t| (t % 7 != 2).then(|| wave(t))),
        ("jump to zero", |t| Some(if t < 90 { wave(t) } else { 0.0 })),
    ];
    for options in every_model() {
        for (name, value) in series {
            let mut forecaster = forecaster(options.clone());
            let width = forecaster.options().regressors;
            for t in 0..150 {
                forecaster.observe(value(t), &vec![f64::NAN; width]).unwrap();
                let Some(all) = forecaster.forecast(10, None).unwrap() else { continue };
                for f in all {
                    let sane = f.mean.is_finite() && f.lower <= f.upper && f.sd >= 0.0;
                    // At 1e300 squares overflow: an infinite spread is the right answer there.
                    assert!(sane || name == "huge", "{options} on {name} at {t}: {f:?}");
                    assert!(!f.sd.is_nan(), "{options} on {name} at {t}: {f:?}");
                }
            }
        }
    }
}

#[test]
fn arguments_are_checked() {
    let mut forecaster = forecaster(json!({"regressors": 2}));
    let message = |error: nowcast_forecast::Error| error.to_string();
    assert_eq!(
        message(forecaster.observe(Some(1.0), &[1.0]).unwrap_err()),
        "forecast needs 2 regressors, got 1"
    );
    assert_eq!(forecaster.observed(), 0);
    forecaster.observe(Some(1.0), &[1.0, 2.0]).unwrap();
    let horizon = message(forecaster.forecast(0, None).unwrap_err());
    assert_eq!(horizon, "forecast horizon must be between 1 and 1024, got 0");
    let rows = message(forecaster.forecast(2, Some(&[vec![1.0, 2.0]])).unwrap_err());
    assert_eq!(rows, "forecast needs 2 rows of future regressors, got 1");
    let mut saved = forecaster.save();
    saved[5] ^= 1;
    assert_eq!(
        message(Forecaster::load(&saved).unwrap_err()),
        "saved forecaster: checksum differs"
    );
}

#[test]
fn a_promotion_is_learned_and_forecast() {
    let promoted = |t: u64| f64::from(u32::from(t % 13 == 5));
    let mut forecaster = forecaster(json!({"season": 7, "regressors": 1, "confidence": 0.8}));
    for t in 0..160 {
        forecaster.observe(Some(wave(t) + 40.0 * promoted(t)), &[promoted(t)]).unwrap();
    }
    let with = forecaster.forecast(1, Some(&[vec![1.0]])).unwrap().unwrap()[0];
    let without = forecaster.forecast(1, Some(&[vec![0.0]])).unwrap().unwrap()[0];
    assert!((with.mean - without.mean - 40.0).abs() < 3.0, "{with:?} {without:?}");
    assert!((without.mean - wave(160)).abs() < 10.0, "{without:?} {}", wave(160));
}

/// Eighty per cent intervals, one and twelve steps ahead, on what comes after the observations that only teach.
#[test]
fn intervals_cover_a_held_out_series() {
    let Some(folder) = data::folder() else { return };
    let hours: Vec<f64> =
        data::bike_days(&folder).iter().flat_map(|(_, day)| day.to_vec()).collect();
    let visits = data::series(&folder, "website_visits").values;
    let taxi: Vec<f64> = data::rows(&folder, "nab_realtime/nyc_taxi.csv.zst", b',')
        .iter()
        .map(|row| data::number(row, "value"))
        .collect();
    let rides = "members' rides by the hour";
    let cases = [
        (
            rides,
            &hours[..4000],
            json!({"season": 168, "transform": "sqrt", "confidence": 0.8}),
            1680,
        ),
        (
            rides,
            &hours[..4000],
            json!({"model": "sarimax", "p": 2, "d": 0, "season": 24, "transform": "sqrt", "confidence": 0.8}),
            1680,
        ),
        ("visits by the day", &visits[..], json!({"season": 7, "confidence": 0.8}), 200),
        (
            "visits by the day",
            &visits[..],
            json!({"model": "sarimax", "season": 7, "confidence": 0.8}),
            200,
        ),
        (
            "taxi rides by the half-hour",
            &taxi[..4000],
            json!({"season": 336, "confidence": 0.8}),
            1500,
        ),
    ];
    for (name, values, options, held_out_from) in cases {
        let mut forecaster = forecaster(options.clone());
        let (near, far) = (0, 11);
        let mut scores =
            [Scores::new(forecaster.options().season), Scores::new(forecaster.options().season)];
        let mut waiting: Vec<(usize, Forecast)> = Vec::new();
        for (t, value) in values.iter().enumerate() {
            if t >= held_out_from {
                let all = forecaster.forecast(12, None).unwrap().unwrap();
                scores[0].observe(*value, Some(&all[near]));
                waiting.push((t + far, all[far]));
                let due = waiting.iter().find(|(at, _)| *at == t).map(|(_, forecast)| *forecast);
                scores[1].observe(*value, due.as_ref());
                waiting.retain(|(at, _)| *at > t);
            }
            forecaster.observe(Some(*value), &[]).unwrap();
        }
        for (ahead, scores) in [(1, &scores[0]), (12, &scores[1])] {
            let coverage = scores.coverage().unwrap();
            println!(
                "{name}, {options}, {ahead} ahead: coverage {coverage:.3}, MASE {:.3}, WAPE {:.3}, {} judged",
                scores.mase().unwrap(),
                scores.wape().unwrap(),
                scores.judged()
            );
            assert!((0.6..=0.95).contains(&coverage), "{name} {ahead} ahead: {coverage}");
        }
    }
}
