//! Control charts as pictures: SVG for a browser, PNG for a mail.
//!
//! A chart is drawn once, as SVG. Its PNG is that same drawing, painted with a font that is part of this program: it looks
//! the same on every machine. Pure, but for the processor time of painting: a caller keeps it off threads that serve
//! others. Knows neither the store nor the wire. Values are in the characteristic's own unit.

mod crowd;
mod drawing;
mod labels;
mod palette;
mod panel;
mod picture;
mod png;
mod scale;
mod svg;

pub use picture::{ControlChart, Lines, Plotted, Point, Specification};
pub use png::{MAX_SCALE, PaintError, png};
