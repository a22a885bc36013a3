//! Failures on demand, each deterministic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// What becomes of a call of the control API, or of a Dashboard, instead of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This status with an error body; nothing is done.
    Status(u16),
    /// 429 with this many seconds in `Retry-After`; nothing is done.
    Busy(u64),
    /// The call waits, and is then answered as ever.
    Delay(Duration),
    /// The connection is cut without an answer; nothing is done.
    Reset,
    /// The call is done, and the connection is cut without an answer.
    ResetAfter,
}

/// Switches for failures of a gateway or of a Dashboard. All are off at first.
#[derive(Debug, Default)]
pub struct Faults {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rules: Vec<Rule>,
    lose_writes: bool,
    lost: BTreeSet<String>,
    /// How often a write of these APIs still fails.
    breaking: BTreeMap<String, usize>,
    reload_delay: Duration,
}

#[derive(Debug)]
struct Rule {
    method: String,
    path: String,
    left: usize,
    failure: Failure,
}

impl Faults {
    /// Fails the next `times` control calls with this method (empty: any) and a path that begins with `path`.
    pub fn fail_next(&self, times: usize, method: &str, path: &str, failure: Failure) {
        let rule = Rule {
            method: method.to_owned(),
            path: path.to_owned(),
            left: times,
            failure,
        };
        self.lock().rules.push(rule);
    }

    /// Answers the next `times` writes of the classic definition with this `api_id` with 500.
    pub fn break_at(&self, times: usize, api_id: &str) {
        self.lock().breaking.insert(api_id.to_owned(), times);
    }

    /// Lets a reload lose every API whose file is written after the reload was asked for and before it has ended, as the
    /// real gateway may; the next reload finds it again.
    pub fn lose_writes_during_reload(&self, on: bool) {
        self.lock().lose_writes = on;
    }

    /// Lets the next reload lose this API, loaded or not; the one after finds it again.
    pub fn lose_at_next_reload(&self, api_id: &str) {
        self.lock().lost.insert(format!("{api_id}.json"));
    }

    /// Makes every reload take this long before it reads the files.
    pub fn delay_reload(&self, delay: Duration) {
        self.lock().reload_delay = delay;
    }

    /// Ends all failures.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    pub(super) fn take(&self, method: &str, path: &str) -> Option<Failure> {
        let mut inner = self.lock();
        let matches = |rule: &Rule| {
            rule.left > 0 && (rule.method.is_empty() || rule.method == method) && path.starts_with(&rule.path)
        };
        let rule = inner.rules.iter_mut().find(|rule| matches(rule))?;
        rule.left -= 1;
        let failure = rule.failure;
        inner.rules.retain(|rule| rule.left > 0);
        Some(failure)
    }

    /// The failure of a write with this body.
    pub(super) fn take_write(&self, body: &[u8]) -> Option<Failure> {
        let mut inner = self.lock();
        if inner.breaking.is_empty() {
            return None;
        }
        let definition: Value = serde_json::from_slice(body).ok()?;
        let left = inner.breaking.get_mut(definition["api_id"].as_str()?)?;
        *left = left.checked_sub(1)?;
        Some(Failure::Status(500))
    }

    pub(super) fn reload_delay(&self) -> Duration {
        self.lock().reload_delay
    }

    /// File names that this reload does not see.
    pub(super) fn take_lost(&self, written: &BTreeSet<String>) -> BTreeSet<String> {
        let mut inner = self.lock();
        let mut lost = std::mem::take(&mut inner.lost);
        if inner.lose_writes {
            lost.extend(written.iter().cloned());
        }
        lost
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
