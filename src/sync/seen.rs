//! What of a gateway's last list was as wanted: an element whose text is still the same, while the same is still wanted,
//! is not read again. The gateway is asked all the same, and says all of it each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::loaded::{AsWanted, Loaded};
use crate::desired::{Desired, Payload};
use crate::packed::Packed;

/// SHA-256 of the text of an element.
pub(super) type Print = [u8; 32];

/// Elements that were as wanted.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Of the list before.
    last: BTreeMap<Print, Element>,
    /// Of the list under way.
    now: BTreeMap<Print, Element>,
}

#[derive(Debug)]
struct Element {
    id: Arc<str>,
    /// What was wanted.
    wanted: Payload,
    made: Made,
}

/// What was made of it.
#[derive(Debug)]
enum Made {
    AsWanted(Arc<AsWanted>),
    Short(Packed),
}

impl Made {
    fn loaded(&self) -> Loaded {
        match self {
            Self::AsWanted(one) => Loaded::AsWanted(Arc::clone(one)),
            Self::Short(short) => Loaded::Whole(short.value()),
        }
    }
}

impl From<&Loaded> for Made {
    fn from(loaded: &Loaded) -> Self {
        match loaded {
            Loaded::AsWanted(one) => Self::AsWanted(Arc::clone(one)),
            Loaded::Whole(value) => Self::Short(Packed::from(value)),
        }
    }
}

impl Seen {
    /// A list begins.
    pub(super) fn begin(&mut self) {
        self.last = std::mem::take(&mut self.now);
    }

    /// The print of an element.
    pub(super) fn print(element: &[u8]) -> Print {
        Sha256::digest(element).into()
    }

    /// The id of an element, and what would be made of it.
    pub(super) fn recall(&mut self, print: &Print, desired: &Desired) -> Option<(String, Loaded)> {
        let element = self.last.remove(print)?;
        let wanted = &desired.apis.get(&element.id)?.payload;
        if *wanted != element.wanted {
            return None;
        }
        let found = (element.id.to_string(), element.made.loaded());
        self.now.insert(*print, element);
        Some(found)
    }

    /// Takes in what was made of an element, if it is as wanted.
    pub(super) fn remember(&mut self, print: Print, id: &str, made: &Loaded, desired: &Desired) {
        let Some((id, api)) = desired.apis.get_key_value(id) else {
            return;
        };
        if made.is_as_wanted(api.payload.hash()) {
            let element = Element {
                id: id.clone(),
                wanted: api.payload.clone(),
                made: made.into(),
            };
            self.now.insert(print, element);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::desired::Api;
    use crate::diagnostic::ObjectRef;
    use crate::sync::{compare, form};

    fn desired(path: &str) -> Desired {
        let payload = json!({"api_id": "1", "proxy": {"listen_path": path}});
        let api = Api {
            source: ObjectRef::new("ApiDefinition", "default", "a"),
            generation: 1,
            payload: payload.into(),
        };
        Desired {
            apis: [("1".into(), api)].into(),
            ..Desired::default()
        }
    }

    /// What is made of an element, and whether it had to be read.
    fn made(seen: &mut Seen, element: &Value, desired: &Desired) -> (Loaded, bool) {
        let print = Seen::print(element.to_string().as_bytes());
        seen.begin();
        if let Some((id, made)) = seen.recall(&print, desired) {
            assert_eq!(id, "1");
            return (made, false);
        }
        let made = form::shorten("1", desired.apis.get("1"), &compare::looked_at(), element.clone());
        seen.remember(print, "1", &made, desired);
        (made, true)
    }

    #[test]
    fn only_what_is_the_same_and_as_wanted_is_not_read_again() {
        let (wanted, other) = (desired("/a/"), desired("/b/"));
        let element = json!({"api_id": "1", "name": "n", "proxy": {"listen_path": "/a/", "target_url": "http://a"}});
        let mut edited = element.clone();
        edited["proxy"]["target_url"] = json!("http://b");
        let mut seen = Seen::default();
        let first = made(&mut seen, &element, &wanted);
        assert!(first.1);
        assert_eq!(made(&mut seen, &element, &wanted), (first.0.clone(), false));
        assert!(made(&mut seen, &edited, &wanted).1, "another text");
        assert!(made(&mut seen, &element, &wanted).1, "not of the list before");
        assert!(!made(&mut seen, &element, &wanted).1);
        assert!(made(&mut seen, &element, &other).1, "something else is wanted");
        assert!(made(&mut seen, &element, &other).1, "not as wanted");
        assert!(made(&mut seen, &element, &wanted).1, "not as wanted the last time");
    }
}
