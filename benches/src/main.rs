//! `custodia-bench`: measures a real cluster beside a reference in the same run, and prints ratios. The reference is a bare
//! tonic echo or another build of the node.
//!
//! Absolute figures from a shared machine prove little; ratios within one run do. Nothing here is a test.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement prints its result, and stops where it cannot go on"
)]

mod cluster;
mod compare;
mod duplicates;
mod echo;
mod footprint;
mod identity;
mod load;
mod lookup;
mod process;
mod scan;
mod verdicts;

use std::time::Duration;

use clap::{Parser, Subcommand};
use custodia_tests::{Options, Sandbox};

#[derive(Debug, Parser)]
#[command(about = "Measures a three-node cluster beside a bare tonic TLS echo, or two builds side by side")]
struct Arguments {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// GetProfile of a 1 KB customer beside the echo, then durable ingests beside the echo and beside bare file appends.
    Lookup {
        /// Seconds that each measurement takes.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Pairs of echo and lookup for each number of callers. The median of their ratios is printed.
        #[arg(long, default_value_t = 3)]
        pairs: usize,
        /// `fjall` or `sled`.
        #[arg(long, default_value = "fjall", value_parser = custodia_tests::engine)]
        engine: &'static str,
        /// Echo processes. 1 measures the wire alone; 3 includes what three processes cost on this machine.
        #[arg(long, default_value_t = 1)]
        echoes: usize,
    },
    /// Two builds of the node side by side: lookups, updates and new customers, with generated stubs over TLS.
    Compare(compare::Comparison),
    /// GetProfile with full verdicts, without verdicts, and with verdicts only, in alternating rounds.
    Verdicts {
        /// Milliseconds that each measurement takes.
        #[arg(long, default_value_t = 500)]
        milliseconds: u64,
        /// Rounds for each number of callers. Each measures all three; medians and quartiles are printed.
        #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Lookups by identifier and the agent's context beside lookups by id, in alternating rounds.
    Identity {
        /// Milliseconds that each measurement takes.
        #[arg(long, default_value_t = 1_000)]
        milliseconds: u64,
        /// Rounds for each number of callers. Each measures all four; medians and quartiles are printed.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Memory of each node, and bytes on disk per customer.
    Footprint {
        /// Customers to load first.
        #[arg(long, default_value_t = 100_000)]
        customers: usize,
        /// `fjall` or `sled`.
        #[arg(long, default_value = "fjall", value_parser = custodia_tests::engine)]
        engine: &'static str,
    },
    /// Precision, recall, CPU time and memory of finding duplicates. No cluster runs.
    Duplicates(duplicates::Arguments),
    /// What finding duplicates costs a cluster: writes, a scan of all customers, and lookups beside a scan.
    Scan(scan::Arguments),
    /// CPU and memory of idle nodes.
    Idle {
        /// Shards of the cluster.
        #[arg(long, default_value_t = 16)]
        shards: u32,
        /// Seconds over which the CPU is measured.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// A cluster in a process of its own, for `compare`.
    #[command(hide = true)]
    Cluster {
        /// `fjall` or `sled`.
        #[arg(long, value_parser = custodia_tests::engine)]
        engine: &'static str,
        /// Shards of the cluster.
        #[arg(long)]
        shards: u32,
    },
    /// The bare echo in a process of its own, for `lookup`.
    #[command(hide = true)]
    EchoServer {
        /// Holds `ca.crt`, `echo.crt` and `echo.key`.
        folder: std::path::PathBuf,
        /// Where to listen.
        address: std::net::SocketAddr,
    },
}

#[tokio::main]
async fn main() {
    match Arguments::parse().measurement {
        Measurement::Lookup { seconds, pairs, engine, echoes } => {
            lookup::measure(Duration::from_secs(seconds), pairs, engine, echoes).await;
        }
        Measurement::Compare(comparison) => compare::measure(&comparison).await,
        Measurement::Verdicts { milliseconds, rounds } => {
            verdicts::measure(Duration::from_millis(milliseconds), rounds).await;
        }
        Measurement::Identity { milliseconds, rounds } => {
            identity::measure(Duration::from_millis(milliseconds), rounds).await;
        }
        Measurement::Footprint { customers, engine } => footprint::measure(customers, engine).await,
        Measurement::Duplicates(arguments) => duplicates::measure(&arguments),
        Measurement::Scan(arguments) => scan::measure(&arguments).await,
        Measurement::Idle { shards, seconds } => footprint::idle(shards, Duration::from_secs(seconds)).await,
        Measurement::Cluster { engine, shards } => cluster::serve(engine, shards).await,
        Measurement::EchoServer { folder, address } => echo::serve(&folder, address).await,
    }
}

/// A cluster of three nodes with their default timing.
async fn start_cluster(engine: &'static str, shards: u32) -> Sandbox {
    let options = Options { shards, engine, config: String::new(), ..Options::default() };
    Sandbox::start_with(options).await
}
