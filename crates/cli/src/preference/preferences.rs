//! `custodia preferences`: how, when and about what a customer wants to be contacted.

use std::path::PathBuf;
use std::str::FromStr;

use custodia_proto::v1;
use serde::Deserialize;

use crate::connection::Connection;
use crate::customer::CustomerQuery;
use crate::error::CliError;
use crate::files;
use crate::text::enum_text::{EnumText as _, enum_texts};
use crate::text::output::{Column, facts, or, or_dash, table};
use crate::text::parts::parts;
use crate::text::set;

/// `custodia preferences …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PreferencesCommand {
    /// Show a customer's preferences; addresses only if the purpose is permitted
    Show(CustomerQuery),
    /// Change preferences of a customer; the others stay as they are
    #[command(after_help = SET_HELP)]
    Set(Box<SetPreferences>),
}

const SET_HELP: &str = "\
Each kind of preference that is given (language, time zone, channels, caps, quiet hours, topics) replaces what is recorded of
this kind. --clear removes one. What is not given stays.";

/// What `preferences set` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct SetPreferences {
    /// Customer id (cust_…)
    id: String,
    /// Purpose for which the preferences are collected; it must be permitted
    #[arg(long)]
    purpose: String,
    #[command(flatten)]
    fields: PreferenceFields,
    /// TOML or JSON file with preferences, to which the options are added; - is standard input
    #[arg(long)]
    file: Option<PathBuf>,
    /// Remove what is recorded of this kind (repeatable, or comma-separated)
    #[arg(long, value_delimiter = ',', value_enum)]
    clear: Vec<Kind>,
    /// Fail unless the profile has this etag; required to allow a contact that the customer did not want
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

/// A kind of preferences: a field of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Language,
    TimeZone,
    Channels,
    Caps,
    Quiet,
    Topics,
}

impl Kind {
    const fn field(self) -> &'static str {
        match self {
            Self::Language => "language",
            Self::TimeZone => "time_zone",
            Self::Channels => "channels",
            Self::Caps => "frequency_caps",
            Self::Quiet => "quiet_hours",
            Self::Topics => "topics",
        }
    }
}

/// The preferences.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PreferenceFields {
    /// Language (BCP 47), e.g. de-AT
    #[arg(long)]
    language: Option<String>,
    /// Time zone (IANA), e.g. Europe/Berlin; required with --quiet
    #[arg(long)]
    time_zone: Option<String>,
    /// Wanted channel, with its address if known; the first is preferred (repeatable)
    #[arg(long = "channel", value_name = "CHANNEL[=ADDRESS]")]
    channels: Vec<Channel>,
    /// Channel that is unwanted, for everything or for one purpose (repeatable, or comma-separated)
    #[arg(long = "no-channel", value_name = "CHANNEL[=PURPOSE]", value_delimiter = ',')]
    no_channels: Vec<String>,
    /// Frequency cap: at most CONTACTS in HOURS, e.g. 3/168,channel=email (repeatable)
    #[arg(long = "cap", value_name = "CONTACTS/HOURS[,channel=C][,purpose=P]")]
    caps: Vec<Cap>,
    /// Quiet hours, e.g. 21:00-08:00,day=saturday (repeatable)
    #[arg(long = "quiet", value_name = "HH:MM-HH:MM[,day=D]…[,channel=C]")]
    quiet: Vec<Quiet>,
    /// Wanted topic (repeatable, or comma-separated)
    #[arg(long = "topic", value_delimiter = ',')]
    topics: Vec<String>,
    /// Unwanted topic (repeatable, or comma-separated)
    #[arg(long = "no-topic", value_delimiter = ',')]
    no_topics: Vec<String>,
}

/// `email=ada@example.com`
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Channel {
    name: String,
    address: String,
}

/// `3/168,channel=email`
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Cap(v1::FrequencyCap);

/// `21:00-08:00,day=saturday`
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Quiet(pub(crate) v1::QuietHours);

/// In a file these are written as in an option.
macro_rules! from_text {
    ($($Type:ident)*) => { $(
        impl TryFrom<String> for $Type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )* };
}
from_text!(Channel Cap Quiet);

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, address) = text.split_once('=').unwrap_or((text, ""));
        Ok(Self { name: name.to_owned(), address: address.to_owned() })
    }
}

impl FromStr for Cap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "must be CONTACTS/HOURS[,channel=C][,purpose=P]".to_owned();
        let (head, parts) = parts(text, &[])?;
        let (contacts, hours) = head.split_once('/').ok_or_else(expected)?;
        let number = |text: &str| text.parse().map_err(|_error| expected());
        let (contacts_max, window_hours) = (number(contacts)?, number(hours)?);
        let mut cap = v1::FrequencyCap { contacts_max, window_hours, ..Default::default() };
        for part in parts {
            match part {
                ("channel", Some(channel)) => channel.clone_into(&mut cap.channel),
                ("purpose", Some(purpose)) => purpose.clone_into(&mut cap.purpose),
                _ => return Err(expected()),
            }
        }
        Ok(Self(cap))
    }
}

