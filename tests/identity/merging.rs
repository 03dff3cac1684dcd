//! Two customers who are one person become one, and two again, on every node at once (ID-4).

use custodia_proto::v1::{
    self, AppendEventsRequest, BatchGetProfilesRequest, GetAgentContextRequest, GetConsentsRequest,
    IngestProfileRequest, ListEventsRequest, MergeProfilesRequest, MergeProfilesResponse, Profile,
    RefusalReason, Survivorship, UnmergeProfilesRequest, UnmergeProfilesResponse,
};
use custodia_tests::sample::{consent, event, fault, get, ingest, new_id, observation, text_of, texts};
use custodia_tests::{Sandbox, Suite};
use futures::future::join_all;
use tonic::{Code, Status};

use crate::namespaces::{
    define, found_everywhere, identified, identifier, ingested, listed, new_card, new_email, patiently,
    released,
};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_merge_is_seen_by_every_node_at_once)
        .shared(a_merge_that_is_undone_gives_back_both)
        .shared(what_came_since_goes_back_to_its_source)
        .shared(an_identifier_of_a_merged_customer_is_the_survivors)
        .shared(merges_of_merges_lead_to_the_last_survivor_and_never_in_a_circle)
        .shared(of_two_merges_in_opposite_directions_one_wins_at_most)
        .shared(a_validated_merge_tells_what_would_happen_and_changes_nothing)
        .shared(writes_that_race_with_a_merge_are_in_the_survivor)
        .shared(an_event_of_either_is_stored_once)
        .shared(a_repeated_merge_is_answered_again)
        .shared(two_known_people_are_merged_where_the_namespace_wants_it)
        .shared(who_may_not_merge_is_refused_and_bad_input_is_named)
}

pub(crate) fn merge(survivor: &str, other: &str) -> MergeProfilesRequest {
    MergeProfilesRequest {
        customer_id: survivor.to_owned(),
        merged_customer_id: other.to_owned(),
        purpose: "service".to_owned(),
        request_id: new_id(),
        ..Default::default()
    }
}

pub(crate) fn unmerge(survivor: &str, other: &str) -> UnmergeProfilesRequest {
    UnmergeProfilesRequest {
        customer_id: survivor.to_owned(),
        merged_customer_id: other.to_owned(),
        purpose: "service".to_owned(),
        request_id: new_id(),
        ..Default::default()
    }
}

pub(crate) async fn try_merge(
    sandbox: &Sandbox,
    node: usize,
    request: MergeProfilesRequest,
) -> Result<MergeProfilesResponse, Status> {
    let mut identity = sandbox.identity(node).await;
    patiently(async || identity.merge_profiles(request.clone()).await).await.map(|answer| answer.into_inner())
}

pub(crate) async fn merged(
    sandbox: &Sandbox,
    node: usize,
    survivor: &str,
    other: &str,
) -> MergeProfilesResponse {
    try_merge(sandbox, node, merge(survivor, other)).await.expect("merged")
}

pub(crate) async fn try_unmerge(
    sandbox: &Sandbox,
    node: usize,
    request: UnmergeProfilesRequest,
) -> Result<UnmergeProfilesResponse, Status> {
    let mut identity = sandbox.identity(node).await;
    patiently(async || identity.unmerge_profiles(request.clone()).await)
        .await
        .map(|answer| answer.into_inner())
}

pub(crate) async fn unmerged(
    sandbox: &Sandbox,
    node: usize,
    survivor: &str,
    other: &str,
) -> UnmergeProfilesResponse {
    try_unmerge(sandbox, node, unmerge(survivor, other)).await.expect("unmerged")
}

pub(crate) async fn profile(sandbox: &Sandbox, node: usize, customer: &str) -> Profile {
    let mut profiles = sandbox.profiles(node).await;
    let answer = patiently(async || profiles.get_profile(get(customer, "service")).await).await;
    answer.expect("a profile").into_inner()
}

