//! An identifier of one person is held by one customer at most, whoever registers it and when (ID-1, ID-2).

use custodia_proto::v1::identity_service_client::IdentityServiceClient;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{self, IngestProfileRequest, Recipient, RefusalReason};
use custodia_tests::actions::create_recipient;
use custodia_tests::sample::{grant, ingest, new_customer, new_id, texts};
use custodia_tests::{Sandbox, Suite};
use futures::future::join_all;
use tonic::Code;

use crate::namespaces::{
    define, found_everywhere, identified, identifier, ingested, new_card, new_email, observed, released,
};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(an_identifier_that_another_holds_is_refused_and_the_rest_goes_on)
        .shared(of_those_who_register_an_identifier_at_once_one_gets_it)
        .shared(two_who_want_two_identifiers_of_each_other_do_not_wait_for_ever)
        .shared(a_released_identifier_is_free_on_every_node_at_once)
        .shared(a_validated_ingest_tells_what_is_taken_and_claims_nothing)
        .shared(a_shared_identifier_has_sixteen_holders_at_most)
        .shared(a_refused_identifier_is_told_with_its_reason)
        .shared(a_writer_who_may_not_read_does_not_learn_who_is_known)
        .shared(many_taken_identifiers_do_not_exhaust_a_write)
        .shared(the_etag_of_a_release_is_the_current_one)
        .shared(a_collector_touches_no_identifier_that_its_purpose_has_no_use_for)
}

async fn an_identifier_that_another_holds_is_refused_and_the_rest_goes_on(sandbox: &Sandbox) {
    define(sandbox).await;
    let (email, card) = (new_email("first"), new_card());
    let first = ingested(sandbox, 0, identified(&new_customer(), &[("email", &email)])).await;
    let second = identified(&new_customer(), &[("email", &email), ("card", &card)]);
    let second = ingested(sandbox, 1, second).await;
    assert_eq!(second.identifiers[0].refusal(), RefusalReason::IdentifierTaken);
    assert_eq!(second.identifiers[0].held_by, first.customer_id);
    assert!(second.identifiers[1].merged && second.attributes[0].merged, "{second:?}");
    found_everywhere(sandbox, "email", &email, &[&first.customer_id]).await;
    found_everywhere(sandbox, "card", &card, &[&second.customer_id]).await;
    // An attribute that is an identifier is stored all the same.
    let third = ingest(&new_customer(), texts(&[("email", &email)]));
    let third = ingested(sandbox, 2, third).await;
    assert!(third.attributes[0].merged);
    assert_eq!(third.identifiers[0].refusal(), RefusalReason::IdentifierTaken);
    assert_eq!(third.identifiers[0].attribute, "email");
    found_everywhere(sandbox, "email", &email, &[&first.customer_id]).await;
    // And of one who has it already, it is registered by the attribute too.
    let other = new_email("attribute");
    let fourth = ingested(sandbox, 0, ingest(&new_customer(), texts(&[("email", &other)]))).await;
    assert!(fourth.identifiers[0].merged, "{fourth:?}");
    found_everywhere(sandbox, "email", &other.to_uppercase(), &[&fourth.customer_id]).await;
}

async fn of_those_who_register_an_identifier_at_once_one_gets_it(sandbox: &Sandbox) {
    define(sandbox).await;
    for _ in 0..20 {
        let email = new_email("race");
        let customers: Vec<_> = (0..6).map(|_| new_customer()).collect();
        let registered = customers.iter().enumerate().map(|(number, customer)| {
            ingested(sandbox, number % 3, identified(customer, &[("email", &email)]))
        });
        let answers = join_all(registered).await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.identifiers[0].merged).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        found_everywhere(sandbox, "email", &email, &[&winners[0].customer_id]).await;
        for loser in answers.iter().filter(|answer| !answer.identifiers[0].merged) {
            assert_eq!(loser.identifiers[0].refusal(), RefusalReason::IdentifierTaken);
            assert_eq!(loser.identifiers[0].held_by, winners[0].customer_id);
        }
    }
}

async fn two_who_want_two_identifiers_of_each_other_do_not_wait_for_ever(sandbox: &Sandbox) {
    define(sandbox).await;
    for _ in 0..20 {
        let wanted: Vec<_> = (0..4).map(|_| new_email("both")).collect();
        let customers: Vec<_> = (0..4).map(|_| new_customer()).collect();
        let registered = customers.iter().enumerate().map(|(number, customer)| {
            let mut identifiers: Vec<_> = wanted.iter().map(|email| ("email", email.as_str())).collect();
            identifiers.rotate_left(number);
            ingested(sandbox, number % 3, identified(customer, &identifiers))
        });
        let answers = join_all(registered).await;
        let merged = |answer: &v1::IngestProfileResponse| {
            answer.identifiers.iter().filter(|outcome| outcome.merged).count()
        };
        assert_eq!(answers.iter().map(merged).sum::<usize>(), wanted.len(), "{answers:?}");
    }
}

