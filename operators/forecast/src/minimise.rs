//! Bounded Nelder-Mead: the derivative-free search behind every fit.
//!
//! Own code, since it is one screen, while `argmin` (the well-kept crate for it) has neither bounds nor
//! an exact cap on evaluations in its Nelder-Mead and brings its own traits, logging and clocks.

/// Reflection, expansion, contraction and shrinkage as in Nelder & Mead (1965).
const EXPAND: f64 = 2.0;
const CONTRACT: f64 = 0.5;
const SHRINK: f64 = 0.5;
/// Edge of the first simplex in the unit cube: large enough to leave a poor start.
const EDGE: f64 = 0.2;
/// The search ends when the values at the corners differ by less than this (in units of log-likelihood).
const TOLERANCE: f64 = 1e-6;

/// The lowest point found within `bounds`, with its value, after at most `evaluations` calls (at least
/// one for each corner). Deterministic; a NaN value counts as +∞.
pub fn minimise(
    start: &[f64],
    bounds: &[(f64, f64)],
    evaluations: usize,
    mut objective: impl FnMut(&[f64]) -> f64,
) -> (Vec<f64>, f64) {
    debug_assert_eq!(start.len(), bounds.len(), "one bound a parameter");
    let n = start.len();
    let scaled = |unit: &[f64]| -> Vec<f64> {
        unit.iter().zip(bounds).map(|(u, (low, high))| low + u * (high - low)).collect()
    };
    let mut used = 0;
    let mut evaluate = |unit: Vec<f64>| {
        used += 1;
        let unit: Vec<f64> = unit.into_iter().map(|u| u.clamp(0.0, 1.0)).collect();
        let value = objective(&scaled(&unit));
        (Corner { value: if value.is_nan() { f64::INFINITY } else { value }, unit }, used)
    };

    let centre: Vec<f64> = start
        .iter()
        .zip(bounds)
        .map(|(x, (low, high))| ((x - low) / (high - low)).clamp(0.0, 1.0))
        .collect();
    let mut corners = vec![evaluate(centre.clone()).0];
    for i in 0..n {
        let mut unit = centre.clone();
        unit[i] += if unit[i] + EDGE <= 1.0 { EDGE } else { -EDGE };
        corners.push(evaluate(unit).0);
    }
    let mut used = n + 1;
    loop {
        corners.sort_by(|a, b| a.value.total_cmp(&b.value));
        let spread = corners[n].value - corners[0].value;
        if used >= evaluations || n == 0 || spread.abs() <= TOLERANCE {
            break;
        }
        let worst = corners[n].clone();
        let middle: Vec<f64> = (0..n)
            .map(|i| corners[..n].iter().map(|c| c.unit[i]).sum::<f64>() / n as f64)
            .collect();
        let along = |step: f64| {
            middle.iter().zip(&worst.unit).map(|(m, w)| m + step * (m - w)).collect::<Vec<_>>()
        };
        let mut candidate;
        (candidate, used) = evaluate(along(1.0));
        if candidate.value < corners[0].value {
            let expanded;
            (expanded, used) = evaluate(along(EXPAND));
            if expanded.value < candidate.value {
                candidate = expanded;
            }
        } else if candidate.value >= corners[n - 1].value {
            let step = if candidate.value < worst.value { CONTRACT } else { -CONTRACT };
            (candidate, used) = evaluate(along(step));
            if candidate.value >= worst.value {
                let best = corners[0].unit.clone();
                for corner in &mut corners[1..] {
                    let toward =
                        best.iter().zip(&corner.unit).map(|(b, u)| b + SHRINK * (u - b)).collect();
                    (*corner, used) = evaluate(toward);
                }
                continue;
            }
        }
        corners[n] = candidate;
    }
    let best = &corners[0];
    (scaled(&best.unit), best.value)
}

#[derive(Clone)]
struct Corner {
    unit: Vec<f64>,
    value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_curved_valley() {
        let rosenbrock = |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2);
        let (x, value) = minimise(&[-1.2, 1.0], &[(-2.0, 2.0), (-2.0, 2.0)], 500, rosenbrock);
        assert!(value < 1e-6 && (x[0] - 1.0).abs() < 1e-2, "{x:?} {value}");
    }

    #[test]
    fn keeps_to_bounds_and_evaluations() {
        let mut calls = 0;
        let (x, _) = minimise(&[0.5, 0.5], &[(0.0, 1.0), (0.0, 1.0)], 60, |x| {
            calls += 1;
            assert!(x.iter().all(|x| (0.0..=1.0).contains(x)));
            (x[0] - 3.0).powi(2) + (x[1] + 3.0).powi(2)
        });
        assert!(calls <= 64, "{calls}: one turn past the cap at most");
        assert!(x[0] > 0.99 && x[1] < 0.01, "{x:?}");
    }
}
