//! `custodia cluster`, `shard` and `keys`: operating a cluster.

mod blinding;
mod keys;
mod verify;

use std::time::{Duration, Instant};

use custodia_client::Client;
use custodia_profile::{NodeAddress, NodeAddressError};
use custodia_proto::v1;

use crate::connection::{Connection, pages};
use crate::error::CliError;
use crate::text::enum_text::enum_text;
use crate::text::output::{Column, number_or_dash, table};

pub(crate) use keys::KeysCommand;

/// Creating a cluster creates every shard's Raft group, which takes time.
const INIT_DEADLINE: Duration = Duration::from_secs(60);

/// How long `cluster init` waits until the new cluster is ready to serve, and how often it looks.
const READY_WAIT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(250);

/// `custodia cluster …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ClusterCommand {
    /// Create a cluster of empty nodes
    Init {
        /// A node as NUMBER=HOST:PORT (repeatable, or comma-separated)
        #[arg(long = "node", required = true, value_delimiter = ',', value_parser = parse_endpoint)]
        nodes: Vec<v1::NodeEndpoint>,
        /// Number of shards: a power of two, at most 4096; cannot be changed later
        #[arg(long, default_value_t = 256)]
        shards: u32,
        /// Replicas of each shard; an odd number [default: 3, or the number of nodes if fewer]
        #[arg(long, default_value_t = 0, hide_default_value = true)]
        replicas: u32,
    },
    /// Show nodes, shards and health as one node sees them
    Status,
}

/// `custodia shard …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ShardCommand {
    /// List the shards with their slots, replicas and leaders
    List,
    /// Compare what the replicas of each shard, and of the directory, have stored
    ///
    /// A replica that differs from a majority is taken out of service and rebuilt.
    Verify {
        /// One shard [default: all shards and the directory]
        #[arg(long)]
        shard: Option<u32>,
    },
}

impl ClusterCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Init { nodes, shards, replicas } => {
                let client = connection.client_with_deadline(INIT_DEADLINE)?;
                let status = client.init_cluster(v1::InitClusterRequest { nodes, shards, replicas }).await?;
                connection.print(&ready(&client, status).await?, status_text)
            }
            Self::Status => connection.show(v1::GetClusterStatusRequest {}, status_text).await,
        }
    }
}

/// Waits until every shard has a leader and all replicas. Shows the progress on standard error.
pub(crate) async fn ready(
    client: &Client,
    mut status: v1::ClusterStatus,
) -> Result<v1::ClusterStatus, CliError> {
    let deadline = Instant::now() + READY_WAIT;
    let mut shown = String::new();
    while status.shards_with_leader < status.shards || status.shards_with_full_replicas < status.shards {
        let progress = shards_text(&status);
        if Instant::now() >= deadline {
            return Err(CliError::NotReady { seconds: READY_WAIT.as_secs(), last: progress });
        }
        if shown != progress {
            eprintln!("waiting: {progress}");
            shown = progress;
        }
        tokio::time::sleep(READY_POLL).await;
        status = client.get_cluster_status(v1::GetClusterStatusRequest {}).await?;
    }
    Ok(status)
}

impl ShardCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::List => {
                let answer = pages::all(&connection.client()?, v1::ListShardsRequest::default()).await?;
                connection.print(&answer, |answer| table(SHARD_COLUMNS, &answer.shards))
            }
            Self::Verify { shard } => verify::verify(connection, shard).await,
        }
    }
}

fn parse_endpoint(text: &str) -> Result<v1::NodeEndpoint, String> {
    let expected = || "must be NUMBER=HOST:PORT, e.g. 1=10.0.0.1:7443".to_owned();
    let (number, address) = text.split_once('=').ok_or_else(expected)?;
    let node_id = number.parse().ok().filter(|number| *number > 0).ok_or_else(expected)?;
    let address: NodeAddress = address.parse().map_err(|error: NodeAddressError| error.to_string())?;
    Ok(v1::NodeEndpoint { node_id, address: address.to_string() })
}