async fn a_released_identifier_is_free_on_every_node_at_once(sandbox: &Sandbox) {
    define(sandbox).await;
    let card = new_card();
    let mut holder = ingested(sandbox, 0, identified(&new_customer(), &[("card", &card)])).await;
    for round in 0..6 {
        let answer = released(sandbox, round % 3, &holder.customer_id, ("card", &card)).await;
        assert!(answer.released);
        assert!(!released(sandbox, 0, &holder.customer_id, ("card", &card)).await.released, "once");
        found_everywhere(sandbox, "card", &card, &[]).await;
        let next = identified(&new_customer(), &[("card", &card)]);
        holder = ingested(sandbox, (round + 1) % 3, next).await;
        assert!(holder.identifiers[0].merged, "{holder:?}");
        found_everywhere(sandbox, "card", &card, &[&holder.customer_id]).await;
    }
}

async fn a_validated_ingest_tells_what_is_taken_and_claims_nothing(sandbox: &Sandbox) {
    define(sandbox).await;
    let (taken, free) = (new_email("taken"), new_email("free"));
    ingested(sandbox, 0, identified(&new_customer(), &[("email", &taken)])).await;
    let request = IngestProfileRequest {
        validate_only: true,
        ..identified(&new_customer(), &[("email", &taken), ("email", &free)])
    };
    let answer = ingested(sandbox, 1, request).await;
    assert_eq!(answer.identifiers[0].refusal(), RefusalReason::IdentifierTaken);
    assert!(answer.identifiers[1].merged);
    found_everywhere(sandbox, "email", &free, &[]).await;
    let other = ingested(sandbox, 2, identified(&new_customer(), &[("email", &free)])).await;
    assert!(other.identifiers[0].merged);
}

async fn a_shared_identifier_has_sixteen_holders_at_most(sandbox: &Sandbox) {
    define(sandbox).await;
    let number = format!("030 9019{:05}", uuid::Uuid::new_v4().as_u128() % 100_000);
    let customers: Vec<_> = (0..17).map(|_| new_customer()).collect();
    let registered = customers
        .iter()
        .enumerate()
        .map(|(at, customer)| ingested(sandbox, at % 3, identified(customer, &[("phone", &number)])));
    let answers = join_all(registered).await;
    let refused: Vec<_> = answers.iter().filter(|answer| !answer.identifiers[0].merged).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].identifiers[0].refusal(), RefusalReason::IdentifierSharedLimit);
    let one = answers.iter().find(|answer| answer.identifiers[0].merged).expect("sixteen");
    assert!(released(sandbox, 0, &one.customer_id, ("phone", &number)).await.released);
    let again = ingested(sandbox, 1, identified(&refused[0].customer_id, &[("phone", &number)])).await;
    assert!(again.identifiers[0].merged, "{again:?}");
}

async fn a_refused_identifier_is_told_with_its_reason(sandbox: &Sandbox) {
    define(sandbox).await;
    let mut request = identified(
        &new_customer(),
        &[("email", "nobody"), ("email", "test@example.org"), ("fax", "1"), ("card", "12345678 ")],
    );
    request.identifiers.push(observed("device", &"x".repeat(300)));
    let answer = ingested(sandbox, 0, request).await;
    let refusals: Vec<_> = answer.identifiers.iter().map(v1::IdentifierOutcome::refusal).collect();
    assert_eq!(
        refusals,
        [
            RefusalReason::IdentifierInvalid,
            RefusalReason::IdentifierBlocked,
            RefusalReason::UnknownNamespace,
            RefusalReason::Unspecified,
            RefusalReason::IdentifierInvalid,
        ]
    );
    assert!(answer.identifiers.iter().all(|outcome| outcome.merged == outcome.explanation.is_empty()));
    let marketing = IngestProfileRequest {
        purpose: "marketing".to_owned(),
        consents: vec![grant("marketing")],
        ..identified(&answer.customer_id, &[("card", &new_card()), ("email", &new_email("ads"))])
    };
    let answer = ingested(sandbox, 0, marketing).await;
    assert_eq!(answer.identifiers[0].refusal(), RefusalReason::PurposeNotAllowed);
    assert!(answer.identifiers[1].merged);
}

