//! The fields of a file as written, read off its tree: the text is parsed once.

use serde::de::value::{BorrowedStrDeserializer, Error, MapDeserializer, SeqDeserializer, UsizeDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::shape;
use super::tree::{Node, Value};
use crate::spec::raw::{Cluster, Spanned};

/// Reads a file whose shape was checked. Fields that nobody knows are passed over, because they were reported then.
pub fn as_written(root: &Node) -> Result<Cluster, Error> {
    Cluster::deserialize(root)
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &*self.value {
            Value::Scalar { text, .. } => visitor.visit_borrowed_str(text),
            Value::List(nodes) => visitor.visit_seq(SeqDeserializer::new(nodes.iter())),
            Value::Map(entries) => {
                visitor.visit_map(MapDeserializer::new(entries.iter().map(|entry| (&*entry.key, &entry.node))))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &*self.value {
            Value::Scalar { text, plain: true } if shape::is_empty(text) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// Reads a mapping, and nothing else, as a part of the file; and a scalar, and nothing else, as one with its place.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (&*self.value, name == Spanned::NAME) {
            (Value::Scalar { text, .. }, true) => visitor.visit_seq(Parts { node: self, text, given: 0 }),
            (Value::Map(_), false) => self.deserialize_any(visitor),
            (Value::Scalar { text, .. }, false) => Err(Error::invalid_type(Unexpected::Str(text), &visitor)),
            (Value::List(_), _) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            (Value::Map(_), true) => Err(Error::invalid_type(Unexpected::Map, &visitor)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The parts of a scalar with its place, in the order of the fields of [`Spanned`].
struct Parts<'de> {
    node: &'de Node,
    text: &'de str,
    given: usize,
}

impl<'de> SeqAccess<'de> for Parts<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.given += 1;
        let offset = |at: usize| -> UsizeDeserializer<Error> { at.into_deserializer() };
        let part = match self.given {
            1 => seed.deserialize(BorrowedStrDeserializer::new(self.text)),
            2 => seed.deserialize(offset(self.node.bytes.start)),
            3 => seed.deserialize(offset(self.node.bytes.end)),
            _ => return Ok(None),
        };
        part.map(Some)
    }
}
