//! An identifier that a customer got by mistake goes to the customer whose it is, whatever fails on the way (ID-4).

use std::collections::BTreeMap;

use custodia_proto::FieldMask;
use custodia_proto::v1::identity_service_client::IdentityServiceClient;
use custodia_proto::v1::{
    self, IngestProfileRequest, RefusalReason, SplitIdentifierRequest, SplitIdentifierResponse,
};
use custodia_tests::sample::{fault, get, ingest, new_customer, new_id, text_of, texts};
use custodia_tests::{Sandbox, Suite};
use fastrand::Rng;
use futures::future::join_all;
use tonic::{Code, Status};

use crate::kills::{arm, disarm, limit};
use crate::merging::merged;
use crate::namespaces::{
    define, found_everywhere, holders, identified, identifier, ingested, listed, new_card, new_email,
    patiently, released,
};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(an_identifier_goes_to_its_customer_with_its_source_and_evidence)
        .shared(a_new_customer_gets_it_if_nobody_is_named)
        .shared(a_repeated_split_is_done_once)
        .shared(a_validated_split_tells_what_would_happen_and_changes_nothing)
        .shared(what_stands_against_a_split_is_told_and_nothing_changes)
        .shared(a_split_that_races_with_others_gives_the_identifier_to_one)
        .alone_within(limit(), whoever_dies_in_a_split_it_is_nobodys_for_a_while_at_most)
}

fn split(from: &str, to: &str, of: (&str, &str)) -> SplitIdentifierRequest {
    SplitIdentifierRequest {
        customer_id: from.to_owned(),
        purpose: "service".to_owned(),
        identifier: Some(identifier(of.0, of.1)),
        to_customer_id: to.to_owned(),
        validate_only: false,
        request_id: new_id(),
    }
}

async fn try_split(
    sandbox: &Sandbox,
    node: usize,
    request: SplitIdentifierRequest,
) -> Result<SplitIdentifierResponse, Status> {
    let mut identity = sandbox.identity(node).await;
    patiently(async || identity.split_identifier(request.clone()).await)
        .await
        .map(|answer| answer.into_inner())
}

/// A customer who has these identifiers from `crm`, and one who has nothing but a ground.
async fn two(sandbox: &Sandbox, identifiers: &[(&str, &str)]) -> (String, String) {
    define(sandbox).await;
    let request =
        IngestProfileRequest { source: "crm".to_owned(), ..identified(&new_customer(), identifiers) };
    let wrong = ingested(sandbox, 0, request).await;
    assert!(wrong.identifiers.iter().all(|outcome| outcome.merged), "{wrong:?}");
    let right = ingested(sandbox, 1, ingest(&new_customer(), texts(&[("given_name", "Mara")]))).await;
    (wrong.customer_id, right.customer_id)
}

async fn an_identifier_goes_to_its_customer_with_its_source_and_evidence(sandbox: &Sandbox) {
    let (email, card) = (new_email("given"), new_card());
    let (wrong, right) = two(sandbox, &[("card", &card)]).await;
    let attribute = IngestProfileRequest {
        source: "crm".to_owned(),
        ..ingest(&wrong, texts(&[("email", &email.to_uppercase())]))
    };
    ingested(sandbox, 2, attribute).await;
    let verification = v1::Verification {
        method: v1::VerificationMethod::DoubleOptIn.into(),
        verified_at: None,
        reference: "mail 7".to_owned(),
    };
    let verified = v1::UpdateIdentifierRequest {
        customer_id: wrong.clone(),
        purpose: "service".to_owned(),
        identifier: Some(identifier("email", &email)),
        verification: Some(verification),
        bounced_at: None,
        request_id: new_id(),
    };
    sandbox.identity(1).await.update_identifier(verified).await.expect("verified");
    let before = listed(sandbox, 0, &wrong).await;
    let held = before.iter().find(|held| held.namespace == "email").expect("held");
    let answer = try_split(sandbox, 2, split(&wrong, &right, ("email", &email))).await.expect("split");
    assert_eq!((&answer.customer_id, &answer.to_customer_id, answer.created), (&wrong, &right, false));
    assert_eq!(answer.identifier.as_ref(), Some(held));
    // The attribute stays, and so does what else came from the source.
    let named: Vec<_> =
        answer.related.iter().map(|of| (of.attribute.as_str(), of.namespace.as_str())).collect();
    assert_eq!(named[0], ("email", ""));
    assert!(answer.related[0].same_value && !answer.related[1].same_value);
    assert!(named.contains(&("given_name", "")) && named.contains(&("", "card")), "{named:?}");
    found_everywhere(sandbox, "email", &email, &[&right]).await;
    found_everywhere(sandbox, "card", &card, &[&wrong]).await;
    assert_eq!(listed(sandbox, 1, &right).await, vec![held.clone()]);
    for customer in [&wrong, &right] {
        let profile = sandbox.profiles(0).await.get_profile(get(customer, "service")).await.expect("known");
        let profile = profile.into_inner();
        assert!(customer == &wrong || profile.etag == answer.to_etag);
        let kept = text_of(&profile, "email");
        assert_eq!(kept.is_some(), customer == &wrong, "the attribute stays where it was");
    }
    // What the source repeats is the other's now.
    let again = IngestProfileRequest {
        source: "crm".to_owned(),
        ..ingest(&wrong, texts(&[("email", &email.to_uppercase())]))
    };
    let answer = ingested(sandbox, 0, again).await;
    assert_eq!(answer.identifiers[0].refusal(), RefusalReason::IdentifierTaken);
}

