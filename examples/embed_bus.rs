//! Embeds the bus with an event type of its own: `cargo run --example embed_bus`.
//!
//! A plain thread publishes readings of a thermometer. One handler hears alarms only, a second one is slower and
//! hears everything, and a cursor reads at its own pace.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::num::NonZeroUsize;
use std::time::Duration;

use andon::bus::{BusEvent, EventBus, Kinds, Lagged, Next, Settings};

/// Cheap to clone, as every subscriber gets its own. Anything large would sit in an `Arc`.
#[derive(Debug, Clone)]
enum Thermometer {
    Reading { celsius: f64 },
    TooHot { celsius: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Reading,
    TooHot,
}

impl BusEvent for Thermometer {
    type Kind = Kind;

    fn kind(&self) -> Kind {
        match self {
            Self::Reading { .. } => Kind::Reading,
            Self::TooHot { .. } => Kind::TooHot,
        }
    }
}

#[tokio::main]
async fn main() {
    // Room for eight events, so that the cursor below falls behind and is told so. The first position is ours to
    // choose: here 1, elsewhere the number after the last one in a log.
    let capacity = NonZeroUsize::new(8).expect("8 is not zero");
    let bus = EventBus::new(Settings { capacity }, 1);

    // A handler for one kind. Its task ends with the bus, or when `siren.unsubscribe()` is called.
    let siren = bus.subscribe("siren", [Kind::TooHot], |event| async move {
        if let Thermometer::TooHot { celsius } = event {
            println!("siren:   {celsius} degrees!");
        }
    });
    println!("the siren hears everything from position {}", siren.start());

    // A handler for every kind. Had it fallen off the ring, the bus would log that and count it in its statistics.
    bus.subscribe("display", Kinds::Every, |event| async move {
        tokio::task::yield_now().await; // stands for drawing
        match event {
            Thermometer::Reading { celsius } => println!("display: {celsius}"),
            Thermometer::TooHot { celsius } => println!("display: {celsius} (!)"),
        }
    });

    // A cursor joins now, and is read when we find the time.
    let mut archive = bus.subscribe_cursor("archive");

    // Publishing needs no runtime and never waits, so a driver's thread or a callback from C will do.
    let publisher = bus.clone();
    let driver = std::thread::spawn(move || {
        for celsius in [20.5, 21.0, 48.0] {
            publisher.publish(Thermometer::Reading { celsius })?;
        }
        publisher.publish(Thermometer::TooHot { celsius: 48.0 })
    });
    let alarm = driver.join().expect("the driver does not panic").expect("the bus is open");
    println!("the alarm got position {alarm}");

    // A batch goes in under one lock. With it, the archive's first events have left the ring.
    let cooling = (0..7).map(|step| Thermometer::Reading { celsius: 47.0 - f64::from(step) });
    let positions = bus.publish_all(cooling).expect("the bus is open");
    println!("the batch got positions {positions:?}");

    // Nothing is lost in silence: the gap comes first, with its size, then what is still there.
    while let Some(next) = archive.try_next() {
        match next {
            Next::Lagged(Lagged { missed, resume_at }) => {
                println!("archive: missed {missed}, goes on at {resume_at}");
            }
            Next::Event { position, event } => println!("archive: {position} {event:?}"),
            Next::Closed => break,
        }
    }

    println!("{:#?}", bus.stats());

    // From here on `publish` answers `Closed`; the handlers may finish what is in the ring.
    let report = bus.shutdown(Duration::from_secs(1)).await;
    println!("clean shutdown: {}; left behind: {:?}", report.is_clean(), report.left_behind);
    println!("publishing now: {:?}", bus.publish(Thermometer::Reading { celsius: 20.0 }));
}
