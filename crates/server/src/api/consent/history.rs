//! ListConsentHistory and GetConsentsAsOf on the leader: the ledger, as it is and replayed.
//!
//! Must always hold: an entry is shown with the very bytes that are stored, and counts only if the record that was read
//! before it counts it; so the last page's head is the hash of its last entry.

use bytes::Bytes;
use custodia_profile::{
    Catalogue, LawAsOf, LedgerBody, LedgerEntry, ProfileError, Revision, Stored, TimestampMs, ledger_hash,
};
use custodia_proto::v1::{self, consent_history_entry::Change};
use custodia_store::{Key, KeyKind, KeyPrefix};
use prost::Message as _;
use tokio::time::Instant;

use super::{
    consent_convert::{self, ConsentAsOf, consent_states, entry_purpose},
    consents::{naming_view, record_for},
    convert::RecordVersion,
    error::ServiceError,
    events::page_size,
    forward::{Call, Target},
    opaque::{Listing, etag, page_token, parse_page_token},
    parse,
    record::{CustomerLocation, Loaded},
    context::ShardContext,
    time::{now, parse_timestamp, timestamp},
};
use crate::identity::Caller;

/// Entries of a page where the caller does not say.
const PAGE_DEFAULT: usize = 100;
/// The most entries of a page.
const PAGE_MAX: usize = 500;
/// Entries that are read from the engine at a time.
const CHUNK: usize = 64;

impl Call for v1::ListConsentHistoryRequest {
    type Answer = v1::ListConsentHistoryResponse;
    const METHOD: &'static str = "/custodia.v1.ConsentService/ListConsentHistory";

    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        context.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        self,
        context: &ShardContext,
        caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let size = page_size(self.page_size, PAGE_DEFAULT, PAGE_MAX)?;
        let after = page_start(&self.page_token)?;
        let (location, core) = record_for(context, caller, &self.purpose, target, deadline).await?;
        let record = core.value;
        // Nothing is ever taken out of the grounds, so whatever purpose the ledger names is among them.
        let purposes = record.grounds.keys().map(|(purpose, _)| *purpose);
        let view = naming_view(context, purposes, deadline).await?;
        let mut page = v1::ListConsentHistoryResponse {
            customer_id: location.customer.to_string(),
            entries_total: record.ledger_entries,
            head: record.ledger_head.to_vec(),
            ..Default::default()
        };
        let mut budget = context.limits().response_bytes_max / 2;
        let mut ledger = Ledger::behind(context, location, after);
        while let Some(kept) = ledger.next_entry::<Kept>()? {
            if kept.value.entry.sequence >= record.ledger_entries {
                break;
            }
            let entry = history_entry(location, kept, &view.catalogue)?;
            let bytes = entry.encoded_len();
            if let Some(last) = page.entries.last()
                && (page.entries.len() == size || bytes > budget)
            {
                page.next_page_token = page_token(Listing::History, &last.sequence.to_be_bytes());
                break;
            }
            budget = budget.saturating_sub(bytes);
            page.entries.push(entry);
        }
        Ok(page)
    }
}

fn page_start(token: &str) -> Result<Option<u64>, ServiceError> {
    let Some(place) = parse_page_token(Listing::History, token)? else { return Ok(None) };
    let malformed = |_length| ServiceError::invalid("page_token", "is not a token of this list");
    place.as_slice().try_into().map(|bytes| Some(u64::from_be_bytes(bytes))).map_err(malformed)
}

fn history_entry(
    location: CustomerLocation,
    kept: Loaded<Kept>,
    catalogue: &Catalogue,
) -> Result<v1::ConsentHistoryEntry, ServiceError> {
    let customer = location.customer;
    let at = RecordVersion { customer, revision: Revision::from_u64(kept.header.revision) };
    let Kept { canonical, entry } = kept.value;
    let change = match &entry.body {
        LedgerBody::Ground { purpose, purpose_id, basis, state } => {
            let purpose = entry_purpose(purpose_id.as_ref(), *purpose, catalogue);
            let of =
                ConsentAsOf { at, consent_revision: entry.sequence.saturating_add(1), now: entry.recorded_at };
            Change::Consent(consent_convert::consent_state(of, (&purpose, *basis), state))
        }
        LedgerBody::Subject(subject) => Change::DataSubject(consent_convert::data_subject(at, subject)),
        LedgerBody::TcString(stored) => Change::TcString(consent_convert::tc_string(customer, stored)?),
    };
    Ok(v1::ConsentHistoryEntry {
        sequence: entry.sequence,
        hash: ledger_hash(&customer, &canonical).to_vec(),
        canonical,
        previous: entry.previous.to_vec(),
        recorded_at: Some(timestamp(entry.recorded_at)),
        change: Some(change),
    })
}

