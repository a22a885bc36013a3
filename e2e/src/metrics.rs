//! Prometheus' text format, as far as the tests read it.

use anyhow::{Context, Result};

/// Sum of the samples of one metric whose labels are `wanted`.
///
/// # Errors
/// When a value is no number.
pub fn sum(text: &str, metric: &str, wanted: impl Fn(&str) -> bool) -> Result<f64> {
    let samples = text
        .lines()
        .filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{')?.rsplit_once("} "));
    let values = samples.filter(|(labels, _)| wanted(labels)).map(|(_, value)| {
        let number = value.parse::<f64>();
        number.with_context(|| format!("{metric} has the value {value:?}"))
    });
    values.sum()
}
