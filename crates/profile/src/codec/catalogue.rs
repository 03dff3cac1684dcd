//! Owns the bytes of the catalogue's entries.

use prost::Message;

use super::{Intact, Stored, byte, frame, unframe};
use crate::{
    AttributeDefinition, AttributeFields, AttributeName, AttributeNumber, Classification, Label, LawfulBasis,
    Notice, ProfileError, Purpose, PurposeFields, PurposeId, PurposeNumber, Revision, ValueType,
};

#[derive(Clone, PartialEq, Message)]
struct WireNotice {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(bytes = "vec", tag = "2")]
    text_sha256: Vec<u8>,
    #[prost(string, tag = "3")]
    language: String,
    #[prost(bool, tag = "4")]
    asks_again: bool,
}

impl WireNotice {
    fn from_notice(notice: &Notice) -> Self {
        Self {
            version: notice.version.as_str().to_owned(),
            text_sha256: notice.text_sha256.map_or_else(Vec::new, |hash| hash.to_vec()),
            language: notice.language.clone(),
            asks_again: notice.asks_again,
        }
    }

    fn into_notice(self, kind: &'static str) -> Result<Notice, ProfileError> {
        let text_sha256 = if self.text_sha256.is_empty() {
            None
        } else {
            Some(<[u8; 32]>::try_from(self.text_sha256).ok().intact(kind, "notice hash")?)
        };
        Ok(Notice {
            version: Label::new("version", &self.version).intact(kind, "notice version")?,
            text_sha256,
            language: self.language,
            asks_again: self.asks_again,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct WirePurpose {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(string, tag = "2")]
    id: String,
    #[prost(string, tag = "3")]
    display_name: String,
    #[prost(string, tag = "4")]
    description: String,
    #[prost(string, tag = "5")]
    dpv: String,
    #[prost(uint32, repeated, tag = "6")]
    lawful_bases: Vec<u32>,
    #[prost(message, repeated, tag = "7")]
    notices: Vec<WireNotice>,
    #[prost(uint32, repeated, tag = "8")]
    standing_bases: Vec<u32>,
    #[prost(bool, tag = "9")]
    deprecated: bool,
    #[prost(uint64, tag = "10")]
    revision: u64,
}

fn write_bases(bases: &[LawfulBasis]) -> Vec<u32> {
    bases.iter().map(|basis| basis.number().into()).collect()
}

fn read_bases(numbers: &[u32], kind: &'static str) -> Result<Vec<LawfulBasis>, ProfileError> {
    numbers.iter().map(|number| LawfulBasis::from_number(byte(*number)).intact(kind, "basis")).collect()
}

impl Stored for Purpose {
    fn encode(&self) -> Vec<u8> {
        frame(&WirePurpose {
            number: self.number.as_u32(),
            id: self.id.as_str().to_owned(),
            display_name: self.display_name.clone(),
            description: self.description.clone(),
            dpv: self.dpv.clone(),
            lawful_bases: write_bases(&self.lawful_bases),
            notices: self.notices.iter().map(WireNotice::from_notice).collect(),
            standing_bases: write_bases(&self.standing_bases),
            deprecated: self.deprecated,
            revision: self.revision.as_u64(),
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        const KIND: &str = "purpose";
        let wire: WirePurpose = unframe(KIND, bytes)?;
        let notices = wire.notices.into_iter().map(|notice| notice.into_notice(KIND));
        let fields = PurposeFields {
            number: PurposeNumber::new(wire.number).intact(KIND, "number")?,
            id: PurposeId::new(&wire.id).intact(KIND, "id")?,
            display_name: wire.display_name,
            description: wire.description,
            dpv: wire.dpv,
            lawful_bases: read_bases(&wire.lawful_bases, KIND)?,
            notices: notices.collect::<Result<_, _>>()?,
            standing_bases: read_bases(&wire.standing_bases, KIND)?,
            deprecated: wire.deprecated,
            revision: Revision::from_u64(wire.revision),
        };
        Self::new(fields).intact(KIND, "combination of fields")
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireDefinition {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    description: String,
    #[prost(uint32, tag = "4")]
    value_type: u32,
    #[prost(uint32, tag = "5")]
    classification: u32,
    #[prost(uint32, repeated, tag = "6")]
    purposes: Vec<u32>,
    #[prost(string, tag = "7")]
    owner: String,
    #[prost(uint64, tag = "8")]
    bytes_max: u64,
    #[prost(uint64, tag = "9")]
    revision: u64,
}

impl Stored for AttributeDefinition {
    fn encode(&self) -> Vec<u8> {
        frame(&WireDefinition {
            number: self.number.as_u32(),
            name: self.name.as_str().to_owned(),
            description: self.description.clone(),
            value_type: self.value_type.number().into(),
            classification: self.classification.number().into(),
            purposes: self.purposes.iter().map(|purpose| purpose.as_u32()).collect(),
            owner: self.owner.clone(),
            bytes_max: self.bytes_max as u64,
            revision: self.revision.as_u64(),
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        const KIND: &str = "attribute";
        let wire: WireDefinition = unframe(KIND, bytes)?;
        let purposes = wire.purposes.iter().map(|number| PurposeNumber::new(*number).intact(KIND, "purpose"));
        let fields = AttributeFields {
            number: AttributeNumber::new(wire.number).intact(KIND, "number")?,
            name: AttributeName::new(&wire.name).intact(KIND, "name")?,
            description: wire.description,
            value_type: ValueType::from_number(byte(wire.value_type)).intact(KIND, "type")?,
            classification: Classification::from_number(byte(wire.classification))
                .intact(KIND, "classification")?,
            purposes: purposes.collect::<Result<_, _>>()?,
            owner: wire.owner,
            bytes_max: usize::try_from(wire.bytes_max).ok().intact(KIND, "bytes_max")?,
            revision: Revision::from_u64(wire.revision),
        };
        Self::new(fields).intact(KIND, "combination of fields")
    }
}