/// The ids of a customer's events, newest first, in pages of two.
pub(crate) async fn events(sandbox: &Sandbox, node: usize, customer: &str) -> Vec<String> {
    let mut profiles = sandbox.profiles(node).await;
    let mut ids = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListEventsRequest {
            customer_id: customer.to_owned(),
            purpose: "service".to_owned(),
            page_size: 2,
            page_token,
        };
        let answer = patiently(async || profiles.list_events(request.clone()).await).await;
        let page = answer.expect("events").into_inner();
        ids.extend(page.events.into_iter().map(|of| of.event.expect("an event").event_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return ids;
        }
    }
}

pub(crate) async fn consents(sandbox: &Sandbox, customer: &str) -> Vec<(String, i32, i32)> {
    let request =
        GetConsentsRequest { customer_id: customer.to_owned(), purpose: "privacy-requests".to_owned() };
    let answer = sandbox.consents(1).await.get_consents(request).await.expect("consents").into_inner();
    answer.consents.into_iter().map(|of| (of.purpose, of.lawful_basis, of.status)).collect()
}

/// What must be as before after a merge was undone.
pub(crate) async fn state(sandbox: &Sandbox, customer: &str) -> impl PartialEq + std::fmt::Debug + use<> {
    let of = profile(sandbox, 0, customer).await;
    (
        of.attributes,
        of.withheld,
        of.created_at,
        events(sandbox, 1, customer).await,
        listed(sandbox, 2, customer).await,
        consents(sandbox, customer).await,
    )
}

/// A customer with an address, a card, a name of a source and two events.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) card: String,
}

pub(crate) async fn person(sandbox: &Sandbox, name: &str, source: &str) -> Person {
    define(sandbox).await;
    let (email, card) = (new_email(name), new_card());
    let identifiers = [("email", email.as_str()), ("card", card.as_str())];
    let mut request = IngestProfileRequest { source: source.to_owned(), ..identified("", &identifiers) };
    request.observations = texts(&[("given_name", name), ("email", &email)]);
    let at = i64::try_from(name.len()).expect("short");
    request.events = vec![event(&format!("{name}-1"), at), event(&format!("{name}-2"), 1_000 + at)];
    Person { id: ingested(sandbox, 0, request).await.customer_id, email, card }
}

async fn a_merge_is_seen_by_every_node_at_once(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let answer = merged(sandbox, 1, &ana.id, &anna.id).await;
    assert_eq!(answer.customer_id, ana.id);
    assert!(!answer.already_merged && !answer.merge_id.is_empty());
    for node in 0..3 {
        for id in [&ana.id, &anna.id] {
            let of = profile(sandbox, node, id).await;
            assert_eq!(of.customer_id, ana.id);
            assert_eq!(of.merged_customer_ids, std::slice::from_ref(&anna.id));
            assert_eq!(text_of(&of, "given_name").as_deref(), Some("annalena"), "the newest");
            let all = ["annalena-2", "ana-2", "annalena-1", "ana-1"];
            assert_eq!(events(sandbox, node, id).await, all);
            let known: Vec<_> = listed(sandbox, node, id).await.into_iter().map(|of| of.value).collect();
            assert_eq!(known.len(), 4, "{known:?}");
            let batch = BatchGetProfilesRequest {
                customer_ids: vec![id.clone(), ana.id.clone()],
                purpose: "service".to_owned(),
                ..Default::default()
            };
            let batch = sandbox.profiles(node).await.batch_get_profiles(batch).await.expect("both");
            for one in batch.into_inner().profiles {
                let Some(v1::batch_profile::Result::Profile(one)) = one.result else { panic!("{one:?}") };
                assert_eq!(one.customer_id, ana.id);
            }
        }
        for identifier in [&ana.email, &anna.email] {
            found_everywhere(sandbox, "email", identifier, &[&ana.id]).await;
        }
        found_everywhere(sandbox, "card", &anna.card, &[&ana.id]).await;
        let context = GetAgentContextRequest {
            identifier: Some(identifier("card", &anna.card)),
            purpose: "service".to_owned(),
            interactions_max: 20,
            ..Default::default()
        };
        let context = sandbox.identity(node).await.get_agent_context(context).await.expect("a context");
        let context = context.into_inner();
        assert_eq!(context.profile.expect("one holder").customer_id, ana.id);
        assert_eq!(context.interactions[0].events.len(), 4);
    }
    // A write by the old id, or by an old identifier, reaches the survivor.
    let by_id = ingested(sandbox, 2, ingest(&anna.id, texts(&[("given_name", "Ana Lena")]))).await;
    assert_eq!(by_id.customer_id, ana.id);
    let by_card = ingested(sandbox, 0, identified("", &[("card", &anna.card)])).await;
    assert_eq!(by_card.customer_id, ana.id);
    assert!(!by_card.created && by_card.identifiers[0].merged, "{by_card:?}");
}

