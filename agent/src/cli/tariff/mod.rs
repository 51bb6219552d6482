//! `wattwarden tariff`: what the tariffs say, what a kWh or a kW costs at an instant, and whole bills.
//!
//! It reckons nothing itself; the crate `energy` does.

use std::process::ExitCode;

use clap::Subcommand;

mod bill;
mod price;
mod rules;
mod show;

/// Arguments of `tariff`.
#[derive(Debug, clap::Args)]
pub struct TariffArgs {
    #[command(subcommand)]
    command: TariffCommand,
}

#[derive(Debug, Subcommand)]
enum TariffCommand {
    /// List the tariffs, or print the rules of one as they stand on a day.
    Show(show::ShowArgs),
    /// What one kWh and one more kW cost at an instant; where the bill stands.
    Price(price::PriceArgs),
    /// The bill of a month, item by item.
    Bill(bill::BillArgs),
}

/// Runs the subcommand.
pub fn run(args: &TariffArgs) -> ExitCode {
    match &args.command {
        TariffCommand::Show(args) => show::run(args),
        TariffCommand::Price(args) => price::run(args),
        TariffCommand::Bill(args) => bill::run(args),
    }
}
