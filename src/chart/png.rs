//! SVG to PNG, with a font of our own.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

/// DejaVu Sans 2.37, unchanged; its licence stands beside it. It has Latin, Greek, Cyrillic and the usual signs.
static FONT: &[u8] = include_bytes!("font/DejaVuSans.ttf");

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(FONT.to_vec());
    Arc::new(fonts)
});

/// A picture of 2,880 by 2,240 takes 26 MB to paint.
pub const MAX_SCALE: u32 = 4;

/// Why a drawing could not be painted.
#[derive(Debug, thiserror::Error)]
pub enum PaintError {
    /// It is no drawing.
    #[error("the drawing could not be read")]
    Svg(#[from] resvg::usvg::Error),
    /// It has no size, or is too large.
    #[error("a picture of this size cannot be painted")]
    Size,
    /// It was painted, and could not be written.
    #[error("the picture could not be encoded")]
    Encoding(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The PNG of a drawing, `scale` (1 to [`MAX_SCALE`]) times as wide and high. Takes some ten milliseconds of a processor.
///
/// # Errors
/// [`PaintError`].
pub fn png(svg: &str, scale: u32) -> Result<Vec<u8>, PaintError> {
    let scale = scale.clamp(1, MAX_SCALE) as f32;
    let options =
        Options { font_family: "DejaVu Sans".to_owned(), fontdb: Arc::clone(&FONTS), ..Options::default() };
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size().scale_by(scale).ok_or(PaintError::Size)?;
    let mut picture = Pixmap::new(size.width(), size.height()).ok_or(PaintError::Size)?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
    picture.encode_png().map_err(|error| PaintError::Encoding(error.into()))
}
