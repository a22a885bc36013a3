//! What was there before, for one walk over what is there now.

use std::iter::Peekable;
use std::vec;

use super::NamespacedName;

/// Takes values out of a list that is sorted by name, by names that are asked for in their order, in one walk over it.
#[derive(Debug)]
pub struct InOrder<V>(Peekable<vec::IntoIter<(NamespacedName, V)>>);

impl<V> InOrder<V> {
    /// Of all that is in the list; the list is empty afterwards.
    pub fn of(list: &mut Vec<(NamespacedName, V)>) -> Self {
        Self(std::mem::take(list).into_iter().peekable())
    }

    /// The entry of this name. What comes before it is dropped, so that names have to be asked for in their order.
    pub fn next(&mut self, name: &NamespacedName) -> Option<(NamespacedName, V)> {
        while self.0.next_if(|(other, _)| other < name).is_some() {}
        self.0.next_if(|(other, _)| other == name)
    }
}