impl Call for v1::GetConsentsAsOfRequest {
    type Answer = v1::GetConsentsResponse;
    const METHOD: &'static str = "/custodia.v1.ConsentService/GetConsentsAsOf";

    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        context.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        self,
        context: &ShardContext,
        caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let moment = past_moment(self.time.as_ref())?.ok_or_else(|| ServiceError::missing("time"))?;
        let (location, core) = record_for(context, caller, &self.purpose, target, deadline).await?;
        let (law, entries) = law_as_of(context, location, Some(moment)).await?;
        let view = naming_view(context, law.grounds.keys().map(|(purpose, _)| *purpose), deadline).await?;
        let at = RecordVersion { customer: location.customer, revision: core.revision() };
        let of = ConsentAsOf { at, consent_revision: entries, now: moment };
        Ok(v1::GetConsentsResponse {
            customer_id: location.customer.to_string(),
            etag: etag(core.revision()),
            consents: consent_states(of, &law.grounds, &view.catalogue),
        })
    }
}

/// The moment that the field `time` names, where it is set.
pub(crate) fn past_moment(
    time: Option<&prost_types::Timestamp>,
) -> Result<Option<TimestampMs>, ServiceError> {
    let Some(time) = time else { return Ok(None) };
    let moment = parse_timestamp(time, "time")?;
    if moment > now() {
        return Err(ServiceError::invalid("time", "lies in the future"));
    }
    Ok(Some(moment))
}

/// What the law rested on as of a moment, or as of the last entry, and how many entries there were by then.
pub(crate) async fn law_as_of(
    context: &ShardContext,
    location: CustomerLocation,
    moment: Option<TimestampMs>,
) -> Result<(LawAsOf, u64), ServiceError> {
    let (mut law, mut entries) = (LawAsOf::default(), 0_u64);
    let mut ledger = Ledger::behind(context, location, None);
    while let Some(Loaded { value: entry, .. }) = ledger.next_entry::<LedgerEntry>()? {
        if moment.is_some_and(|moment| entry.recorded_at > moment) {
            break;
        }
        law.apply(&entry);
        entries = entries.saturating_add(1);
        if entries.is_multiple_of(CHUNK as u64) {
            // A ledger can be long, and others want the thread as well.
            tokio::task::yield_now().await;
        }
    }
    Ok((law, entries))
}

/// An entry of the ledger with its bytes.
#[derive(Debug)]
struct Kept {
    canonical: Vec<u8>,
    entry: LedgerEntry,
}

impl Stored for Kept {
    fn encode(&self) -> Vec<u8> {
        self.canonical.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        Ok(Self { canonical: bytes.to_vec(), entry: LedgerEntry::decode(bytes)? })
    }
}

/// The entries of a customer's ledger in the order of their sequence, read in chunks.
struct Ledger<'a> {
    context: &'a ShardContext,
    location: CustomerLocation,
    last: Option<Bytes>,
    chunk: std::vec::IntoIter<(Bytes, Bytes)>,
    is_last_chunk: bool,
}

impl<'a> Ledger<'a> {
    /// All entries, or those that come after one.
    fn behind(context: &'a ShardContext, location: CustomerLocation, after: Option<u64>) -> Self {
        let last = after.map(|sequence| Key::ledger(location.group(), &location.customer, sequence).into_bytes());
        Self { context, location, last, chunk: Vec::new().into_iter(), is_last_chunk: false }
    }

    fn next_entry<T: Stored>(&mut self) -> Result<Option<Loaded<T>>, ServiceError> {
        loop {
            let Some((key, stored)) = self.next_stored()? else { return Ok(None) };
            if let Some(entry) = self.context.open(self.location, &Key::parse(key)?, stored)? {
                return Ok(Some(entry));
            }
        }
    }

    fn next_stored(&mut self) -> Result<Option<(Bytes, Bytes)>, ServiceError> {
        if self.chunk.as_slice().is_empty() && !self.is_last_chunk {
            let prefix = KeyPrefix::customer(self.location.group(), KeyKind::Ledger, &self.location.customer);
            let engine = self.context.consensus().engine();
            let chunk = engine.scan(prefix.as_bytes(), self.last.as_deref(), CHUNK)?;
            self.is_last_chunk = chunk.len() < CHUNK;
            self.last = chunk.last().map(|(key, _)| key.clone()).or_else(|| self.last.take());
            self.chunk = chunk.into_iter();
        }
        Ok(self.chunk.next())
    }
}
