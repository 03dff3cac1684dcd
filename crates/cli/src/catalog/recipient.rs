//! `custodia recipient`: the registered applications that receive or collect data.

use custodia_proto::{rpc::Unary, v1};
use serde::Deserialize;

use crate::catalog::definition::{Definition, Required, requests, set_fields};
use crate::text::output::{Column, facts, or_dash};
use crate::text::set;

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
    /// Purpose under which the application may collect (repeatable, or comma-separated)
    #[arg(long = "collects", value_delimiter = ',')]
    collection_purposes: Option<Vec<String>>,
    /// It is a third party's: neither the controller's own nor a processor's; receipts name it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    third_party: Option<bool>,
    /// The application may neither read nor collect anything
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    suspended: Option<bool>,
}

impl Definition for RecipientFields {
    requests! {
        Recipient as recipient, named by id, changed as Recipient;
        CreateRecipientRequest, UpdateRecipientRequest, GetRecipientRequest, ListRecipientsRequest
    }

    const REQUIRED: &'static [Required<v1::Recipient>] = &[("id", |recipient| !recipient.id.is_empty())];

    const COLUMNS: &'static [Column<v1::Recipient>] = &[
        ("RECIPIENT", |recipient| recipient.id.clone()),
        ("NAME", |recipient| or_dash(&recipient.display_name)),
        ("READS FOR", |recipient| or_dash(&recipient.purposes.join(", "))),
        ("COLLECTS FOR", |recipient| or_dash(&recipient.collection_purposes.join(", "))),
        ("OWNER", |recipient| or_dash(&recipient.owner)),
        ("THIRD PARTY", |recipient| if recipient.third_party { "yes" } else { "no" }.into()),
        ("STATE", |recipient| if recipient.suspended { "suspended" } else { "in use" }.into()),
    ];

    fn apply(self, recipient: &mut v1::Recipient) {
        set_fields!(
            recipient,
            self,
            id,
            description,
            owner,
            purposes,
            collection_purposes,
            third_party,
            suspended
        );
        set(&mut recipient.display_name, self.name);
    }

    fn facts(recipient: &v1::Recipient) -> String {
        facts([("description", recipient.description.clone()), ("etag", recipient.etag.clone())])
    }
}