async fn a_new_customer_gets_it_if_nobody_is_named(sandbox: &Sandbox) {
    let phone = "030 901822";
    let (wrong, _) = two(sandbox, &[("phone", phone)]).await;
    // Nothing permits the purpose to somebody new whose consent it needs, so nothing is taken away.
    let request = split(&wrong, "", ("phone", phone));
    let status = try_split(sandbox, 1, request).await.expect_err("no ground");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::FailedPrecondition, "NO_GROUND"));
    assert!(holders(sandbox, 0, "phone", phone).await.expect("held").contains(&wrong));
    a_purpose_that_stands(sandbox).await;
    let request =
        SplitIdentifierRequest { purpose: "upkeep".to_owned(), ..split(&wrong, "", ("badge", "b-1")) };
    let badge = identified(&wrong, &[("badge", "b-1")]);
    let badge = IngestProfileRequest { purpose: "upkeep".to_owned(), consents: Vec::new(), ..badge };
    assert!(ingested(sandbox, 2, badge).await.identifiers[0].merged);
    let answer = try_split(sandbox, 1, request.clone()).await.expect("split");
    assert!(answer.created && answer.to_customer_id != wrong);
    let again = try_split(sandbox, 2, request).await.expect("remembered");
    assert_eq!(again, answer);
    let lookup = v1::LookupProfileRequest {
        identifier: Some(identifier("badge", "b-1")),
        purpose: "upkeep".to_owned(),
        ..Default::default()
    };
    let found = sandbox.identity(0).await.lookup_profile(lookup).await.expect("found").into_inner();
    let found: Vec<_> = found.profiles.iter().map(|profile| &profile.customer_id).collect();
    assert_eq!(found, [&answer.to_customer_id]);
}

/// `upkeep` rests on a legal obligation that stands, so it is permitted for a new customer too; `badge` may be used for it.
async fn a_purpose_that_stands(sandbox: &Sandbox) {
    let bases = [v1::LawfulBasis::LegalObligation];
    let purpose = v1::Purpose {
        standing_bases: bases.map(i32::from).to_vec(),
        law: "A code, section 1".to_owned(),
        ..custodia_tests::sample::purpose("upkeep", &bases)
    };
    custodia_tests::actions::create_purpose(sandbox, purpose).await.expect("a purpose is created");
    let badge = v1::Namespace {
        id: "badge".to_owned(),
        kind: v1::NamespaceKind::Text.into(),
        purposes: vec!["upkeep".to_owned()],
        ..Default::default()
    };
    let request = v1::CreateNamespaceRequest { namespace: Some(badge), validate_only: false };
    sandbox.catalog(0).await.create_namespace(request).await.expect("a namespace is created");
}

