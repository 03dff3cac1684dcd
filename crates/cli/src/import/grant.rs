//! The consent, or another ground, that a row brings with its data. Always: it has a date from the file, and what the cluster
//! would refuse is refused here, so that it costs no more than itself.

use custodia_profile::Reference;
use custodia_proto::{Timestamp, v1};
use data_encoding::HEXLOWER_PERMISSIVE;

use crate::import::field::Field;
use crate::import::mapping::ConsentMapping;
use crate::import::row::Row;

/// The ground that comes with a row; `None` if the row does not meet the condition. `declared` is the date that the file
/// declares for the row. An error says what is wrong, and never contains a value.
pub(super) fn map_consent(
    consent: &ConsentMapping,
    row: &Row,
    declared: Option<Timestamp>,
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
    let expires_at = time("expires_at", &consent.expires_at)?;
    if expires_at.is_some_and(|end| (end.seconds, end.nanos) <= (given_at.seconds, given_at.nanos)) {
        return Err("expires_at is not after the date of the consent".into());
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
    let evidence = v1::ConsentEvidence {
        act: consent.act.map_or(0, i32::from),
        statement_sha256: statement,
        language: consent.language.clone(),
        bundled: false,
        decided_by: consent.decided_by.map_or(0, i32::from),
        incapacity: label("incapacity", &consent.incapacity)?,
    };
    Ok(Some(v1::ConsentGrant {
        purpose: consent.purpose.clone(),
        notice_version: consent.notice_version.clone(),
        method: consent.method.map_or(0, i32::from),
        collector: consent.collector.clone(),
        given_at: Some(given_at),
        expires_at,
        evidence: (evidence != v1::ConsentEvidence::default()).then_some(evidence),
        channel: consent.channel.clone(),
        lawful_basis: consent.basis.map_or(0, i32::from),
        reference,
        valid_from: time("valid_from", &consent.valid_from)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::mapping::{Mapping, MappingFile as _};

    #[test]
    fn a_consent_has_its_evidence() {
        let mapping = Mapping::parse(
            r#"
            [customer]
            key = ["id"]
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
        let grant = map_consent(consent, &row("yes", "2026-02-03", &hash), None).unwrap().unwrap();
        let evidence = grant.evidence.unwrap();
        assert_eq!((evidence.act(), evidence.statement_sha256), (v1::AffirmativeAct::Signed, hash.clone()));
        assert_eq!((grant.channel.as_str(), grant.expires_at.is_some()), ("store", true));
        assert_eq!(grant.given_at.unwrap().to_string(), "2026-02-03T00:00:00Z");
        assert_eq!(map_consent(consent, &row("no", "", &hash), None), Ok(None));
        let declared = Some(Timestamp { seconds: 1, nanos: 0 });
        for (on, scan, reason) in [
            ("", hash.as_str(), "empty"),
            ("2030-01-01", &hash, "expires_at"),
            ("2026-02-03", "00ff", "64 hex"),
        ] {
            let error = map_consent(consent, &row("yes", on, scan), declared).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_contract_comes_with_the_row_that_proves_it() {
        let mapping = Mapping::parse(
            r#"
            [customer]
            key = ["id"]
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
        let grant = map_consent(consent, &row, None).unwrap().unwrap();
        assert_eq!((grant.lawful_basis(), grant.reference.as_str()), (v1::LawfulBasis::Contract, "A-17"));
        assert!(grant.valid_from.is_some() && grant.evidence.is_none());
        assert_eq!((grant.method(), grant.notice_version.as_str()), (v1::ConsentMethod::Unspecified, ""));
    }
}
