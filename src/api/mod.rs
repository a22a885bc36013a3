//! The custom resources of `tyk.tyk.io/v1alpha1`, and the names, labels and ids that Tyk Operator gave them.
