//! `custodia profile ingest`: merges values into one profile.

use std::collections::BTreeSet;
use std::path::PathBuf;

use custodia_client::Client;
use custodia_proto::v1;

use crate::catalog;
use crate::connection::Connection;
use crate::error::CliError;
use crate::files;
use crate::text::enum_text::{EnumText, enum_text};
use crate::text::output::table_of;
use crate::text::request;
use crate::text::values;

/// What `profile ingest` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct IngestProfile {
    /// Customer id (cust_…) [default: the customer who holds one of the identifiers, or a new one]
    id: Option<String>,
    /// Purpose for which the data was collected
    #[arg(long, required_unless_present = "file")]
    purpose: Option<String>,
    /// Source system of the data
    #[arg(long, required_unless_present = "file")]
    source: Option<String>,
    /// Set an attribute; the catalogue determines its type (repeatable)
    #[arg(long = "set", value_name = "ATTRIBUTE=VALUE", value_parser = parse_pair)]
    values: Vec<(String, String)>,
    /// What the customer is known by, e.g. email=ana@example.org (repeatable)
    #[arg(long = "identifier", value_name = "NAMESPACE=VALUE", value_parser = parse_pair)]
    identifiers: Vec<(String, String)>,
    /// Consent given with the data, e.g. marketing=2026-01:explicit:ticked-box (repeatable)
    #[arg(long = "consent", value_name = "PURPOSE=NOTICE[:METHOD[:ACT]]", value_parser = parse_pair)]
    consents: Vec<(String, String)>,
    /// Other ground given with the data, e.g. service=contract:A-17 (repeatable)
    #[arg(long = "ground", value_name = "PURPOSE=BASIS:REFERENCE", value_parser = parse_pair)]
    grounds: Vec<(String, String)>,
    /// Lawful basis of the collection [default: the purpose's first basis that applies]
    #[arg(long, value_parser = v1::LawfulBasis::parser())]
    basis: Option<v1::LawfulBasis>,
    /// Who collected the data: first, second or third party [default: first]
    #[arg(long, value_parser = v1::Party::parser())]
    party: Option<v1::Party>,
    /// UUID of the request; repeating it returns the same answer
    #[arg(long, default_value = "", hide_default_value = true)]
    request_id: String,
    /// Fail unless the profile has this etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Check only, change nothing
    #[arg(long)]
    validate_only: bool,
    /// Read a complete IngestProfileRequest as JSON; - is standard input
    #[arg(long, conflicts_with_all = ["purpose", "source", "values", "identifiers", "consents", "grounds", "basis", "party"])]
    file: Option<PathBuf>,
}

impl IngestProfile {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let client = connection.client()?;
        let request = match &self.file {
            Some(path) => {
                let request = request::from_json(&files::read_text(path)?);
                let request = self.adjusted(request.map_err(CliError::content(path))?);
                check_observations(&request.observations).map_err(CliError::content(path))?;
                request
            }
            None => self.request(&client).await?,
        };
        let answer = client.ingest_profile(request).await?;
        connection.print(&answer, outcome_text)?;
        let all = answer.consents.iter().map(|one| one.recorded);
        let all = all.chain(answer.attributes.iter().map(|one| one.merged));
        let all = all.chain(answer.identifiers.iter().map(|one| one.merged));
        let mut all = all.chain(answer.events.iter().map(|one| one.appended));
        if all.all(|accepted| accepted) { Ok(()) } else { Err(CliError::PartlyRefused) }
    }

    /// Applies the options that may be combined with --file.
    fn adjusted(&self, mut request: v1::IngestProfileRequest) -> v1::IngestProfileRequest {
        if let Some(id) = &self.id {
            request.customer_id.clone_from(id);
        }
        if !self.request_id.is_empty() {
            request.request_id.clone_from(&self.request_id);
        }
        if !self.etag.is_empty() {
            request.etag.clone_from(&self.etag);
        }
        request.validate_only |= self.validate_only;
        request
    }

    async fn request(&self, client: &Client) -> Result<v1::IngestProfileRequest, CliError> {
        check_names("--set", &self.values)?;
        check_names("--consent", &self.consents)?;
        let types = if self.values.is_empty() { Vec::new() } else { catalog::all_attributes(client).await? };
        let observation = |(name, text): &(String, String)| {
            // An attribute that is not in the catalogue is sent as text: the cluster refuses it with the reason.
            let kind =
                types.iter().find(|one| one.name == *name).map_or(v1::ValueType::Text, |one| one.r#type());
            let value = values::parse(kind, text)
                .map_err(|reason| CliError::argument("--set", format!("{name}: {reason}")))?;
            Ok(v1::Observation { attribute: name.clone(), value: Some(value), observed_at: None })
        };
        Ok(self.adjusted(v1::IngestProfileRequest {
            purpose: self.purpose.clone().unwrap_or_default(),
            source: self.source.clone().unwrap_or_default(),
            party: self.party.unwrap_or(v1::Party::First).into(),
            lawful_basis: self.basis.unwrap_or(v1::LawfulBasis::Unspecified).into(),
            identifiers: self.identifiers.iter().map(identifier).collect(),
            observations: self.values.iter().map(observation).collect::<Result<_, CliError>>()?,
            consents: self
                .consents
                .iter()
                .map(grant)
                .chain(self.grounds.iter().map(ground))
                .collect::<Result<_, _>>()?,
            ..v1::IngestProfileRequest::default()
        }))
    }
}