async fn a_repeated_split_is_done_once(sandbox: &Sandbox) {
    let card = new_card();
    let (wrong, right) = two(sandbox, &[("card", &card)]).await;
    let request = split(&wrong, &right, ("card", &card));
    let answers = join_all((0..3).map(|node| try_split(sandbox, node, request.clone()))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("split")).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    found_everywhere(sandbox, "card", &card, &[&right]).await;
    // Whoever has it since keeps it, also from the same request that comes late.
    assert!(released(sandbox, 0, &right, ("card", &card)).await.released);
    assert_eq!(try_split(sandbox, 1, request.clone()).await.expect("remembered"), answers[0]);
    found_everywhere(sandbox, "card", &card, &[]).await;
    let other = SplitIdentifierRequest { to_customer_id: String::new(), ..request };
    let status = try_split(sandbox, 0, other).await.expect_err("another request");
    assert_eq!(fault(&status).1, "REQUEST_ID_REUSED");
}

async fn a_validated_split_tells_what_would_happen_and_changes_nothing(sandbox: &Sandbox) {
    let card = new_card();
    let (wrong, right) = two(sandbox, &[("card", &card)]).await;
    let before = listed(sandbox, 0, &wrong).await;
    let request = SplitIdentifierRequest { validate_only: true, ..split(&wrong, &right, ("card", &card)) };
    let answer = try_split(sandbox, 2, request).await.expect("valid");
    assert_eq!(answer.identifier.as_ref(), before.first());
    assert!(answer.to_etag.is_empty() && answer.to_customer_id == right);
    found_everywhere(sandbox, "card", &card, &[&wrong]).await;
    assert_eq!(listed(sandbox, 1, &wrong).await, before);
}

async fn what_stands_against_a_split_is_told_and_nothing_changes(sandbox: &Sandbox) {
    let (card, passport) = (new_card(), new_card());
    let (wrong, right) = two(sandbox, &[("card", &card), ("passport", &passport)]).await;
    let other_passport = new_card();
    ingested(sandbox, 0, identified(&right, &[("passport", &other_passport)])).await;
    let gone = ingested(sandbox, 0, identified(&new_customer(), &[])).await.customer_id;
    merged(sandbox, 1, &right, &gone).await;
    let of_card = ("card", card.as_str());
    let nobody = new_customer();
    let refused = [
        (split(&wrong, &nobody, of_card), Code::NotFound, "OTHER_CUSTOMER_NOT_FOUND"),
        (split(&wrong, &wrong, of_card), Code::InvalidArgument, "FIELD_INVALID"),
        (split(&wrong, &gone, of_card), Code::FailedPrecondition, "MERGED_ELSEWHERE"),
        (split(&right, &wrong, of_card), Code::NotFound, "IDENTIFIER_NOT_FOUND"),
        (split(&nobody, &wrong, of_card), Code::NotFound, "CUSTOMER_NOT_FOUND"),
        (split(&wrong, &right, ("passport", &passport)), Code::FailedPrecondition, "IDENTIFIER_LIMIT"),
        (split(&wrong, &right, ("nothing", "7")), Code::InvalidArgument, "NAMESPACE_UNKNOWN"),
        (split(&wrong, "cust_7", of_card), Code::InvalidArgument, "FIELD_INVALID"),
    ];
    let nameless = SplitIdentifierRequest { request_id: String::new(), ..split(&wrong, &right, of_card) };
    let status = try_split(sandbox, 0, nameless).await.expect_err("it could not be completed");
    assert_eq!(fault(&status), (Code::InvalidArgument, "FIELD_REQUIRED".into(), "request_id".into()));
    for (request, code, reason) in refused {
        let status = try_split(sandbox, 2, request).await.expect_err(reason);
        assert_eq!((status.code(), fault(&status).1.as_str()), (code, reason), "{status}");
    }
    let marketing =
        SplitIdentifierRequest { purpose: "marketing".to_owned(), ..split(&wrong, &right, of_card) };
    let status = try_split(sandbox, 0, marketing).await.expect_err("cards are not for marketing");
    assert_eq!(status.code(), Code::FailedPrecondition);
    // A survivor is found by the other customer's id.
    let (gone_too, moved) =
        (ingested(sandbox, 2, identified(&new_customer(), &[])).await.customer_id, &right);
    merged(sandbox, 0, &wrong, &gone_too).await;
    held_for_a_claim(sandbox, &wrong).await;
    let status = try_split(sandbox, 1, split(&gone_too, moved, of_card)).await.expect_err("held");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::FailedPrecondition, "LEGAL_HOLD"));
    found_everywhere(sandbox, "card", &card, &[&wrong]).await;
    for role in ["agent", "ingest", "operator"] {
        let channel = sandbox.channel_as(1, role, &format!("splitter-{role}")).await;
        let status =
            IdentityServiceClient::new(channel).split_identifier(split(&wrong, moved, of_card)).await;
        assert_eq!(status.expect_err("another role").code(), Code::PermissionDenied, "{role}");
    }
}

