//! The `andon` binary: arguments to a command, and its outcome to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    andon::cli::main()
}
