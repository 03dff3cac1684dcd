//! The table of contacts of docs/consent.md, row by row (PR-6).

use custodia_profile::{
    Catalogue, ChannelPreference, Contact, ContactChannel, ContactQuestion, FrequencyCap, LawfulBasis,
    PreferenceFields, Preferences, Purpose, Reader, RefusalReason, TimeZoneName, TopicId, TopicPreference,
    check_contact,
};

use super::cells::{ASKED, OTHER, Parsed, basis, clauses, moment, purpose_of, record, unknown, value};
use super::table;
use crate::contact::preferences::quiet;
use crate::world::{purpose, purpose_fields};

const HEADER: &str = "| No. | On record | Customer | Wishes | Purpose allows | Contact | Verdict | Source |";

fn channel(name: &str) -> Parsed<ContactChannel> {
    ContactChannel::new("channel", name).map_err(|error| error.to_string())
}

/// `no sms; no email for another purpose; not about offers; zone Europe/Berlin; quiet 21:00-08:00; at most 0 in 24 h`.
fn wishes(cell: &str) -> Parsed<Preferences> {
    let mut fields = PreferenceFields::default();
    for clause in clauses(cell).filter(|clause| *clause != "none") {
        if let Some(name) = clause.strip_prefix("zone ") {
            fields.time_zone = Some(TimeZoneName::new(name).map_err(|error| error.to_string())?);
        } else if let Some((begins, ends)) =
            clause.strip_prefix("quiet ").and_then(|hours| hours.split_once('-'))
        {
            fields.quiet_hours.push(quiet(&[], begins, ends));
        } else if let Some(topic) = clause.strip_prefix("not about ") {
            fields.topics.push(TopicPreference { topic: value(topic)?, wanted: false });
        } else if clause == "at most 0 in 24 h" {
            let cap = FrequencyCap { channel: None, purpose: None, contacts_max: 0, window_hours: 24 };
            fields.frequency_caps.push(cap);
        } else {
            let (wanted, rest) = match (clause.strip_prefix("no "), clause.strip_prefix("wants ")) {
                (Some(rest), _) => (false, rest),
                (_, Some(rest)) => (true, rest),
                _ => return unknown(clause),
            };
            let (name, of) = match rest.split_once(" for ") {
                Some((name, "this purpose")) => (name, Some(ASKED)),
                Some((name, "another purpose")) => (name, Some(OTHER)),
                Some(_) => return unknown(clause),
                None => (rest, None),
            };
            fields.channels.push(ChannelPreference {
                channel: channel(name)?,
                wanted: wanted || of.is_some(),
                unwanted_purposes: of.into_iter().map(purpose).collect(),
                address: None,
            });
        }
    }
    Preferences::new(fields).map_err(|error| error.to_string())
}

/// `allowed by consent`, `not allowed: no ground`, or `by consent from 2026-06-15T14:00:00.000Z: calling hours`.
fn verdict(cell: &str) -> Parsed<Contact> {
    let reason = |text: &str| {
        let mut all = RefusalReason::ALL.into_iter();
        let said = all.find(|reason| reason.name().to_lowercase().replace('_', " ") == text);
        said.map_or_else(|| unknown(text), Ok)
    };
    if let Some(text) = cell.strip_prefix("not allowed: ") {
        return Ok(Contact::NotAllowed(reason(text)?));
    }
    if let Some(text) = cell.strip_prefix("allowed by ") {
        let (ground, rest) = basis(text)?;
        return if rest.is_empty() { Ok(Contact::Allowed { ground }) } else { unknown(cell) };
    }
    let (ground, rest) = basis(cell.strip_prefix("by ").unwrap_or(cell))?;
    let (at, text) = rest.strip_prefix(" from ").and_then(|rest| rest.split_once(": ")).ok_or("no moment")?;
    Ok(Contact::AllowedFrom { at: moment(at)?, reason: reason(text)?, ground })
}

fn judged(line: &str) -> Parsed<(Contact, Contact)> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [_, on_record, customer, wanted, purpose_allows, contact, expected, source] = cells.as_slice() else {
        return Err(format!("{} cells", cells.len()));
    };
    if source.is_empty() {
        return Err("a row names its source".to_owned());
    }
    let mut record = record(on_record, customer)?;
    record.preferences = wishes(wanted)?;
    let mut catalogue = Catalogue::new();
    let asked = purpose_of(purpose_allows)?.ok_or("no purpose")?;
    for fields in [asked, purpose_fields(OTHER, "other", &[LawfulBasis::Consent])] {
        catalogue.put_purpose(Purpose::new(fields).map_err(|error| error.to_string())?).unwrap();
    }
    let mut parts = clauses(contact);
    let (name, at) = parts.next().and_then(|part| part.split_once(" at ")).ok_or("a channel at a moment")?;
    let topic = match parts.next() {
        Some(part) => Some(value::<TopicId>(part.strip_prefix("about ").ok_or("about a topic")?)?),
        None => None,
    };
    let question = ContactQuestion {
        channel: &channel(name)?,
        purpose: catalogue.purpose(purpose(ASKED)).unwrap(),
        topic: topic.as_ref(),
        reader: Reader::Controller,
    };
    Ok((check_contact(&record, &question, &catalogue, moment(at)?), verdict(expected)?))
}

#[test]
fn every_row_of_the_table_of_contacts_holds() {
    let mut failed = Vec::new();
    for (position, line) in table(HEADER).into_iter().enumerate() {
        let (is, expected) = judged(line).unwrap_or_else(|fault| panic!("{fault}:\n{line}"));
        if is != expected {
            failed.push(format!("{line}\n  is {is:?}"));
        }
        assert!(line.starts_with(&format!("| C{} |", position + 1)), "rows are numbered from 1: {line}");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(table(HEADER).len() >= 20);
}
