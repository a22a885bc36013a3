//! How long a change waits for others that come with it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Waits for more changes for at most this time; a change that comes alone waits half as long.
pub async fn gathered(changes: &mut watch::Receiver<u64>, most: Duration) {
    let end = Instant::now() + most;
    if timeout(most / 2, changes.changed()).await.is_ok() {
        sleep_until(end).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How long a change waits when others come so long after it.
    async fn waited(others: &[u32]) -> Duration {
        let (sender, mut changes) = watch::channel(0);
        let begin = Instant::now();
        let come = async {
            for &after in others {
                sleep_until(begin + after * MS).await;
                sender.send_modify(|number| *number += 1);
            }
            sleep(1000 * MS).await;
        };
        let gather = async {
            gathered(&mut changes, 50 * MS).await;
            begin.elapsed()
        };
        tokio::join!(gather, come).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_comes_alone_waits_half_as_long() {
        assert_eq!(waited(&[]).await, 25 * MS);
        assert_eq!(waited(&[30]).await, 25 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_that_keep_coming_wait_no_longer_than_the_first_may() {
        assert_eq!(waited(&[20]).await, 50 * MS);
        assert_eq!(waited(&[10, 24, 40, 60]).await, 50 * MS);
    }
}
