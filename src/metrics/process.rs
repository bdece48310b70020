//! What the operating system knows of this process, by the names that every exporter uses for it.
//!
//! On Linux alone; elsewhere, and where `/proc` may not be read, these metrics are absent.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

/// Reads `/proc/self` when somebody asks.
#[derive(Debug)]
pub(super) struct Process;

#[cfg(not(target_os = "linux"))]
impl Collector for Process {
    fn encode(&self, _: DescriptorEncoder<'_>) -> fmt::Result {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        use prometheus_client::encoding::EncodeMetric as _;
        use prometheus_client::metrics::MetricType;
        use prometheus_client::metrics::counter::ConstCounter;
        use prometheus_client::metrics::gauge::ConstGauge;
        use prometheus_client::registry::Unit;

        let Ok(process) = procfs::process::Process::myself() else { return Ok(()) };
        if let Ok(stat) = process.stat() {
            let resident = ConstGauge::new((stat.rss * procfs::page_size()) as f64);
            let help = "Memory that is held in RAM.";
            let unit = Some(&Unit::Bytes);
            resident.encode(encoder.encode_descriptor(
                "process_resident_memory",
                help,
                unit,
                MetricType::Gauge,
            )?)?;
            let ticks = (stat.utime + stat.stime) as f64;
            let cpu = ConstCounter::new(ticks / procfs::ticks_per_second() as f64);
            let help = "Time on processors, of the program and of the system for it.";
            let unit = Some(&Unit::Seconds);
            cpu.encode(encoder.encode_descriptor("process_cpu", help, unit, MetricType::Counter)?)?;
        }
        if let Ok(open) = process.fd_count() {
            let help = "Open file descriptors: files, and one for each connection.";
            let open = ConstGauge::new(open as f64);
            open.encode(encoder.encode_descriptor("process_open_fds", help, None, MetricType::Gauge)?)?;
        }
        if let Ok(procfs::process::LimitValue::Value(most)) =
            process.limits().map(|limits| limits.max_open_files.soft_limit)
        {
            let help = "File descriptors that may be open.";
            let most = ConstGauge::new(most as f64);
            most.encode(encoder.encode_descriptor("process_max_fds", help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}
