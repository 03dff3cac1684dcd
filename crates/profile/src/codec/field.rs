//! Owns how each type is stored in a field of a message, and the form of the messages that hold one type each. Always:
//! what was written reads back as it was; what a constructor refuses is an error that names the stored kind and field.

use std::collections::BTreeSet;

use super::{Intact, byte};
use crate::{
    catalogue::{
        BalancingTest, ChannelKind, Classification, ConsentModel, GoogleConsentType, LinkPolicy, MatchField,
        NamespaceKind, SensitiveConsent, SpecialCategoryGround, SpecialUse, TraitAggregate,
    },
    data_subject::{LegalHold, Restriction},
    error::ProfileError,
    format::ValueFormat,
    ground::{AffirmativeAct, ConsentMethod, DecidedBy, Evidence, GroundStatus, LawfulBasis},
    iab::{StoredGppString, StoredTcString},
    id::{
        AttributeName, AttributeNumber, CallerName, CategoryId, ChannelId, CustomerId, JurisdictionId,
        MatterTypeId, MergeId, NamespaceId, PurposeId, PurposeNumber, RecipientId, Region, Revision,
        SourceId, TimestampMs, TopicId, TraitId,
    },
    label::Label,
    preferences::{ContactChannel, DayOfWeek, LocalTime, TimeZoneName},
    provenance::Party,
    record::{Verification, VerificationMethod},
    recorder::CallerRole,
    value::{Date, ValueType},
};

/// A type that a field of a stored message holds.
pub(super) trait Field: Sized {
    /// The form of the field in the message.
    type Wire;

    fn to_wire(&self) -> Self::Wire;

    /// Reads a stored field; errors name the stored kind and the field.
    fn from_wire(wire: Self::Wire, kind: &'static str, field: &'static str) -> Result<Self, ProfileError>;
}

/// One row for each type: its form in a message, how that is made, and how it is read.
macro_rules! stored_as {
    ($($type:ty as $wire:ty: |$of:ident| $write:expr, |$stored:ident| $read:expr;)+) => {$(
        impl Field for $type {
            type Wire = $wire;

            fn to_wire(&self) -> $wire {
                let $of = self;
                $write
            }

            fn from_wire(
                $stored: $wire,
                kind: &'static str,
                field: &'static str,
            ) -> Result<Self, ProfileError> {
                $read.intact(kind, field)
            }
        }
    )+};
}

stored_as! {
    bool as bool: |of| *of, |stored| Some(stored);
    u32 as u32: |of| *of, |stored| Some(stored);
    String as String: |of| of.clone(), |stored| Some(stored);
    u8 as u32: |of| (*of).into(), |number| Self::try_from(number).ok();
    u16 as u32: |of| (*of).into(), |number| Self::try_from(number).ok();
    usize as u64: |of| *of as u64, |number| Self::try_from(number).ok();
    [u8; 32] as Vec<u8>: |of| of.to_vec(), |bytes| Self::try_from(bytes).ok();
    CustomerId as Vec<u8>: |of| of.as_bytes().to_vec(), |bytes| {
        Self::from_bytes(<[u8; 16]>::try_from(bytes).unwrap_or_default())
    };
    MergeId as Vec<u8>: |of| of.as_bytes().to_vec(), |bytes| Self::from_bytes(&bytes);
    AttributeNumber as u32: |of| of.as_u32(), |number| Self::new(number);
    PurposeNumber as u32: |of| of.as_u32(), |number| Self::new(number);
    Revision as u64: |of| of.as_u64(), |number| Some(Self::from_u64(number));
    TimestampMs as i64: |of| of.as_ms(), |ms| Some(Self::from_ms(ms));
    Date as i32: |of| of.as_days(), |days| Self::from_days(days);
    LocalTime as u32: |of| of.as_minutes().into(), |minutes| {
        Self::from_minutes(minutes.try_into().unwrap_or(u16::MAX))
    };
    ContactChannel as String: |of| of.as_str().to_owned(), |text| Self::new("channel", &text);
    TimeZoneName as String: |of| of.as_str().to_owned(), |text| Self::stored(&text);
}

macro_rules! names {
    ($($type:ty)+) => {
        stored_as! { $($type as String: |of| of.as_str().to_owned(), |text| Self::new(&text);)+ }
    };
}
names! {
    AttributeName CallerName CategoryId ChannelId JurisdictionId NamespaceId PurposeId RecipientId Region SourceId TopicId
    MatterTypeId TraitId
}

