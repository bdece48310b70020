//! JSON that is kept as it came, but checked: an object without duplicate names, however deep; and objects within
//! bodies, which serde alone would also read from an array of their members' values.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

/// The most bytes such an object may have.
pub const MAX_OBJECT_BYTES: usize = 16 * 1024;

/// A JSON object as text.
#[derive(Debug, Clone)]
pub struct JsonObject(Box<RawValue>);

impl JsonObject {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// An object that was checked when it came in.
    pub fn from_stored(text: String) -> Option<Self> {
        RawValue::from_string(text).ok().map(Self)
    }
}

impl PartialEq for JsonObject {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Err(de::Error::custom("must be a JSON object"));
        }
        if raw.get().len() > MAX_OBJECT_BYTES {
            return Err(de::Error::custom("must be at most 16384 bytes"));
        }
        serde_json::from_str::<NoDuplicates>(raw.get()).map_err(de::Error::custom)?;
        Ok(Self(raw))
    }
}

/// A value that is read from a JSON object only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// For `#[serde(deserialize_with = "object")]`.
///
/// # Errors
/// If it is no JSON object, or none of a `T`.
pub fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(ObjectVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

/// Any JSON value whose objects name nothing twice; the value itself is thrown away.
struct NoDuplicates;

impl<'de> Deserialize<'de> for NoDuplicates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NoDuplicatesVisitor)
    }
}

struct NoDuplicatesVisitor;

impl<'de> Visitor<'de> for NoDuplicatesVisitor {
    type Value = NoDuplicates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NoDuplicates, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<NoDuplicates>()?;
            if let Some(twice) = names.replace(name) {
                return Err(de::Error::custom(format_args!("duplicate field `{twice}`")));
            }
        }
        Ok(NoDuplicates)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NoDuplicates, A::Error> {
        while seq.next_element::<NoDuplicates>()?.is_some() {}
        Ok(NoDuplicates)
    }

    fn visit_bool<E>(self, _: bool) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_str<E>(self, _: &str) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }

    fn visit_unit<E>(self) -> Result<NoDuplicates, E> {
        Ok(NoDuplicates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_kept_as_it_came() {
        let text = r#"{"b": 1.50, "a": [{"x": null}, "é"]}"#;
        assert_eq!(serde_json::from_str::<JsonObject>(text).expect("valid").as_str(), text);
    }

    #[test]
    fn an_object_is_not_read_from_an_array_of_its_values() {
        #[derive(Debug, serde::Deserialize)]
        struct Lengths {
            k: Option<u32>,
            m: Option<u32>,
        }
        let read = |text| serde_json::from_str::<Object<Lengths>>(text).map(|Object(it)| (it.k, it.m));
        assert_eq!(read(r#"{"m":9}"#).expect("an object"), (None, Some(9)));
        for text in ["[2,3]", "[null,null]", "[]", "7", "null"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_given_twice_is_refused_however_deep() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":[{"b":{"c":1,"c":1}}]}"#, "[]", "7", "null"] {
            assert!(serde_json::from_str::<JsonObject>(text).is_err(), "{text}");
        }
    }
}
