//! Lookups: the holder of an identifier, in whatever way it is written, through whichever node (ID-2).

use custodia_proto::v1::identity_service_client::IdentityServiceClient;
use custodia_proto::v1::{self, BatchLookupProfilesRequest, LookupProfileRequest, Recipient, RefusalReason};
use custodia_tests::actions::create_recipient;
use custodia_tests::sample::{detail, fault, text_of, withheld};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

use crate::merging::{merged, unmerged};
use crate::namespaces::{
    define, found_everywhere, holders, identified, identifier, ingested, new_card, new_email, released,
};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_customer_is_found_by_each_identifier_however_it_is_written)
        .shared(a_shared_identifier_finds_every_holder_and_one_of_them_by_its_id)
        .shared(a_purpose_without_use_for_a_namespace_is_refused_whether_anybody_holds_the_identifier)
        .shared(many_identifiers_are_looked_up_in_one_call)
        .shared(a_lookup_gives_what_the_law_permits)
        .shared(a_malformed_lookup_names_its_field)
        .shared(a_holder_who_is_remembered_is_asked_again)
}

async fn a_customer_is_found_by_each_identifier_however_it_is_written(sandbox: &Sandbox) {
    define(sandbox).await;
    let (email, card) = (new_email("Ana.Maria"), new_card());
    let request = identified("", &[("email", &email), ("card", &card), ("device", &email)]);
    let customer = ingested(sandbox, 1, request).await;
    assert!(customer.identifiers.iter().all(|outcome| outcome.merged), "{customer:?}");
    for (namespace, value) in [
        ("email", email.clone()),
        ("email", format!(" {} ", email.to_uppercase())),
        ("card", format!("\u{200b}{card}")),
        ("device", email.to_uppercase()),
    ] {
        found_everywhere(sandbox, namespace, &value, &[&customer.customer_id]).await;
    }
    found_everywhere(sandbox, "email", &new_email("nobody"), &[]).await;
    let status = holders(sandbox, 2, "card", &new_card()).await.expect_err("nobody holds it");
    assert_eq!(fault(&status).1, "CUSTOMER_NOT_FOUND");
}

async fn a_shared_identifier_finds_every_holder_and_one_of_them_by_its_id(sandbox: &Sandbox) {
    define(sandbox).await;
    let number = format!("030 9018{:05}", uuid::Uuid::new_v4().as_u128() % 100_000);
    let mut household = Vec::new();
    for node in 0..3 {
        let request = identified("", &[("phone", &number), ("email", &new_email("home"))]);
        let answer = ingested(sandbox, node, request).await;
        assert!(answer.identifiers.iter().all(|outcome| outcome.merged), "{answer:?}");
        household.push(answer.customer_id);
    }
    let ids: Vec<&str> = household.iter().map(String::as_str).collect();
    found_everywhere(sandbox, "phone", &format!("+49 {}", &number[1..]), &ids).await;
    let one = LookupProfileRequest {
        identifier: Some(identifier("phone", &number)),
        purpose: "service".to_owned(),
        customer_id: household[1].clone(),
        ..Default::default()
    };
    let mut identity = sandbox.identity(0).await;
    let found = identity.lookup_profile(one.clone()).await.expect("found").into_inner();
    assert_eq!(found.profiles.len(), 1);
    assert_eq!(found.profiles[0].customer_id, household[1]);
    let stranger = ingested(sandbox, 0, identified("", &[])).await.customer_id;
    let request = LookupProfileRequest { customer_id: stranger, ..one };
    let status = identity.lookup_profile(request).await.expect_err("the stranger does not hold it");
    assert_eq!(status.code(), Code::NotFound);
}

/// SE-2: neither the error nor its details depend on what is stored.
async fn a_purpose_without_use_for_a_namespace_is_refused_whether_anybody_holds_the_identifier(
    sandbox: &Sandbox,
) {
    define(sandbox).await;
    let recipient = Recipient {
        id: "ads-lookup".to_owned(),
        purposes: vec!["marketing".to_owned()],
        ..Default::default()
    };
    create_recipient(sandbox, 0, recipient).await;
    let card = new_card();
    let holder = ingested(sandbox, 0, identified("", &[("card", &card)])).await.customer_id;
    for node in 0..3 {
        let channel = sandbox.channel_as(node, "agent", "ads-lookup").await;
        let mut ads = IdentityServiceClient::new(channel);
        let lookup = |value: &str, customer_id: &str| LookupProfileRequest {
            identifier: Some(identifier("card", value)),
            purpose: "marketing".to_owned(),
            customer_id: customer_id.to_owned(),
            ..Default::default()
        };
        let mut refusals = Vec::new();
        for request in [lookup(&card, ""), lookup(&new_card(), ""), lookup(&card, &holder)] {
            let status = ads.lookup_profile(request).await.expect_err("refused");
            assert_eq!(status.code(), Code::PermissionDenied, "{status}");
            assert_eq!(detail(&status, "reason").as_deref(), Some("PURPOSE_NOT_ALLOWED"));
            refusals.push((fault(&status), status.message().to_owned()));
        }
        assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");
        let service = LookupProfileRequest { purpose: "service".to_owned(), ..lookup(&card, "") };
        let status = ads.lookup_profile(service).await.expect_err("not registered for service");
        assert_eq!(status.code(), Code::PermissionDenied);
    }
}