async fn a_merge_that_is_undone_gives_back_both(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let mut consents = sandbox.consents(0).await;
    consents.record_consent(consent(&anna.id, "marketing")).await.expect("a consent");
    let before = (state(sandbox, &ana.id).await, state(sandbox, &anna.id).await);
    for node in 0..3 {
        merged(sandbox, node, &ana.id, &anna.id).await;
        assert_ne!(state(sandbox, &ana.id).await, before.0);
        let answer = unmerged(sandbox, node, &ana.id, &anna.id).await;
        assert_eq!((answer.merged_customer_id.as_str(), answer.events_moved), (anna.id.as_str(), 0));
        assert_eq!(state(sandbox, &ana.id).await, before.0);
        assert_eq!(state(sandbox, &anna.id).await, before.1);
        found_everywhere(sandbox, "email", &anna.email, &[&anna.id]).await;
        found_everywhere(sandbox, "email", &ana.email, &[&ana.id]).await;
    }
    // Both live on.
    let answer = ingested(sandbox, 1, ingest(&anna.id, texts(&[("given_name", "Anna")]))).await;
    assert_eq!(answer.customer_id, anna.id);
}

async fn what_came_since_goes_back_to_its_source(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    merged(sandbox, 0, &ana.id, &anna.id).await;
    let (of_crm, of_shop) = (new_card(), new_card());
    for (source, card, phone, id) in
        [("crm", &of_crm, "030 901820", "crm-3"), ("shop", &of_shop, "030 901821", "shop-3")]
    {
        let mut request =
            IngestProfileRequest { source: source.to_owned(), ..identified(&ana.id, &[("card", card)]) };
        request.observations = texts(&[("phone", phone)]);
        request.events = vec![event(id, 5_000)];
        assert!(ingested(sandbox, 1, request).await.identifiers[0].merged);
    }
    assert_eq!(events(sandbox, 0, &anna.id).await.len(), 6);
    let answer = unmerged(sandbox, 2, &ana.id, &anna.id).await;
    assert_eq!((answer.events_moved, answer.sources), (1, vec!["crm".to_owned()]));
    assert_eq!(events(sandbox, 0, &ana.id).await, ["shop-3", "ana-2", "ana-1"]);
    assert_eq!(events(sandbox, 1, &anna.id).await, ["crm-3", "annalena-2", "annalena-1"]);
    found_everywhere(sandbox, "card", &of_crm, &[&anna.id]).await;
    found_everywhere(sandbox, "card", &of_shop, &[&ana.id]).await;
    assert_eq!(text_of(&profile(sandbox, 0, &ana.id).await, "phone").as_deref(), Some("030 901821"));
    // What the other source said of the phone was replaced meanwhile, as in any ingest.
    assert_eq!(text_of(&profile(sandbox, 1, &anna.id).await, "phone"), None);
    assert_eq!(text_of(&profile(sandbox, 2, &ana.id).await, "given_name").as_deref(), Some("ana"));
    // Who holds the card now keeps others from it.
    let third = person(sandbox, "third", "web").await;
    let taken = ingested(sandbox, 0, identified(&third.id, &[("card", &of_crm)])).await;
    assert_eq!(taken.identifiers[0].held_by, anna.id);
}

