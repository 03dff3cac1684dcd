//! People for the tests of duplicates, and the calls about them.

use custodia_proto::v1::{
    AttributeDefinition, CreateAttributeRequest, DuplicatePair, FindDuplicatesRequest,
    FindDuplicatesResponse, GetAttributeRequest, ListDuplicatesRequest, MatchField, ReviewDecision,
    ReviewDuplicateRequest, ScanDuplicatesRequest, ScanDuplicatesResponse, ScanPhase, UpdateAttributeRequest,
    ValueType,
};
use custodia_tests::sample::{attribute, ingest, texts};
use custodia_tests::{Options, Sandbox};
use futures::future::join_all;

use crate::namespaces::{ingested, patiently};

/// What the sample attributes are compared as.
const COMPARED: [(&str, MatchField); 4] = [
    ("given_name", MatchField::GivenName),
    ("surname", MatchField::Surname),
    ("email", MatchField::Email),
    ("phone", MatchField::Phone),
];

/// Attributes of these tests alone.
const ADDRESS: [(&str, MatchField); 4] = [
    ("born", MatchField::DateOfBirth),
    ("street", MatchField::Street),
    ("postcode", MatchField::PostalCode),
    ("city", MatchField::City),
];

pub(crate) async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start_with(Options { config: String::new(), ..Options::default() }).await;
    let mut catalog = sandbox.catalog(0).await;
    for (name, _) in ADDRESS {
        let attribute = attribute(name, ValueType::Text, &["service"]);
        let request = CreateAttributeRequest { attribute: Some(attribute), validate_only: false };
        catalog.create_attribute(request).await.expect("an attribute is created");
    }
    sandbox
}

/// From now on the attributes are compared.
pub(crate) async fn compare(sandbox: &Sandbox) {
    let mut catalog = sandbox.catalog(0).await;
    for (name, field) in COMPARED.into_iter().chain(ADDRESS) {
        let request = GetAttributeRequest { name: name.to_owned() };
        let stored = catalog.get_attribute(request).await.expect("an attribute").into_inner();
        let attribute = AttributeDefinition { match_as: field.into(), ..stored };
        let request = UpdateAttributeRequest { attribute: Some(attribute) };
        catalog.update_attribute(request).await.expect("an attribute is compared");
    }
}

