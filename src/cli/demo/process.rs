//! A simulated process on a thread of its own: in control, then drifting, in control again, then shifted.
//!
//! A plain thread, as a fieldbus driver would have it: it knows no async, and hands each sample over as it comes.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::cli::demo::feed::sample;
use crate::domain::ids::CharacteristicId;
use crate::services::SpcEngine;

/// Mean and sigma of the flow rate's ten values, in l/min.
const CENTER: f64 = 50.81;
const SIGMA: f64 = 1.6642;

/// Starts the thread; it ends with `stop`.
pub fn start(
    engine: SpcEngine,
    id: CharacteristicId,
    pause: Duration,
    stop: CancellationToken,
) -> JoinHandle<anyhow::Result<()>> {
    let runtime = Handle::current();
    thread::spawn(move || {
        let mut process = Process::new(7);
        while !wait(pause, &stop) {
            runtime.block_on(engine.submit(sample(id, vec![process.measure()])))??;
        }
        Ok(())
    })
}

/// Sleeps for `pause` in short naps; says whether to stop.
fn wait(pause: Duration, stop: &CancellationToken) -> bool {
    let nap = Duration::from_millis(50);
    let mut left = pause;
    while !stop.is_cancelled() && !left.is_zero() {
        thread::sleep(left.min(nap));
        left = left.saturating_sub(nap);
    }
    stop.is_cancelled()
}

/// What the process does next, and for how many samples.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stretch {
    InControl,
    Drifting,
    Shifted,
}

const COURSE: [(Stretch, u32); 4] =
    [(Stretch::InControl, 25), (Stretch::Drifting, 30), (Stretch::InControl, 30), (Stretch::Shifted, 15)];

struct Process {
    random: StdRng,
    measured: u32,
}

impl Process {
    fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), measured: 0 }
    }

    fn measure(&mut self) -> f64 {
        let offset = self.offset();
        self.measured += 1;
        let value = CENTER + SIGMA * (offset + self.normal());
        (value * 100.0).round() / 100.0 // as its instrument shows it
    }

    /// How far the mean is off, in sigma: a drift creeps up by a tenth a sample, a shift jumps down by two.
    fn offset(&self) -> f64 {
        let round: u32 = COURSE.iter().map(|(_, samples)| samples).sum();
        let mut within = self.measured % round;
        for (stretch, samples) in COURSE {
            if within < samples {
                return match stretch {
                    Stretch::InControl => 0.0,
                    Stretch::Drifting => 0.1 * f64::from(within),
                    Stretch::Shifted => -2.0,
                };
            }
            within -= samples;
        }
        0.0
    }

    /// A standard normal deviate (Box and Muller, 1958).
    fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (1.0 - self.random.random::<f64>(), self.random.random());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_drifts_shifts_and_recovers() {
        let mean_offset = |from: u32, samples: u32| {
            let mut process = Process::new(1);
            process.measured = from;
            let sum: f64 = (0..samples).map(|_| (process.measure() - CENTER) / SIGMA).sum();
            sum / f64::from(samples)
        };
        assert!(mean_offset(0, 25).abs() < 0.8);
        assert!(mean_offset(45, 10) > 1.5);
        assert!(mean_offset(55, 30).abs() < 0.8);
        assert!(mean_offset(85, 15) < -1.2);
        assert!(mean_offset(100, 25).abs() < 0.8);
    }
}