async fn an_identifier_of_a_merged_customer_is_the_survivors(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let third = person(sandbox, "third", "web").await;
    merged(sandbox, 0, &ana.id, &anna.id).await;
    for node in 0..3 {
        let taken = ingested(sandbox, node, identified(&third.id, &[("card", &anna.card)])).await;
        assert_eq!(taken.identifiers[0].refusal(), RefusalReason::IdentifierTaken);
        assert_eq!(taken.identifiers[0].held_by, ana.id);
    }
    assert!(released(sandbox, 1, &anna.id, ("card", &anna.card)).await.released);
    found_everywhere(sandbox, "card", &anna.card, &[]).await;
    // The survivor may have it again, although the index still knows the other one.
    assert!(ingested(sandbox, 2, identified(&ana.id, &[("card", &anna.card)])).await.identifiers[0].merged);
    assert!(released(sandbox, 0, &ana.id, ("card", &anna.card)).await.released);
    assert!(ingested(sandbox, 0, identified(&third.id, &[("card", &anna.card)])).await.identifiers[0].merged);
    found_everywhere(sandbox, "card", &anna.card, &[&third.id]).await;
    // What was lost since is given back to nobody.
    unmerged(sandbox, 2, &ana.id, &anna.id).await;
    found_everywhere(sandbox, "card", &anna.card, &[&third.id]).await;
    found_everywhere(sandbox, "email", &anna.email, &[&anna.id]).await;
    assert!(listed(sandbox, 0, &anna.id).await.iter().all(|of| of.namespace != "card"));
}

async fn merges_of_merges_lead_to_the_last_survivor_and_never_in_a_circle(sandbox: &Sandbox) {
    let (one, two) = (person(sandbox, "one", "shop").await, person(sandbox, "two", "crm").await);
    let (three, four) = (person(sandbox, "three", "web").await, person(sandbox, "four", "app").await);
    let before = state(sandbox, &one.id).await;
    merged(sandbox, 0, &two.id, &one.id).await;
    merged(sandbox, 1, &three.id, &two.id).await;
    merged(sandbox, 2, &three.id, &four.id).await;
    for node in 0..3 {
        for of in [&one, &two, &three, &four] {
            assert_eq!(profile(sandbox, node, &of.id).await.customer_id, three.id);
            assert_eq!(events(sandbox, node, &of.id).await.len(), 8);
            found_everywhere(sandbox, "email", &of.email, &[&three.id]).await;
        }
    }
    // Nobody is merged into who is part of it, by whichever id.
    for (survivor, other) in [(&one, &three), (&one, &two), (&three, &three)] {
        let refused = try_merge(sandbox, 0, merge(&survivor.id, &other.id)).await;
        match refused {
            Ok(answer) => assert!(answer.already_merged, "{answer:?}"),
            Err(status) => {
                assert!(matches!(status.code(), Code::FailedPrecondition | Code::InvalidArgument), "{status}")
            }
        }
        assert_eq!(profile(sandbox, 1, &one.id).await.customer_id, three.id);
    }
    let too_early = try_unmerge(sandbox, 0, unmerge(&three.id, &two.id)).await.expect_err("not the last");
    assert_eq!(fault(&too_early).1, "NOT_MERGED");
    unmerged(sandbox, 0, &three.id, &four.id).await;
    unmerged(sandbox, 1, &three.id, &two.id).await;
    assert_eq!(profile(sandbox, 2, &one.id).await.customer_id, two.id);
    unmerged(sandbox, 2, &two.id, &one.id).await;
    assert_eq!(state(sandbox, &one.id).await, before);
}

async fn of_two_merges_in_opposite_directions_one_wins_at_most(sandbox: &Sandbox) {
    for _ in 0..5 {
        let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
        let requests = [merge(&ana.id, &anna.id), merge(&anna.id, &ana.id), merge(&ana.id, &anna.id)];
        let tried = requests.into_iter().zip(0..).map(|(request, node)| try_merge(sandbox, node, request));
        let _answers = join_all(tried).await;
        let survivor = profile(sandbox, 0, &ana.id).await.customer_id;
        let other = profile(sandbox, 1, &anna.id).await.customer_id;
        // Whatever happened, a merge now succeeds or has already.
        if survivor != other {
            merged(sandbox, 2, &ana.id, &anna.id).await;
        }
        let survivor = profile(sandbox, 0, &ana.id).await.customer_id;
        for node in 0..3 {
            assert_eq!(profile(sandbox, node, &anna.id).await.customer_id, survivor);
            assert_eq!(events(sandbox, node, &ana.id).await.len(), 4);
        }
        found_everywhere(sandbox, "email", &ana.email, &[&survivor]).await;
        found_everywhere(sandbox, "email", &anna.email, &[&survivor]).await;
    }
}

