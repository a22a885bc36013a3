//! Logs: to standard error, as text or JSON, with a level that can be changed while the program runs.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object, for programs.
    Json,
}

impl Format {
    /// Text for a terminal, JSON for anything else.
    pub fn of_stderr() -> Self {
        match std::io::stderr().is_terminal() {
            true => Format::Text,
            false => Format::Json,
        }
    }
}

/// A handle on the level.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// Sets up logging. `default` is the filter unless `RUST_LOG` is set.
    ///
    /// # Errors
    /// When logging was set up before.
    pub fn start(default: &str, format: Format) -> Result<Self, TryInitError> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        let (filter, handle) = reload::Layer::new(filter);
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match format {
            Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        tracing_subscriber::registry().with(filter).with(lines).try_init()?;
        Ok(Self(handle))
    }

    /// The filter, as in `RUST_LOG`.
    pub fn get(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Another filter from now on, for example `debug` or `info,tyk_ingress::sync=debug`.
    ///
    /// # Errors
    /// Why it is none.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        if filter.trim().is_empty() {
            return Err("give a filter, for example debug or info,tyk_ingress::sync=debug".into());
        }
        let filter = filter.trim().parse::<EnvFilter>().map_err(|error| error.to_string())?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}
