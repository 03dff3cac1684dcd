//! `custodia consent signal` and `mode`: signals of browsers, and for Google's tags.

use custodia_proto::v1;

use crate::connection::Connection;
use crate::consent::record::consents_text;
use crate::error::CliError;
use crate::text::enum_text::{EnumText as _, enum_text};
use crate::text::output::{Column, table};

/// What `consent signal` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordSignal {
    /// gpc: Global Privacy Control, the header `Sec-GPC: 1`; do-not-sell: the customer's own opt-out of sale and sharing;
    /// limit-sensitive: the customer's own limit on the use of sensitive data
    #[arg(value_parser = v1::PrivacySignal::parser())]
    signal: v1::PrivacySignal,
    /// Customer id (cust_…)
    id: String,
    /// Channel on which the signal arrived
    #[arg(long, default_value = "", hide_default_value = true)]
    channel: String,
}

impl RecordSignal {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let request = v1::RecordPrivacySignalRequest {
            customer_id: self.id,
            signal: self.signal.into(),
            channel: self.channel,
            request_id: String::new(),
        };
        let signal = self.signal;
        connection.show(request, |answer| signal_text(signal, answer)).await
    }
}

fn signal_text(signal: v1::PrivacySignal, answer: &v1::RecordPrivacySignalResponse) -> String {
    if !answer.honoured {
        return "not honoured yet: no jurisdiction of the customer requires it; it is remembered for one that does".into();
    }
    if signal == v1::PrivacySignal::LimitSensitive {
        return "honoured: sensitive data is used only for what contract, law or vital interests require"
            .into();
    }
    if answer.consents.is_empty() {
        return "honoured: no purpose sells or shares data".into();
    }
    format!("honoured\n\n{}", consents_text(&answer.consents))
}

/// The signals under the names that Google's tags use.
pub(crate) fn mode_text(mode: &v1::ConsentMode) -> String {
    table(MODE_COLUMNS, &mode.signals)
}

const MODE_COLUMNS: &[Column<v1::ConsentModeSignal>] = &[
    ("SIGNAL", |signal| signal.name.clone()),
    ("STATE", |signal| if signal.granted { "granted" } else { "denied" }.into()),
    ("REASON", |signal| enum_text::<v1::RefusalReason>(signal.reason)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_says_whether_it_was_honoured() {
        let mut answer = v1::RecordPrivacySignalResponse::default();
        let gpc = v1::PrivacySignal::Gpc;
        assert!(signal_text(gpc, &answer).starts_with("not honoured"));
        answer.honoured = true;
        assert!(signal_text(gpc, &answer).contains("no purpose"));
        assert!(signal_text(v1::PrivacySignal::LimitSensitive, &answer).contains("sensitive data"));
        let refused = v1::ConsentState {
            purpose: "partner-ads".into(),
            status: v1::ConsentStatus::Refused.into(),
            ..Default::default()
        };
        answer.consents = vec![refused];
        assert!(signal_text(gpc, &answer).contains("partner-ads"));
    }

    #[test]
    fn consent_mode_has_the_names_of_the_tags() {
        let signal = v1::ConsentModeSignal {
            name: "ad_user_data".into(),
            reason: v1::RefusalReason::ConsentRefused.into(),
            ..Default::default()
        };
        let text = mode_text(&v1::ConsentMode { customer_id: String::new(), signals: vec![signal] });
        assert!(text.contains("ad_user_data  denied  consent-refused"), "{text}");
    }
}
