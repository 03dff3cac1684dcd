//! `custodia keys`: root key files, and key rotation in a running cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use custodia_proto::v1;
use serde_json::json;

use super::blinding;
use crate::connection::Connection;
use crate::error::CliError;
use crate::files::{self, Readers};
use crate::text::enum_text::EnumText as _;
use crate::text::output::{self, Format};

/// Rotating a key rewrites what it protects, which takes time.
const ROTATE_DEADLINE: Duration = Duration::from_secs(600);

/// `custodia keys …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeysCommand {
    /// Create a root key file with one new key, for a new cluster
    Generate {
        /// The file; every node of the cluster needs a copy
        #[arg(long)]
        file: PathBuf,
    },
    /// Add a new key to a root key file: the first step of rotating the root key
    #[command(after_help = ADD_HELP)]
    Add {
        /// The root key file
        #[arg(long)]
        file: PathBuf,
        /// Id of the new key
        #[arg(long)]
        id: String,
    },
    /// Rotate the keys of one level while the cluster serves
    #[command(after_help = ROTATE_HELP)]
    Rotate {
        /// Level of the keys: root, shard, bucket, customer or blinding
        #[arg(long, value_parser = v1::KeyLevel::parser())]
        level: v1::KeyLevel,
        /// One shard (for levels shard and bucket)
        #[arg(long, conflicts_with = "every_shard")]
        shard: Option<u32>,
        /// All shards (for levels shard and bucket)
        #[arg(long)]
        every_shard: bool,
        /// The customer whose key (level customer) or bucket key (level bucket) is rotated
        #[arg(long)]
        customer: Option<String>,
        /// Pause after each step in milliseconds, for the other callers (for level blinding)
        #[arg(long, default_value_t = 50, value_name = "MS")]
        pause: u64,
    },
}

const ROTATE_HELP: &str = "\
Level blinding moves the indexes of identifiers and of duplicates to a new key, step by step; lookups go on.
If the command ends early, run it again: it goes on where the shards are. The old key and its entries are gone
only when the command says so. Run it again to rotate once more.";

const ADD_HELP: &str = "\
To rotate the root key:
  1. add a key and copy the file to every node
  2. set `current` to the new id in every copy
  3. run `custodia keys rotate --level root`
  4. remove the old key from every copy";

impl KeysCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Generate { file } => generate(&file, connection.output),
            Self::Add { file, id } => {
                let text = custodia_server::add_root_key(&file, &id)?;
                files::replace(&file, text.as_bytes(), Readers::Owner)?;
                let text = format!("added key {id} to {}; `current` is unchanged", file.display());
                output::report(connection.output, &text, &json!({ "file": file, "id": id }))
            }
            Self::Rotate { level: v1::KeyLevel::Blinding, pause, .. } => {
                blinding::rotate(connection, Duration::from_millis(pause)).await
            }
            Self::Rotate { level, shard, every_shard, customer, pause: _ } => {
                let of_shards = matches!(level, v1::KeyLevel::Shard | v1::KeyLevel::Bucket);
                if of_shards && shard.is_none() && !every_shard && customer.is_none() {
                    let reason = "is required, or --every-shard, or --customer with level bucket";
                    return Err(CliError::argument("--shard", reason));
                }
                let request = v1::RotateKeysRequest {
                    level: level.into(),
                    shard_id: shard.unwrap_or_default(),
                    every_shard,
                    customer_id: customer.unwrap_or_default(),
                    blinding_epoch: 0,
                };
                let rotated = connection.client_with_deadline(ROTATE_DEADLINE)?.call(request).await?;
                connection.print(&rotated, |rotated| {
                    format!(
                        "{} keys rotated, {} values resealed",
                        rotated.keys_rotated, rotated.values_resealed
                    )
                })
            }
        }
    }
}

const ROOT_KEY_WARNING: &str = "Anyone with this file can read everything; if you lose it, all data is lost: keep a copy in a safe place.";

/// Never overwrites a file: without its root key, all data is lost.
fn generate(file: &Path, format: Format) -> Result<(), CliError> {
    let text = custodia_server::generate_root_key_file()?;
    files::create(file, text.as_bytes(), Readers::Owner)?;
    let text = format!("created {} with a new root key\n{ROOT_KEY_WARNING}", file.display());
    output::report(format, &text, &json!({ "file": file }))
}
