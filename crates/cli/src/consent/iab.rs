//! `custodia consent tcf` and `gpp`: the IAB's consent strings.

use custodia_proto::v1;

use crate::connection::Connection;
use crate::customer::CustomerQuery;
use crate::error::CliError;
use crate::text::enum_text::{enum_text, enum_texts};
use crate::text::output::{facts, or, table_of};
use crate::text::values::time_text;

/// `custodia consent tcf …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TcfCommand {
    /// Store a consent string of the IAB Europe Transparency and Consent Framework
    Record {
        /// Customer id (cust_…)
        id: String,
        /// The TC string
        tc_string: String,
    },
    /// Show the stored consent string, decoded
    Show {
        #[command(flatten)]
        query: CustomerQuery,
        /// Show what the string leaves this vendor, by its id in the global vendor list; may be repeated
        #[arg(long = "vendor", value_name = "ID")]
        vendors: Vec<u16>,
    },
}

/// `custodia consent gpp …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum GppCommand {
    /// Store a string of the IAB Tech Lab's Global Privacy Platform, and record the opt-outs that it says
    Record {
        /// Customer id (cust_…)
        id: String,
        /// The GPP string, or a US Privacy string, e.g. 1YNN
        gpp_string: String,
        /// Channel on which the string arrived
        #[arg(long, default_value = "", hide_default_value = true)]
        channel: String,
    },
    /// Show the stored string, decoded
    Show(CustomerQuery),
}

impl TcfCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Record { id: customer_id, tc_string } => {
                let request_id = String::new();
                let request = v1::RecordTcStringRequest { customer_id, tc_string, request_id };
                connection.show(request, tc_string_text).await
            }
            Self::Show { query: CustomerQuery { id: customer_id, purpose }, vendors } => {
                let vendors = vendors.into_iter().map(u32::from).collect();
                let request = v1::GetTcStringRequest { customer_id, purpose, vendors };
                connection.show(request, tc_string_text).await
            }
        }
    }
}

impl GppCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Record { id: customer_id, gpp_string, channel } => {
                let request_id = String::new();
                let request = v1::RecordGppStringRequest { customer_id, gpp_string, channel, request_id };
                connection.show(request, gpp_string_text).await
            }
            Self::Show(CustomerQuery { id: customer_id, purpose }) => {
                connection.show(v1::GetGppStringRequest { customer_id, purpose }, gpp_string_text).await
            }
        }
    }
}

/// A TC string, decoded.
fn tc_string_text(tc_string: &v1::TcString) -> String {
    if tc_string.recorded_at.is_none() {
        return echo_text("TC string", &tc_string.tc_string);
    }
    let disclosed = if tc_string.vendors_disclosed_known {
        tc_string.vendors_disclosed.len().to_string()
    } else {
        "unknown: the string does not say".into()
    };
    let publisher = tc_string.publisher.as_ref().map_or_else(
        || "unknown: the string does not say".into(),
        |publisher| {
            let consent = numbers(&publisher.purposes_consent);
            format!(
                "consent {consent}; legitimate interest {}",
                numbers(&publisher.purposes_legitimate_interest)
            )
        },
    );
    let said = facts([
        ("TC string", tc_string.tc_string.clone()),
        ("last updated", time_text(tc_string.last_updated.as_ref())),
        ("recorded", time_text(tc_string.recorded_at.as_ref())),
        (
            "CMP",
            format!(
                "{}, version {}, screen {}",
                tc_string.cmp_id, tc_string.cmp_version, tc_string.consent_screen
            ),
        ),
        ("language", tc_string.consent_language.clone()),
        ("publisher country", tc_string.publisher_country.clone()),
        ("policy", format!("{}, vendor list {}", tc_string.policy_version, tc_string.vendor_list_version)),
        ("purpose 1", if tc_string.purpose_one_treatment { "not disclosed" } else { "disclosed" }.into()),
        ("purposes with consent", numbers(&tc_string.purposes_consent)),
        ("purposes with legitimate interest", numbers(&tc_string.purposes_legitimate_interest)),
        ("special features", numbers(&tc_string.special_features)),
        ("vendors with consent", numbers(&tc_string.vendors_consent)),
        ("vendors with legitimate interest", numbers(&tc_string.vendors_legitimate_interest)),
        ("vendors disclosed", disclosed),
        ("publisher's own purposes", publisher),
        ("publisher restrictions", restrictions(&tc_string.publisher_restrictions)),
    ]);
    if tc_string.vendor_purposes.is_empty() {
        return said;
    }
    let vendors = tc_string.vendor_purposes.iter().map(|vendor| {
        let shown = match (tc_string.vendors_disclosed_known, vendor.disclosed) {
            (false, _) => "unknown",
            (true, true) => "yes",
            (true, false) => "no",
        };
        [
            vendor.vendor.to_string(),
            shown.to_owned(),
            numbers(&vendor.purposes_consent),
            numbers(&vendor.purposes_legitimate_interest),
        ]
    });
    format!("{said}\n\n{}", table_of(["VENDOR", "DISCLOSED", "CONSENT", "LEGITIMATE INTEREST"], vendors))
}

