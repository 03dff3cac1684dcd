//! The log: structured records on standard error, as text or JSON. Our own crates log at the configured level, other
//! crates from warnings on, since their info records are about their internals. The Raft library warns of every election
//! and, once a heartbeat, of every peer that does not answer: its warnings appear only from `debug` on.

use std::io::stderr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _,
};

use crate::config::{LogConfig, LogFormat, LogLevel};

/// The prefix of our crates.
const OWN: &str = "custodia";
/// The Raft library.
const RAFT: &str = "openraft";

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Starts the log of this process. A log that was started before stays.
pub fn init_log(config: &LogConfig) {
    let level = LevelFilter::from(config.level);
    let raft = if level >= LevelFilter::DEBUG { LevelFilter::WARN } else { LevelFilter::ERROR };
    let others = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(RAFT, raft);
    let filter = others.with_target(OWN, level);
    let layer = fmt::layer().with_writer(stderr);
    let layer = match config.format {
        LogFormat::Text => layer.with_ansi(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    if registry().with(layer.with_filter(filter)).try_init().is_err() {
        tracing::debug!("the log had already been started");
    }
}
