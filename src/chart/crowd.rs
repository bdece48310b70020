//! Room for words among signs that they must not cover.

/// A rectangle: its left, right, top and bottom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Area {
    /// The rectangle of this width and height around a place.
    pub fn around((x, y): (f64, f64), width: f64, height: f64) -> Self {
        Self {
            left: x - width / 2.0,
            right: x + width / 2.0,
            top: y - height / 2.0,
            bottom: y + height / 2.0,
        }
    }

    /// The same, moved as little as needed to lie within another one from left to right.
    pub fn moved_into(self, outer: &Self) -> Self {
        let by = (outer.left - self.left).max(0.0) + (outer.right - self.right).min(0.0);
        Self { left: self.left + by, right: self.right + by, ..self }
    }

    fn lies_within(&self, outer: &Self) -> bool {
        outer.left <= self.left
            && self.right <= outer.right
            && outer.top <= self.top
            && self.bottom <= outer.bottom
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// What lies in an area already.
#[derive(Debug)]
pub struct Crowd {
    within: Area,
    taken: Vec<Area>,
}

impl Crowd {
    /// Nothing yet.
    pub fn new(within: Area) -> Self {
        Self { within, taken: Vec::new() }
    }

    /// Takes a place, whatever lies there.
    pub fn take(&mut self, area: Area) {
        self.taken.push(area);
    }

    /// Takes the first of these places that is free; `None`: none is.
    pub fn find_room(&mut self, places: impl IntoIterator<Item = Area>) -> Option<Area> {
        let within = self.within;
        let is_free = |place: &Area| {
            place.lies_within(&within) && !self.taken.iter().any(|taken| taken.overlaps(place))
        };
        let found = places.into_iter().map(|place| place.moved_into(&within)).find(is_free)?;
        self.take(found);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Area = Area { left: 0.0, right: 100.0, top: 0.0, bottom: 100.0 };

    #[test]
    fn what_is_taken_is_not_given_again() {
        let mut crowd = Crowd::new(ALL);
        let (here, there) = (Area::around((50.0, 50.0), 20.0, 10.0), Area::around((50.0, 70.0), 20.0, 10.0));
        assert_eq!(crowd.find_room([here, there]), Some(here));
        assert_eq!(crowd.find_room([here, there]), Some(there));
        assert_eq!(crowd.find_room([here, there]), None);
    }

    #[test]
    fn words_move_in_from_the_sides_but_not_from_above() {
        let mut crowd = Crowd::new(ALL);
        let room = crowd.find_room([Area::around((99.0, 50.0), 20.0, 10.0)]);
        assert_eq!(room, Some(Area { left: 80.0, right: 100.0, top: 45.0, bottom: 55.0 }));
        assert_eq!(crowd.find_room([Area::around((50.0, 2.0), 20.0, 10.0)]), None);
    }
}
