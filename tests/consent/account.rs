//! What can be shown at any time: the ledger and its proof, the state and the decision of a past moment, exports, the
//! catalogue of data (CO-2, CO-8, GO-1, GO-2, GO-3).

use std::fs;
use std::time::Duration;

use custodia_proto::Timestamp;
use custodia_proto::v1::consent_history_entry::Change;
use custodia_proto::v1::{
    AttributeDefinition, Classification, ConsentExportFormat, ConsentHistoryEntry, ConsentStatus,
    CreateAttributeRequest, ExplainDecisionRequest, ExportConsentRequest, GetConsentModeRequest,
    GetConsentsAsOfRequest, GetPurposeRequest, GetTcStringRequest, GoogleConsentType,
    ListConsentHistoryRequest, ListUnusedAttributesRequest, RecordConsentRequest, RecordTcStringRequest,
    RefusalReason, SourceMapping, UpdatePurposeRequest, ValueType,
};
use custodia_tests::actions::{ask_again, consenting_customer, create_attribute, create_campaign};
use custodia_tests::sample::{self, consent, get, ingest, new_id, now, observation, withdrawal};
use custodia_tests::{Sandbox, Suite, custodia, eventually};
use serde_json::Value as Json;
use tonic::Code;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(the_ledger_tells_every_decision_and_replays_those_of_the_past)
        .shared(a_ledger_file_is_verified_offline)
        .shared(a_consent_record_leaves_in_the_formats_of_others)
        .shared(the_catalogue_tells_what_is_kept_and_what_nobody_reads)
}

const PURPOSE: &str = "privacy-requests";

/// The moment between two decisions, some milliseconds away from each.
async fn between() -> Timestamp {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let now = now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    Timestamp {
        seconds: i64::try_from(now.as_secs()).unwrap(),
        nanos: i32::try_from(now.subsec_nanos()).unwrap(),
    }
}

async fn customer(sandbox: &Sandbox) -> String {
    consenting_customer(sandbox, "marketing", "interest").await
}

/// All entries of a customer's ledger, page by page.
async fn history(sandbox: &Sandbox, customer: &str) -> Vec<ConsentHistoryEntry> {
    let mut consents = sandbox.consents(2).await;
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListConsentHistoryRequest {
            customer_id: customer.into(),
            purpose: PURPOSE.into(),
            page_size: 2,
            page_token,
        };
        let page = consents.list_consent_history(request).await.unwrap().into_inner();
        assert!(page.entries.len() <= 2);
        assert_eq!(page.entries_total, 3);
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            assert_eq!(page.head, entries.last().unwrap().hash, "the record knows the end of its chain");
            return entries;
        }
    }
}

