//! Owns what an attribute is about where records of one person are sought. Always: numbers are those of the API.

use crate::numbered::numbered;

numbered! {
    /// What the values of an attribute are compared as. `custodia-linkage` says how.
    #[derive(PartialOrd, Ord)]
    pub enum MatchField ("match_as", expected "what the attribute is compared as") {
        /// Given names.
        GivenName = 1,
        /// Family name.
        Surname = 2,
        /// Given names and family name in one text.
        FullName = 3,
        /// Date of birth, or its year.
        DateOfBirth = 4,
        /// Gender.
        Gender = 5,
        /// E-mail address.
        Email = 6,
        /// Telephone number.
        Phone = 7,
        /// What one person alone has: national number, account, card.
        Identifier = 8,
        /// Street, with or without the house number.
        Street = 9,
        /// House number where it stands alone.
        HouseNumber = 10,
        /// Further line of the address.
        AddressLine = 11,
        /// Postal code.
        PostalCode = 12,
        /// Town.
        City = 13,
        /// State, county or region.
        Region = 14,
        /// A property of the person, such as the place of birth.
        FirstProperty = 15,
        /// A second property.
        SecondProperty = 16,
        /// A third property.
        ThirdProperty = 17,
        /// A fourth property.
        FourthProperty = 18,
        /// Free text about the person.
        FreeText = 19,
        /// Further given names, or their initials.
        MiddleName = 20,
    }
}
