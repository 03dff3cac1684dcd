//! ListConsentHistory and GetConsentsAsOf: the ledger itself, and its state at a given time.
//!
//! Invariant: an entry is shown with exactly the bytes that are stored, and only entries counted by the record read
//! before are shown; so the last page's head is the hash of its last entry.

use std::collections::BTreeMap;

use custodia_profile::{
    CustomerRecord, GroundState, LawAsOf, LawfulBasis, LedgerBody, LedgerEntry, OtherLedger, ProfileError,
    PurposeNumber, Revision, Stored, TimestampMs, ledger_hash, limits::FUTURE_MAX_MS,
};
use custodia_proto::v1::{self, consent_history_entry::Change};
use prost::Message as _;

use super::{
    convert::{self, ConsentAsOf, consent_states},
    get_consents::knows,
    iab,
};
use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{CustomerRead, Ledger, Loaded, ProfileView, ReadAccess, ShardContext},
    wire::{
        Listing, PageSize, Pager, ServiceError, convert::RecordVersion, now, page_start, parse_timestamp,
        timestamp,
    },
};

const PAGE: PageSize = PageSize { default: 100, max: 500 };
/// Entries after which other tasks may use the thread: a ledger can be long.
const YIELD_AFTER: u64 = 64;

impl CustomerRead for v1::ListConsentHistoryRequest {
    type Query = (Option<u64>, Pager);
    const ACCESS: ReadAccess = ReadAccess::Permitted;

    fn parse(&self, _view: &CatalogueView) -> Result<Self::Query, ServiceError> {
        let sequence = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
        let after = page_start(Listing::History, &self.page_token, sequence)?;
        Ok((after, Pager::new(Listing::History, self.page_size, PAGE)?))
    }

    /// A ledger is of one id: that of a customer who was merged ends there.
    fn is_of_merged(_query: &Self::Query, _merged_at: TimestampMs) -> bool {
        true
    }

    async fn answer(
        (after, pager): Self::Query,
        profile: ProfileView<'_>,
    ) -> Result<v1::ListConsentHistoryResponse, ServiceError> {
        page(after, pager, &profile)
    }
}

fn page(
    after: Option<u64>,
    pager: Pager,
    profile: &ProfileView<'_>,
) -> Result<v1::ListConsentHistoryResponse, ServiceError> {
    let record = profile.record();
    let mut pager = pager.within_bytes(profile.context.limits().response_bytes_max / 2);
    let mut entries = Vec::new();
    let mut ledger = Ledger::after(profile.context, profile.location, after);
    while let Some(kept) = ledger.next_entry::<StoredEntry>()? {
        if kept.value.entry.sequence >= record.ledger_entries {
            break;
        }
        let entry = history_entry(profile.location, kept)?;
        if !pager.admits(&entry.sequence.to_be_bytes(), entry.encoded_len()) {
            break;
        }
        entries.push(entry);
    }
    Ok(v1::ListConsentHistoryResponse {
        customer_id: profile.location.customer.to_string(),
        entries,
        entries_total: record.ledger_entries,
        head: record.ledger_head.to_vec(),
        next_page_token: pager.next_page_token(),
    })
}

fn history_entry(
    location: CustomerLocation,
    kept: Loaded<StoredEntry>,
) -> Result<v1::ConsentHistoryEntry, ServiceError> {
    let customer = location.customer;
    let at = RecordVersion { customer, revision: Revision::from_u64(kept.header.revision) };
    let StoredEntry { canonical, entry } = kept.value;
    let change = match &entry.body {
        LedgerBody::Ground { purpose_id, basis, state, .. }
        | LedgerBody::Superseded { purpose_id, basis, state, .. } => {
            let of = ConsentAsOf {
                at,
                consent_revision: entry.sequence.saturating_add(1),
                now: entry.recorded_at,
            };
            let mut state = convert::consent_state(of, (purpose_id.as_str(), *basis), state);
            if matches!(entry.body, LedgerBody::Superseded { .. }) {
                state.set_effect(v1::DecisionEffect::Superseded);
            }
            Change::Consent(state)
        }
        LedgerBody::Subject(subject) => Change::DataSubject(convert::data_subject(at, subject)),
        LedgerBody::TcString(stored) => Change::TcString(iab::tc_string(customer, stored, &[])?),
        LedgerBody::GppString(stored) => Change::GppString(iab::gpp_string(customer, stored)?),
        LedgerBody::Merged(of) => Change::Merged(convert::other_ledger(of)),
        LedgerBody::Unmerged(of) => Change::Unmerged(convert::other_ledger(of)),
    };
    Ok(v1::ConsentHistoryEntry {
        sequence: entry.sequence,
        hash: ledger_hash(&customer, &canonical).to_vec(),
        canonical,
        previous: entry.previous.to_vec(),
        recorded_at: Some(timestamp(entry.recorded_at)),
        recorded_by: Some(convert::recorder(&entry.recorded_by)),
        change: Some(change),
    })
}

