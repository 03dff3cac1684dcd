//! What the events of an agent's context add up to: open matters and traits, on every node (PR-4, PR-5).

use custodia_proto::Timestamp;
use custodia_proto::v1::value::Kind;
use custodia_proto::v1::{
    self, AgentContext, AppendEventsRequest, Event, GetAgentContextRequest, MatterState, MatterType,
    TraitAggregate, TraitDefinition, Value,
};
use custodia_tests::sample::{grant, ingest, integer, new_id, now, text, texts, withdrawal};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

use crate::merging::{merged, unmerged};
use crate::namespaces::{ingested, patiently};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(an_agent_sees_what_is_open_and_what_the_events_add_up_to)
        .shared(what_comes_late_twice_or_reopened_counts_by_when_it_occurred)
        .shared(what_is_withheld_is_part_of_no_matter_and_no_trait)
        .shared(the_events_of_merged_customers_add_up)
        .shared(so_many_matters_are_listed_and_so_many_events_are_looked_at)
        .shared(no_agent_sees_half_of_what_was_stored_at_once)
}

const DAY: i64 = 86_400;

/// Defines cases, for service and marketing, and traits for service; once for all tests.
async fn define(sandbox: &Sandbox) {
    let case = MatterType {
        id: "case".to_owned(),
        display_name: "Support case".to_owned(),
        opening_events: vec!["Case Opened".to_owned(), "Case Reopened".to_owned()],
        closing_events: vec!["Case Closed".to_owned()],
        key_property: "case_id".to_owned(),
        purposes: vec!["service".to_owned(), "marketing".to_owned()],
        stale_after_days: 30,
        ..Default::default()
    };
    let mut catalog = sandbox.catalog(0).await;
    let is_there = |status: tonic::Status| {
        assert_eq!(status.code(), Code::AlreadyExists, "another test was faster: {status}");
    };
    let request = v1::CreateMatterTypeRequest { matter_type: Some(case), validate_only: false };
    let _entry = catalog.create_matter_type(request).await.map(drop).map_err(is_there);
    let definition = |id: &str, aggregate: TraitAggregate, events: &[&str], property: &str| TraitDefinition {
        id: id.to_owned(),
        aggregate: aggregate.into(),
        events: events.iter().map(|name| (*name).to_owned()).collect(),
        property: property.to_owned(),
        window_days: if id.ends_with("365") { 365 } else { 0 },
        purposes: vec!["service".to_owned()],
        unit: if property == "total" { "EUR".to_owned() } else { String::new() },
        ..Default::default()
    };
    for definition in [
        definition("contact-days", TraitAggregate::DaysSinceLast, &["Case Opened", "Call Ended"], ""),
        definition("orders-365", TraitAggregate::Count, &["Order Placed"], ""),
        definition("revenue-365", TraitAggregate::Sum, &["Order Placed"], "total"),
        definition("top", TraitAggregate::Max, &["Order Placed"], "total"),
    ] {
        let request = v1::CreateTraitRequest { r#trait: Some(definition), validate_only: false };
        let _entry = catalog.create_trait(request).await.map(drop).map_err(is_there);
    }
}

/// An event of so many seconds ago.
fn event(id: &str, name: &str, ago: i64, properties: &[(&str, Option<Value>)]) -> Event {
    let today = i64::try_from(now().as_secs()).expect("a time");
    let properties =
        properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone().expect("a value")));
    Event {
        event_id: id.to_owned(),
        name: name.to_owned(),
        occurred_at: Some(Timestamp { seconds: today - ago, nanos: 0 }),
        channel: "phone".to_owned(),
        properties: properties.collect(),
    }
}

fn step(id: &str, name: &str, ago: i64, case: &str) -> Event {
    event(id, name, ago, &[("case_id", text(case))])
}

fn order(id: &str, ago: i64, total: Kind) -> Event {
    event(id, "Order Placed", ago, &[("total", Some(Value { kind: Some(total) }))])
}

/// A new customer with these events for the purpose `service`.
async fn customer(sandbox: &Sandbox, events: &[Event]) -> String {
    let mut customer_id = String::new();
    for events in events.chunks(200) {
        let request = v1::IngestProfileRequest {
            events: events.to_vec(),
            ..ingest(&customer_id, texts(&[("given_name", "Ana")]))
        };
        customer_id = ingested(sandbox, 0, request).await.customer_id;
    }
    customer_id
}

