//! Long lists, read element by element as they arrive: a list of 5,000 APIs has 31 MB, of which little is needed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// What of an object is kept.
#[derive(Clone, Debug)]
pub enum Shape {
    /// All of it.
    Whole,
    /// Of an object these fields; anything else wholly.
    Fields(BTreeMap<String, Shape>),
}

impl Default for Shape {
    fn default() -> Self {
        Self::Fields(BTreeMap::new())
    }
}

impl Shape {
    /// Adds the field at the end of this path, wholly.
    pub fn add_path(&mut self, path: &[&str]) {
        match (self, path) {
            (Self::Whole, _) => {}
            (shape, []) => *shape = Self::Whole,
            (Self::Fields(fields), [first, rest @ ..]) => {
                fields.entry((*first).to_owned()).or_default().add_path(rest);
            }
        }
    }

    /// Adds all fields that the JSON of this text has; what is no JSON adds nothing.
    pub fn add_text(&mut self, json: &str) {
        let mut reader = serde_json::Deserializer::from_str(json);
        let _ = Added(self).deserialize(&mut reader);
    }
}

/// Adds what it reads to a shape.
struct Added<'a>(&'a mut Shape);

impl Added<'_> {
    fn whole<E>(self) -> Result<(), E> {
        *self.0 = Shape::Whole;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Added<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            Shape::Whole => IgnoredAny::deserialize(deserializer).map(drop),
            Shape::Fields(_) => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Added<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.whole()
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.whole()
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.whole()
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.whole()
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.whole()
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.whole()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.whole()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut is_empty = true;
        while let Some(Key(key)) = entries.next_key()? {
            is_empty = false;
            let Shape::Fields(fields) = &mut *self.0 else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            match fields.get_mut(key.as_ref()) {
                Some(shape) => entries.next_value_seed(Added(shape))?,
                None => entries.next_value_seed(Added(fields.entry(key.into_owned()).or_default()))?,
            }
        }
        match is_empty {
            true => self.whole(),
            false => Ok(()),
        }
    }
}

/// What is kept of each element of a list.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Fields.
    pub shape: Shape,
    /// Texts that are kept wherever they stand.
    pub text: fn(&str) -> bool,
}

impl Keep {
    /// Everything.
    pub fn all() -> Self {
        Self {
            shape: Shape::Whole,
            text: |_| false,
        }
    }

    /// Reads one element.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn read(&self, json: &[u8]) -> serde_json::Result<Value> {
        if matches!(self.shape, Shape::Whole) {
            return serde_json::from_slice(json);
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        let kept = self.kept().deserialize(&mut reader)?;
        reader.end()?;
        Ok(kept.unwrap_or_default())
    }

    /// What is kept of a value that was read already.
    pub fn cut(&self, value: Value) -> Value {
        self.kept().deserialize(value).ok().flatten().unwrap_or_default()
    }

    fn kept(&self) -> Kept<'_> {
        Kept {
            shape: Some(&self.shape),
            text: self.text,
        }
    }
}

/// Reads a value; `None` when nothing of it is kept.
#[derive(Clone, Copy)]
struct Kept<'a> {
    /// `None` for what is kept only for the texts in it.
    shape: Option<&'a Shape>,
    text: fn(&str) -> bool,
}