/// What a caller who may not read is answered: its own request.
fn echo_text(name: &str, text: &str) -> String {
    facts([(name, text.to_owned()), ("recorded", "yes; you may not read what it says".into())])
}

fn restrictions(restrictions: &[v1::TcPublisherRestriction]) -> String {
    let text = |one: &v1::TcPublisherRestriction| {
        let range = |range: &v1::TcVendorRange| match (range.first, range.last) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let vendors: Vec<String> = one.vendors.iter().map(range).collect();
        let restriction = enum_text::<v1::TcRestriction>(one.restriction).replace('-', " ");
        format!("purpose {}: {restriction}, vendors {}", one.purpose, or(&vendors.join(", "), "none"))
    };
    or(&restrictions.iter().map(text).collect::<Vec<_>>().join("; "), "none")
}

/// A GPP string, decoded.
fn gpp_string_text(gpp_string: &v1::GppString) -> String {
    if gpp_string.recorded_at.is_none() {
        return echo_text("GPP string", &gpp_string.gpp_string);
    }
    let said = facts([
        ("GPP string", gpp_string.gpp_string.clone()),
        ("recorded", time_text(gpp_string.recorded_at.as_ref())),
        ("opt-outs", or(&enum_texts::<v1::PrivacySignal>(&gpp_string.signals), "none")),
    ]);
    let rows = gpp_string.sections.iter().flat_map(section_rows);
    format!("{said}\n\n{}", table_of(["SECTION", "NAME", "FIELD", "VALUE"], rows))
}

fn section_rows(section: &v1::GppSection) -> Vec<[String; 4]> {
    let row = |field: &str, value: String| {
        let name = if section.name.is_empty() { "-" } else { &section.name };
        [section.id.to_string(), name.to_owned(), field.to_owned(), value]
    };
    if !section.decoded {
        return vec![row("-", "unknown: this version cannot decode the section".into())];
    }
    if let Some(tc_string) = &section.tc_string {
        let in_force = match section.tc_string_fault.as_str() {
            "" => "yes".to_owned(),
            fault => format!("no: {}", fault.to_ascii_lowercase().replace('_', " ")),
        };
        return vec![
            row("in force", in_force),
            row("purposes with consent", numbers(&tc_string.purposes_consent)),
            row("purposes with legitimate interest", numbers(&tc_string.purposes_legitimate_interest)),
        ];
    }
    section.fields.iter().map(|field| row(&field.name, numbers(&field.values))).collect()
}

fn numbers(numbers: &[u32]) -> String {
    or(&numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "), "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: custodia_proto::Timestamp = custodia_proto::Timestamp { seconds: 1_780_000_000, nanos: 0 };

    #[test]
    fn a_caller_who_may_not_read_is_told_nothing_of_what_a_string_says() {
        let echo = v1::TcString { tc_string: "CQ".into(), ..Default::default() };
        assert!(!tc_string_text(&echo).contains("vendors"));
        let echo = v1::GppString { gpp_string: "DBAA".into(), ..Default::default() };
        assert!(!gpp_string_text(&echo).contains("opt-outs"));
    }

    /// Each run of spaces as one: the columns' widths are not at issue.
    fn plain(text: &str) -> String {
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_a_tc_string_does_not_say_is_told_apart_from_none() {
        let mut tc_string = v1::TcString { recorded_at: Some(NOW), ..Default::default() };
        let text = plain(&tc_string_text(&tc_string));
        for line in [
            "vendors disclosed unknown: the string does not say",
            "publisher's own purposes unknown: the string does not say",
            "special features none",
            "publisher restrictions none",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        tc_string.vendors_disclosed_known = true;
        tc_string.publisher = Some(v1::TcPublisher::default());
        tc_string.publisher_restrictions = vec![v1::TcPublisherRestriction {
            purpose: 7,
            restriction: v1::TcRestriction::NotAllowed.into(),
            vendors: vec![v1::TcVendorRange { first: 8, last: 9 }, v1::TcVendorRange { first: 12, last: 12 }],
        }];
        tc_string.vendor_purposes =
            vec![v1::TcVendorPurposes { vendor: 8, purposes_consent: vec![1], ..Default::default() }];
        let text = plain(&tc_string_text(&tc_string));
        for line in [
            "vendors disclosed 0",
            "publisher's own purposes consent none; legitimate interest none",
            "publisher restrictions purpose 7: not allowed, vendors 8-9, 12",
            "8 no 1 none",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_gpp_string_shows_its_opt_outs_and_what_cannot_be_decoded() {
        let field = v1::GppField { name: "SaleOptOut".into(), values: vec![1] };
        let usca = v1::GppSection {
            id: 8,
            name: "usca".into(),
            decoded: true,
            fields: vec![field],
            ..Default::default()
        };
        let unknown = v1::GppSection { id: 99, ..Default::default() };
        let text = plain(&gpp_string_text(&v1::GppString {
            sections: vec![usca, unknown],
            signals: vec![v1::PrivacySignal::DoNotSell.into()],
            recorded_at: Some(NOW),
            ..Default::default()
        }));
        for line in [
            "opt-outs do-not-sell",
            "8 usca SaleOptOut 1",
            "99 - - unknown: this version cannot decode the section",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
