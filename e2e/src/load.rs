//! The whole way under load: from Ingresses in the cluster to answers of the gateway, beside the floor, which is what
//! the gateway alone needs for the same definitions.

mod cost;
mod counters;
mod floor;
mod measures;
mod phase;
mod probe;
mod table;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::{sleep, timeout};

use crate::operator::Operator;
use crate::{Scenario, ports};
use cost::Cost;
use counters::Counters;
use floor::Floor;
pub use measures::{Measure, Results, Spread};
use probe::Probe;
use world::World;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Paths; each is one of an Ingress of its own.
    pub paths: usize,
    /// Single changes to measure.
    pub samples: usize,
    /// Edits in bursts.
    pub edits: usize,
    /// Edits of one burst, which are sent as fast as the API server takes them.
    pub burst: usize,
    /// Changes of endpoints.
    pub churn: usize,
    /// How long an operator without work is looked at.
    pub idle: Duration,
    /// Longest time for each part.
    pub deadline: Duration,
}

/// Measures everything, one after the other.
///
/// # Errors
/// When a part does not start, an API server or a gateway refuses, or a part takes longer than its deadline.
pub async fn run(settings: &Settings) -> Result<Results> {
    let scenario = Scenario::without_operator("load").await?;
    let result = measured(&scenario, settings).await;
    let cleared = timeout(settings.deadline, scenario.stop()).await;
    let results = result?;
    cleared.context("the gateway was not cleared in time")??;
    Ok(results)
}

async fn measured(scenario: &Scenario, settings: &Settings) -> Result<Results> {
    let world = World::new(scenario, settings.paths).await?;
    let mut bench = Bench {
        scenario,
        settings,
        probe: Probe::new(&scenario.gateway.ingress_url())?,
        results: Results::default(),
        world,
        operator: None,
    };
    let within = settings.deadline;
    macro_rules! part {
        ($what:literal, $part:expr) => {
            timeout(within, $part)
                .await
                .with_context(|| format!("{}: longer than {within:?}", $what))?
                .context($what)?
        };
    }
    bench.results.paths = settings.paths;
    bench.results.gateway = match scenario.gateway.calls() {
        Some(_) => "simulated".to_owned(),
        None => "real".to_owned(),
    };
    let floor = part!(
        "the floor",
        Floor::measure(scenario, &bench.world, &mut bench.probe, settings.samples)
    );
    bench.results.floor(&floor);
    part!("an operator without work", bench.without_work());
    part!("all paths", bench.all_paths());
    part!("nothing to do", bench.idle());
    part!("single changes", bench.single_changes());
    part!("bursts of edits", bench.bursts());
    part!("endpoints", bench.endpoints());
    part!("a restart", bench.restart());
    part!("an empty gateway", bench.empty_gateway());
    Ok(bench.results)
}

struct Bench<'a> {
    scenario: &'a Scenario,
    settings: &'a Settings,
    world: World,
    probe: Probe,
    results: Results,
    operator: Option<Operator>,
}

