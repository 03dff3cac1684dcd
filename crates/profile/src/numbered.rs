//! Owns the form of enums whose members have numbers. Always: a member's number, and its name if it has one, stand next
//! to the member and nowhere else; neither is ever reused.

/// An enum whose members have numbers, in the API or on disk, with `ALL` and `number()`.
///
/// If the type names a field and what is expected there, `from_number()` refuses other numbers as `Malformed` with
/// these texts. If each member has a name, `=> "name"`, `name()` returns it.
#[macro_export]
macro_rules! numbered {
    (
        $(#[$type_meta:meta])*
        pub enum $type:ident $(($field:literal, expected $expected:literal))? {
            $($(#[$meta:meta])* $member:ident = $number:literal,)+
        }
    ) => {
        $(#[$type_meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $type {
            $($(#[$meta])* $member = $number,)+
        }

        impl $type {
            /// Every member, by number.
            pub const ALL: [Self; [$($number),+].len()] = [$(Self::$member),+];

            /// The member's number.
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The member with a number, if there is one.
            #[must_use]
            pub fn with_number(number: u8) -> Option<Self> {
                Self::ALL.into_iter().find(|member| member.number() == number)
            }

            $(
                const UNKNOWN: $crate::ProfileError =
                    $crate::ProfileError::Malformed { field: $field, expected: $expected };

                /// The member with a number.
                ///
                /// # Errors
                /// `Malformed` if there is none.
                pub fn from_number(number: u8) -> Result<Self, $crate::ProfileError> {
                    Self::with_number(number).ok_or(Self::UNKNOWN)
                }
            )?
        }
    };
    (
        $(#[$type_meta:meta])*
        pub enum $type:ident $(($field:literal, expected $expected:literal))? {
            $($(#[$meta:meta])* $member:ident = $number:literal => $name:literal,)+
        }
    ) => {
        $crate::numbered! {
            $(#[$type_meta])*
            pub enum $type $(($field, expected $expected))? {
                $($(#[$meta])* $member = $number,)+
            }
        }

        impl $type {
            /// The member's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $name,)+
                }
            }
        }
    };
}
pub(crate) use numbered;
