//! How a command reaches a cluster: options, environment, and a small client file that holds them all.
//!
//! An option wins over its environment variable, which wins over the client file. A client file:
//!
//! ```toml
//! addresses = ["localhost:7443", "localhost:7444"]
//! ca = "ca.pem"                      # relative to the file
//! certificate = "admin.pem"
//! key = "admin-key.pem"
//! # token_file = "token"             # in place of, or beside, the certificate
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use custodia_client::{Client, ClientIdentity, ClientOptions, Token};
use serde::Deserialize;

use crate::error::CliError;
use crate::output::Format;

/// Options that every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Connection {
    /// Client file with addresses and certificates
    #[arg(long, global = true, env = "CUSTODIA_CLIENT", value_name = "FILE")]
    client: Option<PathBuf>,
    /// Address of a node; repeat it, or separate several by commas
    #[arg(long, global = true, env = "CUSTODIA_ADDRESS", value_name = "HOST:PORT", value_delimiter = ',')]
    address: Vec<String>,
    /// PEM file of the authority that signed the nodes' certificates
    #[arg(long, global = true, env = "CUSTODIA_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of the client certificate
    #[arg(long, global = true, env = "CUSTODIA_CERTIFICATE", value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// PEM file of the client certificate's private key
    #[arg(long, global = true, env = "CUSTODIA_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Bearer token; better given by the environment than on the command line
    #[arg(long, global = true, env = "CUSTODIA_TOKEN", hide_env_values = true)]
    token: Option<Secret>,
    /// Print tables for people or JSON for programs
    #[arg(long, global = true, env = "CUSTODIA_OUTPUT", value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Deadline of each call, e.g. 5s, 300ms, 2m [default: 5s]
    #[arg(long, global = true, env = "CUSTODIA_TIMEOUT", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// A text that `Debug` does not show.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(redacted)")
    }
}

/// The client file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientFile {
    #[serde(default)]
    addresses: Vec<String>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

impl ClientFile {
    fn read(path: &Path) -> Result<Self, CliError> {
        let text = std::fs::read_to_string(path).map_err(CliError::file(path))?;
        let mut file: Self = toml::from_str(&text).map_err(|error| CliError::Content {
            path: path.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let paths = [&mut file.ca, &mut file.certificate, &mut file.key, &mut file.token_file];
        for named in paths.into_iter().flatten() {
            *named = folder.join(&*named);
        }
        Ok(file)
    }
}

impl Connection {
    /// A client for the cluster that the options name.
    ///
    /// # Errors
    /// When a file cannot be read, or the options name no usable node or certificate.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        let file = self.client.as_deref().map(ClientFile::read).transpose()?.unwrap_or_default();
        let addresses = if self.address.is_empty() { file.addresses } else { self.address.clone() };
        let Some(ca) = self.ca.as_ref().or(file.ca.as_ref()) else {
            return Err(CliError::Argument {
                argument: "--ca",
                reason: "is missing: give --ca FILE, or --client FILE (CUSTODIA_CLIENT)".into(),
            });
        };
        let mut options = ClientOptions::new(addresses, read(ca)?);
        let certificate = self.certificate.as_ref().or(file.certificate.as_ref());
        let key = self.key.as_ref().or(file.key.as_ref());
        options.identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(ClientIdentity::from_pem(read(certificate)?, read(key)?)),
            (None, None) => None,
            (Some(_), None) => return Err(missing("--key", "--certificate")),
            (None, Some(_)) => return Err(missing("--certificate", "--key")),
        };
        options.token = match (&self.token, &file.token_file) {
            (Some(Secret(text)), _) => Some(Token::new(text)),
            (None, Some(path)) => {
                Some(Token::new(std::fs::read_to_string(path).map_err(CliError::file(path))?))
            }
            (None, None) => None,
        };
        if let Some(timeout) = self.timeout {
            options.deadline = timeout;
        }
        Ok(Client::new(&options)?)
    }

    /// A client for a call that may take long: `least` unless --timeout says otherwise.
    ///
    /// # Errors
    /// As [`Connection::client`].
    pub(crate) fn patient_client(&self, least: Duration) -> Result<Client, CliError> {
        let client = self.client()?;
        Ok(if self.timeout.is_none() { client.with_deadline(least) } else { client })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(CliError::file(path))
}

fn missing(argument: &'static str, given: &str) -> CliError {
    CliError::Argument { argument, reason: format!("is missing; {given} needs it") }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let form = || "a time is a number and a unit, e.g. 5s, 300ms, 2m".to_owned();
    let parsed: jiff::SignedDuration = match text.parse::<f64>() {
        Ok(seconds) => jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|_error| form())?,
        Err(_) => text.parse().map_err(|_error| form())?,
    };
    Duration::try_from(parsed).ok().filter(|time| !time.is_zero()).ok_or_else(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        assert_eq!(parse_duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(parse_duration("2"), Ok(Duration::from_secs(2)));
        for wrong in ["", "soon", "-1s", "0", "nan"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_key_in_a_client_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.toml");
        std::fs::write(&path, "adresses = []\n").unwrap();
        let error = ClientFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("adresses"), "{error}");
    }
}
