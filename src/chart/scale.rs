//! From values to places in a picture, and the round values that are written beside it.

/// A vertical axis: the greater the value, the higher (and so the smaller) its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    least: f64,
    greatest: f64,
    top: f64,
    bottom: f64,
}

/// No value of a sample is larger; of what else is shown, larger ones would have no differences.
const MOST: f64 = 1e150;

/// Of the height, above and below everything that is shown.
const MARGIN: f64 = 0.06;

impl Scale {
    /// An axis from `top` to `bottom` that shows all of these, with some air; a single value stands in the middle.
    pub fn showing(values: impl Iterator<Item = f64>, (top, bottom): (f64, f64)) -> Self {
        let values = values.map(|value| value.clamp(-MOST, MOST));
        let (least, greatest) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
        let (least, greatest) = if least > greatest { (0.0, 1.0) } else { (least, greatest) };
        let air = match (greatest - least) * MARGIN {
            // All the same: a twentieth of it, and where it is zero, one.
            0.0 if least == 0.0 => 1.0,
            0.0 => least.abs() / 20.0,
            air => air,
        };
        // So near zero that there is nothing smaller.
        let air = if least - air < greatest + air { air } else { 1.0 };
        Self { least: least - air, greatest: greatest + air, top, bottom }
    }

    /// The place of a value; that of one beyond the axis is its end.
    pub fn place(&self, value: f64) -> f64 {
        let part = (value.clamp(self.least, self.greatest) - self.least) / (self.greatest - self.least);
        self.bottom - part * (self.bottom - self.top)
    }

    /// Whether a value lies on the axis.
    pub fn shows(&self, value: f64) -> bool {
        (self.least..=self.greatest).contains(&value)
    }

    /// Round values on the axis, with about `most` steps between them, and how many places behind the point they need.
    pub fn ticks(&self, most: u32) -> (Vec<f64>, usize) {
        let coarse = (self.greatest - self.least) / f64::from(most.max(1));
        let magnitude = 10f64.powf(coarse.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * magnitude).into_iter().find(|step| *step >= coarse);
        let step = step.unwrap_or(10.0 * magnitude);
        let decimals = (-(step * 1.000_001).log10().floor()).max(0.0) as usize;
        let first = (self.least / step).ceil();
        let ticks = (0..=most).map(|i| (first + f64::from(i)) * step).filter(|tick| self.shows(*tick));
        (ticks.collect(), decimals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: &[f64]) -> Scale {
        Scale::showing(values.iter().copied(), (0.0, 100.0))
    }

    #[test]
    fn the_greatest_stands_highest_with_air_on_both_sides() {
        let scale = scale(&[10.0, 20.0]);
        assert!((scale.place(20.0) - 5.357).abs() < 0.001 && (scale.place(10.0) - 94.643).abs() < 0.001);
        assert_eq!((scale.place(1e9), scale.place(-1e9)), (0.0, 100.0));
        assert!(scale.shows(9.5) && !scale.shows(9.0));
    }

    #[test]
    fn one_value_stands_in_the_middle_whatever_it_is() {
        for value in [0.0, 5.0, -1e-9, 1e150, 5e-324] {
            assert!((scale(&[value, value]).place(value) - 50.0).abs() < 1e-6, "{value}");
        }
        assert!((scale(&[]).place(0.5) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn ticks_are_round_and_few() {
        let (ticks, decimals) = scale(&[73.98, 74.02]).ticks(5);
        let written: Vec<_> = ticks.iter().map(|tick| format!("{tick:.decimals$}")).collect();
        assert_eq!(written, ["73.98", "73.99", "74.00", "74.01", "74.02"]);
        for values in [[0.0, 1.0], [-3.0, 2e7], [1e-7, 3e-7], [-1e150, 1e150], [99.0, 101.0]] {
            let (ticks, _) = scale(&values).ticks(5);
            assert!((2..=6).contains(&ticks.len()), "{values:?}: {ticks:?}");
        }
    }
}