fn identifier((namespace, value): &(String, String)) -> v1::IdentifierObservation {
    v1::IdentifierObservation { namespace: namespace.clone(), value: value.clone(), observed_at: None }
}

/// Parses `NOTICE[:METHOD[:ACT]]` from its end: the notice's version may contain colons if a method follows.
fn grant((purpose, notice): &(String, String)) -> Result<v1::ConsentGrant, CliError> {
    let (rest, act) = split_last::<v1::AffirmativeAct>(notice);
    let (version, method) = split_last::<v1::ConsentMethod>(rest);
    if (act.is_some() && method.is_none()) || (method.is_none() && version.contains(':')) {
        let reason = "must be PURPOSE=NOTICE[:METHOD[:ACT]], with the values of `consent record`";
        return Err(CliError::argument("--consent", reason));
    }
    let evidence = act.map(|act| v1::ConsentEvidence { act: act.into(), ..Default::default() });
    Ok(v1::ConsentGrant {
        purpose: purpose.clone(),
        notice_version: version.to_owned(),
        method: method.unwrap_or(v1::ConsentMethod::Unambiguous).into(),
        collector: "custodia-cli".into(),
        evidence,
        ..v1::ConsentGrant::default()
    })
}

/// Parses `BASIS:REFERENCE`.
fn ground((purpose, text): &(String, String)) -> Result<v1::ConsentGrant, CliError> {
    let parts = text.split_once(':').filter(|(_, reference)| !reference.is_empty());
    let (basis, reference) = parts.ok_or_else(|| {
        CliError::argument("--ground", "must be PURPOSE=BASIS:REFERENCE, e.g. service=contract:A-17")
    })?;
    let basis = v1::LawfulBasis::parse(basis).map_err(|reason| CliError::argument("--ground", reason))?;
    if basis == v1::LawfulBasis::Consent {
        return Err(CliError::argument("--ground", "consent has a notice: use --consent"));
    }
    Ok(v1::ConsentGrant {
        purpose: purpose.clone(),
        lawful_basis: basis.into(),
        reference: reference.to_owned(),
        collector: "custodia-cli".into(),
        ..v1::ConsentGrant::default()
    })
}

/// Splits off the text after the last colon, if it is a value of the enum.
fn split_last<Value: EnumText>(text: &str) -> (&str, Option<Value>) {
    match text.rsplit_once(':').map(|(rest, last)| (rest, Value::parse(last))) {
        Some((rest, Ok(value))) => (rest, Some(value)),
        Some((_, Err(_))) | None => (text, None),
    }
}

/// Which of two values is meant must be plain.
fn check_names(option: &'static str, pairs: &[(String, String)]) -> Result<(), CliError> {
    let mut known = BTreeSet::new();
    match pairs.iter().find(|(name, _)| !known.insert(name)) {
        Some((name, _)) => Err(CliError::argument(option, format!("has {name} twice"))),
        None => Ok(()),
    }
}