/// Appends events for a purpose through a node.
async fn append(sandbox: &Sandbox, node: usize, customer_id: &str, purpose: &str, events: Vec<Event>) {
    let request = AppendEventsRequest {
        customer_id: customer_id.to_owned(),
        purpose: purpose.to_owned(),
        source: "tests".to_owned(),
        events,
        request_id: new_id(),
        ..Default::default()
    };
    let mut profiles = sandbox.profiles(node).await;
    let answer = patiently(async || profiles.append_events(request.clone()).await).await;
    let outcomes = answer.expect("appended").into_inner().events;
    assert!(outcomes.iter().all(|one| one.refusal().as_str_name().ends_with("UNSPECIFIED")), "{outcomes:?}");
}

async fn context(sandbox: &Sandbox, node: usize, customer_id: &str, purpose: &str) -> AgentContext {
    let request = GetAgentContextRequest {
        customer_id: customer_id.to_owned(),
        purpose: purpose.to_owned(),
        ..Default::default()
    };
    let mut identity = sandbox.identity(node).await;
    let answer = patiently(async || identity.get_agent_context(request.clone()).await).await;
    answer.expect("a context").into_inner()
}

/// The keys of the open matters of the purpose `service`, on every node.
async fn open(sandbox: &Sandbox, customer_id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for node in 0..3 {
        let context = context(sandbox, node, customer_id, "service").await;
        let keys = context.open_matters.into_iter().map(|of| of.key);
        found.push(keys.collect::<Vec<_>>());
    }
    assert!(found.iter().all(|keys| *keys == found[0]), "{found:?}");
    found.remove(0)
}

fn shown<'c>(context: &'c AgentContext, id: &str) -> &'c v1::Trait {
    context.traits.iter().find(|of| of.id == id).expect("a trait")
}

fn value_of(context: &AgentContext, id: &str) -> Option<Kind> {
    shown(context, id).value.as_ref().and_then(|value| value.kind.clone())
}

async fn an_agent_sees_what_is_open_and_what_the_events_add_up_to(sandbox: &Sandbox) {
    define(sandbox).await;
    let stale = 40 * DAY;
    let events = [
        step("1", "Case Opened", 9 * DAY, "C-1"),
        Event { channel: "email".to_owned(), ..step("2", "Case Updated", 7 * DAY, "C-1") },
        step("3", "Case Opened", stale, "C-2"),
        step("4", "Case Opened", 12 * DAY, "C-3"),
        step("5", "Case Closed", 11 * DAY, "C-3"),
        event("6", "Case Opened", 6 * DAY, &[]),
        event("7", "Case Opened", 5 * DAY, &[("case_id", integer(4))]),
        order("8", 20 * DAY, Kind::Decimal(0.1)),
        order("9", 30 * DAY, Kind::Decimal(0.2)),
        order("10", 366 * DAY, Kind::Integer(1_000)),
        order("11", 2 * DAY, Kind::Text("12".to_owned())),
    ];
    let customer = customer(sandbox, &events).await;
    for node in 0..3 {
        let context = context(sandbox, node, &customer, "service").await;
        let matters: Vec<_> = context
            .open_matters
            .iter()
            .map(|of| (of.key.as_str(), of.state(), of.is_stale, of.channel.as_str()))
            .collect();
        let open = MatterState::Open;
        let expected =
            [("4", open, false, "phone"), ("C-1", open, false, "phone"), ("C-2", open, true, "phone")];
        assert_eq!(matters, expected, "the one that was opened last comes first");
        let first = &context.open_matters[1];
        assert_eq!((first.matter_type.as_str(), first.display_name.as_str()), ("case", "Support case"));
        assert_eq!(first.opened_at, events[0].occurred_at);
        let last = first.last_event.as_ref().expect("an event");
        assert_eq!((last.name.as_str(), last.channel.as_str()), ("Case Updated", "email"));
        assert_eq!(last.occurred_at, events[1].occurred_at);
        assert!(!context.has_more_open_matters);

        let ids: Vec<_> = context.traits.iter().map(|of| of.id.as_str()).collect();
        assert_eq!(ids, ["contact-days", "orders-365", "revenue-365", "top"]);
        assert_eq!(value_of(&context, "contact-days"), Some(Kind::Integer(5)));
        assert_eq!(value_of(&context, "orders-365"), Some(Kind::Integer(3)));
        assert_eq!(value_of(&context, "revenue-365"), Some(Kind::Decimal(0.3)), "0.1 + 0.2 is exact");
        assert_eq!(value_of(&context, "top"), Some(Kind::Integer(1_000)), "a trait without a window");
        let revenue = shown(&context, "revenue-365");
        assert_eq!((revenue.event_count, revenue.skipped_event_count, revenue.unit.as_str()), (2, 1, "EUR"));
        assert!(!revenue.is_partial && revenue.as_of.is_some());
        assert_eq!(revenue.purposes, ["service"]);
    }
}

