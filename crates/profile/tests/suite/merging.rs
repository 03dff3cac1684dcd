//! Two customers become one, and two again (ID-4): nothing is lost, nothing is left on the wrong side, consent only narrows.

use std::collections::BTreeMap;

use custodia_profile::{
    AttributeNumber, AttributeValue, ChainLink, ChangeContext, ChannelPreference, ContactChannel, CustomerId,
    CustomerRecord, FrequencyCap, GroundStatus, LawfulBasis, LedgerEntry, MergeId, MergedInto, MergedProfile,
    NO_HASH, OtherAlone, PoolId, PreferenceFields, Preferences, PrivacySignal, ProfileError, QuietHours,
    Revision, Stored, Survivorship, SurvivorshipRules, TimeZoneName, TimestampMs, UnmergedProfiles,
    Withdrawal, as_of, merge_profiles, record_decision, record_signal, unmerge_profiles, verify_chain,
    withdraw,
};
use proptest::{collection, prelude::*, sample::select};

use crate::{
    generated::{ALL, CASES, Draw, Situation, config, law, situations},
    world::{
        NOW, answering, attribute, attribute_values, catalogue, context, customer, decision, label, purpose,
        records,
    },
};

fn other() -> CustomerId {
    CustomerId::from_parts(1_700_000_000_001, [9; 10], PoolId::default())
}

fn merge_id() -> MergeId {
    "0192f0e4-7c1a-7000-8000-000000000001".parse().unwrap()
}

fn rules(default: Survivorship) -> SurvivorshipRules {
    SurvivorshipRules { default, attributes: BTreeMap::new(), trusted_sources: vec!["shop".parse().unwrap()] }
}

/// The record without its ledger and its clock, which go on.
fn content(record: &CustomerRecord) -> CustomerRecord {
    CustomerRecord {
        ledger_entries: 0,
        ledger_head: NO_HASH,
        revision_ahead: 0,
        updated_at: NOW,
        ..record.clone()
    }
}

/// Two customers who were merged.
struct Pair {
    survivor: CustomerRecord,
    other: CustomerRecord,
    merged: MergedProfile,
}

impl Pair {
    fn merge(
        survivor: &CustomerRecord,
        other_record: &CustomerRecord,
        default: Survivorship,
        catalogue: &custodia_profile::Catalogue,
    ) -> Self {
        let change = context(NOW);
        let (rules, of_other) = (rules(default), (other(), other_record));
        let merged = merge_profiles(survivor, of_other, merge_id(), &rules, catalogue, change).unwrap();
        Self { survivor: survivor.clone(), other: other_record.clone(), merged }
    }

    /// The other customer's record while the merge is in force.
    fn frozen(&self) -> CustomerRecord {
        let merged_into = MergedInto {
            survivor: customer(),
            merge: merge_id(),
            merged_at: NOW,
            survivor_revision: Revision::from_u64(1),
            survivor_before: self.survivor.clone(),
            merged: self.merged.record.clone(),
            restored: None,
        };
        CustomerRecord { merged_into: Some(Box::new(merged_into)), ..self.other.clone() }
    }

    fn undo(
        &self,
        current: &CustomerRecord,
        since: &[LedgerEntry],
        alone: &OtherAlone,
        catalogue: &custodia_profile::Catalogue,
    ) -> Result<UnmergedProfiles, ProfileError> {
        let history = [&self.merged.ledger[..], since].concat();
        let change = ChangeContext { history: &history, ..context(NOW.plus_ms(5_000)) };
        unmerge_profiles(current, (other(), &self.frozen()), alone, catalogue, change)
    }
}

fn survivorships() -> impl Strategy<Value = Survivorship> {
    select(Survivorship::ALL.to_vec())
}

