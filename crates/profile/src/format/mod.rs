//! Owns the formats that the catalogue can give a text attribute: postal addresses, mail addresses and telephone numbers (GO-4).
//! Always: a normal form is its own normal form; what cannot be of the format has none, and is refused rather than guessed.

mod country;
mod lines;
mod postal_code;

use std::sync::LazyLock;

use crate::{
    identifier::{EmailRules, NormalForm, Normaliser, PhoneRules},
    numbered::numbered,
};
pub(crate) use country::country_code;

numbered! {
    /// What a text attribute's values look like. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum ValueFormat ("format", expected "a format") {
        /// A country, ISO 3166-1.
        CountryCode = 1,
        /// A postal code.
        PostalCode = 2,
        /// Lines of a postal address.
        AddressLine = 3,
        /// A town.
        City = 4,
        /// A mail address.
        Email = 5,
        /// A telephone number with its country code.
        Phone = 6,
    }
}

static EMAIL: LazyLock<Normaliser> =
    LazyLock::new(|| Normaliser::new(NormalForm::Email(EmailRules::default()), &[]));
static PHONE: LazyLock<Normaliser> =
    LazyLock::new(|| Normaliser::new(NormalForm::Phone(PhoneRules::default()), &[]));

impl ValueFormat {
    /// The normal form of a text as a source wrote it; none if it cannot be of the format. Idempotent for each country.
    ///
    /// `country` is that of a postal code, an ISO 3166-1 code as [`ValueFormat::CountryCode`] takes it; none, or one whose
    /// postal codes are not known here: only what all postal codes have in common is checked.
    #[must_use]
    pub fn normalise(self, text: &str, country: Option<&str>) -> Option<String> {
        let of = |normaliser: &Normaliser| normaliser.normalise(text).ok().map(|of| of.as_str().to_owned());
        match self {
            Self::CountryCode => country_code(text).map(str::to_owned),
            Self::PostalCode => postal_code::normalise(text, country.and_then(country_code)),
            Self::AddressLine => lines::normalise(text, "\n"),
            Self::City => lines::normalise(text, " "),
            Self::Email => of(&EMAIL),
            Self::Phone => of(&PHONE),
        }
    }
}
