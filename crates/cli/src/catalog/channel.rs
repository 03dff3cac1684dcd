//! `custodia channel`: the channels on which customers are contacted.

use custodia_proto::{rpc::Unary, v1};
use serde::Deserialize;

use crate::catalog::definition::{Definition, Required, requests, set_fields};
use crate::text::enum_text::{self, EnumText, enum_text};
use crate::text::output::{Column, facts, or_dash};
use crate::text::set;

/// The fields of a channel.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ChannelFields {
    /// Id of the channel: 1 to 32 of [a-z0-9-]
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Display name
    #[arg(long)]
    name: Option<String>,
    /// What the law sees in it
    #[arg(long, value_parser = v1::ChannelKind::parse)]
    #[serde(deserialize_with = "enum_text::deserialize")]
    kind: Option<v1::ChannelKind>,
}

impl Definition for ChannelFields {
    requests! {
        ChannelDefinition as channel, named by id, changed as Channel;
        CreateChannelRequest, UpdateChannelRequest, GetChannelRequest, ListChannelsRequest
    }

    const REQUIRED: &'static [Required<v1::ChannelDefinition>] =
        &[("id", |channel| !channel.id.is_empty()), ("kind", |channel| channel.kind != 0)];

    const COLUMNS: &'static [Column<v1::ChannelDefinition>] = &[
        ("CHANNEL", |channel| channel.id.clone()),
        ("NAME", |channel| or_dash(&channel.display_name)),
        ("KIND", |channel| enum_text::<v1::ChannelKind>(channel.kind)),
        ("ORIGIN", |channel| if channel.built_in { "built in" } else { "catalogue" }.into()),
    ];

    fn apply(self, channel: &mut v1::ChannelDefinition) {
        set_fields!(channel, self, id);
        set(&mut channel.display_name, self.name);
        set(&mut channel.kind, self.kind.map(i32::from));
    }

    fn facts(channel: &v1::ChannelDefinition) -> String {
        facts([("etag", channel.etag.clone())])
    }
}
