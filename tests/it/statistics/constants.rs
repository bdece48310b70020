//! The constants against the published figures, closed forms and integrals computed here.

use std::f64::consts::PI;

use andon::domain::sample::MAX_SUBGROUP_SIZE;
use andon::spc::constants::{c4, d2, d3};

fn assert_close(actual: Option<f64>, expected: f64, what: &str) {
    let actual = actual.expect("a constant");
    assert!((actual - expected).abs() < 1e-10, "{what} is {expected}, not {actual}");
}

/// The standard normal distribution function.
fn phi(x: f64) -> f64 {
    libm::erfc(-x / 2f64.sqrt()) / 2.0
}

fn density(x: f64) -> f64 {
    (-x * x / 2.0).exp() / (2.0 * PI).sqrt()
}

/// Simpson's rule over `from..to` in `2 * half` steps.
fn simpson(from: f64, to: f64, half: u32, f: impl Fn(f64) -> f64) -> f64 {
    let step = (to - from) / f64::from(2 * half);
    let weight = |i| if i == 0 || i == 2 * half { 1.0 } else { f64::from(2 + i % 2 * 2) };
    (0..=2 * half).map(|i| weight(i) * f(from + f64::from(i) * step)).sum::<f64>() * step / 3.0
}

/// The chance that the range of `n` values exceeds `w`.
fn range_exceeds(w: f64, n: i32) -> f64 {
    1.0 - f64::from(n) * simpson(-9.0, 9.0, 90, |x| density(x) * (phi(x + w) - phi(x)).powi(n - 1))
}

#[test]
fn the_constants_are_the_published_ones_to_ten_digits() {
    assert_close(d2(5), 2.325_928_947_3, "d2(5)");
    assert_close(c4(5), 0.939_985_602_9, "c4(5)");
    assert_close(d3(5), 0.864_081_941_1, "d3(5)");
}

#[test]
fn small_samples_have_their_closed_forms() {
    assert_close(d2(2), 2.0 / PI.sqrt(), "d2(2)");
    assert_close(d2(3), 3.0 / PI.sqrt(), "d2(3)");
    assert_close(d3(2), (2.0 - 4.0 / PI).sqrt(), "d3(2)");
    assert_close(c4(2), (2.0 / PI).sqrt(), "c4(2)");
    assert_close(c4(3), PI.sqrt() / 2.0, "c4(3)");
}

#[test]
fn d2_is_the_integral_that_defines_it() {
    for n in 2..=MAX_SUBGROUP_SIZE {
        let power = n as i32;
        let integral = simpson(-9.0, 9.0, 400, |x| 1.0 - phi(x).powi(power) - phi(-x).powi(power));
        assert_close(d2(n), integral, &format!("d2({n})"));
    }
}

#[test]
fn d3_follows_from_the_distribution_of_the_range() {
    for n in 2..=MAX_SUBGROUP_SIZE {
        let power = n as i32;
        // Over the logarithm of the range, where both integrands run out smoothly at either end.
        let moment = |f: fn(f64) -> f64| {
            simpson(-28.0, 2.7, 240, |log| f(log.exp()) * range_exceeds(log.exp(), power))
        };
        let (mean, mean_square) = (moment(|w| w), moment(|w| 2.0 * w * w));
        assert_close(d3(n), (mean_square - mean * mean).sqrt(), &format!("d3({n})"));
    }
}

#[test]
fn c4_follows_from_the_gamma_function() {
    for n in 2..=MAX_SUBGROUP_SIZE {
        let size = f64::from(n);
        let ratio = (libm::lgamma(size / 2.0) - libm::lgamma((size - 1.0) / 2.0)).exp();
        assert_close(c4(n), (2.0 / (size - 1.0)).sqrt() * ratio, &format!("c4({n})"));
    }
}

#[test]
fn sizes_without_dispersion_or_beyond_the_largest_subgroup_have_no_constants() {
    for n in [0, 1, MAX_SUBGROUP_SIZE + 1, u32::MAX] {
        assert_eq!((d2(n), d3(n), c4(n)), (None, None, None));
    }
}
