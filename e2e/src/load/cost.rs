//! What a process has taken of the machine, from `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks of `/proc/<pid>/stat` in a second: a constant of Linux's interface to programs.
const TICKS: f64 = 100.0;

/// Of one process, so far.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time.
    pub cpu_seconds: f64,
    /// Memory in use.
    pub resident_mib: f64,
    /// The most memory that it ever had in use.
    pub peak_mib: f64,
}

impl Cost {
    /// Reads it.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn of(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        // The name of the program stands in parentheses and may hold anything.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kib.map(|kib| kib / 1024.0)
                .with_context(|| format!("no {name} in the status of {pid}"))
        };
        Ok(Self {
            cpu_seconds: ticks / TICKS,
            resident_mib: mib("VmRSS:")?,
            peak_mib: mib("VmHWM:")?,
        })
    }
}
