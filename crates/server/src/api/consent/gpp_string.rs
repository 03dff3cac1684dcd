//! RecordGppString and GetGppString: the consent string of the IAB Tech Lab's Global Privacy Platform.
//!
//! Invariant: a string's opt-outs are recorded with it, in one commit, and a caller whose role allows the call is never kept
//! from passing them on. As for TC strings, the request memory keeps only the string.

use custodia_profile::{Channel, GppString, Label, ProfileError, StoredGppString, record_gpp_string};
use custodia_proto::v1;

use super::iab;
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    routing::CustomerLocation,
    shard::{
        CustomerRead, CustomerState, CustomerWrite, Mutation, Origin, ProfileView, ReadAccess, WriteAccess,
    },
    wire::{ServiceError, parse_optional, timestamp},
};

/// A string to record.
#[derive(Debug)]
pub(crate) struct GppInput {
    text: String,
    channel: Option<Channel>,
    access: WriteAccess,
}

impl CustomerWrite for v1::RecordGppStringRequest {
    type Input = GppInput;
    const CATALOGUE: CatalogueNeed = CatalogueNeed::Current;

    fn parse(&self, _origin: Origin<'_>, _view: &CatalogueView) -> Result<Self::Input, ServiceError> {
        if self.gpp_string.is_empty() {
            return Err(ServiceError::missing("gpp_string"));
        }
        let read = GppString::read(&self.gpp_string).map_err(ProfileError::from)?;
        let says_no = !read.opt_outs().is_empty();
        Ok(GppInput {
            text: self.gpp_string.clone(),
            channel: Channel::optional("channel", &self.channel)?,
            access: if says_no { WriteAccess::No(Vec::new()) } else { WriteAccess::CollectAny },
        })
    }

    fn access(input: &Self::Input) -> WriteAccess {
        input.access.clone()
    }

    fn echo(&self, location: CustomerLocation, _answer: v1::GppString) -> v1::GppString {
        let customer_id = location.customer.to_string();
        v1::GppString { customer_id, gpp_string: self.gpp_string.clone(), ..Default::default() }
    }

    fn evaluate(
        GppInput { text, channel, .. }: &Self::Input,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let (record, catalogue) = (state.record_or_new(), &state.view.catalogue);
        let change = state.change();
        let recorded =
            record_gpp_string(&record, text, channel.as_ref(), state.precondition, catalogue, change)?;
        let stored = recorded.record.gpp_string.as_ref();
        let answer = v1::GppString {
            customer_id: state.location.customer.to_string(),
            gpp_string: text.clone(),
            recorded_at: stored.map(|stored| timestamp(stored.recorded_at)),
            ..Default::default()
        };
        let record = (!recorded.ledger.is_empty()).then_some(recorded.record);
        Ok(Mutation::new(record, recorded.ledger, answer))
    }

    fn present(location: CustomerLocation, remembered: v1::GppString) -> Result<v1::GppString, ServiceError> {
        let recorded_at = parse_optional(remembered.recorded_at.as_ref(), "recorded_at")?;
        let stored = StoredGppString {
            text: Label::new("gpp_string", &remembered.gpp_string)?,
            recorded_at: recorded_at.ok_or(ServiceError::Unreadable)?,
        };
        iab::gpp_string(location.customer, &stored)
    }
}

impl CustomerRead for v1::GetGppStringRequest {
    type Query = ();
    const ACCESS: ReadAccess = ReadAccess::Permitted;

    fn parse(&self, _view: &CatalogueView) -> Result<(), ServiceError> {
        Ok(())
    }

    async fn answer((): (), profile: ProfileView<'_>) -> Result<v1::GppString, ServiceError> {
        let stored = profile.record().gpp_string.as_ref().ok_or(ServiceError::GppStringNotFound)?;
        iab::gpp_string(profile.location.customer, stored)
    }
}