fn alone(source: &str, caller: &str) -> OtherAlone {
    OtherAlone { sources: [source.parse().unwrap()].into(), callers: [caller.parse().unwrap()].into() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_merge_that_is_undone_restores_both(survivor in records(), other_record in records(), rule in survivorships()) {
        let pair = Pair::merge(&survivor, &other_record, rule, &catalogue());
        let undone = pair.undo(&pair.merged.record, &[], &OtherAlone::default(), &catalogue()).unwrap();
        prop_assert_eq!(content(&undone.survivor), content(&survivor));
        prop_assert_eq!(content(&undone.other.record), content(&other_record));
    }

    #[test]
    fn a_merge_loses_no_attribute_and_no_identifier(survivor in records(), other_record in records(), rule in survivorships()) {
        let merged = Pair::merge(&survivor, &other_record, rule, &catalogue()).merged.record;
        for (number, of) in survivor.attributes.iter().chain(&other_record.attributes) {
            let kept = merged.attributes.get(number).unwrap();
            prop_assert!(kept == of || survivor.attributes.get(number) == Some(kept) || other_record.attributes.get(number) == Some(kept));
        }
        prop_assert!(survivor.identifiers.keys().chain(other_record.identifiers.keys()).all(|one| merged.identifiers.contains_key(one)));
        prop_assert_eq!(merged.merges.iter().map(|merge| merge.customer).collect::<Vec<_>>(), [other()]);
    }

    /// Attributes that come after the merge: each is on the side of its source after it is undone, and nothing else has moved.
    #[test]
    fn what_came_since_is_assigned_by_its_source(
        survivor in records(),
        other_record in records(),
        since in collection::btree_map((1_u32..=60).prop_map(attribute), attribute_values(), 0..8),
    ) {
        let pair = Pair::merge(&survivor, &other_record, Survivorship::Newest, &catalogue());
        let mut current = pair.merged.record.clone();
        current.attributes.extend(since.clone());
        let undone = pair.undo(&current, &[], &alone("web.eu", "shop"), &catalogue()).unwrap();
        let side = |record: &CustomerRecord, before: &CustomerRecord, others: bool| {
            let mut expected: BTreeMap<AttributeNumber, AttributeValue> = before.attributes.clone();
            let ours = since.iter().filter(|(_, of)| (of.provenance.source.as_str() == "web.eu") == others);
            let ours = ours.filter(|(number, of)| pair.merged.record.attributes.get(number) != Some(of));
            expected.extend(ours.map(|(number, of)| (*number, of.clone())));
            prop_assert_eq!(&record.attributes, &expected);
            Ok(())
        };
        side(&undone.survivor, &survivor, false)?;
        side(&undone.other.record, &other_record, true)?;
    }

    #[test]
    fn an_identifier_that_was_lost_since_is_given_back_to_nobody(survivor in records(), other_record in records(), lost: prop::sample::Index) {
        let pair = Pair::merge(&survivor, &other_record, Survivorship::Newest, &catalogue());
        let mut current = pair.merged.record.clone();
        let Some(gone) = current.identifiers.keys().nth(lost.index(current.identifiers.len().max(1))).cloned() else { return Ok(()) };
        current.identifiers.remove(&gone);
        let undone = pair.undo(&current, &[], &OtherAlone::default(), &catalogue()).unwrap();
        prop_assert!(!undone.survivor.identifiers.contains_key(&gone));
        prop_assert!(!undone.other.record.identifiers.contains_key(&gone));
    }

    #[test]
    fn a_merged_record_and_its_archive_round_trip(survivor in records(), other_record in records()) {
        let pair = Pair::merge(&survivor, &other_record, Survivorship::Newest, &catalogue());
        let undone = pair.undo(&pair.merged.record, &[], &OtherAlone::default(), &catalogue()).unwrap();
        let mut frozen = pair.frozen();
        prop_assert_eq!(&CustomerRecord::decode(&frozen.encode()).unwrap(), &frozen);
        frozen.merged_into.as_mut().unwrap().restored = Some(undone.other);
        for record in [&frozen, &pair.merged.record] {
            prop_assert_eq!(&CustomerRecord::decode(&record.encode()).unwrap(), record);
        }
    }

    /// Both ledgers are whole, and replay to what the records say.
    #[test]
    fn both_ledgers_verify_and_replay(survivor in records(), other_record in records()) {
        let fresh = |record: &CustomerRecord| CustomerRecord { updated_at: NOW, ..content(record) };
        let (survivor, other_record) = (fresh(&survivor), fresh(&other_record));
        let pair = Pair::merge(&survivor, &other_record, Survivorship::Newest, &catalogue());
        check_ledger(&customer(), &pair.merged.record, &pair.merged.ledger)?;
        let undone = pair.undo(&pair.merged.record, &[], &OtherAlone::default(), &catalogue()).unwrap();
        let ledger = [&pair.merged.ledger[..], &undone.ledger].concat();
        check_ledger(&customer(), &undone.survivor, &ledger)?;
        check_ledger(&other(), &undone.other.record, &undone.other.ledger)?;
    }
}

fn check_ledger(
    id: &CustomerId,
    record: &CustomerRecord,
    ledger: &[LedgerEntry],
) -> Result<(), TestCaseError> {
    let canonical: Vec<_> = ledger.iter().map(LedgerEntry::encode).collect();
    let hashes = ledger.iter().map(|entry| entry.hash(id));
    let links: Vec<_> =
        canonical.iter().zip(hashes).map(|(canonical, hash)| ChainLink { canonical, hash }).collect();
    prop_assert_eq!(verify_chain(id, &links, record.ledger_head, record.ledger_entries), Ok(()));
    let law = as_of(ledger, TimestampMs::from_ms(i64::MAX));
    prop_assert_eq!(&law.grounds, &record.grounds);
    prop_assert_eq!(&law.subject, &record.subject);
    Ok(())
}

/// What the customer says of the merged profile: no in several ways, or, if `yes`, also yes.
fn said(
    mut draw: Draw,
    yes: bool,
    situation: &Situation,
    record: &CustomerRecord,
) -> Option<(CustomerRecord, Vec<LedgerEntry>)> {
    let change = context(NOW.plus_ms(1_000));
    let number = draw.pick(&ALL);
    match draw.below(if yes { 4 } else { 3 }) {
        0 => {
            let basis = draw.pick(&[LawfulBasis::Consent, LawfulBasis::LegitimateInterests]);
            let withdrawal = Withdrawal { purpose: purpose(number), basis, channel: None };
            let after = withdraw(record, &withdrawal, &situation.catalogue, change).ok()?;
            Some((after.record, after.ledger))
        }
        1 => {
            let refused = decision(number, LawfulBasis::Consent, GroundStatus::Refused);
            let after = record_decision(record, &refused, &situation.catalogue, change).ok()?;
            Some((after.record, after.ledger))
        }
        2 => {
            let signal = draw.pick(&[PrivacySignal::DoNotSell, PrivacySignal::LimitSensitive]);
            let after = record_signal(record, signal, None, &situation.catalogue, change);
            Some((after.record, after.ledger))
        }
        _ => {
            let given = answering(record, decision(number, LawfulBasis::Consent, GroundStatus::Given));
            let after = record_decision(record, &given, &situation.catalogue, change).ok()?;
            Some((after.record, after.ledger))
        }
    }
}

#[test]
fn a_merged_profile_permits_no_more_than_either_did() {
    law(situations(), CASES / 4, |tally, situation| {
        let Situation { catalogue, record, other, .. } = &situation;
        let merged = Pair::merge(record, other, Survivorship::Newest, catalogue).merged.record;
        if merged.grounds.values().any(|state| state.status == GroundStatus::Given) {
            tally.meet();
        }
        situation.permits_no_more(tally, record, &merged)?;
        situation.permits_no_more(tally, other, &merged)
    });
}

#[test]
fn a_no_that_was_said_since_a_merge_counts_for_both() {
    let cases = (situations(), collection::vec(any::<u64>(), 1..5));
    law(cases, CASES / 2, |tally, (situation, numbers)| {
        let pair =
            Pair::merge(&situation.record, &situation.other, Survivorship::Newest, &situation.catalogue);
        let (mut current, mut since) = (pair.merged.record.clone(), Vec::new());
        for number in numbers {
            let Some((record, ledger)) = said(Draw::new(number), false, &situation, &current) else {
                continue;
            };
            current = record;
            since.extend(ledger);
        }
        if !since.is_empty() {
            tally.meet();
        }
        let undone = pair.undo(&current, &since, &alone("web.eu", "shop"), &situation.catalogue).unwrap();
        let no = |record: &CustomerRecord| {
            let nos = current.grounds.iter().filter(|(_, state)| state.is_no());
            let mut decided = nos.filter(|(key, state)| pair.merged.record.grounds.get(key) != Some(state));
            decided.all(|(key, _)| record.grounds.get(key).is_some_and(|state| state.is_no()))
        };
        prop_assert!(no(&undone.survivor) && no(&undone.other.record));
        situation.permits_no_more(tally, &pair.survivor, &undone.survivor)?;
        situation.permits_no_more(tally, &pair.other, &undone.other.record)
    });
}

#[test]
fn a_yes_that_was_said_since_a_merge_counts_for_one_side_alone() {
    let cases = (situations(), collection::vec(any::<u64>(), 1..5));
    law(cases, CASES / 4, |tally, (situation, numbers)| {
        let pair =
            Pair::merge(&situation.record, &situation.other, Survivorship::Newest, &situation.catalogue);
        let (mut current, mut since) = (pair.merged.record.clone(), Vec::new());
        for number in numbers {
            let Some((record, ledger)) = said(Draw::new(number), true, &situation, &current) else {
                continue;
            };
            current = record;
            since.extend(ledger);
        }
        if current.grounds.values().any(|state| state.status == GroundStatus::Given) {
            tally.meet();
        }
        // The caller of all of it is "dpo".
        let undone = pair.undo(&current, &since, &alone("web.eu", "dpo"), &situation.catalogue).unwrap();
        situation.permits_no_more(tally, &pair.survivor, &undone.survivor)?;
        let undone = pair.undo(&current, &since, &OtherAlone::default(), &situation.catalogue).unwrap();
        situation.permits_no_more(tally, &pair.other, &undone.other.record)
    });
}

#[test]
fn a_merge_that_is_not_the_last_one_is_not_undone() {
    let record = CustomerRecord::new(NOW);
    let mut pair = Pair::merge(&record, &record, Survivorship::Newest, &catalogue());
    let undo =
        |current: &CustomerRecord| pair.undo(current, &[], &OtherAlone::default(), &catalogue()).map(|_| ());
    let refused = ProfileError::Malformed { field: "merge_id", expected: "the last merge of this customer" };
    assert_eq!(undo(&record), Err(refused.clone()));
    let mut twice = pair.merged.record.clone();
    let mut later = twice.merges[0].clone();
    later.id = "0192f0e4-7c1a-7000-8000-000000000002".parse().unwrap();
    twice.merges.push(later);
    assert_eq!(undo(&twice), Err(refused));
    pair.merged.record.preferences = Preferences::default();
    assert!(pair.undo(&pair.merged.record, &[], &OtherAlone::default(), &catalogue()).is_ok());
}

#[test]
fn rules_choose_the_value() {
    let value = |text: &str, source: &str, at| {
        let mut of = AttributeValue {
            value: custodia_profile::Value::text(text).unwrap(),
            original: None,
            provenance: crate::generated::collected_by_consent(1),
        };
        of.provenance.source = source.parse().unwrap();
        of.provenance.observed_at = NOW.plus_ms(at);
        of
    };
    let with = |of: AttributeValue| {
        let mut record = CustomerRecord::new(NOW);
        record.attributes.insert(attribute(1), of);
        record
    };
    let (ours, theirs) = (with(value("ours", "shop", -10)), with(value("theirs", "crm", 10)));
    let kept = |rule| {
        let merged = Pair::merge(&ours, &theirs, rule, &catalogue()).merged;
        assert_eq!(merged.choices.len(), 1);
        merged.choices[0].other_kept
    };
    assert!(kept(Survivorship::Newest));
    assert!(!kept(Survivorship::TrustedSource), "the shop is trusted");
    assert!(kept(Survivorship::VerifiedFirst), "neither is verified, so the newest");
    assert!(!kept(Survivorship::Survivor));
    assert!(kept(Survivorship::Other));
    let mut held = ours.clone();
    held.subject.legal_hold = Some(custodia_profile::LegalHold { reference: label("matter 7"), since: NOW });
    let merged = Pair::merge(&held, &theirs, Survivorship::Other, &catalogue()).merged;
    assert!(!merged.choices[0].other_kept, "what is held for a legal claim is not replaced");
    assert_eq!(merged.record.subject.legal_hold, held.subject.legal_hold);
}

/// Another customer who was merged later, and then not.
fn nested(pair: &Pair, current: &CustomerRecord) -> (CustomerRecord, Vec<LedgerEntry>) {
    let third = CustomerId::from_parts(1_700_000_000_002, [5; 10], PoolId::default());
    let id: MergeId = "0192f0e4-7c1a-7000-8000-000000000003".parse().unwrap();
    let nobody = CustomerRecord::new(NOW);
    let (rules, change) = (rules(Survivorship::Newest), context(NOW.plus_ms(1_000)));
    let merged = merge_profiles(current, (third, &nobody), id, &rules, &catalogue(), change).unwrap();
    let into = MergedInto {
        survivor: customer(),
        merge: id,
        merged_at: NOW,
        survivor_revision: Revision::from_u64(1),
        survivor_before: current.clone(),
        merged: merged.record.clone(),
        restored: None,
    };
    let frozen = CustomerRecord { merged_into: Some(Box::new(into)), ..nobody };
    let history = [&pair.merged.ledger[..], &merged.ledger].concat();
    let change = ChangeContext { history: &history, ..context(NOW.plus_ms(2_000)) };
    let alone = OtherAlone::default();
    let undone = unmerge_profiles(&merged.record, (third, &frozen), &alone, &catalogue(), change).unwrap();
    (undone.survivor, [merged.ledger, undone.ledger].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..config() })]

    /// What a later merge and its undoing state again is no decision (CO-8).
    #[test]
    fn a_merge_is_undone_after_a_later_one_was(survivor in records(), other_record in records()) {
        let pair = Pair::merge(&survivor, &other_record, Survivorship::Newest, &catalogue());
        let (current, since) = nested(&pair, &pair.merged.record);
        prop_assert_eq!(content(&current), content(&pair.merged.record));
        for alone in [OtherAlone::default(), alone("web.eu", "dpo")] {
            let undone = pair.undo(&current, &since, &alone, &catalogue()).unwrap();
            prop_assert_eq!(content(&undone.survivor), content(&survivor));
            prop_assert_eq!(content(&undone.other.record), content(&other_record));
        }
    }

    #[test]
    fn no_consent_revision_of_one_customer_fits_another(survivor in records(), other_record in records()) {
        let pair = Pair::merge(&survivor, &other_record, Survivorship::Newest, &catalogue());
        let merged = pair.merged.record.consent_revision();
        prop_assert!(merged > survivor.consent_revision() && merged > other_record.consent_revision());
        let undone = pair.undo(&pair.merged.record, &[], &OtherAlone::default(), &catalogue()).unwrap();
        prop_assert!(undone.survivor.consent_revision() > merged);
        prop_assert!(undone.other.record.consent_revision() > undone.survivor.consent_revision());
    }
}