async fn many_identifiers_are_looked_up_in_one_call(sandbox: &Sandbox) {
    define(sandbox).await;
    let mut asked = Vec::new();
    let mut expected = Vec::new();
    for number in 0..12 {
        let email = new_email("batch");
        let answer = ingested(sandbox, number % 3, identified("", &[("email", &email)])).await;
        asked.push(identifier("email", &email));
        expected.push(Some(answer.customer_id));
        asked.push(identifier("email", &new_email("nobody")));
        expected.push(None);
    }
    asked.push(identifier("email", "no address"));
    for node in 0..3 {
        let request = BatchLookupProfilesRequest {
            identifiers: asked.clone(),
            purpose: "service".to_owned(),
            ..Default::default()
        };
        let answer = sandbox.identity(node).await.batch_lookup_profiles(request).await.expect("answered");
        let lookups = answer.into_inner().lookups;
        assert_eq!(lookups.len(), asked.len());
        for (lookup, expected) in lookups.iter().zip(&expected) {
            match (lookup.result.as_ref().expect("a result"), expected) {
                (v1::batch_lookup::Result::Found(found), Some(customer)) => {
                    assert_eq!(found.profiles[0].customer_id, *customer);
                }
                (v1::batch_lookup::Result::Error(error), None) => {
                    assert_eq!(error.code, i32::from(Code::NotFound));
                }
                (result, expected) => panic!("{result:?} instead of {expected:?}"),
            }
        }
        let Some(v1::batch_lookup::Result::Error(error)) = &lookups[24].result else {
            panic!("{:?}", lookups[24])
        };
        assert_eq!(
            (error.reason.as_str(), error.field.as_str()),
            ("IDENTIFIER_INVALID", "identifiers[24].value")
        );
    }
}

async fn a_lookup_gives_what_the_law_permits(sandbox: &Sandbox) {
    define(sandbox).await;
    let email = new_email("law");
    let customer = ingested(sandbox, 0, identified("", &[("email", &email)])).await.customer_id;
    let lookup = LookupProfileRequest {
        identifier: Some(identifier("email", &email)),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    let mut identity = sandbox.identity(1).await;
    let found = identity.lookup_profile(lookup.clone()).await.expect("found").into_inner();
    assert_eq!(text_of(&found.profiles[0], "given_name").as_deref(), Some("Ana"));
    let withdrawal = custodia_tests::sample::withdrawal(&customer, "service");
    sandbox.consents(2).await.withdraw_consent(withdrawal).await.expect("withdrawn");
    let found = identity.lookup_profile(lookup).await.expect("found").into_inner();
    assert_eq!(text_of(&found.profiles[0], "given_name"), None);
    assert_eq!(withheld(&found.profiles[0], "given_name"), Some(RefusalReason::ConsentWithdrawn));
}

async fn a_malformed_lookup_names_its_field(sandbox: &Sandbox) {
    define(sandbox).await;
    let mut identity = sandbox.identity(0).await;
    let valid = LookupProfileRequest {
        identifier: Some(identifier("email", &new_email("field"))),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    let of = |namespace: &str, value: &str| LookupProfileRequest {
        identifier: Some(identifier(namespace, value)),
        ..valid.clone()
    };
    for (request, reason, field) in [
        (LookupProfileRequest { identifier: None, ..valid.clone() }, "FIELD_REQUIRED", "identifier"),
        (LookupProfileRequest { purpose: String::new(), ..valid.clone() }, "FIELD_REQUIRED", "purpose"),
        (of("", "x"), "FIELD_REQUIRED", "identifier.namespace"),
        (of("fax", "x"), "NAMESPACE_UNKNOWN", "identifier.namespace"),
        (of("card", "1234"), "IDENTIFIER_INVALID", "identifier.value"),
        (of("card", ""), "IDENTIFIER_INVALID", "identifier.value"),
        (of("email", "test@example.org"), "IDENTIFIER_BLOCKED", "identifier.value"),
    ] {
        let status = identity.lookup_profile(request).await.expect_err(field);
        assert_eq!(fault(&status), (Code::InvalidArgument, reason.to_owned(), field.to_owned()));
    }
}

/// ID-2: a node remembers whom it found, and says what is true now.
async fn a_holder_who_is_remembered_is_asked_again(sandbox: &Sandbox) {
    define(sandbox).await;
    let card = new_card();
    let holder = async |node| ingested(sandbox, node, identified("", &[("card", &card)])).await.customer_id;
    let first = holder(0).await;
    found_everywhere(sandbox, "card", &card, &[&first]).await;
    released(sandbox, 1, &first, ("card", &card)).await;
    found_everywhere(sandbox, "card", &card, &[]).await;
    let second = holder(2).await;
    assert_ne!(first, second);
    for _ in 0..2 {
        found_everywhere(sandbox, "card", &card, &[&second]).await;
    }
    merged(sandbox, 0, &first, &second).await;
    for _ in 0..2 {
        found_everywhere(sandbox, "card", &card, &[&first]).await;
    }
    unmerged(sandbox, 1, &first, &second).await;
    found_everywhere(sandbox, "card", &card, &[&second]).await;
}
