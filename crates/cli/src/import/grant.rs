//! The consent, or another ground, that a row brings with its data. Always: it has a date from the file and is imported as of
//! it, and what the cluster would refuse is refused here, so that it costs no more than itself.

use custodia_profile::Reference;
use custodia_profile::limits::{DECIDED_AT_MIN_MS, FUTURE_MAX_MS};
use custodia_proto::{Timestamp, v1};
use data_encoding::HEXLOWER_PERMISSIVE;

use crate::import::field::Field;
use crate::import::mapping::ConsentMapping;
use crate::import::row::Row;

/// The ground that comes with a row; `None` if the row does not meet the condition. `declared` is the date that the file
/// declares for the row, `began_at` when the import began. An error says what is wrong, and never contains a value.
pub(super) fn map_consent(
    consent: &ConsentMapping,
    row: &Row,
    declared: Option<Timestamp>,
    began_at: Timestamp,
) -> Result<Option<v1::ConsentGrant>, String> {
    if consent.only_where.as_ref().is_some_and(|condition| !condition.holds(row)) {
        return Ok(None);
    }
    let time = |name: &str, field: &Option<Field>| {
        let time = field.as_ref().map_or(Ok(None), |field| field.time(row));
        time.map_err(|reason| format!("{name}: {reason}"))
    };
    let given_at = match &consent.given_at {
        Some(_) => time("given_at", &consent.given_at)?,
        None => declared,
    };
    let given_at = given_at.ok_or("the date of the consent is empty")?;
    check_date(given_at, began_at)?;
    let expires_at = time("expires_at", &consent.expires_at)?;
    let valid_from = time("valid_from", &consent.valid_from)?;
    for (begin, name) in [(Some(given_at), "the date of the consent"), (valid_from, "valid_from")] {
        if begin.zip(expires_at).is_some_and(|(begin, end)| ms_of(end) <= ms_of(begin)) {
            return Err(format!("expires_at is not after {name}"));
        }
    }
    let text = |field: &Option<Field>| {
        let found = field.as_ref().map_or(Ok(None), |field| field.text(row));
        found.map(Option::unwrap_or_default)
    };
    let statement = text(&consent.statement_sha256)?;
    if !statement.is_empty()
        && HEXLOWER_PERMISSIVE.decode(statement.as_bytes()).map_or(0, |hash| hash.len()) != 32
    {
        return Err("statement_sha256 is not 64 hex digits".into());
    }
    // A text that the cluster would refuse must not cost the rest of the row.
    let label = |name: &'static str, field: &Option<Field>| {
        let text = text(field)?;
        Reference::optional(name, &text).map_err(|error| error.to_string())?;
        Ok::<_, String>(text)
    };
    let reference = label("reference", &consent.reference)?;
    if reference.is_empty() && consent.reference.is_some() {
        return Err("reference is empty".into());
    }
    let incapacity = label("incapacity", &consent.incapacity)?;
    let grant = grant(consent, given_at, (statement, incapacity));
    Ok(Some(v1::ConsentGrant { expires_at, reference, valid_from, ..grant }))
}

/// What the mapping itself says of the ground, in place of a row: if the cluster refuses this, it refuses every row.
pub(super) fn sample(consent: &ConsentMapping, given_at: Timestamp) -> v1::ConsentGrant {
    let stated = |field: &Option<Field>| field.as_ref().map(|_| "sample".to_owned()).unwrap_or_default();
    let grant = grant(consent, given_at, (String::new(), stated(&consent.incapacity)));
    v1::ConsentGrant { reference: stated(&consent.reference), ..grant }
}

/// It is of the past, and a file is not how the customer said it, so it is imported.
fn grant(
    consent: &ConsentMapping,
    given_at: Timestamp,
    (statement_sha256, incapacity): (String, String),
) -> v1::ConsentGrant {
    let evidence = v1::ConsentEvidence {
        act: consent.act.map_or(0, i32::from),
        statement_sha256,
        language: consent.language.clone(),
        bundled: false,
        decided_by: consent.decided_by.map_or(0, i32::from),
        incapacity,
    };
    v1::ConsentGrant {
        purpose: consent.purpose.clone(),
        notice_version: consent.notice_version.clone(),
        method: consent.method.map_or(0, i32::from),
        collector: consent.collector.clone(),
        given_at: Some(given_at),
        evidence: (evidence != v1::ConsentEvidence::default()).then_some(evidence),
        channel: consent.channel.clone(),
        lawful_basis: consent.basis.map_or(0, i32::from),
        recording: v1::Recording::Imported.into(),
        ..v1::ConsentGrant::default()
    }
}

