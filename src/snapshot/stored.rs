//! How a snapshot keeps an object: as it is, or shorter where there are thousands that hardly differ.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use kube::{Resource as _, ResourceExt};

use super::NamespacedName;

/// An object in a snapshot. A copy shares it.
pub trait Stored: Clone + fmt::Debug + Send + Sync + 'static {
    /// Its kind.
    type Object: ResourceExt;

    /// Keeps the object of this name.
    fn of(object: Arc<Self::Object>, name: &NamespacedName) -> Self;

    /// The object, made anew if it is kept shorter.
    fn whole(&self) -> Arc<Self::Object>;

    /// The object, unless it is kept shorter.
    fn as_whole(&self) -> Option<&Arc<Self::Object>>;

    /// Whether it is the very same object, and not only an equal one.
    fn is(&self, other: &Self) -> bool;

    /// What stays the same for as long as nothing of the object has changed.
    fn held(&self) -> Arc<dyn Any + Send + Sync>;

    /// `metadata.generation`.
    fn generation(&self) -> Option<i64> {
        self.whole().meta().generation
    }

    /// Whether it has one of these finalizers.
    fn has_finalizer(&self, finalizers: &[&str]) -> bool {
        let whole = self.whole();
        let mut own = whole.finalizers().iter().map(String::as_str);
        own.any(|own| finalizers.contains(&own))
    }

    /// Whether it is being deleted.
    fn is_leaving(&self) -> bool {
        self.whole().meta().deletion_timestamp.is_some()
    }
}

impl<K: ResourceExt + fmt::Debug + Send + Sync + 'static> Stored for Arc<K> {
    type Object = K;

    fn of(object: Arc<K>, _name: &NamespacedName) -> Self {
        object
    }

    fn whole(&self) -> Arc<K> {
        Arc::clone(self)
    }

    fn as_whole(&self) -> Option<&Arc<K>> {
        Some(self)
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(self, other)
    }

    fn held(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(self) as Arc<dyn Any + Send + Sync>
    }
}
