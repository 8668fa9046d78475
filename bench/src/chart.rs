//! Charts as SVG text, to stand in a page.

use std::ops::Range;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::Error;

const WIDTH: u32 = 920;
const HEIGHT: u32 = 280;

/// Told apart also by people who do not see red and green (Okabe and Ito 2008).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(213, 94, 0), RGBColor(0, 158, 115)];
const MARK: RGBColor = RGBColor(170, 170, 190);
const GRID: RGBColor = RGBColor(232, 234, 240);

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From zero.
    Linear,
    Log,
    /// Percentiles (0 to 100), each nine as wide as the one before.
    Nines,
}

pub struct Line<'a> {
    pub name: &'a str,
    pub points: Vec<(f64, f64)>,
}

/// Lines over one x axis, with vertical marks.
pub struct Chart<'a> {
    pub x: (&'a str, Scale),
    pub y: (&'a str, Scale),
    pub lines: Vec<Line<'a>>,
    pub marks: Vec<f64>,
}

impl Chart<'_> {
    /// Draws it; nothing is drawn where no line has a point.
    ///
    /// # Errors
    /// Those of the drawing library.
    pub fn to_svg(&self) -> Result<Option<String>, Error> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let Some(x) = range(points().map(|point| place(point.0, self.x.1)), self.x.1) else {
            return Ok(None);
        };
        let Some(y) = range(points().map(|point| point.1), self.y.1) else { return Ok(None) };
        let mut svg = String::new();
        let drawn = match self.y.1 {
            Scale::Log => self.draw(&mut svg, x, y.log_scale()),
            Scale::Linear | Scale::Nines => self.draw(&mut svg, x, y),
        };
        drawn.map_err(|error| Error::Flag(format!("a chart cannot be drawn: {error}")))?;
        Ok(Some(svg))
    }

    fn draw<Y>(
        &self,
        svg: &mut String,
        x: Range<f64>,
        y: Y,
    ) -> Result<(), Box<dyn std::error::Error + '_>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let root = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .x_label_area_size(38)
            .y_label_area_size(70)
            .build_cartesian_2d(x, y)
            .map_err(|error| error.to_string())?;
        let scale = self.x.1;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(RGBColor(120, 120, 130))
            .label_style(("sans-serif", 13))
            .x_desc(self.x.0)
            .y_desc(self.y.0)
            .x_label_formatter(&|at| label(*at, scale))
            .y_label_formatter(&|value| short(*value))
            .draw()
            .map_err(|error| error.to_string())?;
        let (bottom, top) = {
            let area = chart.plotting_area().get_pixel_range().1;
            (area.end, area.start)
        };
        for mark in &self.marks {
            let middle = self.lines.iter().flat_map(|line| &line.points).map(|point| point.1);
            let at = middle.fold(f64::NAN, f64::max);
            let (x, _) = chart.backend_coord(&(place(*mark, scale), at));
            root.draw(&PathElement::new([(x, top), (x, bottom)], MARK))
                .map_err(|error| error.to_string())?;
        }
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let points = line.points.iter().map(|point| (place(point.0, scale), point.1));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                .map_err(|error| error.to_string())?
                .label(line.name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(("sans-serif", 13))
            .background_style(WHITE.mix(0.8))
            .draw()
            .map_err(|error| error.to_string())?;
        root.present().map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Where a value stands on an axis.
fn place(value: f64, scale: Scale) -> f64 {
    match scale {
        // The hundredth is where the last of a million stands.
        Scale::Nines => -(1.0 - value / 100.0).max(1e-6).log10(),
        Scale::Linear | Scale::Log => value,
    }
}

fn label(at: f64, scale: Scale) -> String {
    match scale {
        Scale::Nines if at <= 0.0 => "0%".into(),
        Scale::Nines => {
            let percent = 100.0 * (1.0 - 10_f64.powf(-at));
            let digits = (at.ceil() as usize).saturating_sub(2) + usize::from(at.fract() != 0.0);
            format!("{percent:.digits$}%")
        }
        Scale::Linear | Scale::Log => short(at),
    }
}

/// Few digits: `0.05`, `12`, `1.5k`.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{}M", value / 1e6),
        size if size >= 1e4 => format!("{}k", value / 1e3),
        _ => format!("{}", (value * 1e6).round() / 1e6),
    }
}

/// From the least to the greatest value, with some air; zero is in it unless the scale is logarithmic.
fn range(values: impl Iterator<Item = f64>, scale: Scale) -> Option<Range<f64>> {
    let (least, most) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
            (least.min(value), most.max(value))
        });
    match scale {
        _ if most < least => None,
        Scale::Log => {
            let least = least.max(1e-3);
            Some(least / 1.5..most.max(least) * 1.5)
        }
        Scale::Linear | Scale::Nines => {
            let least = least.min(0.0);
            let air = if most > least { (most - least) * 0.05 } else { 1.0 };
            Some(least..most + air)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(y: Scale, points: Vec<(f64, f64)>) -> Chart<'static> {
        let lines = vec![Line { name: "p99", points }];
        Chart { x: ("s", Scale::Linear), y: ("ms", y), lines, marks: vec![1.0] }
    }

    #[test]
    fn a_line_has_as_many_corners_as_points_and_higher_values_stand_higher() {
        for scale in [Scale::Linear, Scale::Log] {
            let svg = chart(scale, vec![(0.0, 1.0), (1.0, 10.0), (2.0, 100.0)]).to_svg();
            let svg = svg.unwrap().unwrap();
            assert!(
                svg.starts_with("<svg") && svg.contains("p99") && svg.contains(">\nms"),
                "{svg}"
            );
            let line =
                svg.split("<polyline").filter(|part| part.contains("#0072B2")).find_map(|part| {
                    let points = part.split("points=\"").nth(1)?.split('"').next()?;
                    let ys: Vec<i32> = points
                        .split_whitespace()
                        .map(|point| point.split(',').nth(1).unwrap().parse().unwrap())
                        .collect();
                    (ys.len() == 3).then_some(ys)
                });
            let ys = line.unwrap_or_else(|| panic!("{svg}"));
            assert!(ys[0] > ys[1] && ys[1] > ys[2], "{ys:?}");
            // A logarithm makes equal steps of equal factors.
            assert_eq!((ys[0] - ys[1]).abs_diff(ys[1] - ys[2]) <= 1, scale == Scale::Log, "{ys:?}");
        }
    }

    #[test]
    fn nothing_and_one_point_are_no_errors() {
        assert_eq!(chart(Scale::Linear, vec![]).to_svg().unwrap(), None);
        assert_eq!(chart(Scale::Linear, vec![(f64::NAN, f64::NAN)]).to_svg().unwrap(), None);
        for scale in [Scale::Linear, Scale::Log] {
            assert!(chart(scale, vec![(0.0, 0.0)]).to_svg().unwrap().is_some());
        }
    }

    #[test]
    fn nines_are_labelled_as_percentiles() {
        let labels: Vec<String> =
            [0.0, 1.0, 2.0, 3.0, 4.0].iter().map(|at| label(*at, Scale::Nines)).collect();
        assert_eq!(labels, ["0%", "90%", "99%", "99.9%", "99.99%"]);
        assert_eq!(place(99.9, Scale::Nines).round(), 3.0);
        assert_eq!(place(100.0, Scale::Nines), 6.0);
    }
}
