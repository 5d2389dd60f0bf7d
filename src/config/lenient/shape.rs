//! Which settings there are, asked of the types themselves.

use std::fmt;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::config::Config;

/// What stands at a place among the settings. It is an error to whoever reads settings from it, and so
/// comes out of the first place where something would have to be read.
#[derive(Debug)]
pub(super) enum Shape {
    /// A table of these.
    Table(&'static [&'static str]),
    /// A table of whatever names.
    Map,
    /// One setting.
    Leaf,
}

impl Shape {
    /// What stands at `path`.
    pub(super) fn at(path: &[String]) -> Self {
        Config::deserialize(Probe(path)).err().unwrap_or(Self::Leaf)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Shape {}

impl serde::de::Error for Shape {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Leaf
    }
}

/// A source that has nothing but a way to one place.
struct Probe<'a>(&'a [String]);

impl Probe<'_> {
    /// Goes one step on, or says that here it is.
    fn step<'de, V: Visitor<'de>>(&self, visitor: V, here: Shape) -> Result<V::Value, Shape> {
        match self.0 {
            [name, rest @ ..] => visitor.visit_map(Step { name: Some(name), rest }),
            [] => Err(here),
        }
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Shape;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Shape> {
        Err(Shape::Leaf)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Shape> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Shape> {
        self.step(visitor, Shape::Table(names))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Shape> {
        self.step(visitor, Shape::Map)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct enum identifier ignored_any
    }
}

/// One step of a [`Probe`].
struct Step<'a> {
    /// The name of the next table.
    name: Option<&'a str>,
    /// The way behind it.
    rest: &'a [String],
}

impl<'de> MapAccess<'de> for Step<'_> {
    type Error = Shape;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Shape> {
        self.name.take().map(|name| seed.deserialize(StrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Shape> {
        seed.deserialize(Probe(self.rest))
    }
}
