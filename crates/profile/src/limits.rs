//! Owns every limit of the profile: what is larger is refused, and the refusal names the limit.
//! Always: a limit is enforced by the constructor of the type that it limits, so that nothing larger exists inside.

/// Bytes of one text value.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Bytes of a slug: a purpose, attribute or source name.
pub const SLUG_BYTES_MAX: usize = 64;
/// Bytes of a display name.
pub const DISPLAY_NAME_BYTES_MAX: usize = 128;
/// Bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Bytes of a W3C DPV identifier.
pub const DPV_BYTES_MAX: usize = 128;
/// Bytes of an owner's name.
pub const OWNER_BYTES_MAX: usize = 128;
/// Bytes of a notice's version.
pub const NOTICE_BYTES_MAX: usize = 32;
/// Bytes of a language tag (BCP 47).
pub const LANGUAGE_BYTES_MAX: usize = 35;
/// Bytes of a collector's name.
pub const COLLECTOR_BYTES_MAX: usize = 128;
/// Bytes of a ground's reference: contract, law, incident or balancing test.
pub const REFERENCE_BYTES_MAX: usize = 256;
/// Bytes of a channel's name.
pub const CHANNEL_BYTES_MAX: usize = 32;
/// Bytes of an event's id and of an event's name.
pub const EVENT_NAME_BYTES_MAX: usize = 64;
/// Bytes of the name of an event's property.
pub const PROPERTY_NAME_BYTES_MAX: usize = 64;
/// Properties of one event.
pub const PROPERTIES_MAX: usize = 64;
/// Notices of one purpose.
pub const NOTICES_MAX: usize = 64;
/// Purposes of one attribute.
pub const ATTRIBUTE_PURPOSES_MAX: usize = 64;
/// Purposes of the catalogue.
pub const PURPOSES_MAX: usize = 1_024;
/// Attributes of the catalogue.
pub const ATTRIBUTES_MAX: usize = 4_096;
/// Observations of one ingest.
pub const OBSERVATIONS_MAX: usize = 256;
/// Consents given together with one ingest.
pub const GRANTS_MAX: usize = 32;
/// Events of one ingest.
pub const EVENTS_MAX: usize = 256;
/// How far ahead of the clock an observation, an event or a decision may lie.
pub const FUTURE_MAX_MS: i64 = 5 * 60 * 1_000;
/// Requests whose answers are remembered for one customer.
pub const REMEMBERED_REQUESTS_MAX: usize = 64;
/// How long an answer is remembered.
pub const REMEMBERED_FOR_MS: i64 = 24 * 60 * 60 * 1_000;
/// Bytes of all remembered answers of one customer; the newest answer is kept in any case.
pub const REMEMBERED_BYTES_MAX: usize = 256 * 1_024;
/// Hash slots, for ever.
pub const SLOTS: u16 = 4_096;
/// Shards of a cluster.
pub const SHARDS_MAX: u16 = 4_096;