/// Point 8: every decision is in the ledger, and what was known and decided at a past moment can be told.
async fn the_ledger_tells_every_decision_and_replays_those_of_the_past(sandbox: &Sandbox) {
    let client = sandbox.client();
    let (renewals, topic) = create_campaign(sandbox, "renewals").await;
    let first_etag = renewals.etag.clone();
    let before = between().await;
    let customer = consenting_customer(sandbox, "renewals", &topic).await;
    let given = between().await;
    ask_again(sandbox, renewals).await;
    let outdated = between().await;
    let renewed = RecordConsentRequest { notice_version: "v2".into(), ..consent(&customer, "renewals") };
    client.record_consent(renewed).await.unwrap();
    let anew = between().await;
    client.withdraw_consent(withdrawal(&customer, "renewals")).await.unwrap();
    let withdrawn = between().await;

    let entries = history(sandbox, &customer).await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| match &entry.change {
            Some(Change::Consent(state)) => (entry.sequence, state.status(), state.notice_version.as_str()),
            other => unreachable!("{other:?}"),
        })
        .collect();
    let (yes, no) = (ConsentStatus::Given, ConsentStatus::Withdrawn);
    assert_eq!(told, [(0, yes, "v1"), (1, yes, "v2"), (2, no, "v2")]);
    assert_eq!(entries[0].previous, [0; 32]);
    assert!(
        entries.windows(2).all(|two| two[1].previous == two[0].hash),
        "each holds the hash of the one before"
    );

    let moments = [
        (before, None, RefusalReason::NoGround),
        (given, Some(yes), RefusalReason::Unspecified),
        (outdated, Some(yes), RefusalReason::NoticeOutdated),
        (anew, Some(yes), RefusalReason::Unspecified),
        (withdrawn, Some(no), RefusalReason::ConsentWithdrawn),
    ];
    let mut consents = sandbox.consents(2).await;
    for (number, (time, status, reason)) in moments.into_iter().enumerate() {
        let request = GetConsentsAsOfRequest {
            customer_id: customer.clone(),
            purpose: PURPOSE.into(),
            time: Some(time),
        };
        let known = consents.get_consents_as_of(request).await.unwrap().into_inner().consents;
        assert_eq!(known.first().map(|state| state.status()), status, "moment {number}");
        let request = ExplainDecisionRequest {
            customer_id: customer.clone(),
            purpose: PURPOSE.into(),
            decided_purpose: "renewals".into(),
            attribute: topic.clone(),
            time: Some(time),
            recipient: String::new(),
        };
        let said = consents.explain_decision(request).await.unwrap().into_inner();
        let permitted = reason == RefusalReason::Unspecified;
        assert_eq!((said.permitted, said.reason()), (permitted, reason), "moment {number}");
        assert_eq!(said.jurisdictions, ["default"]);
        assert_eq!(said.purpose_etag == first_etag, number < 2, "the catalogue as it was, moment {number}");
        assert_eq!(said.ledger_sequences.is_empty(), number == 0);
        assert!(said.permitted || !said.explanation.is_empty());
    }
    let future = Timestamp { seconds: withdrawn.seconds + 3_600, nanos: 0 };
    let request =
        GetConsentsAsOfRequest { customer_id: customer, purpose: PURPOSE.into(), time: Some(future) };
    assert_eq!(consents.get_consents_as_of(request).await.unwrap_err().code(), Code::InvalidArgument);
}

/// Point 8: the ledger of a customer is proved without the cluster, and what was tampered with is found.
async fn a_ledger_file_is_verified_offline(sandbox: &Sandbox) {
    let customer = customer(sandbox).await;
    for _ in 0..2 {
        let no = sandbox.client().withdraw_consent(withdrawal(&customer, "marketing")).await.unwrap();
        let consent_revision = no.consent_revision;
        let again = RecordConsentRequest { consent_revision, ..consent(&customer, "marketing") };
        sandbox.client().record_consent(again).await.unwrap();
    }
    let file = sandbox.path().join("ledger.jsonl");
    let name = file.display().to_string();
    let client = sandbox.client_file();
    let arguments =
        ["consent", "history", &customer, "--purpose", PURPOSE, "--file", &name, "--client", &client];
    let (code, output, errors) = custodia(&arguments);
    assert_eq!(code, Some(0), "{output}{errors}");
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 6, "a header and five entries");
    assert_eq!(custodia(&["consent", "verify", &name]).0, Some(0));

    let verify = |lines: &[&str]| {
        let name = file.with_extension("tampered").display().to_string();
        fs::write(&name, lines.join("\n") + "\n").unwrap();
        let (code, output, errors) = custodia(&["consent", "verify", &name]);
        assert_eq!(code, Some(1), "tampering is found: {output}{errors}");
        format!("{output}{errors}")
    };
    let mut reordered = lines.clone();
    reordered.swap(2, 3);
    verify(&reordered);
    let missing: Vec<&str> =
        lines.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, line)| *line).collect();
    verify(&missing);
    verify(&lines[..5]);
    let entry: Json = serde_json::from_str(lines[2]).unwrap();
    let canonical = entry["canonical"].as_str().unwrap();
    let other = if canonical.ends_with('0') { '1' } else { '0' };
    let changed = format!("{}{other}", &canonical[..canonical.len() - 1]);
    let changed = lines[2].replace(canonical, &changed);
    let mut tampered = lines.clone();
    tampered[2] = &changed;
    verify(&tampered);
    let painted = lines[2].replace("withdrawn", "given").replace("WITHDRAWN", "GIVEN");
    assert_ne!(painted, lines[2], "the readable part says what was decided");
    tampered[2] = &painted;
    verify(&tampered);
}