fn wishes(fields: PreferenceFields) -> CustomerRecord {
    CustomerRecord { preferences: Preferences::new(fields).unwrap(), ..CustomerRecord::new(NOW) }
}

fn channel(name: &str, wanted: bool, address: Option<&str>) -> ChannelPreference {
    ChannelPreference {
        channel: ContactChannel::new("channel", name).unwrap(),
        wanted,
        unwanted_purposes: Vec::new(),
        address: address.map(label),
    }
}

fn fields(channels: Vec<ChannelPreference>) -> PreferenceFields {
    PreferenceFields { channels, ..PreferenceFields::default() }
}

#[test]
fn preferences_of_one_are_not_left_on_the_other_and_what_narrows_is_both_s() {
    let ours = wishes(fields(vec![channel("email", true, Some("ana@example.org"))]));
    let theirs = wishes(fields(vec![channel("sms", true, Some("+4915112345678"))]));
    let pair = Pair::merge(&ours, &theirs, Survivorship::Newest, &catalogue());
    let cap = FrequencyCap { channel: None, purpose: None, contacts_max: 1, window_hours: 24 };
    let said = PreferenceFields {
        channels: vec![
            channel("email", false, Some("ana@example.org")),
            channel("sms", true, Some("+4915112345678")),
        ],
        frequency_caps: vec![cap.clone()],
        ..PreferenceFields::default()
    };
    let current =
        CustomerRecord { preferences: Preferences::new(said).unwrap(), ..pair.merged.record.clone() };
    let undone = pair.undo(&current, &[], &OtherAlone::default(), &catalogue()).unwrap();
    let (ours, theirs) = (&undone.survivor.preferences, &undone.other.record.preferences);
    assert_eq!(ours.channels, [channel("email", false, Some("ana@example.org"))]);
    assert_eq!(
        theirs.channels,
        [channel("sms", true, Some("+4915112345678")), channel("email", false, None)]
    );
    assert_eq!((&ours.frequency_caps, &theirs.frequency_caps), (&vec![cap.clone()], &vec![cap]));
}

