//! Owns the bytes of catalogue entries, one file for each kind, and of the catalogue's changes. Always: an entry has
//! the same message alone and in a change.

use super::field::message;

/// The bytes of an entry: the message of its fields, framed.
macro_rules! stored {
    ($entry:ident of $fields:ident, $kind:literal) => {
        impl $crate::codec::Field for $entry {
            type Wire = <$fields as $crate::codec::Field>::Wire;

            fn to_wire(&self) -> Self::Wire {
                <$fields as $crate::codec::Field>::to_wire(self)
            }

            fn from_wire(
                wire: Self::Wire,
                _kind: &'static str,
                field: &'static str,
            ) -> Result<Self, $crate::error::ProfileError> {
                let fields = <$fields as $crate::codec::Field>::from_wire(wire, $kind, field)?;
                $crate::codec::Intact::intact(Self::new(fields), $kind, "combination of fields")
            }
        }

        impl $crate::codec::Stored for $entry {
            fn encode(&self) -> Vec<u8> {
                $crate::codec::frame(&$crate::codec::Field::to_wire(self))
            }

            fn decode(bytes: &[u8]) -> Result<Self, $crate::error::ProfileError> {
                let wire = $crate::codec::unframe($kind, bytes)?;
                $crate::codec::Field::from_wire(wire, $kind, "fields")
            }
        }
    };
}

mod attribute;
mod change;
mod channel;
mod jurisdiction;
mod matter_type;
mod namespace;
mod purpose;
mod recipient;
mod trait_definition;
