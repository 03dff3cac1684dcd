//! Owns what the law of a channel asks of direct marketing. Always: where it asks for consent, neither silence nor an
//! interest of the sender is enough.
//!
//! Each jurisdiction lists the kinds of channels on which direct marketing needs the customer's consent (Directive
//! 2002/58/EC Art. 13(1)): a recorded one, since what was not refused was not given. On some of them a **soft opt-in**
//! is enough (Art. 13(2)): the sender has the address from a sale, advertises its own similar goods, and said at
//! collection, and says in each message, how to object. It is recorded as legitimate interests with that method; a
//! standing interest is none.

use crate::{
    catalogue::{Catalogue, ChannelKind, Jurisdiction, Purpose},
    ground::{ConsentMethod, LawfulBasis},
    id::TimestampMs,
    permission::{GroundOrigin, Jurisdictions, Permission, Reader, Verdict},
    record::CustomerRecord,
};

/// The ground on which direct marketing may use a kind of channel, if the law of the channel asks for one of its own:
/// none if it does not; an error if there is no such ground.
pub(super) fn ground_for(
    kind: ChannelKind,
    purpose: &Purpose,
    reader: Reader<'_>,
    record: &CustomerRecord,
    catalogue: &Catalogue,
    moment: TimestampMs,
) -> Result<Option<LawfulBasis>, NoMarketingGround> {
    let jurisdictions = Jurisdictions::of(&record.subject, catalogue);
    let asking: Vec<&Jurisdiction> = jurisdictions
        .iter()
        .map(|applied| applied.jurisdiction)
        .filter(|law| law.needs_consent(kind))
        .collect();
    if !purpose.direct_marketing || asking.is_empty() {
        return Ok(None);
    }
    let holds = |basis| {
        let verdict = Permission::for_basis(purpose, basis, reader, record, catalogue, moment).verdict();
        matches!(verdict, Verdict::Permit { origin: GroundOrigin::Recorded, .. })
    };
    let method = |basis| record.ground(purpose.number, basis).and_then(|state| state.method);
    if holds(LawfulBasis::Consent) && method(LawfulBasis::Consent) != Some(ConsentMethod::OptOut) {
        return Ok(Some(LawfulBasis::Consent));
    }
    let soft = method(LawfulBasis::LegitimateInterests) == Some(ConsentMethod::SoftOptIn);
    let enough = asking.iter().all(|law| law.soft_opt_in_channels.contains(&kind));
    if soft && enough && holds(LawfulBasis::LegitimateInterests) {
        Ok(Some(LawfulBasis::LegitimateInterests))
    } else {
        Err(NoMarketingGround)
    }
}

/// The law of the channel asks for a consent or a soft opt-in, and neither is recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoMarketingGround;
