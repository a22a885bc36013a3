//! JSON that is kept for long and seldom read, as compressed text. There are thousands that hardly differ: the text takes a
//! ninth of a tree of small objects, and of that a third or less is left. The same for types of Kubernetes.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// What most texts have in common: what a text shares with it need not be kept. It has no meaning beyond that. All of a
/// sample is looked at for each text, so there is one for each sort of texts.
static DEFINITIONS: &[u8] = include_bytes!("definitions.json");
/// The same for types of Kubernetes.
static INGRESSES: &[u8] = include_bytes!("ingresses.json");

/// Room for the text of a usual definition, in bytes.
const USUAL: usize = 1024;

/// A JSON value as compressed text without spaces and with sorted keys, so that equal values are equal. A copy shares it.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Arc<[u8]>);

impl Packed {
    /// The value.
    pub fn value(&self) -> Value {
        // The text was written from a value, so it can be read.
        serde_json::from_str(&self.text()).unwrap_or_default()
    }

    /// The fields of an object; none of anything else.
    pub fn fields(&self) -> Map<String, Value> {
        match self.value() {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    /// One field of an object, without a look into the others.
    pub fn get(&self, name: &str) -> Option<Value> {
        let text = self.text();
        if !mentions(&text, name) {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(&text);
        Field(name).deserialize(&mut reader).ok().flatten()
    }

    /// Whether an object has this field.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether one of the names stands anywhere in it, be it in a text: where none does, there is no such field however deep.
    pub fn mentions(&self, names: &[&str]) -> bool {
        let text = self.text();
        names.iter().any(|name| mentions(&text, name))
    }

    /// The text.
    pub fn text(&self) -> String {
        // What is here was made from a text.
        String::from_utf8(unpacked(&self.0, DEFINITIONS)).unwrap_or_default()
    }
}

/// A value of a type, as compressed JSON. The type has to write equal values in the same way, so that they are equal here too.
pub struct PackedAs<T>(Box<[u8]>, PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned + Default> PackedAs<T> {
    /// Of a value that can be written as JSON and read again.
    pub fn of(value: &T) -> Self {
        Self(packed(value, INGRESSES).into(), PhantomData)
    }

    /// The value.
    pub fn read(&self) -> T {
        serde_json::from_slice(&unpacked(&self.0, INGRESSES)).unwrap_or_default()
    }
}

impl<T> PartialEq for PackedAs<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

fn packed(value: &impl Serialize, sample: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(USUAL);
    // What is kept here can be written as JSON.
    if serde_json::to_writer(&mut text, value).is_err() {
        text.clear();
    }
    compress_prepend_size_with_dict(&text, sample)
}

fn unpacked(bytes: &[u8], sample: &[u8]) -> Vec<u8> {
    decompress_size_prepended_with_dict(bytes, sample).unwrap_or_default()
}

fn mentions(text: &str, name: &str) -> bool {
    // Others are written with a backslash.
    let is_plain = name.chars().all(|c| c != '"' && c != '\\' && !c.is_control());
    !is_plain || text.contains(name)
}

/// An object without fields.
impl Default for Packed {
    fn default() -> Self {
        Self::from(Map::new())
    }
}

impl From<Map<String, Value>> for Packed {
    fn from(fields: Map<String, Value>) -> Self {
        Self::from(&Value::Object(fields))
    }
}

impl From<&Value> for Packed {
    fn from(value: &Value) -> Self {
        Self(packed(value, DEFINITIONS).into())
    }
}

/// Names the fields and leaves the values out, which can be secrets.
impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields().keys()).finish()
    }
}

/// As the fields of an object, so that it can be flattened into another one.
impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from)
    }
}