impl Kept<'_> {
    fn scalar(self, value: impl Into<Value>) -> Option<Value> {
        self.shape.map(|_| value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Kept<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.shape {
            Some(Shape::Whole) => Value::deserialize(deserializer).map(Some),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Kept<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        let kept = self.shape.is_some() || (self.text)(value);
        Ok(kept.then(|| Value::from(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        // Places in a list mean something, so a list is kept wholly or for its texts.
        let whole = self.shape.map(|_| &Shape::Whole);
        let mut kept = Vec::new();
        while let Some(item) = items.next_element_seed(Self { shape: whole, ..self })? {
            kept.extend(item);
        }
        Ok((self.shape.is_some() || !kept.is_empty()).then_some(Value::Array(kept)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let fields = match self.shape {
            Some(Shape::Fields(fields)) => Some(fields),
            _ => None,
        };
        let mut kept = Map::new();
        while let Some(Key(key)) = entries.next_key()? {
            let shape = fields.and_then(|fields| fields.get(key.as_ref()));
            if let Some(value) = entries.next_value_seed(Self { shape, ..self })? {
                kept.insert(key.into_owned(), value);
            }
        }
        Ok((self.shape.is_some() || !kept.is_empty()).then_some(Value::Object(kept)))
    }
}

/// Name of a field. Most are not kept, so it is copied only when it must be.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

/// Cuts a JSON list into its elements.
#[derive(Debug, Default)]
pub struct Elements {
    /// What has come of the element under way.
    part: Vec<u8>,
    state: State,
    /// Open brackets within the element.
    depth: usize,
    /// Within a text, and whether the last character was a backslash.
    text: Option<bool>,
}

/// Where the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the list.
    #[default]
    Before,
    /// In it.
    Inside,
    /// After it, or where no list is.
    After,
}

/// How a list ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its last bracket.
    Complete,
    /// It was no list. Go's way to write a list that was never made.
    Null,
    /// It was something else, or not all of it.
    Broken,
}

impl Elements {
    /// Takes in what has arrived, and hands over each element that is whole by now.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn feed<E>(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let (mut start, mut next) = (0, 0);
        while let Some(&byte) = bytes.get(next) {
            if let Some(escaped) = self.text {
                next = self.in_text(bytes, next, escaped);
                continue;
            }
            let at = next;
            next += 1;
            match (self.state, byte) {
                (State::Before, b'[') => {
                    self.state = State::Inside;
                    start = at + 1;
                }
                (State::Before, b' ' | b'\n' | b'\r' | b'\t') => start = at + 1,
                (State::Before, _) => self.state = State::After,
                (State::After, _) => {}
                (State::Inside, b'"') => self.text = Some(false),
                (State::Inside, b'{' | b'[') => self.depth += 1,
                (State::Inside, b']') if self.depth == 0 => {
                    self.end(&bytes[start..at], &mut take)?;
                    self.state = State::After;
                    self.part = b"]".to_vec();
                    start = at + 1;
                }
                (State::Inside, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
                (State::Inside, b',') if self.depth == 0 => {
                    self.end(&bytes[start..at], &mut take)?;
                    start = at + 1;
                }
                (State::Inside, _) => {}
            }
        }
        self.part.extend_from_slice(bytes.get(start..).unwrap_or_default());
        Ok(())
    }

    /// Goes on within a text, which is most of a list, and says where.
    fn in_text(&mut self, bytes: &[u8], at: usize, escaped: bool) -> usize {
        if escaped {
            self.text = Some(false);
            return at + 1;
        }
        match memchr::memchr2(b'"', b'\\', &bytes[at..]) {
            None => bytes.len(),
            Some(length) => {
                let end = at + length;
                self.text = (bytes[end] == b'\\').then_some(true);
                end + 1
            }
        }
    }

    fn end<E>(&mut self, rest: &[u8], take: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let whole = match self.part.is_empty() {
            true => rest,
            false => {
                self.part.extend_from_slice(rest);
                &self.part
            }
        };
        if !whole.trim_ascii().is_empty() {
            take(whole)?;
        }
        self.part.clear();
        Ok(())
    }

    /// How it ended. What it was when it was no list stands in the answer's first bytes.
    pub fn finish(self) -> End {
        match (self.state, self.part.trim_ascii()) {
            (State::After, b"]") => End::Complete,
            (State::After, b"null") => End::Null,
            _ => End::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    impl Shape {
        /// Adds all fields that a value has, in the plainest way.
        fn add(&mut self, value: &Value) {
            match (&mut *self, value) {
                (Self::Whole, _) => {}
                (Self::Fields(fields), Value::Object(value)) if !value.is_empty() => {
                    for (key, value) in value {
                        match fields.get_mut(key) {
                            Some(shape) => shape.add(value),
                            None => fields.entry(key.clone()).or_default().add(value),
                        }
                    }
                }
                _ => *self = Self::Whole,
            }
        }
    }

    /// The elements of a text that arrives in pieces of this size, and how it ended.
    fn cut(text: &str, size: usize) -> (Vec<String>, End) {
        let (mut elements, mut found) = (Elements::default(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            let take = |element: &[u8]| {
                found.push(String::from_utf8_lossy(element).trim().to_owned());
                Ok::<_, ()>(())
            };
            elements.feed(piece, take).unwrap();
        }
        (found, elements.finish())
    }

    #[test]
    fn elements_are_cut_at_the_commas_of_the_list() {
        let text = r#" [ {"a": "],[\"\\"}, [1, 2] , "x,y", 3 ]
"#;
        for size in 1..text.len() {
            let (found, end) = cut(text, size);
            assert_eq!(found, [r#"{"a": "],[\"\\"}"#, "[1, 2]", r#""x,y""#, "3"], "{size}");
            assert_eq!(end, End::Complete, "{size}");
        }
    }

    #[test]
    fn what_is_no_whole_list_is_told() {
        for (text, end) in [
            ("[]", End::Complete),
            ("null\n", End::Null),
            ("", End::Broken),
            ("{\"a\": []}", End::Broken),
            ("[1, 2", End::Broken),
            ("nullish", End::Broken),
            ("[1] 2", End::Broken),
        ] {
            assert_eq!(cut(text, 1).1, end, "{text:?}");
            assert_eq!(cut(text, 100).1, end, "{text:?}");
        }
    }

    #[test]
    fn only_named_fields_and_marked_texts_are_kept() {
        let mut shape = Shape::default();
        shape.add(&json!({"a": {"b": 1}, "l": [{"x": 1}], "n": null}));
        shape.add_path(&["c", "mark"]);
        let keep = Keep {
            shape,
            text: |text| text == "!",
        };
        let held = json!({"a": {"b": 2, "z": 3}, "l": [{"x": 1, "y": 2}], "n": {"q": 1}, "c": {"mark": {"m": 1}, "o": 2},
            "other": {"deep": ["?", {"one": "!", "two": "?"}]}, "gone": [1, {"a": 1}]});
        let kept = json!({"a": {"b": 2}, "l": [{"x": 1, "y": 2}], "n": {"q": 1}, "c": {"mark": {"m": 1}},
            "other": {"deep": [{"one": "!"}]}});
        assert_eq!(keep.read(held.to_string().as_bytes()).unwrap(), kept);
        assert!(keep.read(b"{\"a\": ").is_err());
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c\"\\\\,\\[\\]{} ]{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"]{1,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(list in prop::collection::vec(json_value(), 0..5), size in 1_usize..9) {
            let (found, end) = cut(&Value::from(list.clone()).to_string(), size);
            let found: Vec<Value> = found.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!(found, list);
            prop_assert_eq!(end, End::Complete);
        }

        #[test]
        fn a_value_is_cut_as_its_text_is_read(value in json_value(), like in json_value()) {
            let mut shape = Shape::default();
            shape.add(&like);
            let keep = Keep { shape, text: |text| text.starts_with('b') };
            prop_assert_eq!(keep.cut(value.clone()), keep.read(value.to_string().as_bytes()).unwrap());
        }

        #[test]
        fn a_text_adds_what_its_value_adds(values in prop::collection::vec(json_value(), 1..4)) {
            let (mut of_values, mut of_texts) = (Shape::default(), Shape::default());
            for value in &values {
                of_values.add(value);
                of_texts.add_text(&value.to_string());
            }
            prop_assert_eq!(format!("{of_values:?}"), format!("{of_texts:?}"));
        }

        #[test]
        fn what_is_kept_holds_all_that_the_shape_was_made_of(value in json_value()) {
            let mut shape = Shape::default();
            shape.add(&value);
            let keep = Keep { shape, text: |_| false };
            prop_assert_eq!(keep.read(value.to_string().as_bytes()).unwrap(), value);
        }
    }
}
