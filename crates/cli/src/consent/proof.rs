//! Owns `custodia consent history` and `verify`: a customer's whole ledger in a file that proves itself.
//!
//! ```text
//! {"format":"custodia-consent-history-2","customer_id":"cust_…","entries":N,"head":HEX}
//! {"sequence":0,"previous":HEX,"recorded_at":…,"recorded_by":{…},"ground":{…},"canonical":HEX,"hash":HEX}      N of these
//!   hash      = SHA-256("custodia.ledger.v1" ‖ customer, 16 bytes ‖ canonical)
//!   canonical = the entry's stored bytes; they hold the hash of the entry before
//!   the rest  = what the bytes say, readable
//! ```
//! Why a change cannot hide: the head is the hash of the last entry, each entry holds the hash of the one before, and
//! each line must be, byte for byte, what its own bytes decode to. Whoever changes, removes, adds or moves a line must
//! therefore change the head. So keep the head elsewhere; `--head` compares it.

use std::path::{Path, PathBuf};

use custodia_profile::{
    ChainFault, ChainLink, CustomerId, LedgerBody, LedgerEntry, NO_HASH, Stored as _, verify_chain,
};
use custodia_proto::v1;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::consent::readable::Readable;
use crate::error::CliError;
use crate::files::{self, Readers};
use crate::text::output::{self, Format};

const FORMAT: &str = "custodia-consent-history-2";

/// The line of the first entry.
const FIRST_ENTRY_LINE: u64 = 2;

pub(crate) const VERIFY_HELP: &str = "\
Exit code 0: the file is a complete, unchanged history with the head that is printed. Exit code 1: it is not; the error
names the first bad line and what is wrong with it. Compare the head with a copy kept elsewhere (--head): a file forged
from beginning to end would also be consistent.";

/// What `consent verify` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyHistory {
    /// The file
    file: PathBuf,
    /// The head that the file must have, from a copy kept elsewhere
    #[arg(long, value_name = "HEX")]
    head: Option<String>,
    /// The history of a customer who was merged with this one: it must be the one that the entry of the merge names (repeatable)
    #[arg(long = "merged", value_name = "FILE")]
    merged: Vec<PathBuf>,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    customer_id: String,
    entries: u64,
    head: String,
}

/// Each other line.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    readable: Readable,
    canonical: String,
    hash: String,
}

/// The part of a line that the check needs.
#[derive(Debug, Deserialize)]
struct Claim {
    canonical: String,
    hash: String,
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    line: u64,
    reason: String,
}

