//! What is printed: one line for each figure, and at the end what was lost or wrong.

use crate::measure::Summary;

/// Collects faults; prints the rest at once.
#[derive(Default)]
pub struct Report {
    faults: Vec<String>,
}

impl Report {
    pub fn heading(&self) {
        // Who else is at work on this machine makes every figure worse, and the ratios a little.
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("unknown");
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        println!("{processors} processors; load average before: {load}");
        println!(
            "{:<34} {:>10} {:>17} {:>8} {:>6} {:>17} {:>17}   goal",
            "", "deliveries", "server us", "floor us", "ratio", "server p50, p99", "floor p50, p99 ms"
        );
    }

    /// The server beside its floor.
    pub fn figures(&self, name: &str, server: &Summary, floor: &Summary, goal: &str) {
        let (cost, ratio) = (server.cost, server.cost.median / floor.cost.median);
        println!(
            "{name:<34} {:>10} {:>5.3} {:>11} {:>8.3} {ratio:>6.2} {:>8.2} {:>8.2} {:>8.2} {:>8.2}   {goal}",
            server.delivered,
            cost.median,
            format!("{:.3}..{:.3}", cost.least, cost.most),
            floor.cost.median,
            server.p50_ms,
            server.p99_ms,
            floor.p50_ms,
            floor.p99_ms,
        );
        if server.skipped > 0 {
            let Summary { delivered, skipped, due, .. } = server;
            println!("{:<34} {delivered} delivered + {skipped} skipped = {due} due", "");
        }
    }

    /// One line in words.
    pub fn line(&self, name: &str, text: &str) {
        println!("{name:<34} {text}");
    }

    /// What was lost or wrong.
    pub fn faults(&mut self, name: &str, faults: impl IntoIterator<Item = String>) {
        for fault in faults {
            println!("{name:<34} WRONG: {fault}");
            self.faults.push(fault);
        }
    }

    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}
