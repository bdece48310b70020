//! A histogram of seconds to which a thread adds what it has counted for itself: a delivery costs no shared counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Seconds. On an idle system an event is written within a millisecond; a busy shard flushes every five.
pub const PUBLISH_SECONDS: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0];

const CLASSES: usize = PUBLISH_SECONDS.len() + 1;

/// How often which duration was seen. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Durations(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    classes: [AtomicU64; CLASSES],
    sum_ns: AtomicU64,
}

impl Durations {
    /// Adds what was counted elsewhere: for each bound how many were not above it and above the one before, at last
    /// those above all; and the sum in seconds.
    pub fn add(&self, classes: &[u64; CLASSES], sum_seconds: f64) {
        for (class, more) in self.0.classes.iter().zip(classes).filter(|(_, more)| **more > 0) {
            class.fetch_add(*more, Relaxed);
        }
        self.0.sum_ns.fetch_add((sum_seconds * 1e9) as u64, Relaxed);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let counts: Vec<u64> = self.0.classes.iter().map(|class| class.load(Relaxed)).collect();
        let bounds = PUBLISH_SECONDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        let sum = self.0.sum_ns.load(Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