/// The status for people; `dev` prints it too.
pub(crate) fn status_text(status: &v1::ClusterStatus) -> String {
    if status.cluster_id.is_empty() {
        return "not initialised: create a cluster with `custodia cluster init`".into();
    }
    let nodes = table(NODE_COLUMNS, &status.nodes);
    let stopped: String = status.nodes.iter().flat_map(stopped_lines).collect();
    let stopped = if stopped.is_empty() { stopped } else { format!("\n{stopped}") };
    format!(
        "cluster {}, map version {}, seen by node {}\n{}\n\n{nodes}{stopped}",
        status.cluster_id,
        status.map_version,
        status.answering_node,
        shards_text(status),
    )
}

/// A line for each replica of a node that does not run.
fn stopped_lines(node: &v1::Node) -> impl Iterator<Item = String> {
    node.stopped_replicas.iter().map(|stopped| {
        let state = enum_text::<v1::ReplicaState>(stopped.state);
        let reason = if stopped.reason.is_empty() { String::new() } else { format!(": {}", stopped.reason) };
        format!("\nnode {}, {} {state}{reason}", node.node_id, stopped.group)
    })
}

fn shards_text(status: &v1::ClusterStatus) -> String {
    format!(
        "{} shards: {} with a leader, {} with all replicas",
        status.shards, status.shards_with_leader, status.shards_with_full_replicas,
    )
}

const NODE_COLUMNS: &[Column<v1::Node>] = &[
    ("NODE", |node| node.node_id.to_string()),
    ("ADDRESS", |node| node.address.clone()),
    ("STATE", |node| enum_text::<v1::NodeState>(node.state)),
    ("REPLICAS", |node| node.replicas.to_string()),
    ("LEADS", |node| node.leaders.to_string()),
    ("CLOCK", |node| node.clock_offset_ms.map_or_else(|| "-".into(), |ms| format!("{ms:+} ms"))),
    ("ENGINE", |node| node.state_engine.clone()),
    ("VERSION", |node| node.version.clone()),
];

const SHARD_COLUMNS: &[Column<v1::Shard>] = &[
    ("SHARD", |shard| shard.shard_id.to_string()),
    ("SLOTS", |shard| format!("{}-{}", shard.slot_first, shard.slot_last)),
    ("LEADER", |shard| number_or_dash(shard.leader_node_id)),
    ("TERM", |shard| shard.term.to_string()),
    ("APPLIED", |shard| shard.applied_index.to_string()),
    ("REPLICAS (NODE)", |shard| shard.replicas.iter().map(replica_text).collect::<Vec<_>>().join(", ")),
];

fn replica_text(replica: &v1::Replica) -> String {
    let mark = if replica.role() == v1::ReplicaRole::Learner { "*" } else { "" };
    format!("{}{mark} ({})", replica.replica_id, replica.node_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_number_and_address() {
        let endpoint = parse_endpoint("2=[::1]:7443").unwrap();
        assert_eq!((endpoint.node_id, endpoint.address.as_str()), (2, "[::1]:7443"));
        for wrong in ["", "1", "0=a:1", "x=a:1", "1=a", "1=https://a:1", "1=::1:7443", "1=0.0.0.0:1", "1=a:0"]
        {
            assert!(parse_endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_status_is_short() {
        let node = v1::Node {
            node_id: 1,
            address: "localhost:7443".into(),
            state: v1::NodeState::Up.into(),
            replicas: 17,
            leaders: 6,
            state_engine: "fjall".into(),
            version: "0.1.0".into(),
            stopped_replicas: vec![v1::StoppedReplica {
                group: "shard-3".into(),
                state: v1::ReplicaState::Rebuilding.into(),
                reason: "its state was damaged".into(),
            }],
            clock_offset_ms: Some(-12),
        };
        let status = v1::ClusterStatus {
            cluster_id: "c".into(),
            map_version: 3,
            nodes: vec![node],
            shards: 16,
            shards_with_leader: 16,
            shards_with_full_replicas: 15,
            answering_node: 1,
        };
        let text: Vec<String> = status_text(&status).lines().map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(
            text,
            [
                "cluster c, map version 3, seen by node 1",
                "16 shards: 16 with a leader, 15 with all replicas",
                "",
                "NODE  ADDRESS         STATE  REPLICAS  LEADS  CLOCK   ENGINE  VERSION",
                "1     localhost:7443  up     17        6      -12 ms  fjall   0.1.0",
                "",
                "node 1, shard-3 rebuilding: its state was damaged",
            ]
        );
    }
}
