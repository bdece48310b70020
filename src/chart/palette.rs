//! Colours, told apart also without seeing red and green: whatever differs in colour differs in shape or in words.

pub const BACKGROUND: &str = "#ffffff";
pub const TEXT: &str = "#1f2937";
pub const FAINT_TEXT: &str = "#4b5563";
pub const FRAME: &str = "#9ca3af";
pub const SERIES: &str = "#1d4ed8";
pub const CENTER_LINE: &str = "#166534";
pub const CONTROL_LIMIT: &str = "#b45309";
pub const SPECIFICATION: &str = "#6d28d9";
pub const SIGNAL: &str = "#b91c1c";
pub const EXCLUDED: &str = "#6b7280";
/// Zones C, B and A, from the center line outwards.
pub const ZONES: [&str; 3] = ["#f0f7f1", "#fbf6e3", "#f9ebdf"];
