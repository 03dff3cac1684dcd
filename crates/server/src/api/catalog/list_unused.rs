//! ListUnusedAttributes: data that is collected but not read should no longer be collected (GDPR Art. 5(1)(c); GO-3).

use custodia_profile::AttributeDefinition;
use custodia_proto::v1;
use tokio::time::Instant;

use crate::{
    api::handler::AnyNodeCall,
    catalogue::{Day, Days, usage_of},
    shard::ShardContext,
    wire::{ServiceError, now},
};

/// The maximum number of days to look back.
const DAYS_MAX: u32 = 3_650;

impl AnyNodeCall for v1::ListUnusedAttributesRequest {
    async fn answer(
        self,
        context: &ShardContext,
        deadline: Instant,
    ) -> Result<v1::ListUnusedAttributesResponse, ServiceError> {
        if !(1..=DAYS_MAX).contains(&self.days) {
            return Err(ServiceError::invalid("days", format!("expected 1 to {DAYS_MAX}")));
        }
        let (view, today) = (context.catalogue().leased_view(deadline).await?, Day::of(now()));
        let mut attributes = Vec::new();
        for attribute in view.catalogue.attributes() {
            let (_, days) = usage_of(&view.directory, attribute.number)?;
            attributes.extend(unused(attribute, days, self.days, today));
        }
        Ok(v1::ListUnusedAttributesResponse { attributes })
    }
}

/// The attribute, if it is collected and was not read for `unread_for` days.
fn unused(
    attribute: &AttributeDefinition,
    days: Days,
    unread_for: u32,
    today: Day,
) -> Option<v1::UnusedAttribute> {
    let never = Day::default();
    let unread = days.read == never || today.days_since(days.read) >= unread_for;
    (days.collected != never && unread).then(|| v1::UnusedAttribute {
        name: attribute.name.as_str().to_owned(),
        last_collected_on: days.collected.text(),
        last_read_on: days.read.text(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::test_entries::attribute;

    fn days(read: u32, collected: u32) -> Days {
        Days { read: Day::new(read), collected: Day::new(collected) }
    }

    /// GO-3.
    #[test]
    fn an_attribute_is_unused_if_collected_and_not_read_for_the_given_days() {
        let attribute = attribute(1, "iban", &[1]);
        let today = Day::new(20_513);
        let found = |seen: Days, unread_for: u32| unused(&attribute, seen, unread_for, today);
        assert_eq!(found(days(0, 0), 1), None, "nothing is kept");
        assert_eq!(found(days(20_000, 0), 1), None, "nothing was collected since counting began");
        let never = found(days(0, 20_513), 3_650).expect("never read");
        assert_eq!((never.last_collected_on.as_str(), never.last_read_on.as_str()), ("2026-03-01", ""));
        assert_eq!(found(days(20_484, 20_513), 30), None, "read 29 days ago");
        let old = found(days(20_483, 20_512), 30).expect("read 30 days ago");
        assert_eq!((old.name.as_str(), old.last_read_on.as_str()), ("iban", "2026-01-30"));
        assert_eq!(found(days(20_514, 20_512), 1), None, "read on a node whose clock is ahead");
    }
}
