//! `custodia dev`: a whole cluster on this machine, with certificates, a catalogue and sample customers.
//!
//! ```text
//! folder ─▶ node processes ─▶ cluster ─▶ catalogue ─▶ first lookup ─▶ sample ─▶ what to type next ─▶ Ctrl-C ─▶ drain
//!  once       every start       once       once        every start     once
//! ```
//!
//! Each step that is done once looks whether it is done, so that a start that was interrupted is simply repeated.

mod catalogue;
mod command;
mod customers;
mod folder;
mod nodes;
mod sample;
mod start;

pub(crate) use command::DevCommand;
