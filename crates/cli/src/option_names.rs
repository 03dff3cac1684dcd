//! Names a field of the API as the option that fills it: people type `--notice`, and the cluster's error is about
//! `notice_version`.

/// The option or argument of a command that fills a field with this path; none if no option does, e.g. because the field came
/// from a file.
pub(crate) fn option_of(command: &clap::Command, field: &str) -> Option<String> {
    // An option often fills a whole message: `--quiet` fills `quiet_hours[0].begins`.
    field.rsplit('.').find_map(|segment| {
        let name = singular(segment.split('[').next().unwrap_or_default()).replace('_', "-");
        let own = command.get_arguments().filter(|argument| !argument.is_global_set());
        let named = own.filter_map(|argument| {
            let known = singular(argument.get_long().unwrap_or(argument.get_id().as_str()));
            fills(known, &name).then(|| (known.len(), shown(argument)))
        });
        // The longest name that fits is the closest.
        named.max_by_key(|(length, _)| *length).map(|(_, shown)| shown)
    })
}

/// Whether an option with this name fills a field with that name: `basis` fills `lawful-basis`, `notice` fills
/// `notice-version`, `restrict` fills `restriction`.
fn fills(option: &str, field: &str) -> bool {
    const STEM_LEAST: usize = 6;
    let rest = field.strip_prefix(option);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || option.len() >= STEM_LEAST)
        || field.strip_suffix(option).is_some_and(|rest| rest.ends_with('-'))
}

fn singular(name: &str) -> &str {
    name.strip_suffix('s').filter(|stem| !stem.ends_with(['s', 'i'])).unwrap_or(name)
}

fn shown(argument: &clap::Arg) -> String {
    match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => format!("<{}>", argument.get_id().as_str().to_uppercase()),
    }
}

/// The text of an error about a field, with the option in place of the field's path.
pub(crate) fn with_option(text: &str, field: &str, option: &str) -> String {
    text.strip_prefix(field)
        .and_then(|rest| rest.strip_prefix(':'))
        .map_or_else(|| text.to_owned(), |rest| format!("{option}:{rest}"))
}

/// The command that a command line names, e.g. `consent record`.
pub(crate) fn invoked<'c>(root: &'c clap::Command, matches: &clap::ArgMatches) -> &'c clap::Command {
    let (mut command, mut matches) = (root, matches);
    while let Some((name, below)) = matches.subcommand() {
        let Some(next) = command.find_subcommand(name) else { break };
        (command, matches) = (next, below);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(line: &str, field: &str) -> Option<String> {
        let root = crate::arguments::command();
        let matches = root.clone().try_get_matches_from(line.split(' ')).unwrap();
        option_of(invoked(&root, &matches), field)
    }

    #[test]
    fn a_field_is_the_option_that_fills_it() {
        let record = "custodia consent record cust_x --purpose p";
        let subject = "custodia subject set cust_x --region DE";
        let preferences = "custodia preferences set cust_x --purpose p --language de";
        for (line, field, expected) in [
            (record, "notice_version", Some("--notice")),
            (record, "evidence.act", Some("--act")),
            (record, "lawful_basis", Some("--basis")),
            (record, "customer_id", Some("<ID>")),
            (record, "decided_at", Some("--decided-at")),
            (subject, "data_subject.regions[0]", Some("--region")),
            (subject, "data_subject.restriction", Some("--restrict")),
            (subject, "data_subject.legal_hold", Some("--hold")),
            (preferences, "preferences.quiet_hours[0].begins", Some("--quiet")),
            (preferences, "preferences.frequency_caps[1].window_hours", Some("--cap")),
            (preferences, "preferences.identity", None),
            (preferences, "preferences.time_zone", Some("--time-zone")),
            (record, "nothing", None),
        ] {
            assert_eq!(option(line, field).as_deref(), expected, "{field}");
        }
    }

    #[test]
    fn only_the_path_at_the_beginning_is_replaced() {
        assert_eq!(with_option("a.b: is required", "a.b", "--b"), "--b: is required");
        assert_eq!(with_option("the field a.b", "a.b", "--b"), "the field a.b");
    }
}