impl FromStr for Quiet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "must be HH:MM-HH:MM[,day=D]…[,channel=C]".to_owned();
        let (head, parts) = parts(text, &["day"])?;
        let (begins, ends) = head.split_once('-').ok_or_else(expected)?;
        let mut quiet =
            v1::QuietHours { begins: begins.to_owned(), ends: ends.to_owned(), ..Default::default() };
        for part in parts {
            match part {
                ("day", Some(day)) => quiet.days.push(v1::DayOfWeek::parse(day)?.into()),
                ("channel", Some(channel)) => channel.clone_into(&mut quiet.channel),
                _ => return Err(expected()),
            }
        }
        Ok(Self(quiet))
    }
}

impl PreferencesCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Show(CustomerQuery { id: customer_id, purpose }) => {
                connection.show(v1::GetPreferencesRequest { customer_id, purpose }, preferences_text).await
            }
            Self::Set(set) => connection.show(set.into_request()?, preferences_text).await,
        }
    }
}

impl SetPreferences {
    fn into_request(self) -> Result<v1::UpdatePreferencesRequest, CliError> {
        let file = self.file.as_deref().map(files::read_document::<PreferenceFields>).transpose()?;
        let mut preferences =
            v1::Preferences { customer_id: self.id, etag: self.etag, ..v1::Preferences::default() };
        file.unwrap_or_default().add_to(&mut preferences);
        self.fields.add_to(&mut preferences);
        let given = given_fields(&preferences);
        if let Some(kind) = self.clear.iter().find(|kind| given.contains(&kind.field())) {
            let reason = format!("cannot be combined with new values for {}", kind.field().replace('_', " "));
            return Err(CliError::argument("--clear", reason));
        }
        let cleared = self.clear.iter().map(|kind| kind.field());
        let paths: Vec<_> = given.into_iter().chain(cleared).map(str::to_owned).collect();
        if paths.is_empty() {
            return Err(CliError::argument("preferences set", "needs something to change: see --help"));
        }
        Ok(v1::UpdatePreferencesRequest {
            preferences: Some(preferences),
            purpose: self.purpose,
            request_id: String::new(),
            update_mask: Some(custodia_proto::FieldMask { paths }),
        })
    }
}

impl PreferenceFields {
    fn add_to(self, preferences: &mut v1::Preferences) {
        set(&mut preferences.language, self.language);
        set(&mut preferences.time_zone, self.time_zone);
        let wanted = |Channel { name: channel, address }| v1::ChannelPreference {
            channel,
            wanted: true,
            address,
            ..Default::default()
        };
        preferences.channels.extend(self.channels.into_iter().map(wanted));
        for no in &self.no_channels {
            add_no(&mut preferences.channels, no);
        }
        preferences.frequency_caps.extend(self.caps.into_iter().map(|Cap(cap)| cap));
        preferences.quiet_hours.extend(self.quiet.into_iter().map(|Quiet(quiet)| quiet));
        let topic = |wanted| move |topic| v1::TopicPreference { topic, wanted };
        preferences.topics.extend(self.topics.into_iter().map(topic(true)));
        preferences.topics.extend(self.no_topics.into_iter().map(topic(false)));
    }
}

/// The fields that are set.
fn given_fields(preferences: &v1::Preferences) -> Vec<&'static str> {
    let given = [
        (Kind::Language, !preferences.language.is_empty()),
        (Kind::TimeZone, !preferences.time_zone.is_empty()),
        (Kind::Channels, !preferences.channels.is_empty()),
        (Kind::Caps, !preferences.frequency_caps.is_empty()),
        (Kind::Quiet, !preferences.quiet_hours.is_empty()),
        (Kind::Topics, !preferences.topics.is_empty()),
    ];
    given.into_iter().filter(|(_, given)| *given).map(|(kind, _)| kind.field()).collect()
}

/// Adds `sms`, an unwanted channel, or `sms=marketing`, one that is unwanted for a purpose. What is said about the channel
/// otherwise stays.
fn add_no(channels: &mut Vec<v1::ChannelPreference>, no: &str) {
    let (name, purpose) = no.split_once('=').map_or((no, None), |(name, purpose)| (name, Some(purpose)));
    let Some(purpose) = purpose else {
        return channels.push(v1::ChannelPreference { channel: name.to_owned(), ..Default::default() });
    };
    let known = channels.iter_mut().find(|one| one.channel.eq_ignore_ascii_case(name) && one.wanted);
    if let Some(known) = known {
        return known.unwanted_purposes.push(purpose.to_owned());
    }
    let unwanted_purposes = vec![purpose.to_owned()];
    let channel = name.to_owned();
    channels.push(v1::ChannelPreference { channel, wanted: true, unwanted_purposes, ..Default::default() });
}

