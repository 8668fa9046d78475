//! The normal distribution: what every predictive distribution here is made of.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

use serde::{Deserialize, Serialize};

/// A predictive mean and variance. A variance may be infinite (nothing known yet), never negative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    pub mean: f64,
    pub variance: f64,
}

impl Normal {
    pub fn sd(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Value below which the probability is `p`, 0 < p < 1.
    pub fn quantile(&self, p: f64) -> f64 {
        if self.variance == 0.0 { self.mean } else { self.mean + self.sd() * quantile(p) }
    }

    /// Precision-weighted estimate from `self` (the prior) and a reading `value` of
    /// `scale · x` with noise of variance `noise`: one Kalman update.
    pub fn updated(&self, value: f64, scale: f64, noise: f64) -> Normal {
        let predicted = scale * scale * self.variance + noise;
        if predicted <= 0.0 {
            return *self;
        }
        let gain = self.variance * scale / predicted;
        Normal {
            mean: self.mean + gain * (value - scale * self.mean),
            variance: self.variance * noise / predicted,
        }
    }

    /// The same distribution, known to lie at or above `floor`.
    pub fn truncated_below(self, floor: f64) -> TruncatedNormal {
        TruncatedNormal { normal: self, floor }
    }
}

/// A normal distribution cut off below `floor`.
#[derive(Clone, Copy, Debug)]
pub struct TruncatedNormal {
    normal: Normal,
    floor: f64,
}

/// Standard deviations past which the tail is taken as exponential: `cdf` loses its digits there.
const TAIL_SD: f64 = 8.0;

impl TruncatedNormal {
    /// Mean and variance (Johnson, Kotz & Balakrishnan 1994, §13.10.1).
    pub fn moments(&self) -> Normal {
        let sd = self.normal.sd();
        if sd == 0.0 {
            return Normal { mean: self.normal.mean.max(self.floor), variance: 0.0 };
        }
        let cut = (self.floor - self.normal.mean) / sd;
        if cut > TAIL_SD {
            let scale = sd / cut;
            return Normal { mean: self.floor + scale, variance: scale * scale };
        }
        let hazard = density(cut) / survival(cut);
        Normal {
            mean: (self.normal.mean + sd * hazard).max(self.floor),
            variance: self.normal.variance * (1.0 + hazard * (cut - hazard)).max(0.0),
        }
    }

    /// Value below which the probability is `p`, 0 < p < 1; never below the floor.
    pub fn quantile(&self, p: f64) -> f64 {
        let sd = self.normal.sd();
        if sd == 0.0 {
            return self.normal.mean.max(self.floor);
        }
        let cut = (self.floor - self.normal.mean) / sd;
        if cut > TAIL_SD {
            return self.floor - sd / cut * (1.0 - p).ln();
        }
        // The upper tail, since `1 - survival` loses digits where the cut is far above the mean.
        let upper = survival(cut) * (1.0 - p);
        (self.normal.mean - sd * quantile(upper)).max(self.floor)
    }
}

/// Density of the standard normal.
pub fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// P(Z ≤ z).
pub fn cumulative(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// P(Z > z), with its digits in the upper tail.
pub fn survival(z: f64) -> f64 {
    0.5 * libm::erfc(z / SQRT_2)
}

/// Inverse of [`cumulative`]: Wichura (1988), algorithm AS 241, PPND16; relative error about 1e-16.
pub fn quantile(p: f64) -> f64 {
    debug_assert!(p > 0.0 && p < 1.0, "a probability lies between 0 and 1: {p}");
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * ratio(r, &CENTRE);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = (-tail.ln()).sqrt();
    let z = if r <= 5.0 { ratio(r - 1.6, &MIDDLE) } else { ratio(r - 5.0, &FAR) };
    if q < 0.0 { -z } else { z }
}

type Coefficients = ([f64; 8], [f64; 8]);

fn ratio(r: f64, (above, below): &Coefficients) -> f64 {
    let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |sum, c| sum * r + c);
    horner(above) / horner(below)
}

const CENTRE: Coefficients = (
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_545,
    ],
);
const MIDDLE: Coefficients = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);
const FAR: Coefficients = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_inverts_cumulative() {
        // scipy.stats.norm.ppf
        for (p, z) in
            [(0.975, 1.959963984540054), (0.9, 1.2815515655446004), (1e-10, -6.361340902404056)]
        {
            assert!((quantile(p) - z).abs() < 1e-12 * z.abs(), "{p}: {} is not {z}", quantile(p));
        }
        for i in 1..1000 {
            let p = f64::from(i) / 1000.0;
            assert!((cumulative(quantile(p)) - p).abs() < 1e-14, "{p}");
        }
    }

    #[test]
    fn truncation_agrees_with_scipy() {
        // scipy.stats.truncnorm(a=(floor-3)/2, b=inf, loc=3, scale=2): mean, var, ppf(0.1)
        let normal = Normal { mean: 3.0, variance: 4.0 };
        for (floor, mean, variance, low) in [
            (4.0, 5.282155540736129, 1.0739216286235136, 4.179472256967542),
            (-2.0, 3.0352756509738335, 3.822377373579205, 0.4993310928193342),
        ] {
            let cut = normal.truncated_below(floor);
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * b, "{a} is not {b}");
            near(cut.moments().mean, mean);
            near(cut.moments().variance, variance);
            near(cut.quantile(0.1), low);
        }
        // Continuous where the tail formula takes over.
        let near = |cut: f64| Normal { mean: -cut, variance: 1.0 }.truncated_below(0.0);
        let (below, above) = (near(TAIL_SD - 1e-9), near(TAIL_SD + 1e-9));
        assert!((below.moments().mean / above.moments().mean - 1.0).abs() < 0.05);
        assert!((below.quantile(0.9) / above.quantile(0.9) - 1.0).abs() < 0.05);
    }
}
