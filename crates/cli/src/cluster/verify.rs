//! `custodia shard verify`: compares the replicas of each shard, one shard after the other.

use std::time::Duration;

use custodia_proto::v1;

use crate::connection::{Connection, pages};
use crate::error::CliError;
use crate::text::enum_text::enum_text;
use crate::text::output::{self, Column, Format, or_dash, table};

/// Each replica reads its whole state, which takes time.
const VERIFY_DEADLINE: Duration = Duration::from_secs(60);

/// Verifies one shard, or all shards and the directory, and prints what does not agree. That is an error, too.
pub(super) async fn verify(connection: &Connection, shard: Option<u32>) -> Result<(), CliError> {
    let client = connection.client_with_deadline(VERIFY_DEADLINE)?;
    let targets = match shard {
        Some(shard_id) => vec![v1::VerifyShardRequest { shard_id, directory: false }],
        None => {
            let listed = pages::all(&client, v1::ListShardsRequest::default()).await?;
            let shard =
                |shard: v1::Shard| v1::VerifyShardRequest { shard_id: shard.shard_id, directory: false };
            let directory = v1::VerifyShardRequest { shard_id: 0, directory: true };
            listed.shards.into_iter().map(shard).chain([directory]).collect()
        }
    };
    let mut verified = Vec::with_capacity(targets.len());
    for target in targets {
        verified.push(client.call(target).await?);
    }
    match connection.output {
        Format::Table => output::line(&text(&verified))?,
        Format::Json => output::print_json(&verified.iter().map(output::json_of).collect())?,
    }
    let lines = disagreeing(&verified);
    let differ = lines.iter().filter(|line| line.replica.verdict() == v1::ReplicaVerdict::Differs).count();
    match (differ, lines.len()) {
        (0, 0) => Ok(()),
        (0, replicas) => Err(CliError::NotCompared { replicas }),
        (replicas, _) => Err(CliError::ReplicasDiffer { replicas }),
    }
}

/// A replica that differs or was not compared.
struct Line {
    shard: String,
    replica: v1::VerifiedReplica,
}

fn disagreeing(verified: &[v1::ShardVerification]) -> Vec<Line> {
    let of_shard = |of: &v1::ShardVerification| {
        let shard = if of.directory { "directory".to_owned() } else { of.shard_id.to_string() };
        let replicas = of.replicas.clone().into_iter();
        let replicas = replicas.filter(|replica| replica.verdict() != v1::ReplicaVerdict::Agrees);
        replicas.map(move |replica| Line { shard: shard.clone(), replica })
    };
    verified.iter().flat_map(of_shard).collect()
}

fn text(verified: &[v1::ShardVerification]) -> String {
    let lines = disagreeing(verified);
    let agree = verified.iter().map(|of| of.replicas.len()).sum::<usize>() - lines.len();
    let summary = format!("{agree} replicas agree, {} do not or could not be compared", lines.len());
    if lines.is_empty() { summary } else { format!("{summary}\n\n{}", table(COLUMNS, &lines)) }
}

const COLUMNS: &[Column<Line>] = &[
    ("SHARD", |line| line.shard.clone()),
    ("NODE", |line| line.replica.node_id.to_string()),
    ("REPLICA", |line| enum_text::<v1::ReplicaVerdict>(line.replica.verdict)),
    ("FIRST IN", |line| or_dash(&line.replica.first_kind)),
    ("SLOT", |line| line.replica.first_slot.map_or_else(|| "-".into(), |slot| slot.to_string())),
    ("REPLACED", |line| if line.replica.replaced { "yes" } else { "no" }.into()),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_replicas_that_do_not_agree_are_listed() {
        let replica = |node_id, verdict: v1::ReplicaVerdict| v1::VerifiedReplica {
            node_id,
            verdict: verdict.into(),
            ..v1::VerifiedReplica::default()
        };
        let differs = v1::VerifiedReplica {
            first_kind: "core".into(),
            first_slot: Some(17),
            replaced: true,
            ..replica(3, v1::ReplicaVerdict::Differs)
        };
        let agrees = v1::ReplicaVerdict::Agrees;
        let shard = v1::ShardVerification {
            shard_id: 4,
            replicas: vec![replica(1, agrees), replica(2, agrees), differs],
            ..v1::ShardVerification::default()
        };
        let directory = v1::ShardVerification {
            directory: true,
            replicas: vec![replica(1, agrees), replica(2, v1::ReplicaVerdict::NotCompared)],
            ..v1::ShardVerification::default()
        };
        let text: Vec<String> =
            text(&[shard.clone(), directory]).lines().map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(
            text,
            [
                "3 replicas agree, 2 do not or could not be compared",
                "",
                "SHARD      NODE  REPLICA       FIRST IN  SLOT  REPLACED",
                "4          3     differs       core      17    yes",
                "directory  2     not-compared  -         -     no",
            ]
        );
    }
}