/// Reads the field of this name.
struct Field<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = entries.next_key_seed(Name(self.0))? {
            match is_it {
                true => found = Some(entries.next_value()?),
                false => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Whether the name of a field is this one.
struct Name<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            prop::num::f64::NORMAL.prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
            "[a-c\"\\\\\n{}]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                fields_of(inner).prop_map(Value::from),
            ]
        })
    }

    fn fields_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::vec(("[ab\"\\\\é\n]{0,2}", value), 0..4).prop_map(Map::from_iter)
    }

    proptest! {
        #[test]
        fn what_is_packed_reads_back_equal(value in json_value()) {
            prop_assert_eq!(Packed::from(&value).value(), value);
        }

        #[test]
        fn every_field_is_found_alone(fields in fields_of(json_value()), other in "[ab\"\\\\é\n]{0,2}") {
            let packed = Packed::from(fields.clone());
            for (name, value) in &fields {
                prop_assert_eq!(packed.get(name), Some(value.clone()));
            }
            prop_assert_eq!(packed.get(&other), fields.get(&other).cloned());
            prop_assert_eq!(packed.contains_key(&other), fields.contains_key(&other));
            prop_assert_eq!(packed.fields(), fields);
        }

        #[test]
        fn equal_values_are_equal_whatever_the_order(fields in fields_of(json_value()), other in fields_of(json_value())) {
            let backwards: Map<_, _> = fields.clone().into_iter().rev().collect();
            prop_assert_eq!(Packed::from(backwards), Packed::from(fields.clone()));
            prop_assert_eq!(Packed::from(fields.clone()) == Packed::from(other.clone()), fields == other);
        }

        #[test]
        fn it_is_written_and_read_as_the_object(fields in fields_of(json_value())) {
            let packed = Packed::from(fields.clone());
            prop_assert_eq!(serde_json::to_value(&packed).unwrap(), json!(fields));
            prop_assert_eq!(serde_json::from_value::<Packed>(json!(fields)).unwrap(), packed);
        }
    }

    #[test]
    fn of_a_usual_definition_a_third_is_kept() {
        let source = "ApiDefinition shop/shop-cart-83b94e9c1";
        let definition = json!({
            "active": true, "api_id": "c2hvcC9zaG9wLWNhcnQtODNiOTRlOWMx", "name": "shop-cart-83b94e9c1", "org_id": "",
            "config_data": {"tyk-ingress": {"owner": "tyk-ingress", "source": source}},
            "domain": r"{tykhost:(?i)shop\.test[.]?}", "protocol": "", "use_keyless": true,
            "proxy": {
                "disable_strip_slash": true, "listen_path": "/cart{tykp:/|$}", "preserve_host_header": true,
                "strip_listen_path": false, "target_url": "http://cart.shop.svc.cluster.local:80",
            },
            "version_data": {
                "default_version": "Default", "not_versioned": true,
                "versions": {"Default": {"name": "Default", "use_extended_paths": true}},
            },
        });
        let packed = Packed::from(&definition);
        let (kept, text) = (packed.0.len(), packed.text().len());
        assert!(3 * kept < text, "{kept} of {text} bytes");
    }

    #[test]
    fn values_of_a_type_read_back_equal() {
        let values = [
            vec!["tyk".to_owned()],
            vec![String::new(), "\n\"".to_owned()],
            Vec::new(),
        ];
        for value in &values {
            assert_eq!(PackedAs::of(value).read(), *value);
            assert_eq!(
                values
                    .iter()
                    .filter(|other| PackedAs::of(*other) == PackedAs::of(value))
                    .count(),
                1
            );
        }
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for value in [json!(null), json!([1]), json!("a")] {
            let packed = Packed::from(&value);
            assert_eq!((packed.fields(), packed.get("a")), (Map::new(), None), "{value}");
        }
        assert_eq!(Packed::default().text(), "{}");
    }

    #[test]
    fn debug_output_holds_no_values() {
        let packed = Packed::from(&json!({"jwt_source": "hunter2"}));
        assert_eq!(format!("{packed:?}"), r#"["jwt_source"]"#);
    }
}