async fn what_comes_late_twice_or_reopened_counts_by_when_it_occurred(sandbox: &Sandbox) {
    define(sandbox).await;
    let opened = step("1", "Case Opened", 9 * DAY, "C-1");
    let customer = customer(sandbox, &[opened.clone(), event("0", "Call Ended", DAY, &[])]).await;
    let service = "service";
    assert_eq!(open(sandbox, &customer).await, ["C-1"]);
    append(sandbox, 1, &customer, service, vec![opened]).await;
    append(sandbox, 1, &customer, service, vec![step("2", "Case Closed", 10 * DAY, "C-1")]).await;
    assert_eq!(open(sandbox, &customer).await, ["C-1"], "what closed it was before it was opened");
    append(sandbox, 2, &customer, service, vec![step("3", "Case Closed", 5 * DAY, "C-1")]).await;
    assert_eq!(open(sandbox, &customer).await, [""; 0], "the closing came late");
    append(sandbox, 0, &customer, service, vec![step("4", "Case Updated", 6 * DAY, "C-1")]).await;
    append(sandbox, 0, &customer, service, vec![step("5", "Case Opened", 7 * DAY, "C-1")]).await;
    assert_eq!(open(sandbox, &customer).await, [""; 0], "what came after it arrived occurred before it");
    append(sandbox, 1, &customer, service, vec![step("6", "Case Reopened", 2 * DAY, "C-1")]).await;
    assert_eq!(open(sandbox, &customer).await, ["C-1"]);
}

async fn what_is_withheld_is_part_of_no_matter_and_no_trait(sandbox: &Sandbox) {
    define(sandbox).await;
    let events = [
        step("1", "Case Opened", 9 * DAY, "C-1"),
        step("2", "Case Opened", 8 * DAY, "C-2"),
        order("3", 7 * DAY, Kind::Integer(5)),
    ];
    let customer = customer(sandbox, &events).await;
    let marketing = v1::IngestProfileRequest {
        purpose: "marketing".to_owned(),
        consents: vec![grant("marketing")],
        events: vec![
            step("4", "Case Closed", 6 * DAY, "C-1"),
            step("5", "Case Opened", 5 * DAY, "C-3"),
            order("6", 4 * DAY, Kind::Integer(70)),
            event("7", "Call Ended", 3 * DAY, &[]),
        ],
        ..ingest(&customer, vec![])
    };
    ingested(sandbox, 1, marketing).await;
    for node in 0..3 {
        let service = context(sandbox, node, &customer, "service").await;
        let matters: Vec<_> = service.open_matters.iter().map(|of| (of.key.as_str(), of.state())).collect();
        assert_eq!(matters, [("C-2", MatterState::Open), ("C-1", MatterState::Unknown)]);
        let last = service.open_matters[1].last_event.as_ref().expect("an event");
        assert_eq!(last.name, "Case Opened", "the withheld one is not the last");
        assert_eq!(value_of(&service, "revenue-365"), Some(Kind::Integer(5)));
        assert_eq!(value_of(&service, "orders-365"), Some(Kind::Integer(1)));
        assert_eq!(value_of(&service, "contact-days"), Some(Kind::Integer(8)));
        let marketing = context(sandbox, node, &customer, "marketing").await;
        let matters: Vec<_> = marketing.open_matters.iter().map(|of| of.key.as_str()).collect();
        assert_eq!(matters, ["C-3"], "cases are shown for marketing too, of what was collected for it");
        assert!(marketing.traits.is_empty(), "no trait is for marketing");
    }
    let withdrawn = withdrawal(&customer, "service");
    sandbox.consents(2).await.withdraw_consent(withdrawn).await.expect("withdrawn");
    for node in 0..3 {
        let refused = context(sandbox, node, &customer, "service").await;
        assert!(refused.open_matters.is_empty() && refused.traits.is_empty(), "{refused:?}");
    }
    let request = v1::UpdateDataSubjectRequest {
        data_subject: Some(v1::DataSubject {
            customer_id: customer.clone(),
            restriction: Some(v1::Restriction { reason: "contested".to_owned(), ..Default::default() }),
            ..Default::default()
        }),
        update_mask: Some(custodia_proto::FieldMask { paths: vec!["restriction".to_owned()] }),
        request_id: new_id(),
    };
    sandbox.consents(0).await.update_data_subject(request).await.expect("restricted");
    let restricted = context(sandbox, 1, &customer, "marketing").await;
    assert!(restricted.open_matters.is_empty() && restricted.traits.is_empty());
}

