//! `custodia duplicates clusters`: the groups of customers who are one person each.
//!
//! Customers who are connected by pairs of the queue may still be several persons: one doubtful pair connects a household. So the
//! cluster judges each group together (`FindDuplicates`), and splits it where its members do not agree on the whole.

use std::collections::{BTreeMap, BTreeSet};

use custodia_client::Client;
use custodia_proto::v1::{self, MatchVerdict, ReviewDecision};

use crate::connection::steps::STEP_DEADLINE;
use crate::connection::{Connection, pages};
use crate::error::CliError;
use crate::text::output::{self, Format, table_of};

/// Prints the clusters.
pub(super) async fn run(purpose: String, connection: &Connection) -> Result<(), CliError> {
    let client = connection.client_with_deadline(STEP_DEADLINE)?;
    let mut pairs = Vec::new();
    for decided in [false, true] {
        let request = v1::ListDuplicatesRequest { purpose: purpose.clone(), decided, ..Default::default() };
        pairs.extend(pages::all(&client, request).await?.pairs);
    }
    let mut clusters = Vec::new();
    for mut group in groups(pairs.iter().filter(|pair| is_one_person(pair))) {
        while let Some(first) = group.first().cloned() {
            let cluster = judged(&client, &purpose, &first, &group).await?;
            group.retain(|customer| !cluster.contains(customer));
            clusters.extend(Some(cluster).filter(|cluster| cluster.len() > 1));
        }
    }
    match connection.output {
        Format::Table => output::line(&clusters_text(&clusters)),
        Format::Json => output::print_json(&serde_json::json!({ "clusters": clusters })),
    }
}

/// Those of a group who are one person with one of them.
async fn judged(
    client: &Client,
    purpose: &str,
    customer: &str,
    group: &BTreeSet<String>,
) -> Result<BTreeSet<String>, CliError> {
    let request = v1::FindDuplicatesRequest {
        customer_id: customer.to_owned(),
        purpose: purpose.to_owned(),
        results_max: 0,
    };
    let found = client.find_duplicates(request).await?.cluster;
    let others = found.into_iter().filter(|member| group.contains(member));
    Ok(others.chain([customer.to_owned()]).collect())
}

/// Whether a pair is one person: a person said so, or the model, and nobody looked.
fn is_one_person(pair: &v1::DuplicatePair) -> bool {
    match pair.decision() {
        ReviewDecision::Same => true,
        ReviewDecision::Different | ReviewDecision::Later => false,
        ReviewDecision::Unspecified => {
            pair.score.as_ref().is_some_and(|score| score.verdict() == MatchVerdict::Same)
        }
    }
}

/// The customers whom pairs connect.
fn groups<'a>(pairs: impl Iterator<Item = &'a v1::DuplicatePair>) -> Vec<BTreeSet<String>> {
    let mut others: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pair in pairs {
        let (one, other) = (pair.customer_id.as_str(), pair.other_customer_id.as_str());
        others.entry(one).or_default().push(other);
        others.entry(other).or_default().push(one);
    }
    let mut groups = Vec::new();
    while let Some(first) = others.keys().next().copied() {
        let (mut group, mut to_visit) = (BTreeSet::new(), vec![first]);
        while let Some(customer) = to_visit.pop() {
            to_visit.extend(others.remove(customer).into_iter().flatten());
            group.insert(customer.to_owned());
        }
        groups.push(group);
    }
    groups
}

fn clusters_text(clusters: &[BTreeSet<String>]) -> String {
    if clusters.is_empty() {
        return "no two customers are one person, as far as a scan has found".to_owned();
    }
    let line = |cluster: &BTreeSet<String>| {
        [cluster.len().to_string(), cluster.iter().cloned().collect::<Vec<_>>().join(", ")]
    };
    table_of(["CUSTOMERS", "ONE PERSON"], clusters.iter().map(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(one: &str, other: &str, decision: ReviewDecision, verdict: MatchVerdict) -> v1::DuplicatePair {
        v1::DuplicatePair {
            customer_id: one.into(),
            other_customer_id: other.into(),
            decision: decision.into(),
            score: Some(v1::MatchScore { verdict: verdict.into(), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn pairs_that_are_one_person_connect_a_group() {
        let pairs = [
            pair("a", "b", ReviewDecision::Unspecified, MatchVerdict::Same),
            pair("b", "c", ReviewDecision::Same, MatchVerdict::Review),
            pair("c", "d", ReviewDecision::Different, MatchVerdict::Same),
            pair("d", "e", ReviewDecision::Unspecified, MatchVerdict::Review),
            pair("f", "g", ReviewDecision::Unspecified, MatchVerdict::Same),
        ];
        let found = groups(pairs.iter().filter(|pair| is_one_person(pair)));
        let expected = [&["a", "b", "c"][..], &["f", "g"]];
        assert_eq!(found, expected.map(|group| group.iter().map(ToString::to_string).collect()));
    }
}
