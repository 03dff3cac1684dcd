//! Owns how a value of an attribute with a format is stored (GO-4). Always: in its normal form, with the text that the source wrote
//! where it differs; and as the request and the catalogue alone say, so that neither the order of requests nor what is stored about
//! the customer shows in an outcome.

use std::collections::BTreeSet;

use super::{Collection, Observation};
use crate::{
    catalogue::{AttributeDefinition, Catalogue},
    format::{ValueFormat, country_code},
    reason::RefusalReason,
    value::{Text, Value},
};

impl Collection<'_> {
    /// The value to store, and the text as it was written if that differs.
    pub(super) fn normal_form(
        &self,
        observation: &Observation,
        definition: &AttributeDefinition,
        catalogue: &Catalogue,
    ) -> Result<(Value, Option<Text>), RefusalReason> {
        let (Some(format), Value::Text(written)) = (definition.format, &observation.value) else {
            return Ok((observation.value.clone(), None));
        };
        let country = self.country_of(definition, catalogue);
        let normal = format.normalise(written.as_str(), country).ok_or(RefusalReason::InvalidFormat)?;
        if normal == written.as_str() {
            return Ok((observation.value.clone(), None));
        }
        if normal.len() > definition.bytes_max {
            return Err(RefusalReason::ValueTooLong);
        }
        let normal = Text::from_string(normal).map_err(|_control| RefusalReason::InvalidFormat)?;
        Ok((Value::Text(normal), Some(written.clone())))
    }

    /// The country that comes with a postal code in the same input; none if there is none, or more than one.
    fn country_of(&self, definition: &AttributeDefinition, catalogue: &Catalogue) -> Option<&'static str> {
        let stated = catalogue.attribute(definition.country_attribute?)?;
        let is_code = stated.format == Some(ValueFormat::CountryCode);
        let observed = self.input.observations.iter().filter(|one| is_code && one.attribute == stated.name);
        let code = |one: &Observation| {
            let Value::Text(text) = &one.value else { return None };
            country_code(text.as_str())
        };
        let codes: BTreeSet<_> = observed.map(code).collect();
        codes.first().copied().flatten().filter(|_| codes.len() == 1)
    }
}