async fn the_events_of_merged_customers_add_up(sandbox: &Sandbox) {
    define(sandbox).await;
    let events = [step("1", "Case Opened", 9 * DAY, "C-1"), order("2", DAY, Kind::Integer(1))];
    let survivor = customer(sandbox, &events).await;
    let events = [step("3", "Case Closed", 8 * DAY, "C-1"), order("4", DAY, Kind::Integer(2))];
    let other = customer(sandbox, &events).await;
    assert_eq!(open(sandbox, &survivor).await, ["C-1"]);
    merged(sandbox, 0, &survivor, &other).await;
    for id in [&survivor, &other] {
        assert_eq!(open(sandbox, id).await, [""; 0], "closed by an event of the other customer");
        let context = context(sandbox, 2, id, "service").await;
        assert_eq!(value_of(&context, "revenue-365"), Some(Kind::Integer(3)));
    }
    unmerged(sandbox, 1, &survivor, &other).await;
    assert_eq!(open(sandbox, &survivor).await, ["C-1"]);
    let context = context(sandbox, 2, &other, "service").await;
    assert_eq!(value_of(&context, "revenue-365"), Some(Kind::Integer(2)));
}

async fn so_many_matters_are_listed_and_so_many_events_are_looked_at(sandbox: &Sandbox) {
    define(sandbox).await;
    let mut events: Vec<_> = (0..21)
        .map(|at| step(&format!("case-{at}"), "Case Opened", 1_000 + at, &format!("C-{at}")))
        .collect();
    events.push(order("order-old", 400 * DAY, Kind::Integer(7)));
    let customer = customer(sandbox, &events).await;
    let all = context(sandbox, 1, &customer, "service").await;
    assert!(all.has_more_open_matters && all.open_matters.len() == 20 && !all.has_older_events);
    assert_eq!((all.open_matters[0].key.as_str(), all.open_matters[19].key.as_str()), ("C-0", "C-19"));
    assert_eq!(value_of(&all, "top"), Some(Kind::Integer(7)));
    let calls: Vec<_> =
        (0..1_000).map(|at| event(&format!("call-{at}"), "Call Ended", 500 + at % 400, &[])).collect();
    for calls in calls.chunks(250) {
        append(sandbox, 2, &customer, "service", calls.to_vec()).await;
    }
    let newest = context(sandbox, 0, &customer, "service").await;
    assert!(newest.has_older_events && newest.open_matters.is_empty(), "they were opened before");
    for (id, is_partial) in
        [("contact-days", false), ("orders-365", true), ("revenue-365", true), ("top", true)]
    {
        assert_eq!(shown(&newest, id).is_partial, is_partial, "{id}");
    }
    assert_eq!(value_of(&newest, "contact-days"), Some(Kind::Integer(0)), "no older event could change it");
    assert_eq!(value_of(&newest, "top"), None);
}

/// Events that come late change neither the record nor the newest event, and what is read in portions may miss one of them.
async fn no_agent_sees_half_of_what_was_stored_at_once(sandbox: &Sandbox) {
    define(sandbox).await;
    let calls: Vec<_> = (0..200).map(|at| event(&format!("call-{at}"), "Call Ended", 10 * at, &[])).collect();
    let customer = customer(sandbox, &calls).await;
    let write = async {
        for round in 0..40 {
            let case = format!("C-{round}");
            let pair = vec![
                step(&format!("opened-{round}"), "Case Opened", 1_995, &case),
                step(&format!("closed-{round}"), "Case Closed", 15, &case),
            ];
            append(sandbox, round % 3, &customer, "service", pair).await;
        }
    };
    let read = async {
        let mut identity = sandbox.identity(1).await;
        loop {
            let request = GetAgentContextRequest {
                customer_id: customer.clone(),
                purpose: "service".to_owned(),
                ..Default::default()
            };
            let answer = patiently(async || identity.get_agent_context(request.clone()).await).await;
            let open = answer.expect("a context").into_inner().open_matters;
            assert!(open.is_empty(), "no case was ever open: {open:?}");
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}
