//! Owns the value of an attribute or property. Always: valid by construction, totally ordered, redacted in `Debug`.

mod date;
mod decimal;
mod exact;
mod text;

pub use date::Date;
pub use decimal::Decimal;
pub(crate) use exact::Exact;
pub use text::Text;

use crate::{error::ProfileError, id::TimestampMs, numbered::numbered};

/// One value. The order (kind, then content) settles ties between equally new observations.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Text of at most 4,096 bytes.
    Text(Text),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Decimal(Decimal),
    /// Yes or no.
    Boolean(bool),
    /// A calendar date.
    Date(Date),
    /// A moment.
    Timestamp(TimestampMs),
}

impl Value {
    /// A text value.
    ///
    /// # Errors
    /// As [`Text::new`].
    pub fn text(text: &str) -> Result<Self, ProfileError> {
        Text::new(text).map(Self::Text)
    }

    /// A decimal value.
    ///
    /// # Errors
    /// As [`Decimal::new`].
    pub fn decimal(number: f64) -> Result<Self, ProfileError> {
        Decimal::new(number).map(Self::Decimal)
    }

    /// The value's type.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::Text(_) => ValueType::Text,
            Self::Integer(_) => ValueType::Integer,
            Self::Decimal(_) => ValueType::Decimal,
            Self::Boolean(_) => ValueType::Boolean,
            Self::Date(_) => ValueType::Date,
            Self::Timestamp(_) => ValueType::Timestamp,
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({:?})", self.value_type())
    }
}

numbered! {
    /// The type that an attribute's values have. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum ValueType ("type", expected "a value type") {
        /// [`Value::Text`].
        Text = 1,
        /// [`Value::Integer`].
        Integer = 2,
        /// [`Value::Decimal`].
        Decimal = 3,
        /// [`Value::Boolean`].
        Boolean = 4,
        /// [`Value::Date`].
        Date = 5,
        /// [`Value::Timestamp`].
        Timestamp = 6,
    }
}
