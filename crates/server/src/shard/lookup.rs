//! Which identifiers a caller may look up: those of namespaces that the catalogue allows for its purpose.
//!
//! Invariant: a caller who may not use a namespace is refused before the index is asked, so neither the answer nor its time tells
//! whether anybody holds the identifier.

use custodia_profile::{Identifier, IdentifierValue, Namespace, Purpose, Reader, RefusalReason};
use custodia_proto::v1;

use super::{
    ShardContext,
    reader::{reader, reader_for},
};
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    identity::Caller,
    routing::Call,
    wire::{FieldFault, ServiceError, parse},
};

impl ShardContext {
    /// The identifier that a call looks up, and whether one person at most has it.
    pub(crate) async fn looked_up(
        &self,
        call: &Call,
        wire: &v1::Identifier,
        purpose: &str,
    ) -> Result<(Identifier, bool), ServiceError> {
        let stated = &parse::purpose(purpose, "purpose")?;
        let parsed = |view: &CatalogueView| {
            let purpose = view.purpose(stated, "purpose")?;
            let reader = reader_for(&call.caller, view, purpose)?;
            Ok((usable(wire, purpose, reader, view)?, namespace(wire, view)?.unique))
        };
        let parsed = self.catalogue().parse_on(CatalogueNeed::Names, call.deadline, parsed, |_, _| true);
        let (_view, looked_up) = parsed.await?;
        Ok(looked_up)
    }
}

/// Refuses a reader whose purpose has no use for the namespace. The controller may use each.
///
/// # Errors
/// [`ServiceError::NamespaceRefused`].
pub(crate) fn check_use(
    namespace: &Namespace,
    purpose: &Purpose,
    reader: Reader<'_>,
) -> Result<(), ServiceError> {
    if reader == Reader::Controller || namespace.allows(purpose.number) {
        return Ok(());
    }
    Err(ServiceError::NamespaceRefused {
        reason: RefusalReason::PurposeNotAllowed,
        purpose: purpose.id.clone(),
    })
}

/// The identifier that a writer names under a purpose of its collection.
///
/// # Errors
/// Names the field; [`ServiceError::NamespaceRefused`].
pub(crate) fn written_identifier(
    caller: &Caller,
    wire: Option<&v1::Identifier>,
    purpose: &Purpose,
    view: &CatalogueView,
) -> Result<Identifier, ServiceError> {
    let wire = wire.ok_or_else(|| ServiceError::missing("identifier"))?;
    usable(wire, purpose, reader(caller, &view.catalogue), view)
}

/// The identifier that a writer takes away. One that today's rules refuse is named as it is stored, with the reason.
///
/// # Errors
/// As [`written_identifier`], but for the value.
pub(crate) fn held_identifier(
    caller: &Caller,
    wire: Option<&v1::Identifier>,
    purpose: &Purpose,
    view: &CatalogueView,
) -> Result<(Identifier, Option<RefusalReason>), ServiceError> {
    let wire = wire.ok_or_else(|| ServiceError::missing("identifier"))?;
    let namespace = namespace(wire, view)?;
    check_use(namespace, purpose, reader(caller, &view.catalogue))?;
    let (value, refused) = match namespace.normalise(&wire.value) {
        Ok(value) => (value, None),
        Err(reason) => {
            (IdentifierValue::as_stored(&wire.value).ok_or_else(|| refused_value(reason))?, Some(reason))
        }
    };
    Ok((Identifier { namespace: namespace.id.clone(), value }, refused))
}

/// The value is no identifier of its namespace.
pub(crate) fn refused_value(reason: RefusalReason) -> ServiceError {
    ServiceError::field("identifier.value", FieldFault::NotRecordable(reason))
}

fn usable(
    wire: &v1::Identifier,
    purpose: &Purpose,
    reader: Reader<'_>,
    view: &CatalogueView,
) -> Result<Identifier, ServiceError> {
    let identifier = identifier(wire, view)?;
    check_use(namespace(wire, view)?, purpose, reader)?;
    Ok(identifier)
}

/// An identifier in its normal form.
///
/// # Errors
/// Names the field.
pub(crate) fn identifier(wire: &v1::Identifier, view: &CatalogueView) -> Result<Identifier, ServiceError> {
    let namespace = namespace(wire, view)?;
    let value = namespace.normalise(&wire.value).map_err(refused_value)?;
    Ok(Identifier { namespace: namespace.id.clone(), value })
}

fn namespace<'a>(wire: &v1::Identifier, view: &'a CatalogueView) -> Result<&'a Namespace, ServiceError> {
    let field = "identifier.namespace";
    if wire.namespace.is_empty() {
        return Err(ServiceError::missing(field));
    }
    let found = view.catalogue.namespace(&wire.namespace);
    found.map(|of| &**of).ok_or_else(|| ServiceError::field(field, FieldFault::NamespaceUnknown))
}
