//! The total of a day from its hours so far, on members' rides: better than either source by itself.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test prints its figures and stops at the first error"
)]

mod data;

use nowcast_forecast::{Completion, CompletionOptions, Forecast, Forecaster, Options, Scores};
use serde_json::json;

const HOURS: usize = 24;
/// Days that only teach.
const PAST: usize = 120;

fn cumulative(day: &[f64; HOURS]) -> [f64; HOURS] {
    let mut sum = 0.0;
    day.map(|count| {
        sum += count;
        sum
    })
}

fn point(mean: f64) -> Forecast {
    Forecast { mean, lower: mean, upper: mean, sd: 0.0 }
}

#[test]
fn a_nowcast_beats_scaling_up_and_forecasting() {
    let Some(folder) = data::folder() else { return };
    let days = data::bike_days(&folder);
    let options =
        Options::from_json(&json!({"season": 7, "confidence": 0.8, "non_negative": true})).unwrap();
    let mut forecaster = Forecaster::new(&options).unwrap();
    let options = CompletionOptions {
        steps: HOURS,
        season: 7,
        confidence: 0.8,
        ..CompletionOptions::default()
    };
    let mut completion = Completion::new(&options).unwrap();
    let (mut scaled, mut profiled) = (Scores::new(1), Scores::new(1));
    let (mut forecast_alone, mut nowcast) = (Scores::new(1), Scores::new(1));
    let mut by_hour: Vec<[Scores; 4]> =
        (0..HOURS).map(|_| [(); 4].map(|()| Scores::new(1))).collect();

    for (position, (_, day)) in days.iter().enumerate() {
        let partials = cumulative(day);
        let total = partials[HOURS - 1];
        let forecast = forecaster.forecast(1, None).unwrap().map(|all| all[0]);
        if position >= PAST {
            let prior = forecast.unwrap();
            // Hours 6 … 23: before dawn a scaled-up partial is not worth beating.
            for step in 6..HOURS {
                let partial = partials[step - 1];
                let share = completion.share(position, step - 1).unwrap();
                let now =
                    completion.nowcast(position, step, partial, Some(&prior)).unwrap().unwrap();
                assert!(
                    now.lower >= partial && now.mean >= partial,
                    "hour {step}: {now:?} below {partial}"
                );
                let candidates = [
                    point(partial * HOURS as f64 / step as f64),
                    point(partial / share),
                    prior,
                    now,
                ];
                let all = [&mut scaled, &mut profiled, &mut forecast_alone, &mut nowcast];
                for ((candidate, all), own) in candidates.iter().zip(all).zip(&mut by_hour[step]) {
                    all.observe(total, Some(candidate));
                    own.observe(total, Some(candidate));
                }
            }
            let last = completion.nowcast(position, HOURS, total, Some(&prior)).unwrap();
            assert_eq!(last, Some(point(total)), "a finished day is its total");
        }
        forecaster.observe(Some(total), &[]).unwrap();
        completion.learn(position, &partials, total, forecast.as_ref()).unwrap();
    }
    for step in [6, 9, 12, 15, 18, 21, 23] {
        let wape = by_hour[step].each_ref().map(|scores| scores.wape().unwrap());
        let coverage = by_hour[step][3].coverage().unwrap();
        println!(
            "after hour {step:2}: WAPE scaled {:.3}, by profile {:.3}, forecast {:.3}, nowcast {:.3}; coverage {coverage:.2}",
            wape[0], wape[1], wape[2], wape[3]
        );
        // At no hour worse than the better of the two but for noise; over all hours better than each.
        assert!(
            wape[3] <= wape[1] * 1.06 && wape[3] <= wape[2] * 1.01,
            "after hour {step}: {wape:?}"
        );
    }
    let wape = [&scaled, &profiled, &forecast_alone, &nowcast].map(|scores| scores.wape().unwrap());
    let coverage = nowcast.coverage().unwrap();
    println!(
        "all: WAPE scaled {:.3}, by profile {:.3}, forecast {:.3}, nowcast {:.3}; coverage {coverage:.2}",
        wape[0], wape[1], wape[2], wape[3]
    );
    assert!(wape[..3].iter().all(|other| wape[3] < *other), "{wape:?}");
    assert!((0.6..=0.95).contains(&coverage), "{coverage}");
}

#[test]
fn what_is_unknown_is_said_so() {
    let options = CompletionOptions { steps: 4, ..CompletionOptions::default() };
    let mut completion = Completion::new(&options).unwrap();
    assert_eq!(completion.nowcast(0, 1, 5.0, None).unwrap(), None);
    let prior = Forecast { mean: 100.0, lower: 80.0, upper: 120.0, sd: 10.0 };
    let by_prior = completion.nowcast(0, 1, 5.0, Some(&prior)).unwrap().unwrap();
    assert!((by_prior.mean - 100.0).abs() < 1e-9);
    // A partial far above the forecast: the answer lies above the partial.
    let above = completion.nowcast(0, 1, 300.0, Some(&prior)).unwrap().unwrap();
    assert!(above.lower >= 300.0 && above.mean > 300.0 && above.upper.is_finite());
    completion.learn(0, &[10.0, 20.0, 50.0, 100.0], 100.0, None).unwrap();
    let one = completion.nowcast(0, 2, 30.0, None).unwrap().unwrap();
    assert!(
        (one.mean / 150.0 - 1.0).abs() < 0.5 && one.upper > 300.0,
        "one period is little: {one:?}"
    );
    // Nothing arrived is evidence too.
    for _ in 0..50 {
        completion.learn(0, &[10.0, 20.0, 50.0, 100.0], 100.0, None).unwrap();
    }
    let nothing = completion.nowcast(0, 3, 0.0, Some(&prior)).unwrap().unwrap();
    assert!(nothing.mean < 50.0, "{nothing:?}");
}

#[test]
fn saved_completion_continues_bit_for_bit() {
    let options = CompletionOptions { steps: 3, season: 2, ..CompletionOptions::default() };
    let mut straight = Completion::new(&options).unwrap();
    let mut broken = straight.clone();
    for t in 0..20 {
        let total = 50.0 + f64::from(t % 2) * 9.0 + f64::from(t * 7 % 5) / 3.0;
        let partials = [total / 7.0, if t == 4 { f64::NAN } else { total / 3.0 }, total];
        let forecast = Forecast { sd: 5.0, ..point(52.0) };
        straight.learn(t as usize, &partials, total, Some(&forecast)).unwrap();
        broken.learn(t as usize, &partials, total, Some(&forecast)).unwrap();
        broken = Completion::load(&broken.save()).unwrap();
        assert_eq!(straight, broken);
    }
    let mut damaged = straight.save();
    damaged.pop();
    assert!(Completion::load(&damaged).is_err());
    let refused = straight.learn(0, &[1.0], 1.0, None).unwrap_err().to_string();
    assert_eq!(refused, "forecast needs 3 partials, got 1");
    assert!(
        straight.nowcast(0, 4, 1.0, None).is_err()
            && straight.nowcast(0, 1, f64::NAN, None).is_err()
    );
    let options = CompletionOptions { steps: 0, ..CompletionOptions::default() };
    assert_eq!(
        Completion::new(&options).unwrap_err().to_string(),
        "forecast option steps: must be between 1 and 1440, got 0"
    );
}
