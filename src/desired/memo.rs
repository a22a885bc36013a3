//! What is remembered of the last state: the APIs of children that are still the same. It changes how long the making of
//! a state takes and nothing else.
//!
//! Only what depends on its child and on the operator's own settings is remembered, which is so for children that stand
//! alone: see [`Child::alone`].

use std::sync::Arc;

use super::{Api, Candidate, Context};
use crate::ingress::Child;
use crate::snapshot::{InOrder, NamespacedName};

/// What is remembered of one state for the next.
#[derive(Debug, Default)]
pub struct Memo {
    own: Option<Context>,
    /// Sorted by name.
    children: Vec<(NamespacedName, Known)>,
}

/// What became of one child.
#[derive(Clone, Debug)]
pub(super) struct Known {
    child: Arc<Child>,
    /// Id of the API.
    pub(super) id: Arc<str>,
    /// The API.
    pub(super) api: Api,
}

/// What was remembered, to be asked for in the order of names.
pub(super) struct Before(InOrder<Known>);

impl Memo {
    /// Takes out what was remembered and holds under these settings.
    pub(super) fn of(&mut self, own: &Context) -> Before {
        let same = self.own.as_ref().is_some_and(|before| before.makes_the_same(own));
        if !same {
            self.children.clear();
            self.own = Some(own.clone());
        }
        Before(InOrder::of(&mut self.children))
    }

    /// All is kept and remembered: gives back the room to grow.
    pub(super) fn end(&mut self) {
        self.children.shrink_to_fit();
    }

    /// Keeps what is still so. Names come in their order, here and in [`Self::remember`].
    pub(super) fn keep(&mut self, name: &NamespacedName, known: Known) {
        self.children.push((name.clone(), known));
    }

    /// Remembers what has just become of a child about which there was nothing to tell, if it was `made` into an API.
    pub(super) fn remember(&mut self, name: &NamespacedName, child: &Arc<Child>, made: Option<&Candidate>) {
        if let Some(made) = made.filter(|made| child.alone && made.name == *name) {
            let known = Known {
                child: Arc::clone(child),
                id: made.id.clone(),
                api: made.api.clone(),
            };
            self.children.push((name.clone(), known));
        }
    }
}

impl Before {
    /// What is remembered of this child.
    pub(super) fn next(&mut self, name: &NamespacedName, child: &Arc<Child>) -> Option<Known> {
        let (_, known) = self.0.next(name)?;
        Arc::ptr_eq(&known.child, child).then_some(known)
    }
}
