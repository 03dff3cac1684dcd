//! `custodia recipient`: the registered applications to which data goes.

use custodia_client::{Client, ClientError};
use custodia_proto::v1;
use serde::Deserialize;

use crate::catalog::definition::{Definition, calls, set};
use crate::output::{facts, or_dash, table};

/// The fields of a recipient.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RecipientFields {
    /// The name in its certificate or token: 1 to 64 of [a-zA-Z0-9._-]
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// What it does with the data
    #[arg(long)]
    description: Option<String>,
    /// Who answers for it
    #[arg(long)]
    owner: Option<String>,
    /// Purpose for which it may read; repeat it, or separate several by commas
    #[arg(long = "purpose", value_delimiter = ',')]
    purposes: Option<Vec<String>>,
    /// It reads nothing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    suspended: Option<bool>,
}

impl Definition for RecipientFields {
    calls! {
        Recipient as recipient, named by id, in recipients;
        create_recipient(CreateRecipientRequest), update_recipient(UpdateRecipientRequest),
        get_recipient(GetRecipientRequest), list_recipients(ListRecipientsRequest) -> ListRecipientsResponse
    }

    fn name(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn missing(recipient: &v1::Recipient) -> Option<&'static str> {
        recipient.id.is_empty().then_some("id")
    }

    fn apply(self, recipient: &mut v1::Recipient) {
        set(&mut recipient.id, self.id);
        set(&mut recipient.display_name, self.name);
        set(&mut recipient.description, self.description);
        set(&mut recipient.owner, self.owner);
        set(&mut recipient.purposes, self.purposes);
        set(&mut recipient.suspended, self.suspended);
    }

    fn changed(change: &v1::CatalogChange) -> Option<&v1::Recipient> {
        if let Some(v1::catalog_change::Entry::Recipient(one)) = &change.entry { Some(one) } else { None }
    }

    fn rows(recipients: &[v1::Recipient]) -> String {
        let mut lines = table(["RECIPIENT", "NAME", "PURPOSES", "OWNER", "STATE"]);
        for recipient in recipients {
            lines.add_row([
                recipient.id.as_str(),
                or_dash(&recipient.display_name),
                or_dash(&recipient.purposes.join(", ")),
                or_dash(&recipient.owner),
                if recipient.suspended { "suspended" } else { "in use" },
            ]);
        }
        lines.to_string()
    }

    fn text(recipient: &v1::Recipient) -> String {
        let facts = facts([("description", recipient.description.clone()), ("etag", recipient.etag.clone())]);
        format!("{}\n\n{facts}", Self::rows(std::slice::from_ref(recipient)))
    }
}
