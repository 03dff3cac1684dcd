//! Ingest by identifier: the data reaches the customer who holds it, and a new customer is created once (ID-3).

use custodia_proto::v1::IngestProfileRequest;
use custodia_tests::sample::{new_customer, new_id};
use custodia_tests::{Sandbox, Suite};
use futures::future::join_all;

use crate::namespaces::{define, found_everywhere, identified, ingested, new_card, new_email, released};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(data_reaches_the_holder_of_an_identifier_through_every_node)
        .shared(a_new_identifier_that_comes_many_times_at_once_makes_one_customer)
        .shared(an_anonymous_visitor_who_logs_in_is_linked)
        .shared(of_two_known_people_the_one_of_the_higher_priority_is_meant)
        .shared(a_repeated_ingest_by_identifier_is_answered_again)
        .shared(an_identifier_that_was_released_no_longer_finds_its_customer)
        .shared(a_shared_identifier_makes_nobody_the_same_person)
}

async fn data_reaches_the_holder_of_an_identifier_through_every_node(sandbox: &Sandbox) {
    define(sandbox).await;
    let email = new_email("upsert");
    let first = ingested(sandbox, 0, identified("", &[("email", &email)])).await;
    assert!(first.created);
    for node in 0..3 {
        let spelling = email.to_uppercase();
        let again = ingested(sandbox, node, identified("", &[("email", &spelling)])).await;
        assert_eq!(again.customer_id, first.customer_id);
        assert!(!again.created && again.identifiers[0].merged);
    }
    // By the attribute that is the identifier, too.
    let by_attribute =
        custodia_tests::sample::ingest("", custodia_tests::sample::texts(&[("email", &email)]));
    assert_eq!(ingested(sandbox, 1, by_attribute).await.customer_id, first.customer_id);
}

async fn a_new_identifier_that_comes_many_times_at_once_makes_one_customer(sandbox: &Sandbox) {
    define(sandbox).await;
    for _ in 0..10 {
        let email = new_email("storm");
        let registered =
            (0..8).map(|number| ingested(sandbox, number % 3, identified("", &[("email", &email)])));
        let answers = join_all(registered).await;
        assert_eq!(answers.iter().filter(|answer| answer.created).count(), 1, "{answers:?}");
        let first = &answers[0].customer_id;
        assert!(answers.iter().all(|answer| answer.customer_id == *first), "{answers:?}");
        assert!(answers.iter().all(|answer| answer.identifiers[0].merged), "{answers:?}");
        found_everywhere(sandbox, "email", &email, &[first]).await;
    }
}

async fn an_anonymous_visitor_who_logs_in_is_linked(sandbox: &Sandbox) {
    define(sandbox).await;
    let (device, email) = (new_id(), new_email("visitor"));
    let visitor = ingested(sandbox, 0, identified("", &[("device", &device)])).await;
    assert!(visitor.created);
    let login = ingested(sandbox, 1, identified("", &[("email", &email), ("device", &device)])).await;
    assert_eq!(login.customer_id, visitor.customer_id);
    assert!(!login.created);
    found_everywhere(sandbox, "email", &email, &[&visitor.customer_id]).await;
    let at_home = ingested(sandbox, 2, identified("", &[("email", &email), ("device", &new_id())])).await;
    assert_eq!(at_home.customer_id, visitor.customer_id);
}

async fn of_two_known_people_the_one_of_the_higher_priority_is_meant(sandbox: &Sandbox) {
    define(sandbox).await;
    let (email, device, card) = (new_email("known"), new_id(), new_card());
    let person = ingested(sandbox, 0, identified("", &[("email", &email)])).await;
    let other = ingested(sandbox, 1, identified("", &[("device", &device)])).await;
    let both = identified("", &[("device", &device), ("card", &card), ("email", &email)]);
    let both = ingested(sandbox, 2, both).await;
    assert_eq!(both.customer_id, person.customer_id);
    assert_eq!(both.identifiers[0].held_by, other.customer_id, "the two may be one person");
    assert!(both.identifiers[1].merged && both.identifiers[2].merged);
    found_everywhere(sandbox, "card", &card, &[&person.customer_id]).await;
    found_everywhere(sandbox, "device", &device, &[&other.customer_id]).await;
}

async fn a_repeated_ingest_by_identifier_is_answered_again(sandbox: &Sandbox) {
    define(sandbox).await;
    let request = identified("", &[("email", &new_email("repeat"))]);
    let first = ingested(sandbox, 0, request.clone()).await;
    for node in 0..3 {
        assert_eq!(ingested(sandbox, node, request.clone()).await, first);
    }
    // With other content it is another request, so that the id does not tell where the first one went.
    let mut other = identified("", &[("email", &new_email("other"))]);
    other.request_id = request.request_id;
    let second = ingested(sandbox, 1, other).await;
    assert!(second.created && second.customer_id != first.customer_id);
}

async fn an_identifier_that_was_released_no_longer_finds_its_customer(sandbox: &Sandbox) {
    define(sandbox).await;
    let email = new_email("moved");
    let first = ingested(sandbox, 0, identified("", &[("email", &email)])).await;
    assert!(released(sandbox, 1, &first.customer_id, ("email", &email)).await.released);
    let second = ingested(sandbox, 2, identified("", &[("email", &email)])).await;
    assert!(second.created && second.customer_id != first.customer_id);
    // How a customer was found, only a node may say.
    let stale = IngestProfileRequest { found_by: 1, ..identified(&first.customer_id, &[("email", &email)]) };
    let named = ingested(sandbox, 0, stale).await;
    assert_eq!(named.identifiers[0].held_by, second.customer_id);
    let answer = ingested(sandbox, 0, identified(&new_customer(), &[("email", &email)])).await;
    assert_eq!(answer.identifiers[0].held_by, second.customer_id);
}

async fn a_shared_identifier_makes_nobody_the_same_person(sandbox: &Sandbox) {
    define(sandbox).await;
    let number = format!("030 9017{:05}", uuid::Uuid::new_v4().as_u128() % 100_000);
    let one = ingested(sandbox, 0, identified("", &[("phone", &number)])).await;
    let two = ingested(sandbox, 1, identified("", &[("phone", &number)])).await;
    assert_ne!(one.customer_id, two.customer_id);
    found_everywhere(sandbox, "phone", &number, &[&one.customer_id, &two.customer_id]).await;
}
