//! For whom a call reads: the controller, or the registered recipient with the caller's name.
//!
//! Invariant: every call that states a purpose passes [`reader_for`] before it is given anything about a customer. A
//! caller with the role `privacy` reads as the controller. Every other caller reads as the recipient of its name, and only
//! for the purposes for which that recipient is registered. A refusal concerns the call as a whole and never depends on a
//! customer.
//!
//! An acknowledged change that allows a recipient more takes effect here at once: a node that would refuse catches up first.
//! One that allows less, such as a suspension, is acknowledged when no node judges a call without it (`catalogue/lease.rs`).

use custodia_profile::{Catalogue, Purpose, Reader};

use crate::{
    catalogue::CatalogueView,
    identity::{Caller, Role},
    wire::ServiceError,
};

/// For whom the caller reads.
///
/// # Errors
/// [`ServiceError::ReaderRefused`] if the caller may not ask for this purpose.
pub(crate) fn reader_for<'a>(
    caller: &Caller,
    view: &'a CatalogueView,
    purpose: &Purpose,
) -> Result<Reader<'a>, ServiceError> {
    let reader = reader(caller, &view.catalogue);
    match reader.refused(purpose) {
        None => Ok(reader),
        Some(reason) => Err(ServiceError::ReaderRefused { reason, purpose: purpose.id.clone() }),
    }
}

/// For whom the caller reads, whatever the purpose.
pub(super) fn reader<'a>(caller: &Caller, catalogue: &'a Catalogue) -> Reader<'a> {
    if caller.roles.contains(Role::Privacy) {
        return Reader::Controller;
    }
    reader_named(catalogue, &caller.name)
}

/// The recipient of a name as a reader.
pub(crate) fn reader_named<'a>(catalogue: &'a Catalogue, name: &str) -> Reader<'a> {
    catalogue.recipient(name).map_or(Reader::Unregistered, |recipient| Reader::Registered(recipient))
}

#[cfg(test)]
mod tests {
    use custodia_profile::{LawfulBasis, PurposeNumber, Recipient, RecipientFields, RefusalReason, Revision};

    use super::*;
    use crate::{catalogue::test_entries::purpose, identity::RoleSet};

    fn recipient(id: &str, purposes: &[u32], suspended: bool) -> Recipient {
        Recipient::new(RecipientFields {
            id: id.parse().expect("a name"),
            display_name: String::new(),
            description: String::new(),
            owner: String::new(),
            purposes: purposes.iter().map(|number| PurposeNumber::new(*number).expect("a number")).collect(),
            collection_purposes: Vec::new(),
            third_party: false,
            suspended,
            revision: Revision::from_u64(1),
        })
        .expect("valid")
    }

    /// SE-2, CO-4: the caller's role and name, the purpose it asks for, and the refusal.
    #[test]
    fn a_caller_reads_as_the_recipient_of_its_name_and_the_privacy_office_as_the_controller() {
        let mut catalogue = Catalogue::new();
        catalogue.put_purpose(purpose(1, "service", &[LawfulBasis::Contract])).expect("fits");
        catalogue.put_purpose(purpose(2, "marketing", &[LawfulBasis::Consent])).expect("fits");
        catalogue.put_recipient(recipient("desk", &[1], false)).expect("fits");
        catalogue.put_recipient(recipient("ads", &[1, 2], true)).expect("fits");
        let (open, other) = (None, Some(RefusalReason::RecipientNotAllowed));
        let unknown = Some(RefusalReason::RecipientNotRegistered);
        let table = [
            (Role::Agent, "desk", "service", open),
            (Role::Ingest, "desk", "service", open),
            (Role::Agent, "desk", "marketing", other),
            (Role::Agent, "ads", "service", other),
            (Role::Agent, "nobody", "service", unknown),
            (Role::Operator, "nobody", "service", unknown),
            (Role::Privacy, "nobody", "marketing", open),
            (Role::Privacy, "ads", "marketing", open),
        ];
        for (role, name, asked, refused) in table {
            let caller = Caller { name: name.into(), roles: RoleSet::of(&[role]) };
            let asked = catalogue.purpose_by_id(asked).expect("defined");
            assert_eq!(reader(&caller, &catalogue).refused(asked), refused, "{role} {name} {}", asked.id);
        }
        let caller = Caller { name: "nobody".into(), roles: RoleSet::of(&[Role::Agent, Role::Privacy]) };
        assert_eq!(reader(&caller, &catalogue), Reader::Controller, "the role privacy prevails");
    }
}