/// The same for the observations of a file: an attribute may have several values of different moments.
fn check_observations(observations: &[v1::Observation]) -> Result<(), String> {
    let moment = |one: &v1::Observation| one.observed_at.map(|time| (time.seconds, time.nanos));
    let mut known = BTreeSet::new();
    match observations.iter().find(|one| !known.insert((&one.attribute, moment(one)))) {
        Some(one) => Err(format!("observations: has {} twice, of the same moment", one.attribute)),
        None => Ok(()),
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("must be NAME=VALUE".into()),
    }
}

fn outcome_text(answer: &v1::IngestProfileResponse) -> String {
    let told = |effect| if effect == v1::DecisionEffect::Superseded { "superseded" } else { "recorded" };
    let line = |item: &String, is_done, done: &str, refusal, explanation: &String| {
        let outcome = if is_done { done } else { "refused" };
        [item.clone(), outcome.to_owned(), enum_text::<v1::RefusalReason>(refusal), explanation.clone()]
    };
    let consents = answer.consents.iter();
    let consents = consents
        .map(|one| line(&one.purpose, one.recorded, told(one.effect()), one.refusal, &one.explanation));
    let attributes = answer.attributes.iter();
    let attributes =
        attributes.map(|one| line(&one.attribute, one.merged, "merged", one.refusal, &one.explanation));
    let events = answer.events.iter();
    let events =
        events.map(|one| line(&one.event_id, one.appended, "appended", one.refusal, &one.explanation));
    let identifiers = answer.identifiers.iter();
    let identifiers =
        identifiers.map(|one| line(&one.namespace, one.merged, "merged", one.refusal, &one.explanation));
    let items = consents.chain(attributes).chain(identifiers).chain(events);
    let lines = table_of(["ITEM", "OUTCOME", "REASON", "EXPLANATION"], items);
    let accepted = answer.consents.iter().any(|one| one.recorded)
        || answer.attributes.iter().any(|one| one.merged)
        || answer.identifiers.iter().any(|one| one.merged)
        || answer.events.iter().any(|one| one.appended);
    let outcome = match (answer.created, accepted, answer.etag.is_empty()) {
        (true, _, _) => "created",
        (false, true, _) => "updated",
        (false, false, false) => "not changed",
        (false, false, true) => "not created",
    };
    let etag = if answer.etag.is_empty() { String::new() } else { format!(", etag {}", answer.etag) };
    format!("{} {outcome}{etag}\n\n{lines}", answer.customer_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consent_on_the_command_line_names_notice_and_method() {
        let given = grant(&("marketing".into(), "2026-01:explicit".into())).unwrap();
        assert_eq!(given.notice_version, "2026-01");
        assert_eq!(given.method(), v1::ConsentMethod::Explicit);
        let plain = grant(&("marketing".into(), "2026-01".into())).unwrap();
        assert_eq!(plain.method(), v1::ConsentMethod::Unambiguous);
        let proven = grant(&("marketing".into(), "a:b:explicit:ticked-box".into())).unwrap();
        assert_eq!((proven.notice_version.as_str(), proven.method()), ("a:b", v1::ConsentMethod::Explicit));
        assert_eq!(proven.evidence.unwrap().act(), v1::AffirmativeAct::TickedBox);
        for wrong in ["v1:shouted", "v1:ticked-box", "v1:explicit:nodded"] {
            assert!(grant(&("marketing".into(), wrong.into())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_says_one_thing_of_a_moment() {
        let observation = |seconds| v1::Observation {
            attribute: "email".into(),
            observed_at: Some(custodia_proto::Timestamp { seconds, nanos: 0 }),
            ..Default::default()
        };
        assert_eq!(check_observations(&[observation(1), observation(2)]), Ok(()));
        let twice = check_observations(&[observation(1), observation(2), observation(1)]);
        assert!(twice.unwrap_err().contains("email twice"));
    }

    #[test]
    fn another_ground_on_the_command_line_names_its_reference() {
        let given = ground(&("service".into(), "contract:A:17".into())).unwrap();
        assert_eq!((given.lawful_basis(), given.reference.as_str()), (v1::LawfulBasis::Contract, "A:17"));
        for wrong in ["contract", "contract:", "promise:A-17", "consent:A-17"] {
            assert!(ground(&("service".into(), wrong.into())).is_err(), "{wrong}");
        }
    }
}
