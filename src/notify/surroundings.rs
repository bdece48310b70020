//! What built-in notifiers use of the program around them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::domain::ids::CharacteristicId;
use crate::site;

/// Where pictures come from.
#[async_trait]
pub trait Pictures: Send + Sync {
    /// The control chart of a characteristic as it is now, as PNG; `None`, if there is none. Tells its failures itself: nobody
    /// goes untold for want of a picture.
    async fn control_chart(&self, id: CharacteristicId) -> Option<Vec<u8>>;
}

/// There is no database to draw from.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPictures;

#[async_trait]
impl Pictures for NoPictures {
    async fn control_chart(&self, _: CharacteristicId) -> Option<Vec<u8>> {
        None
    }
}

/// What built-in notifiers use. Cheap to clone.
#[derive(Clone)]
pub struct Surroundings {
    /// What time it is.
    pub clock: Clock,
    /// What people on site read.
    pub site: site::Settings,
    /// What they see.
    pub pictures: Arc<dyn Pictures>,
}

impl Surroundings {
    /// A site, and nothing to draw from.
    pub fn without_pictures(clock: Clock, site: site::Settings) -> Self {
        Self { clock, site, pictures: Arc::new(NoPictures) }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("site", &self.site).finish_non_exhaustive()
    }
}
