//! Bearer tokens for clients without a certificate.
//!
//! The file holds the SHA-256 of each token, never a token, so reading it gives no access:
//!
//! ```toml
//! [[token]]
//! name = "desktop"                 # the caller's name
//! roles = ["agent"]                # never "node"
//! sha256 = "9f86d081884c7d65…"     # of the token, 64 hex digits
//! ```
//!
//! Must always hold: tokens are hashed before they are compared, so the time of a look-up reveals nothing about a valid
//! one; no token appears in a message or a log.

use std::{collections::HashMap, fmt, path::Path};

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    error::ServerError,
    identity::{Caller, Role, RoleSet, is_caller_name},
};

/// Most tokens in a file.
const TOKENS_MAX: usize = 10_000;

/// The tokens that identify callers.
pub(crate) struct Tokens {
    callers: HashMap<[u8; 32], Caller>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.callers.len())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    roles: Vec<String>,
    sha256: String,
}

impl Tokens {
    /// Reads the file that `[tokens]` names.
    pub(crate) fn load(path: &Path) -> Result<Self, ServerError> {
        let refuse = |reason: String| ServerError::Tokens { path: path.to_owned(), reason };
        let text =
            std::fs::read_to_string(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        Self::parse(&text).map_err(refuse)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // only toml's message: its excerpt of the line could show a token that was put in by mistake
        let file: File =
            toml::from_str(text).map_err(|error| format!("is not valid: {}", error.message()))?;
        if file.token.len() > TOKENS_MAX {
            return Err(format!("has more than {TOKENS_MAX} tokens"));
        }
        let mut callers = HashMap::with_capacity(file.token.len());
        for (position, entry) in file.token.into_iter().enumerate() {
            let (hash, caller) =
                entry.parse().map_err(|reason| format!("token {}: {reason}", position + 1))?;
            if callers.insert(hash, caller).is_some() {
                return Err(format!("token {}: its sha256 appears twice", position + 1));
            }
        }
        Ok(Self { callers })
    }

    /// The caller that a token identifies.
    pub(crate) fn caller(&self, token: &TokenHash) -> Option<Caller> {
        self.callers.get(&token.0).cloned()
    }
}

/// The SHA-256 of a token that was shown.
#[derive(Clone, Copy)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of the token in a value of the header `authorization`.
    pub(crate) fn of(authorization: &[u8]) -> Option<Self> {
        let (scheme, token) = authorization.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| Self(Sha256::digest(token).into()))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(redacted)")
    }
}

impl Entry {
    fn parse(self) -> Result<([u8; 32], Caller), &'static str> {
        if !is_caller_name(&self.name) {
            return Err("`name` must be 1 to 64 characters from [a-zA-Z0-9._-]");
        }
        let roles = self
            .roles
            .iter()
            .map(|role| role.parse::<Role>())
            .collect::<Result<RoleSet, _>>()
            .map_err(|_unknown| "`roles` must list one or more of agent, ingest, privacy, operator")?;
        if roles.is_empty() || roles.contains(Role::Node) {
            return Err("`roles` must list one or more of agent, ingest, privacy, operator");
        }
        let hash = HEXLOWER_PERMISSIVE.decode(self.sha256.as_bytes()).ok();
        let hash = hash.and_then(|hash| hash.try_into().ok()).ok_or("`sha256` must be 64 hex digits")?;
        Ok((hash, Caller { name: self.name.into(), roles }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `test`.
    const TEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn file(name: &str, roles: &str, sha256: &str) -> String {
        format!("[[token]]\nname = \"{name}\"\nroles = [{roles}]\nsha256 = \"{sha256}\"\n")
    }

    #[test]
    fn a_token_lets_its_caller_in_and_no_other_does() {
        let tokens = Tokens::parse(&file("desktop", "\"agent\"", TEST)).expect("a valid file");
        let caller_of = |shown: &[u8]| TokenHash::of(shown).and_then(|hash| tokens.caller(&hash));
        let caller = caller_of(b"Bearer test").expect("the caller");
        assert_eq!((&*caller.name, caller.roles), ("desktop", RoleSet::of(&[Role::Agent])));
        assert!(caller_of(b"bearer test").is_some());
        for other in [&b"Bearer tesT"[..], b"Bearer ", b"Bearer", b"Basic test", b"", b"test"] {
            assert_eq!(caller_of(other), None);
        }
    }

    #[test]
    fn a_token_never_makes_a_node() {
        for roles in ["\"node\"", "\"agent\", \"node\"", "", "\"admin\""] {
            let error = Tokens::parse(&file("x", roles, TEST)).expect_err("refused");
            assert!(error.contains("token 1: `roles`"), "{error}");
        }
    }

    #[test]
    fn a_malformed_file_says_what_is_wrong_and_shows_no_value() {
        let twice = file("a", "\"agent\"", TEST).repeat(2);
        for (text, word) in [
            (file("a b", "\"agent\"", TEST), "`name`"),
            (file("a", "\"agent\"", "secret-token"), "`sha256`"),
            (file("a", "\"agent\"", &TEST[1..]), "`sha256`"),
            (format!("{}value = \"secret-token\"\n", file("a", "\"agent\"", TEST)), "unknown field `value`"),
            (twice, "twice"),
        ] {
            let error = Tokens::parse(&text).expect_err("refused");
            assert!(error.contains(word), "{error}");
            assert!(!error.contains("secret-token"), "{error}");
        }
    }
}
