//! `custodia profile`: read profiles for a purpose, and write single ones.

use std::path::{Path, PathBuf};

use comfy_table::ColumnConstraint;
use custodia_client::Client;
use custodia_proto::v1;

use crate::catalog;
use crate::connection::Connection;
use crate::error::CliError;
use crate::files;
use crate::import;
use crate::output::{self, print, table};
use crate::values::{self, text_of, time_text};
use crate::words::{Word, word_of};

/// `custodia profile …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ProfileCommand {
    /// Read one or several profiles as they may be seen for a purpose
    Get(GetProfile),
    /// Merge values into one profile
    Ingest(Box<IngestProfile>),
}

/// What `profile get` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct GetProfile {
    /// Customers (cust_…)
    #[arg(required_unless_present = "source_key")]
    ids: Vec<String>,
    /// Why the data is read
    #[arg(long)]
    purpose: String,
    /// Only this attribute; repeat it, or separate several by commas
    #[arg(long = "attribute", value_delimiter = ',')]
    attributes: Vec<String>,
    /// full: values, and why others are withheld; none: values alone; only: verdicts without values
    #[arg(long, default_value = "full", value_parser = v1::VerdictDetail::parse)]
    verdicts: v1::VerdictDetail,
    /// The customer that an imported row with this key became
    #[arg(long, requires = "import_state", conflicts_with = "ids")]
    source_key: Option<String>,
    /// Folder that `custodia import` keeps: FILE.custodia-import, or its --state
    #[arg(long, value_name = "DIR")]
    import_state: Option<PathBuf>,
}

/// What `profile ingest` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct IngestProfile {
    /// The customer (cust_…); without it a new one
    id: Option<String>,
    /// Under which the data was collected
    #[arg(long, required_unless_present = "file")]
    purpose: Option<String>,
    /// The source system
    #[arg(long, required_unless_present = "file")]
    source: Option<String>,
    /// A value as ATTRIBUTE=VALUE; its type is the catalogue's; repeatable
    #[arg(long = "set", value_name = "ATTRIBUTE=VALUE", value_parser = parse_pair)]
    values: Vec<(String, String)>,
    /// A consent given with the data, e.g. `marketing=2026-01:explicit:ticked-box`; repeatable
    #[arg(long = "consent", value_name = "PURPOSE=NOTICE[:METHOD[:ACT]]", value_parser = parse_pair)]
    consents: Vec<(String, String)>,
    /// Lawful basis of the collection [default: the purpose's first that holds]
    #[arg(long, value_parser = v1::LawfulBasis::parse)]
    basis: Option<v1::LawfulBasis>,
    /// first, second or third party
    #[arg(long, value_parser = v1::Party::parse)]
    party: Option<v1::Party>,
    /// UUID under which a repetition gives the same answer
    #[arg(long, default_value = "", hide_default_value = true)]
    request_id: String,
    /// Refuse unless the profile is at this revision
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Judge and answer, change nothing
    #[arg(long)]
    validate_only: bool,
    /// A whole IngestProfileRequest as JSON; - is standard input
    #[arg(long, conflicts_with_all = ["purpose", "source", "values", "consents", "basis", "party"])]
    file: Option<PathBuf>,
}

impl ProfileCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Get(get) => get.run(connection).await,
            Self::Ingest(ingest) => ingest.run(connection).await,
        }
    }
}