pub(crate) type Person = Vec<(&'static str, String)>;

fn person(values: [(&'static str, &str); 6]) -> Person {
    values.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// Alexandra in two spellings, day and month swapped, and the man and the girl she lives with.
pub(crate) fn alexandra() -> [Person; 4] {
    let at_home = [("street", "Lindenstraße 12"), ("postcode", "10115"), ("city", "Berlin")];
    let [street, postcode, city] = at_home;
    let of = |given, surname, born| {
        person([("given_name", given), ("surname", surname), ("born", born), street, postcode, city])
    };
    [
        of("Alexandra", "Meyerhoff", "1984-03-12"),
        of("Aleksandra", "Meierhoff", "1984-12-03"),
        of("Martin", "Meyerhoff", "1982-07-30"),
        of("Nora", "Meyerhoff", "2012-05-09"),
    ]
}

/// People who have nothing to do with each other, but for every tenth, who is stored twice.
pub(crate) fn background() -> Vec<Person> {
    const GIVEN: [&str; 19] = [
        "Anna", "Bernd", "Carla", "Dieter", "Eva", "Frank", "Greta", "Hans", "Ines", "Jonas", "Karin",
        "Lukas", "Maria", "Nils", "Olga", "Peter", "Rosa", "Simon", "Tina",
    ];
    const SURNAMES: [&str; 23] = [
        "Albrecht", "Bauer", "Czerny", "Dietrich", "Ebert", "Fischer", "Grau", "Huber", "Issa", "Jung",
        "Keller", "Lang", "Maurer", "Neumann", "Otto", "Peters", "Quandt", "Richter", "Sommer", "Thoma",
        "Ulrich", "Vogt", "Winter",
    ];
    const STREETS: [&str; 7] = ["Bergweg", "Hauptstr.", "Am Anger", "Seestr.", "Gartenweg", "Ring", "Markt"];
    const CITIES: [&str; 5] = ["Bonn", "Kassel", "Mainz", "Trier", "Ulm"];
    let mut people = Vec::new();
    for number in 0..150_usize {
        let born =
            format!("{}-{:02}-{:02}", 1940 + number * 7 % 65, 1 + number * 5 % 12, 1 + number * 11 % 28);
        let street = format!("{} {}", STREETS[number % 7], 1 + number * 13 % 97);
        let postcode = format!("{:05}", 20_000 + number * 397 % 60_000);
        let (given, surname) = (GIVEN[number % 19], SURNAMES[number * 3 % 23]);
        let person = person([
            ("given_name", given),
            ("surname", surname),
            ("born", &born),
            ("street", &street),
            ("postcode", &postcode),
            ("city", CITIES[number % 5]),
        ]);
        if number % 10 == 0 {
            let mut again = person.clone();
            again[1].1.push('e');
            people.push(again);
        }
        people.push(person);
    }
    people
}

pub(crate) async fn stored_as(sandbox: &Sandbox, node: usize, person: &Person) -> String {
    let values: Vec<_> = person.iter().map(|(name, value)| (*name, value.as_str())).collect();
    ingested(sandbox, node, ingest("", texts(&values))).await.customer_id
}

pub(crate) async fn stored_all(sandbox: &Sandbox, people: &[Person]) -> Vec<String> {
    let mut customers = Vec::new();
    for some in people.chunks(16) {
        let storing = some.iter().enumerate().map(|(at, person)| stored_as(sandbox, at % 3, person));
        customers.extend(join_all(storing).await);
    }
    customers
}

/// Changes values of a customer.
pub(crate) async fn changed(sandbox: &Sandbox, customer: &str, values: &[(&str, &str)]) {
    ingested(sandbox, 0, ingest(customer, texts(values))).await;
}

/// A whole scan, each step on the next of these nodes.
pub(crate) async fn scanned(sandbox: &Sandbox, nodes: &[usize]) -> ScanDuplicatesResponse {
    let mut request = ScanDuplicatesRequest { purpose: "service".to_owned(), ..Default::default() };
    let mut sum = ScanDuplicatesResponse::default();
    for node in nodes.iter().cycle() {
        let step = patiently(async || {
            let mut duplicates = sandbox.duplicates(*node).await;
            duplicates.scan_duplicates(request.clone()).await
        });
        let step = step.await.expect("a step").into_inner();
        sum.records_read += step.records_read;
        sum.records_indexed += step.records_indexed;
        sum.pairs_compared += step.pairs_compared;
        sum.pairs_found += step.pairs_found;
        sum.pairs_removed += step.pairs_removed;
        if step.next_page_token.is_empty() {
            assert_eq!((step.phase(), step.done), (ScanPhase::Recheck, 1.0));
            break;
        }
        request.page_token = step.next_page_token;
    }
    sum
}

pub(crate) async fn found(sandbox: &Sandbox, node: usize, customer: &str) -> FindDuplicatesResponse {
    let request = FindDuplicatesRequest {
        customer_id: customer.to_owned(),
        purpose: "service".to_owned(),
        results_max: 0,
    };
    let mut duplicates = sandbox.duplicates(node).await;
    patiently(async || duplicates.find_duplicates(request.clone()).await)
        .await
        .expect("answered")
        .into_inner()
}

/// All pairs, in pages of three.
pub(crate) async fn listed(sandbox: &Sandbox, node: usize, decided: bool) -> Vec<DuplicatePair> {
    let mut request =
        ListDuplicatesRequest { purpose: "service".to_owned(), page_size: 3, decided, ..Default::default() };
    let mut pairs = Vec::new();
    loop {
        let mut duplicates = sandbox.duplicates(node).await;
        let page = patiently(async || duplicates.list_duplicates(request.clone()).await)
            .await
            .expect("listed")
            .into_inner();
        assert!(page.pairs.len() <= 3);
        pairs.extend(page.pairs);
        if page.next_page_token.is_empty() {
            return pairs;
        }
        request.page_token = page.next_page_token;
    }
}

pub(crate) fn is_of(pair: &DuplicatePair, one: &str, other: &str) -> bool {
    let of = [pair.customer_id.as_str(), pair.other_customer_id.as_str()];
    pair.customer_id < pair.other_customer_id && of.contains(&one) && of.contains(&other)
}

pub(crate) fn review(pair: &DuplicatePair, decision: ReviewDecision) -> ReviewDuplicateRequest {
    ReviewDuplicateRequest {
        purpose: "service".to_owned(),
        customer_id: pair.other_customer_id.clone(),
        other_customer_id: pair.customer_id.clone(),
        decision: decision.into(),
        note: "looked at both".to_owned(),
        etag: pair.etag.clone(),
    }
}

/// Who this is not: nothing of it agrees with anybody.
pub(crate) const NOBODY_ELSE: [(&str, &str); 6] = [
    ("given_name", "Zacharias"),
    ("surname", "Xylander"),
    ("born", "1931-01-31"),
    ("street", "Kai 9"),
    ("postcode", "99999"),
    ("city", "Oslo"),
];
