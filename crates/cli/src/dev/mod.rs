//! `custodia dev`: a whole cluster on this machine, with certificates, a catalogue and sample customers.
//!
//! ```text
//! folder ─▶ node processes ─▶ cluster ─▶ catalogue ─▶ first lookup ─▶ sample ─▶ next commands ─▶ Ctrl-C ─▶ drain
//!  once       every start       once       once        every start     once
//! ```
//!
//! Each step that happens once first checks whether it is done, so that an interrupted start can simply be repeated.

mod catalogue;
mod command;
mod customers;
mod folder;
mod nodes;
mod sample;
mod start;

pub(crate) use command::DevCommand;