#[test]
fn quiet_hours_in_two_time_zones_are_not_merged() {
    let quiet = |zone: &str| PreferenceFields {
        time_zone: Some(TimeZoneName::new(zone).unwrap()),
        quiet_hours: vec![QuietHours {
            days: std::collections::BTreeSet::new(),
            begins: "22:00".parse().unwrap(),
            ends: "08:00".parse().unwrap(),
            channel: None,
        }],
        ..PreferenceFields::default()
    };
    let merge = |ours: &CustomerRecord, theirs: &CustomerRecord| {
        let (rules, change) = (rules(Survivorship::Newest), context(NOW));
        merge_profiles(ours, (other(), theirs), merge_id(), &rules, &catalogue(), change)
            .map(|of| of.record.preferences)
    };
    let (berlin, tokyo) = (wishes(quiet("Europe/Berlin")), wishes(quiet("Asia/Tokyo")));
    assert!(matches!(merge(&berlin, &tokyo), Err(ProfileError::Malformed { field: "time_zone", .. })));
    assert_eq!(merge(&berlin, &berlin).unwrap(), berlin.preferences);
    assert_eq!(merge(&CustomerRecord::new(NOW), &tokyo).unwrap(), tokyo.preferences);
}

#[test]
fn a_birth_date_and_a_region_that_were_stated_since_count_for_both() {
    let adult = CustomerRecord::new(NOW);
    let pair = Pair::merge(&adult, &adult, Survivorship::Newest, &catalogue());
    let mut current = pair.merged.record.clone();
    current.subject.birth_date = Some("2019-05-01".parse().unwrap());
    current.subject.regions = ["DE".parse().unwrap()].into();
    let undone = pair.undo(&current, &[], &OtherAlone::default(), &catalogue()).unwrap();
    for record in [&undone.survivor, &undone.other.record] {
        assert_eq!(record.subject.birth_date, current.subject.birth_date);
        assert_eq!(record.subject.regions, current.subject.regions);
    }
    assert!(undone.other.record.subject.region_unknown, "it may live elsewhere");
}