async fn a_validated_merge_tells_what_would_happen_and_changes_nothing(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let before = (state(sandbox, &ana.id).await, state(sandbox, &anna.id).await);
    let request = MergeProfilesRequest {
        validate_only: true,
        survivorship: Survivorship::TrustedSource.into(),
        trusted_sources: vec!["shop".to_owned()],
        attributes: vec![v1::AttributeSurvivorship {
            attribute: "email".to_owned(),
            survivorship: Survivorship::Merged.into(),
        }],
        ..merge(&ana.id, &anna.id)
    };
    let answer = try_merge(sandbox, 2, request).await.expect("validated");
    let choice = |name: &str| answer.attributes.iter().find(|of| of.attribute == name).expect("a choice");
    assert_eq!(choice("given_name").kept_from, ana.id);
    assert_eq!(choice("given_name").kept, custodia_tests::sample::text("ana"));
    assert_eq!(choice("email").kept_from, anna.id);
    assert_eq!(choice("email").lost, custodia_tests::sample::text(ana.email.as_str()));
    assert_eq!((answer.identifiers_gained, answer.attributes_gained), (2, 0));
    assert_eq!((state(sandbox, &ana.id).await, state(sandbox, &anna.id).await), before);
}

async fn writes_that_race_with_a_merge_are_in_the_survivor(sandbox: &Sandbox) {
    for round in 0..3 {
        let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
        let (ana_id, anna_id) = (&ana.id, &anna.id);
        let writes = (0..24).map(|number: usize| async move {
            let id = if number.is_multiple_of(2) { ana_id } else { anna_id };
            let event_id = format!("race-{number}");
            let mut request = ingest(id, vec![observation("phone", &format!("030 9018{number:02}"))]);
            request.events = vec![event(&event_id, 10_000 + i64::try_from(number).expect("small"))];
            let answer = ingested(sandbox, number % 3, request).await;
            assert!(answer.events[0].appended, "{answer:?}");
            event_id
        });
        let (acknowledged, _) = futures::join!(join_all(writes.collect::<Vec<_>>()), async {
            merged(sandbox, round, &ana.id, &anna.id).await
        },);
        let seen = events(sandbox, round, &anna.id).await;
        for id in &acknowledged {
            assert_eq!(seen.iter().filter(|of| *of == id).count(), 1, "{id} in {seen:?}");
        }
        assert_eq!(seen.len(), 28);
    }
}

async fn an_event_of_either_is_stored_once(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    merged(sandbox, 0, &ana.id, &anna.id).await;
    let append = |id: &str, at| AppendEventsRequest {
        customer_id: ana.id.clone(),
        purpose: "service".to_owned(),
        source: "crm".to_owned(),
        events: vec![event(id, at)],
        request_id: new_id(),
        ..Default::default()
    };
    let at = i64::try_from("annalena".len()).expect("short");
    let mut profiles = sandbox.profiles(1).await;
    let again = profiles.append_events(append("annalena-1", at)).await.expect("the same").into_inner();
    assert!(again.events[0].appended, "{again:?}");
    let other = profiles.append_events(append("annalena-1", at + 7)).await.expect("answered").into_inner();
    assert_eq!(other.events[0].refusal(), RefusalReason::EventIdReused);
    assert_eq!(events(sandbox, 2, &ana.id).await.len(), 4);
}

async fn a_repeated_merge_is_answered_again(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let request = merge(&ana.id, &anna.id);
    let first = try_merge(sandbox, 0, request.clone()).await.expect("merged");
    for node in 0..3 {
        assert_eq!(try_merge(sandbox, node, request.clone()).await.expect("again"), first);
    }
    let other = merged(sandbox, 1, &ana.id, &anna.id).await;
    assert!(other.already_merged && other.merge_id == first.merge_id);
    let undo = unmerge(&ana.id, &anna.id);
    let first = try_unmerge(sandbox, 0, undo.clone()).await.expect("unmerged");
    assert_eq!(try_unmerge(sandbox, 2, undo).await.expect("again"), first);
    let nothing = try_unmerge(sandbox, 1, unmerge(&ana.id, &anna.id)).await.expect_err("nothing to undo");
    assert_eq!(fault(&nothing).1, "NOT_MERGED");
}

