//! Owns every limit of the profile: larger input is refused, and the refusal names the limit.
//! Always: the constructor of the limited type enforces the limit, so that nothing larger exists inside.

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
/// Identifiers of one ingest.
pub const IDENTIFIERS_MAX: usize = 32;
/// Consents given together with one ingest.
pub const GRANTS_MAX: usize = 32;
/// Events of one ingest.
pub const EVENTS_MAX: usize = 256;
/// How far ahead of the clock an observation, an event or a decision may be.
pub const FUTURE_MAX_MS: i64 = 5 * 60 * 1_000;
/// The earliest moment of a decision, 1900-01-01: an earlier one is a misread date, e.g. a year of two digits.
pub const DECIDED_AT_MIN_MS: i64 = -2_208_988_800_000;
/// Requests whose answers are remembered for one customer.
pub const REMEMBERED_REQUESTS_MAX: usize = 64;
/// How long an answer is remembered.
pub const REMEMBERED_FOR_MS: i64 = 24 * 60 * 60 * 1_000;
/// Bytes of all remembered answers of one customer; the newest is always kept.
pub const REMEMBERED_BYTES_MAX: usize = 256 * 1_024;
/// Hash slots; never changes.
pub const SLOTS: u16 = 4_096;
/// Shards of a cluster.
pub const SHARDS_MAX: u16 = 4_096;
/// Bytes of an address on a channel.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// Bytes of an IANA time zone name.
pub const TIME_ZONE_BYTES_MAX: usize = 64;
/// Channels of one customer's preferences.
pub const CHANNEL_PREFERENCES_MAX: usize = 16;
/// Purposes for which one channel is not wanted.
pub const UNWANTED_PURPOSES_MAX: usize = 64;
/// Frequency caps of one customer's preferences.
pub const FREQUENCY_CAPS_MAX: usize = 16;
/// Contacts that a frequency cap allows at most in its window.
pub const CAP_CONTACTS_MAX: u8 = 32;
/// Hours of a frequency cap's window: a leap year.
pub const CAP_WINDOW_HOURS_MAX: u16 = 8_784;
/// Quiet hours of one customer's preferences.
pub const QUIET_HOURS_MAX: usize = 16;
/// Topics of one customer's preferences.
pub const TOPICS_MAX: usize = 64;
/// Pairs of channel and purpose whose contacts are remembered for one customer.
pub const CONTACT_PAIRS_MAX: usize = 64;
/// Bytes of a TC string. Real platforms that restrict purposes for many vendors make strings of 4,642 bytes, beyond what a
/// cookie holds (4,096), since platforms keep them elsewhere. Web servers take URLs, in which strings travel, of 8 KiB as a
/// rule; this is twice as much.
pub const TC_STRING_BYTES_MAX: usize = 16_384;
/// Bytes of a GPP string: the longest TC string, and 4 KiB for the header and the other sections.
pub const GPP_STRING_BYTES_MAX: usize = 20_480;
/// Vendors about which one call asks a TC string.
pub const TC_VENDORS_MAX: usize = 256;
/// Bytes of the citation of a law.
pub const LAW_BYTES_MAX: usize = 512;
/// Jurisdictions for which one purpose has bases of their own.
pub const JURISDICTION_BASES_MAX: usize = 16;
/// Categories of data of one purpose.
pub const DATA_CATEGORIES_MAX: usize = 64;
/// Recipients of one purpose.
pub const PURPOSE_RECIPIENTS_MAX: usize = 64;
/// Bytes of each of a balancing test's three answers.
pub const BALANCING_TEXT_BYTES_MAX: usize = 1_024;
/// Bytes of the name of a balancing test's reviewer.
pub const REVIEWER_BYTES_MAX: usize = 128;
/// Bytes of how a data subject objects.
pub const OBJECTION_ROUTE_BYTES_MAX: usize = 256;
/// Bytes of an attribute's unit.
pub const UNIT_BYTES_MAX: usize = 32;
/// Source mappings of one attribute.
pub const MAPPINGS_MAX: usize = 64;
/// Bytes of a field's name in a source.
pub const MAPPING_FIELD_BYTES_MAX: usize = 128;
/// Bytes of how a source's values differ from the definition.
pub const MAPPING_DIFFERENCE_BYTES_MAX: usize = 512;
/// Regions of one jurisdiction.
pub const JURISDICTION_REGIONS_MAX: usize = 256;
/// Jurisdictions of the catalogue, with the built-in ones.
pub const JURISDICTIONS_MAX: usize = 512;
/// Purposes of one recipient.
pub const RECIPIENT_PURPOSES_MAX: usize = 64;
/// Recipients of the catalogue.
pub const RECIPIENTS_MAX: usize = 4_096;
/// Channels of the catalogue, with the built-in ones.
pub const CHANNELS_MAX: usize = 64;
/// Bytes of the name of the caller who changed the catalogue.
pub const CHANGED_BY_BYTES_MAX: usize = 64;
/// Hours in which one jurisdiction allows no contact.
pub const NO_CONTACT_HOURS_MAX: usize = 64;
/// Regions stated for one data subject.
pub const SUBJECT_REGIONS_MAX: usize = 8;
/// Namespaces of the catalogue.
pub const NAMESPACES_MAX: usize = 64;
/// Bytes of a namespace's name.
pub const NAMESPACE_BYTES_MAX: usize = 32;
/// Purposes of one namespace.
pub const NAMESPACE_PURPOSES_MAX: usize = 64;
/// Bytes of a namespace's pattern.
pub const NAMESPACE_PATTERN_BYTES_MAX: usize = 256;
/// Bytes of a namespace's compiled pattern, and of what it caches while it matches.
pub const NAMESPACE_PATTERN_COMPILED_BYTES_MAX: usize = 1024 * 1_024;
/// Blocked values of one namespace.
pub const BLOCKED_VALUES_MAX: usize = 256;
/// Mail domains of one namespace whose local parts ignore dots.
pub const DOTLESS_DOMAINS_MAX: usize = 64;
/// Identifiers of one namespace that a customer has, unless the namespace says otherwise.
pub const CUSTOMER_IDENTIFIERS_DEFAULT: u8 = 16;
/// Identifiers of one namespace that a customer has at most, whatever the namespace says.
pub const CUSTOMER_IDENTIFIERS_MAX: u8 = 64;
/// Identifiers of one customer in all namespaces.
pub const RECORD_IDENTIFIERS_MAX: usize = 256;
/// Days after which an identifier, or a matter without an event, is stale.
pub const STALE_DAYS_MAX: u32 = 3_650;
/// Customers who hold one shared identifier.
pub const IDENTIFIER_HOLDERS_MAX: usize = 16;
/// Bytes of an identifier's normal form.
pub const IDENTIFIER_BYTES_MAX: usize = 256;
/// Bytes of an identifier as the source wrote it.
pub const IDENTIFIER_ORIGINAL_BYTES_MAX: usize = 512;
/// Customers who were merged into one, and into those.
pub const MERGED_CUSTOMERS_MAX: usize = 16;
/// Types of matters of the catalogue.
pub const MATTER_TYPES_MAX: usize = 64;
/// Names of events that open a matter of one type, and of those that close it.
pub const MATTER_EVENTS_MAX: usize = 32;
/// Purposes of one type of matters.
pub const MATTER_PURPOSES_MAX: usize = 64;
/// Bytes of what names one matter; a longer value of the key property names none.
pub const MATTER_KEY_BYTES_MAX: usize = 256;
/// Traits of the catalogue.
pub const TRAITS_MAX: usize = 64;
/// Names of events that one trait is made of.
pub const TRAIT_EVENTS_MAX: usize = 32;
/// Purposes of one trait.
pub const TRAIT_PURPOSES_MAX: usize = 64;
/// Days of a trait's window.
pub const WINDOW_DAYS_MAX: u32 = 3_650;
