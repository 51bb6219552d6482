//! The program `wattwarden`: what is asked for on the command line is in `cli`, what runs in `app`.

use std::process::ExitCode;

fn main() -> ExitCode {
    wattwarden::cli::main()
}
