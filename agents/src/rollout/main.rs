//! `rollout`: scenarios, episodes and stores from the command line.
//!
//! Reads what was typed, hands it on, and turns errors into exit codes: 0 done, 1 failed, 2 the input is wrong.
//! The last line of standard output is one JSON object with `--json`; progress goes to standard error.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
