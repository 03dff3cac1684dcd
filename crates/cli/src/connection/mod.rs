//! How a command reaches a cluster: by options, environment variables, or a client file that has them all.
//!
//! An option overrides its environment variable, which overrides the client file. A client file:
//!
//! ```toml
//! addresses = ["localhost:7443", "localhost:7444"]
//! ca = "ca.pem"                      # relative to the file
//! certificate = "admin.pem"
//! key = "admin-key.pem"
//! # token_file = "token"             # instead of the certificate, or with it
//! ```

pub(crate) mod pages;
pub(crate) mod steps;

use std::path::{Path, PathBuf};
use std::time::Duration;

use custodia_client::{Client, ClientIdentity, ClientOptions, Token};
use custodia_proto::rpc::Unary;
use custodia_server::ClientTlsFiles;
use serde::Deserialize;

use crate::error::CliError;
use crate::files;
use crate::text::output::{self, Format};

/// The options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Connection {
    /// Client file with addresses and certificates
    #[arg(long, global = true, env = "CUSTODIA_CLIENT", value_name = "FILE")]
    client: Option<PathBuf>,
    /// Address of a node (repeatable, or comma-separated)
    #[arg(long, global = true, env = "CUSTODIA_ADDRESS", value_name = "HOST:PORT", value_delimiter = ',')]
    address: Vec<String>,
    /// PEM file of the certificate authority (CA) of the nodes
    #[arg(long, global = true, env = "CUSTODIA_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of the client certificate
    #[arg(long, global = true, env = "CUSTODIA_CERTIFICATE", value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// PEM file of the private key of the client certificate
    #[arg(long, global = true, env = "CUSTODIA_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Bearer token; safer in the environment than on the command line
    #[arg(long, global = true, env = "CUSTODIA_TOKEN", hide_env_values = true, value_parser = token)]
    token: Option<Token>,
    /// Output: tables for people, or one JSON document for programs
    #[arg(long, global = true, env = "CUSTODIA_OUTPUT", value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Deadline of each call, e.g. 5s, 300ms or 2m [default: 5s]
    #[arg(long, global = true, env = "CUSTODIA_TIMEOUT", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// The client file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientFile {
    #[serde(default)]
    addresses: Vec<String>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

impl ClientFile {
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        let text = files::read(path)?;
        let mut file: Self = toml::from_str(&text).map_err(CliError::content(path))?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let paths = [&mut file.ca, &mut file.certificate, &mut file.key, &mut file.token_file];
        for named in paths.into_iter().flatten() {
            *named = folder.join(&*named);
        }
        Ok(file)
    }

    /// The options of a client, with the content of the files.
    pub(crate) fn options(self) -> Result<ClientOptions, CliError> {
        let reason = "is required: give --ca FILE, or --client FILE (CUSTODIA_CLIENT)";
        let ca = self.ca.ok_or_else(|| CliError::argument("--ca", reason))?;
        let identity = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(CliError::argument("--key", "is required with --certificate")),
            (None, Some(_)) => return Err(CliError::argument("--certificate", "is required with --key")),
        };
        let files = ClientTlsFiles { ca, identity };
        files.check()?;
        let mut options = ClientOptions::new(self.addresses, read(&files.ca)?);
        if let Some((certificate, key)) = &files.identity {
            options.identity = Some(ClientIdentity::from_pem(read(certificate)?, read(key)?));
        }
        options.token = self.token_file.as_deref().map(files::read).transpose()?.map(Token::new);
        Ok(options)
    }
}

impl Connection {
    /// A client for the cluster that the options name.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        let mut file = self.client.as_deref().map(ClientFile::read).transpose()?.unwrap_or_default();
        if !self.address.is_empty() {
            file.addresses.clone_from(&self.address);
        }
        file.ca = self.ca.clone().or(file.ca);
        file.certificate = self.certificate.clone().or(file.certificate);
        file.key = self.key.clone().or(file.key);
        file.token_file = file.token_file.filter(|_| self.token.is_none());
        let mut options = file.options()?;
        options.token = self.token.clone().or(options.token);
        if let Some(timeout) = self.timeout {
            options.deadline = timeout;
        }
        Ok(Client::new(&options)?)
    }

    /// A client with another default deadline, for calls that take long; --timeout still overrides it.
    pub(crate) fn client_with_deadline(&self, deadline: Duration) -> Result<Client, CliError> {
        let client = self.client()?;
        Ok(if self.timeout.is_none() { client.with_deadline(deadline) } else { client })
    }

    /// Makes one call and prints its answer.
    pub(crate) async fn show<Request: Unary>(
        &self,
        request: Request,
        text: impl FnOnce(&Request::Answer) -> String,
    ) -> Result<(), CliError> {
        self.print(&self.client()?.call(request).await?, text)
    }

    /// Prints a message of the API in the chosen format.
    pub(crate) fn print<Message: prost::Name>(
        &self,
        message: &Message,
        text: impl FnOnce(&Message) -> String,
    ) -> Result<(), CliError> {
        match self.output {
            Format::Table => output::line(&text(message)),
            Format::Json => output::print_json(&output::json_of(message)),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(CliError::file(path))
}

fn token(text: &str) -> Result<Token, std::convert::Infallible> {
    Ok(Token::new(text))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "must be a number with a unit, e.g. 5s, 300ms or 2m".to_owned();
    let parsed: jiff::SignedDuration = match text.parse::<f64>() {
        Ok(seconds) => jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|_error| expected())?,
        Err(_) => text.parse().map_err(|_error| expected())?,
    };
    Duration::try_from(parsed).ok().filter(|time| !time.is_zero()).ok_or_else(expected)
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
