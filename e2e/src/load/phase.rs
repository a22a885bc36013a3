//! The gateway looks once a second whether somebody wants a reload: a single one takes up to a second more or less,
//! depending on when it is asked for. Samples that are spread evenly over the second have the same median each time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

/// Parts of a second between one sample and the next, of which each falls into the largest gap of those before.
const APART: f64 = 0.618_034;

/// Waits for the moment of a sample, for at most a second.
pub(super) async fn of(sample: usize) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    sleep(Duration::from_secs_f64(wait(
        sample,
        f64::from(now.subsec_nanos()) / 1e9,
    )))
    .await;
}

/// Seconds from a part of a second to that of a sample.
fn wait(sample: usize, now: f64) -> f64 {
    ((sample as f64 * APART).fract() - now).rem_euclid(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_evenly_whenever_they_are_asked_for() {
        let many = 16;
        let mut moments: Vec<_> = (0..many)
            .map(|sample| {
                let now = 0.07 * sample as f64;
                (now + wait(sample, now.fract())).fract()
            })
            .collect();
        moments.sort_by(f64::total_cmp);
        let most = moments.windows(2).map(|two| two[1] - two[0]).fold(0.0, f64::max);
        assert!(most < 2.0 / many as f64, "{moments:?}");
    }
}
