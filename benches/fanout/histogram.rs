//! Times in buckets of three percent: small enough to keep one for every run, exact enough for quantiles.

/// Buckets for each doubling.
const STEPS: u64 = 32;

/// How often which time was seen.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// One more.
    pub fn record(&mut self, nanoseconds: u64) {
        let bucket = bucket(nanoseconds / 1_000);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
    }

    /// Those of another, too.
    pub fn add(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
    }

    /// Milliseconds that a share `q` does not exceed; the lower edge of the bucket. Not a number when empty.
    pub fn quantile_ms(&self, q: f64) -> f64 {
        let rank = (self.total as f64 * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return edge(bucket) as f64 / 1e3;
            }
        }
        f64::NAN
    }
}

/// Microseconds each up to 63, then `STEPS` for each doubling.
fn bucket(microseconds: u64) -> usize {
    if microseconds < 2 * STEPS {
        return microseconds as usize;
    }
    let shift = u64::from(microseconds.ilog2() - STEPS.ilog2());
    (shift * STEPS + (microseconds >> shift)) as usize
}

fn edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    (STEPS + bucket % STEPS) << shift
}
