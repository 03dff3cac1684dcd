//! Owns what the keys of all levels have in common. Always: a key in the clear is zeroized on drop, is not `Clone`, and
//! prints only its epoch.

/// A key in the clear, with its epoch.
macro_rules! tree_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name {
            pub(crate) cipher: $crate::cipher::Cipher,
            pub(crate) epoch: custodia_profile::KeyEpoch,
        }

        impl $name {
            /// A fresh random key.
            ///
            /// # Errors
            /// [`Random`](crate::SealError::Random).
            pub fn generate(
                epoch: custodia_profile::KeyEpoch,
                random: &dyn $crate::random::RandomSource,
            ) -> Result<Self, $crate::error::SealError> {
                Ok(Self { cipher: $crate::cipher::Cipher::generate(random)?, epoch })
            }

            /// The epoch of this key.
            #[must_use]
            pub const fn epoch(&self) -> custodia_profile::KeyEpoch {
                self.epoch
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field("epoch", &self.epoch).finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use tree_key;

/// What the key of one level does with the keys of the level below it.
macro_rules! wraps_children {
    ($name:ident, $child:ident in $context:ident at $level:expr) => {
        impl $name {
            /// Wraps a key of the level below.
            ///
            /// # Errors
            /// [`Random`](crate::SealError::Random).
            pub fn wrap_child(
                &self,
                child: &$child,
                context: &$context,
                random: &dyn $crate::random::RandomSource,
            ) -> Result<$crate::wrapped::WrappedKey, $crate::error::SealError> {
                $crate::wrapped::WrappedKey::under(
                    (&self.cipher, self.epoch),
                    $level,
                    (&child.cipher, child.epoch),
                    random,
                    |aad| context.append(aad),
                )
            }

            /// Unwraps a key of the level below.
            ///
            /// # Errors
            /// [`WrongEpoch`](crate::SealError::WrongEpoch) when another epoch of this key wrapped it,
            /// [`Unauthentic`](crate::SealError::Unauthentic).
            pub fn unwrap_child(
                &self,
                wrapped: &$crate::wrapped::WrappedKey,
                context: &$context,
            ) -> Result<$child, $crate::error::SealError> {
                let parent = (&self.cipher, self.epoch);
                let cipher = wrapped.open_under(parent, $level, |aad| context.append(aad))?;
                Ok($child { cipher, epoch: wrapped.epoch() })
            }
        }
    };
}
pub(crate) use wraps_children;