impl CustomerRead for v1::GetConsentsAsOfRequest {
    /// None: the present.
    type Query = Option<TimestampMs>;
    const ACCESS: ReadAccess = ReadAccess::Permitted;

    fn parse(&self, _view: &CatalogueView) -> Result<Option<TimestampMs>, ServiceError> {
        if self.time.is_none() {
            return Err(ServiceError::missing("time"));
        }
        past_moment(self.time.as_ref())
    }

    fn is_of_merged(moment: &Option<TimestampMs>, merged_at: TimestampMs) -> bool {
        moment.is_some_and(|moment| moment < merged_at)
    }

    fn knows(_moment: &Option<TimestampMs>, record: &CustomerRecord, view: &CatalogueView) -> bool {
        knows(record, view)
    }

    async fn answer(
        moment: Option<TimestampMs>,
        profile: ProfileView<'_>,
    ) -> Result<v1::GetConsentsResponse, ServiceError> {
        let (law, entries) = law_as_of(profile.context, profile.location, moment).await?;
        let now = moment.unwrap_or(profile.now);
        let of = ConsentAsOf { at: profile.version(), consent_revision: entries, now };
        Ok(v1::GetConsentsResponse {
            customer_id: profile.location.customer.to_string(),
            etag: of.etag(),
            consents: consent_states(of, &law.grounds, &profile.view.catalogue),
            consent_revision: entries,
            refused: v1::RefusalReason::Unspecified.into(),
        })
    }
}

/// The time in the field `time`, if it is set and past. A caller whose clock is a little ahead may mean the present, which has
/// no time of its own: what was recorded last counts, whichever node's clock has dated it.
pub(super) fn past_moment(
    time: Option<&prost_types::Timestamp>,
) -> Result<Option<TimestampMs>, ServiceError> {
    let Some(time) = time else { return Ok(None) };
    let moment = parse_timestamp(time, "time")?;
    let now = now();
    if moment > now.plus_ms(FUTURE_MAX_MS) {
        return Err(ServiceError::invalid("time", format!("is more than {FUTURE_MAX_MS} ms in the future")));
    }
    Ok((moment < now).then_some(moment))
}

/// What the law depended on at a given time, or after the last entry, and the number of entries by then.
pub(super) async fn law_as_of(
    context: &ShardContext,
    location: CustomerLocation,
    moment: Option<TimestampMs>,
) -> Result<(LawAsOf, u64), ServiceError> {
    let (mut law, mut entries) = (LawAsOf::default(), 0_u64);
    let mut is_past = false;
    let mut ledger = Ledger::after(context, location, None);
    while let Some(Loaded { value: entry, .. }) = ledger.next_entry::<LedgerEntry>()? {
        if moment.is_some_and(|moment| entry.recorded_at > moment) {
            is_past = true;
        }
        if is_past {
            check_ledger_counts(&entry, moment)?;
            continue;
        }
        law.apply(&entry);
        entries = entries.saturating_add(1);
        if entries.is_multiple_of(YIELD_AFTER) {
            tokio::task::yield_now().await;
        }
    }
    Ok((law, entries))
}

/// Refuses a moment at which the customer was merged into another: then that one's ledger counted.
///
/// # Errors
/// [`ServiceError::MergedThen`].
fn check_ledger_counts(entry: &LedgerEntry, moment: Option<TimestampMs>) -> Result<(), ServiceError> {
    if let LedgerBody::Unmerged(OtherLedger { customer, merged_at: Some(merged_at), .. }) = entry.body
        && moment.is_some_and(|moment| moment >= merged_at)
    {
        return Err(ServiceError::MergedThen { survivor: customer });
    }
    Ok(())
}

/// Every state of consent to each purpose, in the order in which they were recorded; of the entries that the record counts.
pub(super) async fn consents(
    context: &ShardContext,
    location: CustomerLocation,
    record: &CustomerRecord,
) -> Result<BTreeMap<PurposeNumber, Vec<GroundState>>, ServiceError> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut ledger = Ledger::after(context, location, None);
    while let Some(Loaded { value: entry, .. }) = ledger.next_entry::<LedgerEntry>()? {
        if entry.sequence >= record.ledger_entries {
            break;
        }
        if entry.sequence.is_multiple_of(YIELD_AFTER) {
            tokio::task::yield_now().await;
        }
        if let LedgerBody::Ground { purpose, basis: LawfulBasis::Consent, state, .. } = entry.body {
            let states = found.entry(purpose).or_default();
            // A merge, and its undoing, state again what stands.
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
    }
    Ok(found)
}

/// A ledger entry with its stored bytes.
#[derive(Debug)]
struct StoredEntry {
    canonical: Vec<u8>,
    entry: LedgerEntry,
}

impl Stored for StoredEntry {
    fn encode(&self) -> Vec<u8> {
        self.canonical.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        Ok(Self { canonical: bytes.to_vec(), entry: LedgerEntry::decode(bytes)? })
    }
}
