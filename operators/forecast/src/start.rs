//! Initial states of exponential smoothing from the first observations (after Hyndman et al. 2008, §2.6.1).
//!
//! For additive models every state is a linear function of the observations, with weights that depend
//! only on which are missing: [`crate::regression`] relies on it.

use crate::ets::{EtsSpec, EtsState, Form, Trend};

/// Seasons that the first seasonal components are averaged over.
const SEASONS_MAX: usize = 4;
/// Observations that a first level and slope without a season are fitted to.
const LINE_LENGTH: usize = 10;

/// States before `values[0]`. `missing` tells which entries to leave out (it is given, rather than read
/// from `values`, so that a regressor is weighed exactly as its series). `None` when the values do not
/// cover two seasons, or a position of the season is never seen.
pub fn initial_state(spec: &EtsSpec, values: &[f64], missing: &[bool]) -> Option<EtsState> {
    let period = spec.period;
    if spec.season.is_none() {
        let head = values.len().min(LINE_LENGTH);
        let (level, slope) = line(values, missing, head, spec.trend != Trend::None)?;
        return Some(EtsState::new(level - slope, slope, vec![]));
    }
    let seasons = (values.len() / period).min(SEASONS_MAX);
    if seasons < 2 {
        return None;
    }
    // A season's mean sits at its middle.
    let middle = (period as f64 - 1.0) / 2.0;
    let head = seasons * period;
    let mut averages = Vec::with_capacity(seasons);
    let mut absent = Vec::with_capacity(seasons);
    for (values, missing) in values[..head].chunks(period).zip(missing[..head].chunks(period)) {
        let average = mean(values, missing);
        absent.push(average.is_none());
        averages.push(average.unwrap_or(0.0));
    }
    let (first, slope) = line(&averages, &absent, seasons, spec.trend != Trend::None)?;
    let slope = slope / period as f64;
    let at = |i: usize| first + slope * (i as f64 - middle);

    let mut season = Vec::with_capacity(period);
    for position in 0..period {
        let mut sum = 0.0;
        let mut count = 0.0;
        for i in (position..head).step_by(period).filter(|i| !missing[*i]) {
            sum += match spec.season {
                Some(Form::Multiplicative) => values[i] / at(i),
                _ => values[i] - at(i),
            };
            count += 1.0;
        }
        if count == 0.0 {
            return None;
        }
        season.push(sum / count);
    }
    let level = at(0) - slope;
    Some(EtsState::new(level, slope, season))
}

/// Intercept (at index 0) and slope of the least-squares line, or the mean and 0.
fn line(values: &[f64], missing: &[bool], head: usize, sloped: bool) -> Option<(f64, f64)> {
    let level = mean(&values[..head], &missing[..head])?;
    let indices: Vec<f64> = (0..head).map(|i| i as f64).collect();
    let centre = mean(&indices, &missing[..head])?;
    if !sloped {
        return Some((level, 0.0));
    }
    let (mut across, mut spread) = (0.0, 0.0);
    for i in (0..head).filter(|i| !missing[*i]) {
        across += (indices[i] - centre) * values[i];
        spread += (indices[i] - centre) * (indices[i] - centre);
    }
    let slope = if spread > 0.0 { across / spread } else { 0.0 };
    Some((level - slope * centre, slope))
}

fn mean(values: &[f64], missing: &[bool]) -> Option<f64> {
    let seen = values.iter().zip(missing).filter(|(_, missing)| !**missing);
    let (sum, count) = seen.fold((0.0, 0.0), |(sum, count), (value, _)| (sum + value, count + 1.0));
    (count > 0.0).then_some(sum / count)
}