/// Preferences for people.
pub(crate) fn preferences_text(preferences: &v1::Preferences) -> String {
    let scope = |name: &str, of: &str| if of.is_empty() { String::new() } else { format!(", {name} {of}") };
    let cap = |cap: &v1::FrequencyCap| {
        let (channel, purpose) = (scope("channel", &cap.channel), scope("purpose", &cap.purpose));
        format!("{} in {} h{channel}{purpose}", cap.contacts_max, cap.window_hours)
    };
    let quiet = |quiet: &v1::QuietHours| hours_text(quiet) + &scope("channel", &quiet.channel);
    let lines = |texts: Vec<String>| texts.join("\n");
    let topics = |wanted: bool| {
        let topics = preferences.topics.iter().filter(|topic| topic.wanted == wanted);
        topics.map(|topic| topic.topic.as_str()).collect::<Vec<_>>().join(", ")
    };
    let facts = facts([
        ("language", or_dash(&preferences.language)),
        ("time zone", or_dash(&preferences.time_zone)),
        ("at most", lines(preferences.frequency_caps.iter().map(cap).collect())),
        ("quiet", lines(preferences.quiet_hours.iter().map(quiet).collect())),
        ("topics wanted", topics(true)),
        ("topics not wanted", topics(false)),
    ]);
    let channels = table(CHANNEL_COLUMNS, &preferences.channels);
    format!("{}, etag {}\n\n{facts}\n\n{channels}", preferences.customer_id, preferences.etag)
}

/// `21:00 to 08:00, saturday`
pub(crate) fn hours_text(hours: &v1::QuietHours) -> String {
    let days = enum_texts::<v1::DayOfWeek>(&hours.days);
    format!("{} to {}, {}", hours.begins, hours.ends, or(&days, "every day"))
}

const CHANNEL_COLUMNS: &[Column<v1::ChannelPreference>] = &[
    ("CHANNEL", |channel| channel.channel.clone()),
    ("WANTED", |channel| match (channel.wanted, channel.unwanted_purposes.join(", ")) {
        (false, _) => "no".into(),
        (true, purposes) if purposes.is_empty() => "yes".into(),
        (true, purposes) => format!("not for {purposes}"),
    }),
    ("ADDRESS", |channel| or_dash(&channel.address)),
];

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        set: SetPreferences,
    }

    fn preferences(options: &[&str]) -> v1::Preferences {
        let line = ["set", "cust_x", "--purpose", "service"].into_iter().chain(options.iter().copied());
        Line::try_parse_from(line).unwrap().set.into_request().unwrap().preferences.unwrap()
    }

    #[test]
    fn options_are_added_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preferences.toml");
        let text = "time_zone = \"Europe/Lisbon\"\nchannels = [\"email=ada@example.com\"]\n\
                    quiet = [\"21:00-08:00,day=saturday,day=sunday\"]\ntopics = [\"garden\"]\n";
        std::fs::write(&path, text).unwrap();
        let file = path.display().to_string();
        let no = "phone,email=marketing,sms=marketing";
        let all = preferences(&["--file", &file, "--no-channel", no, "--cap", "3/168,channel=email"]);
        let channels: Vec<_> = all
            .channels
            .iter()
            .map(|one| (one.channel.as_str(), one.wanted, one.unwanted_purposes.len()))
            .collect();
        assert_eq!(channels, [("email", true, 1), ("phone", false, 0), ("sms", true, 1)]);
        assert_eq!(all.quiet_hours[0].days, [6, 7]);
        assert_eq!((all.frequency_caps[0].contacts_max, all.frequency_caps[0].window_hours), (3, 168));
        let shown = preferences_text(&all);
        for part in [
            "ada@example.com",
            "not for marketing",
            "21:00 to 08:00, saturday, sunday",
            "3 in 168 h, channel email",
            "garden",
        ] {
            assert!(shown.contains(part), "{part} is not in: {shown}");
        }
    }

    #[test]
    fn an_update_names_what_is_given_or_cleared() {
        let update = |options: &[&str]| {
            let line = ["set", "cust_x", "--purpose", "service"].into_iter().chain(options.iter().copied());
            let request = Line::try_parse_from(line).unwrap().set.into_request()?;
            Ok::<_, CliError>(request.update_mask.unwrap().paths)
        };
        assert_eq!(update(&["--language", "fr"]).unwrap(), ["language"]);
        assert_eq!(
            update(&["--no-topic", "a", "--clear", "caps,quiet"]).unwrap(),
            ["topics", "frequency_caps", "quiet_hours"]
        );
        assert!(update(&["--language", "fr", "--clear", "language"]).is_err());
        assert!(update(&[]).is_err(), "nothing to change");
    }

    #[test]
    fn an_error_shows_the_expected_form() {
        assert!("3 a week".parse::<Cap>().unwrap_err().contains("CONTACTS/HOURS"));
        assert!("3/week".parse::<Cap>().is_err());
        assert!("21:00-08:00,tuesday".parse::<Quiet>().unwrap_err().contains("day=D"));
        assert!("21:00-08:00,day=holiday".parse::<Quiet>().unwrap_err().contains("monday"));
        let unknown = toml::from_str::<PreferenceFields>("chanels = []").unwrap_err().to_string();
        assert!(unknown.contains("chanels"), "{unknown}");
    }
}
