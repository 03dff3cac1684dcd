//! The agent's context: everything about a caller in one call (PR-5).

use custodia_proto::v1::{self, ContactVerdict, GetAgentContextRequest, RefusalReason};
use custodia_tests::sample::{event, fault, grant, new_id, text_of};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

use crate::namespaces::{define, identified, identifier, ingested, new_card, new_email};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(an_agent_sees_who_calls_and_what_happened_on_each_channel)
        .shared(an_agent_chooses_among_those_who_share_a_telephone)
        .shared(an_agent_is_not_shown_what_the_law_withholds)
        .shared(a_malformed_question_names_its_field)
}

fn by(identifier: v1::Identifier) -> GetAgentContextRequest {
    GetAgentContextRequest {
        identifier: Some(identifier),
        purpose: "service".to_owned(),
        ..Default::default()
    }
}

async fn an_agent_sees_who_calls_and_what_happened_on_each_channel(sandbox: &Sandbox) {
    define(sandbox).await;
    let (email, card) = (new_email("agent"), new_card());
    let mut request = identified("", &[("email", &email), ("card", &card)]);
    for number in 0..40 {
        let channel = ["web", "email", "phone", "store"][number % 4].to_owned();
        let id = format!("e-{number}");
        let at = i64::try_from(number).expect("small") * 1_000;
        request.events.push(v1::Event { channel, ..event(&id, at) });
    }
    request.events.push(v1::Event { channel: String::new(), ..event("old", -1_000) });
    let customer = ingested(sandbox, 0, request).await.customer_id;
    for node in 0..3 {
        let mut identity = sandbox.identity(node).await;
        let by_email = by(identifier("email", &email));
        let by_id =
            GetAgentContextRequest { customer_id: customer.clone(), identifier: None, ..by_email.clone() };
        let context = identity.get_agent_context(by_email.clone()).await.expect("found").into_inner();
        let same = identity.get_agent_context(by_id).await.expect("found").into_inner();
        assert_eq!(context.interactions, same.interactions);
        let profile = context.profile.as_ref().expect("one holder");
        assert_eq!(profile.customer_id, customer);
        assert_eq!(text_of(profile, "given_name").as_deref(), Some("Ana"));
        let seen: Vec<_> = context
            .interactions
            .iter()
            .map(|of| {
                let ids: Vec<_> = of
                    .events
                    .iter()
                    .map(|one| one.event.as_ref().expect("an event").event_id.clone())
                    .collect();
                (of.channel.as_str(), ids.join(" "))
            })
            .collect();
        let expected = [
            ("store", "e-39 e-35 e-31"),
            ("phone", "e-38 e-34 e-30"),
            ("email", "e-37 e-33 e-29"),
            ("web", "e-36 e-32 e-28"),
            ("", "old"),
        ];
        assert_eq!(seen, expected.map(|(channel, ids)| (channel, ids.to_owned())));
        assert!(!context.has_older_events && context.withheld_events.is_empty());
        let known: Vec<_> =
            context.identifiers.iter().map(|of| (of.namespace.as_str(), of.value.as_str())).collect();
        assert_eq!(known, [("card", format!("…{}", &card[6..]).as_str()), ("email", "a…@example.org")]);
        assert!(context.identifiers.iter().all(|of| of.original.is_empty()));
        let verdict = |name: &str| {
            let channel = context.channels.iter().find(|of| of.channel == name).expect("a channel");
            (channel.verdict(), channel.reason())
        };
        assert_eq!(verdict("email"), (ContactVerdict::Allowed, RefusalReason::Unspecified));
        let unknown = RefusalReason::TimeZoneUnknown;
        assert_eq!(verdict("phone"), (ContactVerdict::NotAllowed, unknown), "it may be night there");
        assert_eq!(context.channels.len(), 11, "every channel of the catalogue");
        let one = GetAgentContextRequest { interactions_max: 1, ..by_email };
        let context = identity.get_agent_context(one).await.expect("found").into_inner();
        assert!(context.interactions.iter().all(|of| of.events.len() == 1));
    }
}

async fn an_agent_chooses_among_those_who_share_a_telephone(sandbox: &Sandbox) {
    define(sandbox).await;
    let number = format!("030 9016{:05}", uuid::Uuid::new_v4().as_u128() % 100_000);
    let mut household = Vec::new();
    for node in 0..2 {
        household.push(ingested(sandbox, node, identified("", &[("phone", &number)])).await.customer_id);
    }
    household.sort_unstable();
    for node in 0..3 {
        let mut identity = sandbox.identity(node).await;
        let asked = by(identifier("phone", &number));
        let context = identity.get_agent_context(asked.clone()).await.expect("found").into_inner();
        assert!(context.profile.is_none() && context.interactions.is_empty());
        let candidates: Vec<_> = context.candidates.iter().map(|of| of.customer_id.clone()).collect();
        assert_eq!(candidates, household);
        assert!(context.candidates.iter().all(|of| text_of(of, "given_name").as_deref() == Some("Ana")));
        let chosen = GetAgentContextRequest { customer_id: household[1].clone(), ..asked };
        let context = identity.get_agent_context(chosen).await.expect("found").into_inner();
        assert_eq!(context.profile.expect("one").customer_id, household[1]);
    }
}

async fn an_agent_is_not_shown_what_the_law_withholds(sandbox: &Sandbox) {
    define(sandbox).await;
    let email = new_email("withheld");
    let mut request = identified("", &[("email", &email)]);
    request.consents.push(grant("marketing"));
    request.events.push(event("e-1", 1));
    let customer = ingested(sandbox, 0, request).await.customer_id;
    let mut identity = sandbox.identity(1).await;
    let marketing =
        GetAgentContextRequest { purpose: "marketing".to_owned(), ..by(identifier("email", &email)) };
    let context = identity.get_agent_context(marketing).await.expect("found").into_inner();
    assert!(context.interactions.is_empty(), "collected for service");
    assert_eq!(context.withheld_events[0].reason(), RefusalReason::PurposeNotAllowed);
    let withdrawal = custodia_tests::sample::withdrawal(&customer, "service");
    sandbox.consents(2).await.withdraw_consent(withdrawal).await.expect("withdrawn");
    let asked = by(identifier("email", &email));
    let context = identity.get_agent_context(asked).await.expect("found").into_inner();
    assert!(context.interactions.is_empty() && context.identifiers.is_empty(), "{context:?}");
    assert!(context.profile.expect("known").attributes.is_empty());
    assert_eq!(context.withheld_events[0].reason(), RefusalReason::ConsentWithdrawn);
    assert!(context.channels.iter().all(|of| of.verdict() == ContactVerdict::NotAllowed));
}

async fn a_malformed_question_names_its_field(sandbox: &Sandbox) {
    define(sandbox).await;
    let mut identity = sandbox.identity(0).await;
    let valid = by(identifier("email", &new_email("field")));
    for (request, code, field) in [
        (GetAgentContextRequest { identifier: None, ..valid.clone() }, Code::InvalidArgument, "identifier"),
        (
            GetAgentContextRequest { interactions_max: 21, customer_id: new_id(), ..valid.clone() },
            Code::InvalidArgument,
            "customer_id",
        ),
        (valid, Code::NotFound, ""),
    ] {
        let status = identity.get_agent_context(request).await.expect_err("refused");
        assert_eq!((fault(&status).0, fault(&status).2.as_str()), (code, field));
    }
}