impl Bench<'_> {
    fn operator(&mut self) -> Result<&mut Operator> {
        self.operator.as_mut().context("the operator is not running")
    }

    fn pid(&mut self) -> Result<u32> {
        self.operator()?.pid()
    }

    /// Starts the operator with its own defaults and the image's allocator, and returns how long it took to be ready.
    async fn start(&mut self) -> Result<Duration> {
        let cluster = self.scenario.cluster;
        let kubeconfig = cluster
            .service_account_kubeconfig(
                crate::control_plane::SYSTEM_NAMESPACE,
                crate::control_plane::SERVICE_ACCOUNT,
            )
            .await?;
        let [port] = ports::free()?;
        let args = vec![
            "run".to_owned(),
            format!("--listen=127.0.0.1:{port}"),
            "--debug-listen=127.0.0.1:0".into(),
            "--leader-elect=false".into(),
            "--publish-address=192.0.2.1".into(),
        ];
        let mut env: BTreeMap<_, _> = self.scenario.operator_config()?.env;
        env.extend(allocator_of_the_image());
        let begin = Instant::now();
        self.operator = Some(Operator::start_exactly(kubeconfig, args, env, port).await?);
        Ok(begin.elapsed())
    }

    async fn stop(&mut self) -> Result<()> {
        self.operator
            .take()
            .context("the operator is not running")?
            .stop()
            .await
    }

    async fn counters(&mut self) -> Result<Counters> {
        let operator = self.operator.as_ref().context("the operator is not running")?;
        Counters::read(self.scenario, operator).await
    }

    /// Waits until neither the cluster nor the gateway is written to any more.
    async fn quiet(&mut self) -> Result<()> {
        let mut before = self.counters().await?;
        loop {
            // Longer than a round, which ends in a reload.
            sleep(self.results.pause()).await;
            let now = self.counters().await?;
            if now.has_the_same_writes(&before) {
                return Ok(());
            }
            before = now;
        }
    }

    async fn without_work(&mut self) -> Result<()> {
        self.start().await?;
        sleep(Duration::from_secs(2)).await;
        let resident = Cost::of(self.pid()?)?.resident_mib;
        self.results
            .set("operator without work: memory", resident, "MiB", Some(20.0));
        Ok(())
    }

    async fn all_paths(&mut self) -> Result<()> {
        let (begin, before, cost) = (Instant::now(), self.counters().await?, Cost::of(self.pid()?)?);
        let (created, answered) =
            tokio::join!(self.world.create_all(), self.probe.until_all_answer(&self.world, begin));
        let (created, answered) = (created?, answered?);
        self.quiet().await?;
        let settled = begin.elapsed();
        let (after, used) = (self.counters().await?, Cost::of(self.pid()?)?);
        let paths = self.world.len() as f64;
        let seconds = answered.as_secs_f64();
        let floor = self.results.floor_all_seconds;
        let results = &mut self.results;
        results.set("all Ingresses are created after", created.as_secs_f64(), "s", None);
        results.against("all paths answer after", seconds, "s", floor, Some(3.0 * floor));
        results.at_least("paths a second", paths / seconds, "1/s", 50.0 * 5.5);
        results.set("statuses are written after", settled.as_secs_f64(), "s", None);
        results.set("CPU for all of it", used.cpu_seconds - cost.cpu_seconds, "s", None);
        results.set("highest memory", used.peak_mib, "MiB", Some(60.0));
        results.counted("for all paths", &after.since(&before));
        Ok(())
    }

    async fn idle(&mut self) -> Result<()> {
        let before = Cost::of(self.pid()?)?;
        sleep(self.settings.idle).await;
        let after = Cost::of(self.pid()?)?;
        let share = (after.cpu_seconds - before.cpu_seconds) / self.settings.idle.as_secs_f64();
        self.results.set("idle: CPU", 100.0 * share, "% of a core", Some(1.0));
        self.results.set("idle: memory", after.resident_mib, "MiB", Some(60.0));
        Ok(())
    }

    async fn single_changes(&mut self) -> Result<()> {
        let mut times = Vec::new();
        let before = self.counters().await?;
        for sample in 0..self.settings.samples {
            // After the round before has ended.
            sleep(self.results.pause()).await;
            phase::of(sample).await;
            let number = self.world.some(sample);
            let begin = Instant::now();
            let (host, path) = self.world.edit(number).await?;
            self.probe.until_answered(&host, &path).await?;
            times.push(begin.elapsed());
        }
        self.quiet().await?;
        let calls = self.counters().await?.since(&before);
        let reload = self.results.floor_reload_seconds;
        let spread = Spread::of(&times);
        let results = &mut self.results;
        results.against("one change: median", spread.median, "s", reload, Some(reload + 0.15));
        results.against("one change: p99", spread.p99, "s", reload, Some(2.0 * reload + 0.15));
        results.against("one change: longest", spread.longest, "s", reload, None);
        results.counted(&format!("for {} single changes", self.settings.samples), &calls);
        Ok(())
    }

    async fn bursts(&mut self) -> Result<()> {
        let (before, cost) = (self.counters().await?, Cost::of(self.pid()?)?);
        let begin = Instant::now();
        let mut last = Vec::new();
        let mut number = 0;
        while number < self.settings.edits {
            let burst = self.settings.burst.min(self.settings.edits - number);
            let numbers = (number..number + burst)
                .map(|number| self.world.some(number))
                .collect::<Vec<_>>();
            last = self.world.edit_all(&numbers).await?;
            number += burst;
            sleep(Duration::from_millis(200)).await;
        }
        let edited = begin.elapsed();
        for (host, path) in &last {
            self.probe.until_answered(host, path).await?;
        }
        let answered = begin.elapsed();
        self.quiet().await?;
        let (after, used) = (self.counters().await?, Cost::of(self.pid()?)?);
        let (edits, results) = (self.settings.edits, &mut self.results);
        results.set(&format!("{edits} edits: made after"), edited.as_secs_f64(), "s", None);
        results.set(
            &format!("{edits} edits: all answer after"),
            answered.as_secs_f64(),
            "s",
            None,
        );
        results.set(
            &format!("{edits} edits: CPU"),
            used.cpu_seconds - cost.cpu_seconds,
            "s",
            None,
        );
        results.set("memory after the edits", used.resident_mib, "MiB", Some(60.0));
        results.counted(&format!("for {edits} edits"), &after.since(&before));
        Ok(())
    }

    /// Of a Service whose name is all that its Ingresses use, and of one whose endpoints the gateway is told.
    async fn endpoints(&mut self) -> Result<()> {
        for (what, balanced) in [("by name", false), ("balanced", true)] {
            self.world.prepare_churn(balanced).await?;
            self.quiet().await?;
            let (before, cost) = (self.counters().await?, Cost::of(self.pid()?)?);
            for turn in 0..self.settings.churn {
                self.world.churn(turn).await?;
            }
            self.quiet().await?;
            let (after, used) = (self.counters().await?, Cost::of(self.pid()?)?);
            let what = format!("{} changes of endpoints {what}", self.settings.churn);
            self.results
                .set(&format!("{what}: CPU"), used.cpu_seconds - cost.cpu_seconds, "s", None);
            self.results.counted(&format!("for {what}"), &after.since(&before));
        }
        Ok(())
    }

    async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        let writes = Counters::of_cluster(self.scenario).await?;
        let ready = self.start().await?;
        self.quiet().await?;
        let (now, cost) = (self.counters().await?, Cost::of(self.pid()?)?);
        let results = &mut self.results;
        results.set("restart: ready after", ready.as_secs_f64(), "s", None);
        results.set("restart: CPU", cost.cpu_seconds, "s", None);
        results.set("restart: highest memory", cost.peak_mib, "MiB", Some(60.0));
        results.counted("for a restart", &now.since(&writes));
        ensure!(ready < self.settings.deadline, "not ready");
        Ok(())
    }

    async fn empty_gateway(&mut self) -> Result<()> {
        self.stop().await?;
        self.scenario.gateway.lose_everything(self.scenario.namespace()).await?;
        let begin = Instant::now();
        self.start().await?;
        let answered = self.probe.until_all_answer(&self.world, begin).await?;
        let (seconds, floor) = (answered.as_secs_f64(), self.results.floor_all_seconds);
        self.results.against(
            "start before an empty gateway: all paths answer after",
            seconds,
            "s",
            floor,
            None,
        );
        self.stop().await
    }
}

/// What the image tells the allocator.
fn allocator_of_the_image() -> impl Iterator<Item = (String, String)> {
    let variables = include_str!("../../Dockerfile")
        .lines()
        .filter_map(|line| line.strip_prefix("ENV "));
    let variables = variables.flat_map(str::split_whitespace);
    let variables = variables.filter(|variable| variable.starts_with("MIMALLOC_"));
    variables.filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    })
}

/// Writes the results as JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(results: &Results, file: &PathBuf) -> Result<()> {
    let text = serde_json::to_string_pretty(results).context("cannot write JSON")?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_image_tells_the_allocator_something() {
        assert_ne!(super::allocator_of_the_image().count(), 0);
    }
}