async fn held_for_a_claim(sandbox: &Sandbox, customer: &str) {
    let hold = v1::LegalHold { reference: "matter 7".to_owned(), since: None };
    let request = v1::UpdateDataSubjectRequest {
        data_subject: Some(v1::DataSubject {
            customer_id: customer.to_owned(),
            legal_hold: Some(hold),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["legal_hold".to_owned()] }),
        request_id: new_id(),
    };
    sandbox.consents(0).await.update_data_subject(request).await.expect("held");
}

async fn a_split_that_races_with_others_gives_the_identifier_to_one(sandbox: &Sandbox) {
    for _ in 0..8 {
        let card = new_card();
        let (wrong, right) = two(sandbox, &[("card", &card)]).await;
        let third = new_customer();
        let of = ("card", card.as_str());
        let (first, second, claimed) = futures::join!(
            try_split(sandbox, 0, split(&wrong, &right, of)),
            try_split(sandbox, 1, split(&wrong, &right, of)),
            ingested(sandbox, 2, identified(&third, &[of])),
        );
        let holder = holders(sandbox, 0, "card", &card).await.expect("held");
        let expected = if claimed.identifiers[0].merged { &claimed.customer_id } else { &right };
        assert_eq!(&holder, std::slice::from_ref(expected), "{first:?} {second:?} {claimed:?}");
        found_everywhere(sandbox, "card", &card, &[expected]).await;
        let done = [&first, &second].into_iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(done, usize::from(expected == &right), "{first:?} {second:?} {claimed:?}");
        // If the third was faster than the second write, the first says that it is cut off.
        if let (Err(one), Err(other)) = (&first, &second) {
            let reasons = [fault(one).1, fault(other).1];
            assert!(reasons.contains(&"IDENTIFIER_NOT_GIVEN".to_owned()), "{reasons:?}");
        }
    }
}

const FAILPOINTS: [&str; 3] = ["write-committed", "claims-granted", "fenced"];
/// Splits at a time: enough that some are led by the node that dies.
const SPLITS: usize = 6;

async fn whoever_dies_in_a_split_it_is_nobodys_for_a_while_at_most() {
    let mut sandbox = Sandbox::start().await;
    let mut died = BTreeMap::<&str, u32>::new();
    let mut random = Rng::with_seed(20_261_201);
    for failpoint in FAILPOINTS {
        let mut splits = Vec::new();
        for _ in 0..SPLITS {
            let card = new_card();
            let (wrong, right) = two(&sandbox, &[("card", &card)]).await;
            splits.push((split(&wrong, &right, ("card", &card)), card, listed(&sandbox, 0, &wrong).await));
        }
        let node = random.usize(0..3);
        arm(&mut sandbox, node, &format!("{failpoint}:{}", random.u32(0..2))).await;
        let through = (node + random.usize(1..3)) % 3;
        join_all(splits.iter().map(|(request, ..)| async {
            let mut identity = sandbox.identity(through).await;
            // Once: whoever asks again comes later.
            let _answer = identity.split_identifier(request.clone()).await;
        }))
        .await;
        if disarm(&mut sandbox, node).await {
            *died.entry(failpoint).or_default() += 1;
        }
        for (request, card, before) in &splits {
            let holder = match holders(&sandbox, 0, "card", card).await {
                Ok(holders) => holders,
                Err(status) if status.code() == Code::NotFound => Vec::new(),
                Err(status) => panic!("{status}"),
            };
            assert!(
                holder.len() <= 1
                    && holder.iter().all(|of| *of == request.customer_id || *of == request.to_customer_id)
            );
            let of: Vec<_> = holder.iter().map(String::as_str).collect();
            found_everywhere(&sandbox, "card", card, &of).await;
            let answer = try_split(&sandbox, through, request.clone()).await.expect("completed");
            assert_eq!(answer.identifier.as_ref(), before.first());
            found_everywhere(&sandbox, "card", card, &[&request.to_customer_id]).await;
            assert_eq!(&listed(&sandbox, 1, &request.to_customer_id).await, before);
        }
    }
    println!("nodes that died in a split, by failpoint: {died:?}");
    assert!(!died.is_empty(), "no failpoint was reached");
}