/// A date that the cluster would refuse costs the ground of its row alone.
fn check_date(given_at: Timestamp, began_at: Timestamp) -> Result<(), String> {
    if ms_of(given_at) > ms_of(began_at) + FUTURE_MAX_MS {
        return Err("the date of the consent is more than five minutes in the future".into());
    }
    if ms_of(given_at) < DECIDED_AT_MIN_MS {
        return Err("the date of the consent is before the year 1900".into());
    }
    Ok(())
}

/// As the cluster keeps a time: what is finer than a millisecond is not stored.
fn ms_of(time: Timestamp) -> i64 {
    time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::mapping::{Mapping, MappingFile as _};

    /// In the year 2033.
    const NOW: Timestamp = Timestamp { seconds: 2_000_000_000, nanos: 0 };

    #[test]
    fn a_consent_has_its_evidence() {
        let mapping = Mapping::parse(
            r#"
            [customer]
            key = ["id"]
            namespace = "crm"
            [[consents]]
            purpose = "offers"
            notice_version = "2026-01"
            method = "explicit"
            act = "signed"
            language = "de"
            channel = "store"
            statement_sha256 = "scan"
            given_at = "on"
            expires_at = "until"
            only_where = { column = "agreed", equals = "yes" }
            "#,
        );
        let consent = &mapping.unwrap().consents[0];
        let hash = "0f".repeat(32);
        let row = |agreed, on, scan: &str| {
            Row::of_pairs(1, &[("agreed", agreed), ("scan", scan), ("on", on), ("until", "2030-01-01")])
        };
        let grant = map_consent(consent, &row("yes", "2026-02-03", &hash), None, NOW).unwrap().unwrap();
        let evidence = grant.evidence.unwrap();
        assert_eq!((evidence.act(), evidence.statement_sha256), (v1::AffirmativeAct::Signed, hash.clone()));
        assert_eq!((grant.channel.as_str(), grant.expires_at.is_some()), ("store", true));
        assert_eq!(grant.given_at.unwrap().to_string(), "2026-02-03T00:00:00Z");
        assert_eq!(map_consent(consent, &row("no", "", &hash), None, NOW), Ok(None));
        let declared = Some(Timestamp { seconds: 1, nanos: 0 });
        for (on, scan, reason) in [
            ("", hash.as_str(), "empty"),
            ("2030-01-01", &hash, "expires_at"),
            ("2026-02-03", "00ff", "64 hex"),
            ("2034-02-01", &hash, "in the future"),
            ("1899-12-31", &hash, "1900"),
        ] {
            let error = map_consent(consent, &row("yes", on, scan), declared, NOW).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_contract_comes_with_the_row_that_proves_it() {
        let mapping = Mapping::parse(
            r#"
            [customer]
            key = ["id"]
            namespace = "crm"
            [[consents]]
            purpose = "service"
            basis = "contract"
            reference = "order"
            given_at = "since"
            valid_from = "since"
            "#,
        );
        let consent = &mapping.unwrap().consents[0];
        let row = Row::of_pairs(1, &[("order", "A-17"), ("since", "2026-01-01")]);
        let grant = map_consent(consent, &row, None, NOW).unwrap().unwrap();
        assert_eq!((grant.lawful_basis(), grant.reference.as_str()), (v1::LawfulBasis::Contract, "A-17"));
        assert!(grant.valid_from.is_some() && grant.evidence.is_none());
        assert_eq!(grant.recording(), v1::Recording::Imported);
        assert_eq!((grant.method(), grant.notice_version.as_str()), (v1::ConsentMethod::Unspecified, ""));
    }
}