async fn two_known_people_are_merged_where_the_namespace_wants_it(sandbox: &Sandbox) {
    define(sandbox).await;
    let (email, login) = (new_email("known"), new_id());
    let one = ingested(sandbox, 0, identified("", &[("email", &email)])).await;
    let two = ingested(sandbox, 1, identified("", &[("login", &login)])).await;
    assert_ne!(one.customer_id, two.customer_id);
    let both = identified("", &[("email", &email), ("login", &login)]);
    let answer = ingested(sandbox, 2, both.clone()).await;
    assert_eq!(answer.customer_id, one.customer_id);
    assert_eq!(answer.merged_customer_ids, std::slice::from_ref(&two.customer_id));
    assert!(answer.identifiers.iter().all(|of| of.merged && of.held_by.is_empty()), "{answer:?}");
    let after = profile(sandbox, 0, &two.customer_id).await;
    assert_eq!((after.customer_id, after.etag), (one.customer_id.clone(), answer.etag.clone()));
    assert_eq!(ingested(sandbox, 0, both).await, answer, "a retry");
    // Whoever names the customer may be mistaken about the identifier, and limits hold: a person has one login here.
    let three = ingested(sandbox, 0, identified("", &[("login", &new_id()), ("card", &new_card())])).await;
    let theirs = listed(sandbox, 0, &three.customer_id).await;
    let card = theirs.iter().find(|of| of.namespace == "card").expect("a card").value.clone();
    let login = theirs.iter().find(|of| of.namespace == "login").expect("a login").value.clone();
    let named = ingested(sandbox, 1, identified(&one.customer_id, &[("login", &login)])).await;
    assert!(!named.identifiers[0].merged && named.merged_customer_ids.is_empty(), "{named:?}");
    let found =
        ingested(sandbox, 2, identified("", &[("email", &email), ("login", &login), ("card", &card)])).await;
    assert!(found.merged_customer_ids.is_empty() && found.customer_id == one.customer_id, "{found:?}");
    assert_eq!(profile(sandbox, 0, &three.customer_id).await.customer_id, three.customer_id);
}

async fn who_may_not_merge_is_refused_and_bad_input_is_named(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let channel = sandbox.channel_as(0, "agent", "desktop").await;
    let mut agent = v1::identity_service_client::IdentityServiceClient::new(channel);
    let refused = agent.merge_profiles(merge(&ana.id, &anna.id)).await.expect_err("refused");
    assert_eq!(fault(&refused).1, "ROLE_NOT_ALLOWED");
    let unknown = custodia_tests::sample::new_customer();
    for (request, code, field) in [
        (merge(&ana.id, ""), Code::InvalidArgument, "merged_customer_id"),
        (merge(&ana.id, "anna"), Code::InvalidArgument, "merged_customer_id"),
        (merge(&ana.id, &ana.id), Code::InvalidArgument, "merged_customer_id"),
        (merge("", &anna.id), Code::InvalidArgument, "customer_id"),
        (merge(&ana.id, &unknown), Code::NotFound, ""),
        (merge(&unknown, &anna.id), Code::NotFound, ""),
        (
            MergeProfilesRequest { survivorship: 77, ..merge(&ana.id, &anna.id) },
            Code::InvalidArgument,
            "survivorship",
        ),
        (
            MergeProfilesRequest {
                attributes: vec![v1::AttributeSurvivorship {
                    attribute: "no-such".to_owned(),
                    survivorship: 1,
                }],
                ..merge(&ana.id, &anna.id)
            },
            Code::InvalidArgument,
            "attributes[0].attribute",
        ),
    ] {
        let refused = try_merge(sandbox, 0, request).await.expect_err("refused");
        let (is, _, named) = fault(&refused);
        assert_eq!((is, named.as_str()), (code, field), "{refused}");
        assert_eq!(profile(sandbox, 1, &anna.id).await.customer_id, anna.id);
    }
}
