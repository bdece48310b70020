//! Independent standard normal deviates from a seed, for simulations that can be repeated.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// An endless series of deviates; the same for the same seed.
#[derive(Debug)]
pub struct NormalDeviates {
    rng: StdRng,
    spare: Option<f64>,
}

impl NormalDeviates {
    /// The series that belongs to `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), spare: None }
    }

    /// The next deviate: mean 0, standard deviation 1. By Marsaglia's polar method, which makes two at a time.
    pub fn draw(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (u, v) = (2.0 * self.rng.random::<f64>() - 1.0, 2.0 * self.rng.random::<f64>() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                let scale = (-2.0 * s.ln() / s).sqrt();
                self.spare = Some(v * scale);
                return u * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviates_have_the_moments_of_the_standard_normal_distribution() {
        const COUNT: u32 = 200_000;
        let mut deviates = NormalDeviates::seeded(7);
        let drawn: Vec<f64> = (0..COUNT).map(|_| deviates.draw()).collect();
        for (power, moment, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let mean = drawn.iter().map(|x: &f64| x.powi(power)).sum::<f64>() / f64::from(COUNT);
            let standard_error = f64::sqrt(variance / f64::from(COUNT));
            assert!((mean - moment).abs() < 4.0 * standard_error, "moment {power}: {mean}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_deviates_again_and_another_seed_others() {
        let first = |seed| {
            let mut deviates = NormalDeviates::seeded(seed);
            [(); 5].map(|()| deviates.draw())
        };
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }
}