/// Point 10: the consent record for other systems, the receipt, the TC string and the consent mode.
async fn a_consent_record_leaves_in_the_formats_of_others(sandbox: &Sandbox) {
    let customer = customer(sandbox).await;
    let mut consents = sandbox.consents(0).await;
    let export = |format: ConsentExportFormat| ExportConsentRequest {
        customer_id: customer.clone(),
        purpose: PURPOSE.into(),
        format: format.into(),
        purposes: vec![],
    };
    let record = consents.export_consent(export(ConsentExportFormat::Dpv27560)).await.unwrap().into_inner();
    assert_eq!(record.media_type, "application/ld+json");
    let document: Json = serde_json::from_str(&record.document).unwrap();
    assert!(
        document["@context"].is_object()
            || document["@context"].is_array()
            || document["@context"].is_string()
    );
    for term in ["ConsentGiven", "dpv:ServiceProvision", &customer] {
        assert!(record.document.contains(term), "{term} in {}", record.document);
    }
    let receipt = consents.export_consent(export(ConsentExportFormat::Receipt)).await.unwrap().into_inner();
    let document: Json = serde_json::from_str(&receipt.document).unwrap();
    for field in ["version", "consentReceiptID", "consentTimestamp", "collectionMethod", "services"] {
        assert!(!document[field].is_null(), "{field} in {}", receipt.document);
    }

    let request = GetPurposeRequest { id: "marketing".into() };
    let mut catalog = sandbox.catalog(0).await;
    let mut marketing = catalog.get_purpose(request).await.unwrap().into_inner();
    marketing.google_consent_types =
        vec![GoogleConsentType::AdStorage.into(), GoogleConsentType::AdPersonalization.into()];
    catalog.update_purpose(UpdatePurposeRequest { purpose: Some(marketing) }).await.unwrap();
    let granted =
        async |consents: &mut custodia_proto::v1::consent_service_client::ConsentServiceClient<_>| {
            let request = GetConsentModeRequest { customer_id: customer.clone(), purpose: PURPOSE.into() };
            let mode = consents.get_consent_mode(request).await.unwrap().into_inner();
            assert_eq!(mode.signals.len(), 7, "every type is told");
            let granted = mode.signals.into_iter().filter(|signal| signal.granted);
            granted.map(|signal| signal.name).collect::<Vec<_>>()
        };
    assert_eq!(granted(&mut consents).await, ["ad_storage", "ad_personalization"]);
    sandbox.client().withdraw_consent(withdrawal(&customer, "marketing")).await.unwrap();
    assert!(granted(&mut consents).await.is_empty());

    let tc_string = |text: &str| RecordTcStringRequest {
        customer_id: customer.clone(),
        tc_string: text.into(),
        request_id: new_id(),
    };
    let bad = [("", "required"), ("C!", "base64"), ("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "version")];
    for (text, word) in bad {
        let status = consents.record_tc_string(tc_string(text)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{text}: {status}");
        assert!(status.message().contains("tc_string"), "the field is named: {status}");
        assert!(status.message().contains(word), "{word}: {status}");
        assert!(text.is_empty() || !status.message().contains(text), "the string is not repeated");
    }
    let request =
        GetTcStringRequest { customer_id: customer.clone(), purpose: PURPOSE.into(), vendors: vec![2, 9] };
    let status = consents.get_tc_string(request.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "what was refused is not stored");
    let text = TcWriter::current();
    let stored = consents.record_tc_string(tc_string(&text)).await.unwrap().into_inner();
    let read = consents.get_tc_string(request).await.unwrap().into_inner();
    let left: Vec<_> =
        read.vendor_purposes.iter().map(|of| (of.vendor, of.purposes_consent.len(), of.disclosed)).collect();
    assert_eq!(left, [(2, 2, true), (9, 0, false)]);
    assert_eq!(custodia_proto::v1::TcString { vendor_purposes: Vec::new(), ..read.clone() }, stored);
    assert_eq!((read.policy_version, read.cmp_id, read.consent_language.as_str()), (5, 31, "EN"));
    assert_eq!(read.purposes_consent, [1, 3]);
    assert_eq!([&read.vendors_consent, &read.vendors_disclosed], [&[2], &[2]]);
}

/// Writes a TC string of today, field by field after the IAB's specification, apart from the decoder.
struct TcWriter(String);

impl TcWriter {
    fn bits(&mut self, value: u64, width: usize) {
        self.0 += &format!("{value:0width$b}");
    }

    fn segment(self) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut bits = self.0.into_bytes();
        while !bits.len().is_multiple_of(24) {
            bits.push(b'0');
        }
        let six = |bits: &[u8]| bits.iter().fold(0, |value, bit| value * 2 + usize::from(bit - b'0'));
        bits.chunks(6).map(|bits| char::from(ALPHABET[six(bits)])).collect()
    }

    fn current() -> String {
        let now = now().as_secs();
        let today = now / 86_400 * 86_400 * 10;
        let mut core = Self(String::new());
        for (value, width) in [(2, 6), (today, 36), (today, 36), (31, 12), (2, 12), (1, 6)] {
            core.bits(value, width);
        }
        core.bits(4, 6); // E
        core.bits(13, 6); // N
        for (value, width) in [(150, 12), (5, 6), (1, 1), (0, 1), (0, 12)] {
            core.bits(value, width); // list, policy, service-specific, standard texts, no special feature
        }
        core.bits(0b1010_0000_0000_0000_0000_0000, 24); // purposes by consent: 1 and 3
        core.bits(0, 24); // by legitimate interest
        core.bits(0, 1); // purpose one treatment
        core.bits(3, 6); // D
        core.bits(4, 6); // E
        for (value, width) in [(2, 16), (0, 1), (0b01, 2)] {
            core.bits(value, width); // vendor 2 by consent
        }
        for (value, width) in [(0, 16), (0, 1), (0, 12)] {
            core.bits(value, width); // none by legitimate interest; no publisher restriction
        }
        let mut disclosed = Self(String::new());
        for (value, width) in [(1, 3), (2, 16), (0, 1), (0b01, 2)] {
            disclosed.bits(value, width);
        }
        format!("{}.{}", core.segment(), disclosed.segment())
    }
}

/// Point 11: one definition for every source, and what is collected and never read.
async fn the_catalogue_tells_what_is_kept_and_what_nobody_reads(sandbox: &Sandbox) {
    let attribute = AttributeDefinition {
        name: "basket_value".into(),
        description: "mean value of a basket".into(),
        r#type: ValueType::Text.into(),
        classification: Classification::Pseudonymous.into(),
        purposes: vec!["service".into()],
        owner: "shop".into(),
        data_category: "purchases".into(),
        unit: "EUR".into(),
        retention_days: 365,
        mappings: vec![SourceMapping {
            source: "till".into(),
            field: "avg_basket".into(),
            difference: "gross; the shop sends net".into(),
        }],
        ..Default::default()
    };
    let request = CreateAttributeRequest { attribute: Some(attribute.clone()), validate_only: false };
    let stored = sandbox.catalog(0).await.create_attribute(request).await.unwrap().into_inner();
    let size = sample::attribute("basket_size", ValueType::Text, &["service"]);
    create_attribute(sandbox, 0, size).await.unwrap();
    let kept = AttributeDefinition { number: 0, etag: String::new(), bytes_max: 0, ..stored };
    assert_eq!(kept, attribute);
    let client = sandbox.client();
    let data = vec![observation("basket_value", "41"), observation("basket_size", "7")];
    let customer = client.ingest_profile(ingest("", data)).await.unwrap().customer_id;
    let unused = async |node: usize| {
        let request = ListUnusedAttributesRequest { days: 90 };
        let answer = sandbox.catalog(node).await.list_unused_attributes(request).await.unwrap().into_inner();
        let own = answer.attributes.into_iter().filter(|one| one.name.starts_with("basket_"));
        own.map(|one| (one.name, one.last_read_on.is_empty())).collect::<Vec<_>>()
    };
    let both = [("basket_size".to_owned(), true), ("basket_value".to_owned(), true)];
    eventually("what was collected is known", async || unused(1).await == both).await;
    let mut request = get(&customer, "service");
    request.read_mask = Some(custodia_proto::FieldMask { paths: vec!["basket_size".into()] });
    client.get_profile(request).await.unwrap();
    eventually("what was read is known", async || unused(2).await == both[1..]).await;
    let request = ListUnusedAttributesRequest { days: 0 };
    let status = sandbox.catalog(0).await.list_unused_attributes(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}
