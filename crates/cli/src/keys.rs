//! `custodia keys`: root key files, and key rotation in a running cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use custodia_proto::v1;

use crate::connection::Connection;
use crate::error::CliError;
use crate::files::{self, Readers};
use crate::output::{self, print};
use crate::words::Word as _;

/// Rotating keys rewrites what they protect.
const ROTATE_DEADLINE: Duration = Duration::from_secs(600);

/// `custodia keys …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a root key file with one fresh key, for a new cluster
    Generate {
        /// The file; every node of the cluster needs the same one
        #[arg(long)]
        file: PathBuf,
    },
    /// Add a fresh key to a root key file: the first step of rotating the root key
    #[command(after_help = ADD_HELP)]
    Add {
        /// The file
        #[arg(long)]
        file: PathBuf,
        /// The new key's id
        #[arg(long)]
        id: String,
    },
    /// Rotate the keys of one level; service goes on
    Rotate {
        /// root, shard, bucket or customer
        #[arg(long, value_parser = v1::KeyLevel::parse)]
        level: v1::KeyLevel,
        /// The shard (levels shard and bucket)
        #[arg(long, conflicts_with = "every_shard")]
        shard: Option<u32>,
        /// All shards (levels shard and bucket)
        #[arg(long)]
        every_shard: bool,
        /// The customer whose key (level customer) or whose bucket (level bucket) is rotated
        #[arg(long)]
        customer: Option<String>,
    },
}

const ADD_HELP: &str = "\
To rotate the root key: add a key, copy the file to every node; set `current` to the new id in every file;
`custodia keys rotate --level root`; take the old key out of the files.";

impl KeysCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Generate { file } => generate(&file),
            Self::Add { file, id } => {
                let text = custodia_server::add_root_key(&file, &id)?;
                files::replace(&file, text.as_bytes(), Readers::Owner)?;
                output::line(&format!("{} has the key {id} too; `current` is unchanged", file.display()))
            }
            Self::Rotate { level, shard, every_shard, customer } => {
                let of_shards = matches!(level, v1::KeyLevel::Shard | v1::KeyLevel::Bucket);
                if of_shards && shard.is_none() && !every_shard && customer.is_none() {
                    let reason = "or --every-shard is missing".into();
                    return Err(CliError::Argument { argument: "--shard", reason });
                }
                let request = v1::RotateKeysRequest {
                    level: level.into(),
                    shard_id: shard.unwrap_or_default(),
                    every_shard,
                    customer_id: customer.unwrap_or_default(),
                };
                rotate(connection, request).await
            }
        }
    }
}

/// A root key that is overwritten is all data lost, so an existing file stays.
fn generate(file: &Path) -> Result<(), CliError> {
    let text = custodia_server::generate_root_key_file()?;
    files::create(file, text.as_bytes(), Readers::Owner)?;
    output::line(&format!("{} holds a fresh root key; keep a copy in a safe place", file.display()))
}

async fn rotate(connection: &Connection, request: v1::RotateKeysRequest) -> Result<(), CliError> {
    let rotated = connection.patient_client(ROTATE_DEADLINE)?.rotate_keys(request).await?;
    print(connection.output, "RotateKeysResponse", &rotated, || {
        format!("{} keys rotated, {} values resealed", rotated.keys_rotated, rotated.values_resealed)
    })
}
