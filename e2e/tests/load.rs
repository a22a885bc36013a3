//! The load command works: a small run of all its parts. How long things take is not looked at here.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::load::{Settings, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_small_load_is_measured() -> Result<()> {
    if e2e::gateway::skipped_in_pro("the floor is a gateway's") {
        return Ok(());
    }
    let settings = Settings {
        paths: 50,
        samples: 3,
        edits: 20,
        burst: 10,
        churn: 5,
        idle: Duration::from_secs(1),
        deadline: Duration::from_secs(120),
    };
    let results = run(&settings).await?;
    let count = |name: &str| {
        results
            .measures
            .iter()
            .find(|one| one.name == name)
            .map(|one| one.value)
    };
    ensure!(
        count("for all paths: objects written to the cluster") == Some(50.0),
        "one write for each child:\n{results}"
    );
    ensure!(
        count("for all paths: definitions written or deleted") == Some(50.0),
        "one write for each API:\n{results}"
    );
    ensure!(
        count("for a restart: objects written to the cluster") == Some(0.0)
            && count("for a restart: definitions written or deleted") == Some(0.0),
        "a restart changes nothing:\n{results}"
    );
    let edited = "for 5 changes of endpoints by name: rounds against the gateway";
    ensure!(count(edited) == Some(0.0), "nobody uses these endpoints:\n{results}");
    Ok(())
}
