//! `custodia recipient`: the registered applications that receive data.

use custodia_client::{Client, ClientError};
use custodia_proto::v1;
use serde::Deserialize;

use crate::catalog::definition::{Definition, calls, set};
use crate::text::output::{facts, or_dash, table};

/// The fields of a recipient.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RecipientFields {
    /// Name in the application's certificate or token: 1 to 64 of [a-zA-Z0-9._-]
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Display name
    #[arg(long)]
    name: Option<String>,
    /// What the application does with the data
    #[arg(long)]
    description: Option<String>,
    /// Who is responsible for it
    #[arg(long)]
    owner: Option<String>,
    /// Purpose for which the application may read (repeatable, or comma-separated)
    #[arg(long = "purpose", value_delimiter = ',')]
    purposes: Option<Vec<String>>,
    /// The application may not read anything
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    suspended: Option<bool>,
}

impl Definition for RecipientFields {
    calls! {
        Recipient as recipient, named by id, in recipients, changed as Recipient;
        create_recipient(CreateRecipientRequest), update_recipient(UpdateRecipientRequest),
        get_recipient(GetRecipientRequest), list_recipients(ListRecipientsRequest) -> ListRecipientsResponse
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