macro_rules! members {
    ($($type:ty)+) => {
        stored_as! { $($type as u32: |of| of.number().into(), |number| Self::from_number(byte(number));)+ }
    };
}
members! {
    AffirmativeAct CallerRole ChannelKind Classification ConsentMethod ConsentModel DayOfWeek DecidedBy
    GoogleConsentType GroundStatus LawfulBasis LinkPolicy MatchField NamespaceKind Party SensitiveConsent SpecialCategoryGround SpecialUse ValueFormat ValueType
    VerificationMethod TraitAggregate
}

impl<const BYTES_MAX: usize> Field for Label<BYTES_MAX> {
    type Wire = String;

    fn to_wire(&self) -> String {
        self.as_str().to_owned()
    }

    fn from_wire(text: String, kind: &'static str, field: &'static str) -> Result<Self, ProfileError> {
        Self::new(field, &text).intact(kind, field)
    }
}

/// A type of which no value is stored as the default of its form, which means that there is none.
trait NeverDefault: Field<Wire: Default + PartialEq> {}

macro_rules! never_default {
    ($($type:ty)+) => { $(impl NeverDefault for $type {})+ };
}
never_default! {
    [u8; 32] AffirmativeAct AttributeNumber CategoryId ConsentMethod ContactChannel MatchField PurposeNumber Region SpecialUse ValueFormat
    TimeZoneName
}
impl<const BYTES_MAX: usize> NeverDefault for Label<BYTES_MAX> {}

impl<T: NeverDefault> Field for Option<T> {
    type Wire = T::Wire;

    fn to_wire(&self) -> T::Wire {
        self.as_ref().map(T::to_wire).unwrap_or_default()
    }

    fn from_wire(wire: T::Wire, kind: &'static str, field: &'static str) -> Result<Self, ProfileError> {
        if wire == T::Wire::default() { Ok(None) } else { T::from_wire(wire, kind, field).map(Some) }
    }
}

/// Types whose optional fields are `optional` in the message.
macro_rules! optional {
    ($($type:ty)+) => {$(
        impl Field for Option<$type> {
            type Wire = Option<<$type as Field>::Wire>;

            fn to_wire(&self) -> Self::Wire {
                self.as_ref().map(<$type>::to_wire)
            }

            fn from_wire(
                wire: Self::Wire,
                kind: &'static str,
                field: &'static str,
            ) -> Result<Self, ProfileError> {
                wire.map(|wire| <$type>::from_wire(wire, kind, field)).transpose()
            }
        }
    )+};
}
optional! { BalancingTest Date Evidence LegalHold Restriction StoredGppString StoredTcString TimestampMs Verification u8 }

/// Collections, stored as lists.
macro_rules! list {
    ($($list:ident of $bound:ident)+) => {$(
        impl<T: Field + $bound> Field for $list<T> {
            type Wire = Vec<T::Wire>;

            fn to_wire(&self) -> Self::Wire {
                self.iter().map(T::to_wire).collect()
            }

            fn from_wire(
                wire: Self::Wire,
                kind: &'static str,
                field: &'static str,
            ) -> Result<Self, ProfileError> {
                wire.into_iter().map(|one| T::from_wire(one, kind, field)).collect()
            }
        }
    )+};
}
list! { Vec of Sized BTreeSet of Ord }

/// The message of a type: a row for each field, with its tag, its protobuf type, its form, and its name in errors if
/// that is not the field's own. The fields of the message that the type does not have follow `and`, those of the type
/// that are not stored follow `but not`.
macro_rules! message {
    (
        $type:ident as $wire:ident {
            $($tag:literal [$($label:tt)+] $field:ident: $form:ty $(, $name:literal)?;)+
            $(and $extra_tag:literal [$($extra_label:tt)+] $extra:ident: $extra_form:ty;)*
            $(but not $unstored:ident = $value:expr;)*
        }
    ) => {
        #[derive(Clone, PartialEq, prost::Message)]
        pub(in crate::codec) struct $wire {
            $(#[prost($($label)+, tag = $tag)] $field: $form,)+
            $(#[prost($($extra_label)+, tag = $extra_tag)] $extra: $extra_form,)*
        }

        impl $crate::codec::field::Field for $type {
            type Wire = $wire;

            fn to_wire(&self) -> $wire {
                $wire {
                    $($field: $crate::codec::field::Field::to_wire(&self.$field),)+
                    $($extra: Default::default(),)*
                }
            }

            fn from_wire(
                wire: $wire,
                kind: &'static str,
                _field: &'static str,
            ) -> Result<Self, $crate::error::ProfileError> {
                Ok(Self {
                    $($field: $crate::codec::field::Field::from_wire(
                        wire.$field,
                        kind,
                        $crate::codec::field::name_in_errors!($field $($name)?),
                    )?,)+
                    $($unstored: $value,)*
                })
            }
        }
    };
}
pub(super) use message;

macro_rules! name_in_errors {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $name:literal) => {
        $name
    };
}
pub(super) use name_in_errors;
