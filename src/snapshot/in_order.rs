//! What was there before, for one walk over what is there now.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;

use super::NamespacedName;

/// Takes values out of a map by names that are asked for in their order, in one walk over the map.
#[derive(Debug)]
pub struct InOrder<V>(Peekable<btree_map::IntoIter<NamespacedName, V>>);

impl<V> InOrder<V> {
    /// Of all that is in the map; the map is empty afterwards.
    pub fn of(map: &mut BTreeMap<NamespacedName, V>) -> Self {
        Self(std::mem::take(map).into_iter().peekable())
    }

    /// The entry of this name. What comes before it is dropped, so that names have to be asked for in their order.
    pub fn next(&mut self, name: &NamespacedName) -> Option<(NamespacedName, V)> {
        while self.0.next_if(|(other, _)| other < name).is_some() {}
        self.0.next_if(|(other, _)| other == name)
    }
}
