//! The suite: named tests with a time limit each, and one cluster that they may share.
//!
//! ```text
//! run ─┬─ watches ─▶ a thread for each test ─▶ passed │ panicked │ still running at its limit: failed
//!      │                     └─ the first that needs the shared sandbox starts it
//!      └─ ends the shared sandbox, then every node that an abandoned test left running
//! ```
//!
//! What must hold: a test that hangs fails, whether it waits in async code, for a child process or for a lock. So the limit
//! is watched from another thread. The thread of a test that hangs is abandoned; it ends with the process.
//!
//! Filters and output are those of `cargo test`: `cargo test --test api decisions`, `-- --list`, `-- --test-threads 1`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::node::{binary, kill_all};
use crate::sandbox::{Options, Sandbox};

/// How long a test may run, unless it states a limit of its own. The slowest takes a quarter of it on two idle cores.
const LIMIT: Duration = Duration::from_secs(120);

/// The tests of one file.
#[derive(Default)]
pub struct Suite {
    trials: Vec<Trial>,
    shared: Arc<Shared>,
    starts_nodes: bool,
}

/// A sandbox that starts when the first test asks for it.
#[derive(Default)]
struct Shared {
    options: Options,
    /// `None` where the start failed: no other test tries again.
    sandbox: OnceLock<Option<Sandbox>>,
}

impl Shared {
    fn sandbox(&self) -> &Sandbox {
        let start = || runtime().block_on(Sandbox::start_with(self.options.clone()));
        let started = self.sandbox.get_or_init(|| catch_unwind(AssertUnwindSafe(start)).ok());
        started.as_ref().expect("the shared sandbox starts")
    }
}

/// Shows the last log lines of the shared nodes where a test fails.
struct LogsOnPanic<'s>(&'s Sandbox);

impl Drop for LogsOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.print_logs();
        }
    }
}

impl Suite {
    /// A suite whose shared sandbox has these options.
    pub fn sharing(options: Options) -> Self {
        Self { shared: Arc::new(Shared { options, sandbox: OnceLock::new() }), ..Self::default() }
    }

    /// Adds a test on the shared sandbox. It runs beside others: it works with customers of its own, and with purposes
    /// and attributes of its own where it changes the catalogue.
    #[must_use]
    pub fn shared<T>(mut self, test: T) -> Self
    where
        T: AsyncFnOnce(&Sandbox) + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let run = move || {
            let sandbox = shared.sandbox();
            let _logs = LogsOnPanic(sandbox);
            runtime().block_on(test(sandbox));
        };
        self.starts_nodes = true;
        self.trials.push(trial::<T>(LIMIT, run));
        self
    }

    /// Adds a test that starts what it needs.
    #[must_use]
    pub fn alone<T>(self, test: T) -> Self
    where
        T: AsyncFnOnce() + Send + 'static,
    {
        self.alone_within(LIMIT, test)
    }

    /// Adds a test that starts what it needs and may run for `limit`.
    #[must_use]
    pub fn alone_within<T>(mut self, limit: Duration, test: T) -> Self
    where
        T: AsyncFnOnce() + Send + 'static,
    {
        self.starts_nodes = true;
        self.trials.push(trial::<T>(limit, move || runtime().block_on(test())));
        self
    }

    /// Adds a test that needs no node.
    #[must_use]
    pub fn check<T>(mut self, test: T) -> Self
    where
        T: FnOnce() + Send + 'static,
    {
        self.trials.push(trial::<T>(LIMIT, test));
        self
    }

    /// Runs the tests that the command line selects.
    pub fn run(self) -> ExitCode {
        let arguments = Arguments::from_args();
        if self.starts_nodes && !arguments.list {
            // A build takes longer than a test may.
            binary();
        }
        let Self { trials, shared, .. } = self;
        let conclusion = libtest_mimic::run(&arguments, trials);
        drop(shared);
        kill_all();
        conclusion.exit_code()
    }
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Suite").field("tests", &self.trials.len()).finish_non_exhaustive()
    }
}

/// A trial named for the function that it runs, with its module.
fn trial<T>(limit: Duration, test: impl FnOnce() + Send + 'static) -> Trial {
    let path = std::any::type_name::<T>();
    let name = path.split_once("::").map_or(path, |(_crate, name)| name);
    Trial::test(name, {
        let name = name.to_owned();
        move || within(limit, &name, test).map_err(Failed::from)
    })
}

/// Runs a test on a thread of its own; why it failed.
fn within(limit: Duration, name: &str, test: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let run = move || {
        let ended = catch_unwind(AssertUnwindSafe(test));
        // The receiver is gone where the test came too late.
        drop(sender.send(ended));
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread starts");
    match receiver.recv_timeout(limit) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned())
        }
        Err(RecvTimeoutError::Timeout) => Err(format!("still running after {} s", limit.as_secs_f32())),
        Err(RecvTimeoutError::Disconnected) => Err("its thread ended without a result".to_owned()),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_hangs_fails_whatever_it_waits_in() {
        let limit = Duration::from_millis(50);
        let in_async_code = || runtime().block_on(std::future::pending::<()>());
        assert_eq!(within(limit, "async", in_async_code), Err("still running after 0.05 s".to_owned()));
        let for_a_child = || {
            let mut child = std::process::Command::new("sleep").arg("1").spawn().unwrap();
            child.wait().unwrap();
        };
        assert_eq!(within(limit, "child", for_a_child), Err("still running after 0.05 s".to_owned()));
    }

    #[test]
    fn a_failed_test_says_why_and_one_that_ends_in_time_passes() {
        assert_eq!(
            within(LIMIT, "fails", || panic!("the number is {}", 7)),
            Err("the number is 7".to_owned())
        );
        assert_eq!(within(LIMIT, "passes", || ()), Ok(()));
    }

    #[test]
    fn a_trial_has_the_name_of_its_function() {
        async fn cluster_answers(_sandbox: &Sandbox) {}
        let suite = Suite::default().shared(cluster_answers);
        assert!(suite.trials[0].name().ends_with("::cluster_answers"), "{}", suite.trials[0].name());
    }
}