impl GetProfile {
    async fn run(mut self, connection: &Connection) -> Result<(), CliError> {
        if let (Some(key), Some(state)) = (&self.source_key, &self.import_state) {
            self.ids = vec![import::customer_of(state, key)?.to_string()];
        }
        let client = connection.client()?;
        let read_mask = (!self.attributes.is_empty())
            .then(|| custodia_proto::FieldMask { paths: std::mem::take(&mut self.attributes) });
        let verdicts = self.verdicts.into();
        if let [id] = self.ids.as_slice() {
            let (customer_id, purpose) = (id.clone(), self.purpose);
            let request = v1::GetProfileRequest { customer_id, purpose, read_mask, verdicts };
            let profile = client.get_profile(request).await?;
            return print(connection.output, "Profile", &profile, || profile_text(&profile));
        }
        let (customer_ids, purpose) = (self.ids, self.purpose);
        let request = v1::BatchGetProfilesRequest { customer_ids, purpose, read_mask, verdicts };
        let answer = client.batch_get_profiles(request).await?;
        print(connection.output, "BatchGetProfilesResponse", &answer, || {
            let texts: Vec<_> = answer.profiles.iter().map(batch_text).collect();
            texts.join("\n\n")
        })
    }
}

impl IngestProfile {
    async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let client = connection.client()?;
        let request = match &self.file {
            Some(path) => self.adjusted(read_request(path)?),
            None => self.request(&client).await?,
        };
        let answer = client.ingest_profile(request).await?;
        print(connection.output, "IngestProfileResponse", &answer, || outcome_text(&answer))?;
        let all_merged =
            answer.attributes.iter().all(|one| one.merged) && answer.events.iter().all(|one| one.appended);
        if all_merged { Ok(()) } else { Err(CliError::PartlyRefused) }
    }

    /// The options that may stand beside a file.
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
        let types = if self.values.is_empty() { Vec::new() } else { catalog::all_attributes(client).await? };
        let observation = |(name, text): &(String, String)| {
            // An attribute that the catalogue does not have goes as text: the cluster refuses it and says so.
            let kind =
                types.iter().find(|one| one.name == *name).map_or(v1::ValueType::Text, |one| one.r#type());
            match values::parse(kind, text) {
                Ok(value) => {
                    Ok(v1::Observation { attribute: name.clone(), value: Some(value), observed_at: None })
                }
                Err(reason) => {
                    Err(CliError::Argument { argument: "--set", reason: format!("{name} is {reason}") })
                }
            }
        };
        Ok(self.adjusted(v1::IngestProfileRequest {
            purpose: self.purpose.clone().unwrap_or_default(),
            source: self.source.clone().unwrap_or_default(),
            party: self.party.unwrap_or(v1::Party::First).into(),
            lawful_basis: self.basis.unwrap_or(v1::LawfulBasis::Unspecified).into(),
            observations: self.values.iter().map(observation).collect::<Result<_, _>>()?,
            consents: self.consents.iter().map(grant).collect::<Result<_, _>>()?,
            ..v1::IngestProfileRequest::default()
        }))
    }
}