impl Fault {
    fn new(line: u64, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// Writes the file, then checks it as `verify` does. The file stays even if the check fails: a broken ledger is
/// evidence too.
///
/// # Errors
/// If the file cannot be written, or the check fails.
pub(crate) fn write(
    format: Format,
    path: &Path,
    history: &v1::ListConsentHistoryResponse,
) -> Result<(), CliError> {
    let text = file_of(history);
    files::replace(path, text.as_bytes(), Readers::Owner)?;
    report(format, path, verify(&text, None))
}

impl VerifyHistory {
    pub(crate) fn run(self, format: Format) -> Result<(), CliError> {
        let text = files::read_text(&self.file)?;
        let mut verified = verify(&text, self.head.as_deref());
        for path in &self.merged {
            let other = files::read_text(path)?;
            if let Err(fault) = verify(&other, None) {
                return report(format, path, Err(fault));
            }
            verified = verified.and_then(|header| check_merged(&text, &other).map(|()| header));
        }
        report(format, &self.file, verified)
    }
}

/// Checks that a history is the one of the merges with its customer: the entries that it had then are in it. Both were verified before.
fn check_merged(text: &str, other: &str) -> Result<(), Fault> {
    let customer = read_header(other.lines().next().unwrap_or_default())?.customer_id;
    let mut merges = 0;
    for (line, number) in text.lines().zip(1..).skip(1) {
        let (canonical, _) = read_entry(line, number)?;
        let of = match LedgerEntry::decode(&canonical).map(|entry| entry.body) {
            Ok(LedgerBody::Merged(of) | LedgerBody::Unmerged(of)) if of.customer.to_string() == customer => {
                of
            }
            Ok(_) | Err(_) => continue,
        };
        merges += 1;
        let position = usize::try_from(of.entries).unwrap_or(usize::MAX);
        let last = if of.entries == 0 { None } else { other.lines().nth(position) };
        let head = last.map_or(Ok(NO_HASH), |line| read_entry(line, of.entries + 1).map(|(_, hash)| hash))?;
        if head != of.head {
            let reason = format!("the history of {customer} is not the one that was merged");
            return Err(Fault::new(number, reason));
        }
    }
    if merges == 0 {
        return Err(Fault::new(1, format!("{customer} was never merged with this customer")));
    }
    Ok(())
}

fn report(format: Format, path: &Path, verified: Result<Header, Fault>) -> Result<(), CliError> {
    let Header { customer_id, entries, head, .. } = verified
        .map_err(|Fault { line, reason }| CliError::Unproven { path: path.to_owned(), line, reason })?;
    match format {
        Format::Table => output::line(&format!(
            "{}: {entries} entries of {customer_id}, complete and unchanged\nhead {head}",
            path.display()
        )),
        Format::Json => output::print_json(&serde_json::json!({
            "file": path.display().to_string(), "customer_id": customer_id, "entries": entries, "head": head,
        })),
    }
}

/// The file's text. An entry that this version cannot read is written as bytes alone; `verify` then reports it.
fn file_of(history: &v1::ListConsentHistoryResponse) -> String {
    let header = Header {
        format: FORMAT.to_owned(),
        customer_id: history.customer_id.clone(),
        entries: history.entries_total,
        head: HEXLOWER.encode(&history.head),
    };
    let mut text = json_line(&header);
    for entry in &history.entries {
        text.push_str(&entry_line(&entry.canonical, &entry.hash));
    }
    text
}

fn entry_line(canonical: &[u8], hash: &[u8]) -> String {
    let (bytes, hash) = (HEXLOWER.encode(canonical), HEXLOWER.encode(hash));
    match LedgerEntry::decode(canonical) {
        Ok(entry) => json_line(&Line { readable: Readable::of(&entry), canonical: bytes, hash }),
        Err(_unreadable) => format!("{}\n", serde_json::json!({ "canonical": bytes, "hash": hash })),
    }
}

/// Structs of texts and numbers never fail to serialize.
fn json_line(line: &impl Serialize) -> String {
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

/// Checks a file's text and returns the first fault.
fn verify(text: &str, head_noted: Option<&str>) -> Result<Header, Fault> {
    let mut lines = text.lines();
    let header = read_header(lines.next().unwrap_or_default())?;
    let customer: CustomerId =
        header.customer_id.parse().map_err(|_error| Fault::new(1, "`customer_id` is not a customer id"))?;
    let head =
        hash_of(&header.head).ok_or_else(|| Fault::new(1, "`head` is not a hash of 32 bytes in hex"))?;
    if head_noted.is_some_and(|noted| hash_of(noted) != Some(head)) {
        return Err(Fault::new(1, "`head` differs from the one given with --head"));
    }
    let mut entries = Vec::new();
    let mut differing = None;
    for (line, number) in lines.zip(FIRST_ENTRY_LINE..) {
        let (canonical, hash) = read_entry(line, number)?;
        if differing.is_none() && format!("{line}\n") != entry_line(&canonical, &hash) {
            differing = Some(Fault::new(number, difference(line, &canonical, &hash)));
        }
        entries.push((canonical, hash));
    }
    let links: Vec<_> =
        entries.iter().map(|(canonical, hash)| ChainLink { canonical, hash: *hash }).collect();
    let broken = verify_chain(&customer, &links, head, header.entries).err().map(chain_fault);
    // On one line a broken chain is the cause: changed bytes decode to something else.
    match (broken, differing) {
        (Some(broken), Some(differing)) if differing.line < broken.line => Err(differing),
        (Some(fault), _) | (None, Some(fault)) => Err(fault),
        (None, None) => Ok(header),
    }
}

fn read_header(line: &str) -> Result<Header, Fault> {
    let header: Header = serde_json::from_str(line)
        .map_err(|_error| Fault::new(1, format!("is not the header of a {FORMAT} file")))?;
    if header.format == FORMAT {
        Ok(header)
    } else {
        Err(Fault::new(1, format!("`format` is not {FORMAT}, the one that this version reads")))
    }
}

fn read_entry(line: &str, number: u64) -> Result<(Vec<u8>, [u8; 32]), Fault> {
    let claim: Claim = serde_json::from_str(line).map_err(|_error| {
        Fault::new(number, "is not an entry: expected a JSON object with `canonical` and `hash`")
    })?;
    let canonical = unhex(&claim.canonical).ok_or_else(|| Fault::new(number, "`canonical` is not hex"))?;
    let hash =
        hash_of(&claim.hash).ok_or_else(|| Fault::new(number, "`hash` is not a hash of 32 bytes in hex"))?;
    Ok((canonical, hash))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    unhex(text)?.try_into().ok()
}

fn chain_fault(fault: ChainFault) -> Fault {
    let (ChainFault::Unreadable { sequence }
    | ChainFault::Changed { sequence }
    | ChainFault::Missing { sequence }
    | ChainFault::Reordered { sequence }
    | ChainFault::Surplus { sequence }) = fault;
    Fault::new(sequence.saturating_add(FIRST_ENTRY_LINE), fault.to_string())
}

/// How a line differs from what its bytes decode to.
fn difference(line: &str, canonical: &[u8], hash: &[u8]) -> String {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    match first_difference(&parsed(line), &parsed(&entry_line(canonical, hash)), "") {
        Some(field) => format!("`{field}` differs from the entry's bytes"),
        None => "was reformatted: a field is moved, repeated or spaced differently".into(),
    }
}

fn first_difference(found: &Value, expected: &Value, path: &str) -> Option<String> {
    let (Some(one), Some(other)) = (found.as_object(), expected.as_object()) else {
        return (found != expected).then(|| path.to_owned());
    };
    one.keys().chain(other.keys()).find_map(|key| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (one.get(key), other.get(key)) {
            (Some(found), Some(expected)) => first_difference(found, expected, &path),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => Some(path),
        }
    })
}

#[cfg(test)]
mod tests;