async fn a_writer_who_may_not_read_does_not_learn_who_is_known(sandbox: &Sandbox) {
    define(sandbox).await;
    let recipient = Recipient {
        id: "till-identity".to_owned(),
        collection_purposes: vec!["service".to_owned()],
        ..Default::default()
    };
    create_recipient(sandbox, 0, recipient).await;
    let (known, unknown) = (new_email("known"), new_email("unknown"));
    let holder = ingested(sandbox, 0, identified("", &[("email", &known)])).await.customer_id;
    for node in 0..3 {
        let channel = sandbox.channel_as(node, "ingest", "till-identity").await;
        let mut till = ProfileServiceClient::new(channel);
        let mut answers = Vec::new();
        for email in [&known, &unknown] {
            let named = new_customer();
            for customer in ["", named.as_str()] {
                let request = identified(customer, &[("email", email)]);
                let answer = till.ingest_profile(request).await.expect("taken");
                let names_leader = answer.metadata().contains_key(custodia_proto::LEADER_METADATA);
                assert!(!(customer.is_empty() && names_leader), "the leader would tell it too");
                let mut answer = answer.into_inner();
                assert_eq!(answer.customer_id, customer, "an id would tell who is known");
                answer.customer_id.clear();
                assert!(answer.identifiers[0].merged && answer.identifiers[0].held_by.is_empty());
                answers.push(answer);
            }
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        // How the customer was found is not for a caller to say.
        for email in [&known, &unknown] {
            let customer = new_customer();
            let probe = IngestProfileRequest {
                found_by: 1,
                validate_only: true,
                ..identified(&customer, &[("email", email)])
            };
            let answer = till.ingest_profile(probe).await.expect("judged").into_inner();
            assert_eq!(answer.customer_id, customer);
        }
        // An attribute that is an identifier: whether it is newer than what is stored.
        let mut told = Vec::new();
        for seconds in [1, 1_700_000_000 + i64::try_from(node).expect("small")] {
            let mut probe = ingest(&holder, texts(&[("email", &new_email("probe"))]));
            probe.observations[0].observed_at = Some(custodia_proto::Timestamp { seconds, nanos: 0 });
            told.push(till.ingest_profile(probe).await.expect("judged").into_inner());
        }
        assert_eq!(told[0], told[1]);
    }
}

/// Regression: each taken identifier made room for another one, and after eight rounds the write failed for ever.
async fn many_taken_identifiers_do_not_exhaust_a_write(sandbox: &Sandbox) {
    define(sandbox).await;
    let mut all = Vec::new();
    for _ in 0..10 {
        let passport = new_id();
        ingested(sandbox, 0, identified(&new_customer(), &[("passport", &passport)])).await;
        all.push(passport);
    }
    all.push(new_id());
    let wanted: Vec<_> = all.iter().map(|passport| ("passport", passport.as_str())).collect();
    let request = identified(&new_customer(), &wanted);
    let answer = sandbox.profiles(1).await.ingest_profile(request).await.expect("it ends").into_inner();
    assert!(answer.identifiers[..10].iter().all(|of| of.refusal() == RefusalReason::IdentifierTaken));
    assert!(answer.identifiers[10].merged, "{answer:?}");
}

/// Regression: the entry in the index was emptied at once, which raised the revision behind the answer's back.
async fn the_etag_of_a_release_is_the_current_one(sandbox: &Sandbox) {
    define(sandbox).await;
    let card = new_card();
    let customer = ingested(sandbox, 0, identified("", &[("card", &card)])).await.customer_id;
    let etag = released(sandbox, 1, &customer, ("card", &card)).await.etag;
    let next = IngestProfileRequest { etag, ..identified(&customer, &[("card", &new_card())]) };
    let answer = sandbox.profiles(2).await.ingest_profile(next).await.expect("nothing has changed since");
    assert!(answer.into_inner().identifiers[0].merged);
}

async fn a_collector_touches_no_identifier_that_its_purpose_has_no_use_for(sandbox: &Sandbox) {
    define(sandbox).await;
    let recipient = Recipient {
        id: "ads-collector".to_owned(),
        purposes: vec!["marketing".to_owned()],
        collection_purposes: vec!["marketing".to_owned()],
        ..Default::default()
    };
    create_recipient(sandbox, 0, recipient).await;
    let card = new_card();
    let customer = ingested(sandbox, 0, identified("", &[("card", &card)])).await.customer_id;
    let mut ads = IdentityServiceClient::new(sandbox.channel_as(1, "ingest", "ads-collector").await);
    for value in [card.clone(), new_card()] {
        let identifier = Some(identifier("card", &value));
        let release = v1::ReleaseIdentifierRequest {
            customer_id: customer.clone(),
            purpose: "marketing".to_owned(),
            identifier: identifier.clone(),
            ..Default::default()
        };
        let status = ads.release_identifier(release).await.expect_err("no use for cards");
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
        let update = v1::UpdateIdentifierRequest {
            customer_id: customer.clone(),
            purpose: "marketing".to_owned(),
            identifier,
            bounced_at: Some(custodia_proto::Timestamp { seconds: 1, nanos: 0 }),
            ..Default::default()
        };
        let status = ads.update_identifier(update).await.expect_err("no use for cards");
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    }
    found_everywhere(sandbox, "card", &card, &[&customer]).await;
}