/// `NOTICE[:METHOD[:ACT]]`, read from its end: a notice's version may hold colons where a method follows.
fn grant((purpose, notice): &(String, String)) -> Result<v1::ConsentGrant, CliError> {
    let (rest, act) = last_word::<v1::AffirmativeAct>(notice);
    let (version, method) = last_word::<v1::ConsentMethod>(rest);
    if (act.is_some() && method.is_none()) || (method.is_none() && version.contains(':')) {
        let reason = "must be written PURPOSE=NOTICE[:METHOD[:ACT]], in the words of `consent record`".into();
        return Err(CliError::Argument { argument: "--consent", reason });
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

/// Cuts off what stands behind the last colon, if it is one of the words.
fn last_word<Value: Word>(text: &str) -> (&str, Option<Value>) {
    match text.rsplit_once(':').map(|(rest, word)| (rest, Value::parse(word))) {
        Some((rest, Ok(value))) => (rest, Some(value)),
        Some((_, Err(_))) | None => (text, None),
    }
}

fn read_request(path: &Path) -> Result<v1::IngestProfileRequest, CliError> {
    output::from_json("IngestProfileRequest", &files::read_text(path)?)
        .map_err(|reason| CliError::Content { path: path.to_owned(), reason })
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("must be written NAME=VALUE".into()),
    }
}

/// Shown only where something ends by itself.
const UNTIL_COLUMN: usize = 6;

/// A profile as people read it; `dev` prints one too.
pub(crate) fn profile_text(profile: &v1::Profile) -> String {
    let mut lines = table(["ATTRIBUTE", "VALUE", "GROUND", "SOURCE", "COLLECTED FOR", "OBSERVED", "UNTIL"]);
    let ends = profile.attributes.iter().any(|attribute| attribute.until.is_some());
    if let Some(until) = lines.column_mut(UNTIL_COLUMN).filter(|_| !ends) {
        until.set_constraint(ColumnConstraint::Hidden);
    }
    for attribute in &profile.attributes {
        let provenance = attribute.provenance.clone().unwrap_or_default();
        lines.add_row([
            attribute.name.clone(),
            text_of(attribute.value.as_ref()),
            word_of::<v1::LawfulBasis>(attribute.ground),
            provenance.source,
            provenance.purpose,
            time_text(provenance.observed_at.as_ref()),
            time_text(attribute.until.as_ref()),
        ]);
    }
    let mut text = format!(
        "{}, etag {}, updated {}\n\n{lines}",
        profile.customer_id,
        profile.etag,
        time_text(profile.updated_at.as_ref()),
    );
    if !profile.withheld.is_empty() {
        let mut withheld = table(["WITHHELD", "REASON", "EXPLANATION"]);
        for one in &profile.withheld {
            withheld.add_row([
                one.name.clone(),
                word_of::<v1::RefusalReason>(one.reason),
                one.explanation.clone(),
            ]);
        }
        text.push_str(&format!("\n\n{withheld}"));
    }
    text
}

fn batch_text(one: &v1::BatchProfile) -> String {
    match &one.result {
        Some(v1::batch_profile::Result::Profile(profile)) => profile_text(profile),
        Some(v1::batch_profile::Result::Error(error)) => format!("{}: {}", one.customer_id, error.message),
        None => format!("{}: no answer", one.customer_id),
    }
}

fn outcome_text(answer: &v1::IngestProfileResponse) -> String {
    let mut lines = table(["ITEM", "OUTCOME", "REASON", "EXPLANATION"]);
    let attributes = answer.attributes.iter().map(|one| {
        let outcome = if one.merged { "merged" } else { "refused" };
        (&one.attribute, outcome, one.refusal, &one.explanation)
    });
    let events = answer.events.iter().map(|one| {
        let outcome = if one.appended { "appended" } else { "refused" };
        (&one.event_id, outcome, one.refusal, &one.explanation)
    });
    for (item, outcome, refusal, explanation) in attributes.chain(events) {
        lines.add_row([item, outcome, &word_of::<v1::RefusalReason>(refusal), explanation]);
    }
    let verb = if answer.created { "created" } else { "updated" };
    format!("{} {verb}, etag {}\n\n{lines}", answer.customer_id, answer.etag)
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
    fn a_profile_shows_what_is_given_and_what_is_withheld() {
        let profile = v1::Profile {
            customer_id: "cust_x".into(),
            etag: "7".into(),
            attributes: vec![v1::Attribute {
                name: "city".into(),
                value: Some(values::parse(v1::ValueType::Text, "Perth").unwrap()),
                provenance: None,
                ground: v1::LawfulBasis::Contract.into(),
                until: None,
            }],
            withheld: vec![v1::WithheldAttribute {
                name: "age".into(),
                reason: v1::RefusalReason::NoGround.into(),
                explanation: "nothing allows it".into(),
            }],
            created_at: None,
            updated_at: None,
        };
        let text = profile_text(&profile);
        assert!(text.contains("city       Perth  contract"), "{text}");
        assert!(text.contains("age       no-ground  nothing allows it"), "{text}");
        assert!(!text.contains("UNTIL"), "nothing ends by itself: {text}");
        let mut ending = profile;
        ending.attributes[0].until = Some(values::parse_time("2027-01-01").unwrap());
        assert!(profile_text(&ending).contains("2027-01-01T00:00:00Z"));
    }
}
