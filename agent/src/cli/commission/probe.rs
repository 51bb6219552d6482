//! `wattwarden probe`: one block of registers in every type and order, what can be meant, and what mends what went wrong.
//!
//! It reads and asks nothing else: first what was asked for, then, only if that gave nothing, the other framing, the
//! other table, the neighbours, and the units that a device behind TCP has by custom. Where one way alone fits, the
//! neighbours are read too: addresses are off by one more often than in any other way. Exit status: 0 read, 2 the user's
//! input, 3 no answer from the unit that was asked.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use energy::Quantity;
use serde::Serialize;

use super::{
    LineArgs, OutArgs,
    block::{self, Sought},
    block_on,
    faults::{Told, told},
    ranges::Ranges,
    refused, say,
    show::{self, Shown},
};
use crate::{
    acquire::modbus::{
        Fault, Table, Transport,
        ask::{Block, Master, Trouble},
    },
    cli::{INPUT, NO_ANSWER, fail, print},
    config::{
        bus::written,
        model::{self, Model},
    },
    language::Language,
};

/// Arguments of `probe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    wattwarden probe tcp://10.0.0.21:502 --unit 7 --reg 3059 --quantity power\n  \
    wattwarden probe tcp://10.0.0.21 --unit 7 --reg 3060 --base 1 --expect 12.4\n  \
    wattwarden probe /dev/ttyUSB0 --baud 9600 --parity none --reg 0 --fn 4\n  \
    wattwarden probe tcp://10.0.0.21 --profile eastron-sdm630 --point voltage_l1_v")]
pub struct ProbeArgs {
    /// tcp://HOST:502, rtu+tcp://HOST:PORT, tls://HOST, or /dev/ttyUSB0.
    address: String,
    #[command(flatten)]
    line: LineArgs,
    /// Unit (slave) of the device, 1 to 255.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    unit: u8,
    /// First register, as --base counts.
    #[arg(long)]
    reg: Option<u32>,
    /// How many registers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=125))]
    len: u16,
    /// Function: 3 holding registers, 4 input registers.
    #[arg(long = "fn", value_name = "FUNCTION", default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=4))]
    function: u8,
    /// Number of the first register: 0 as on the wire, 1 as in manuals.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    base: u8,
    /// What the meter's display shows.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    expect: Option<f64>,
    /// What is looked for: voltage, current, power, energy, frequency, pf.
    #[arg(long, value_name = "KIND")]
    quantity: Option<String>,
    /// A profile whose points are shown by name.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// A point of the profile, by its quantity, in place of --reg.
    #[arg(long, value_name = "QUANTITY", requires = "profile")]
    point: Option<Quantity>,
    /// Also write the hand-over sheet: as JSON to a .json, else as text.
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    #[command(flatten)]
    out: OutArgs,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) unit: u8,
    pub(super) table: Table,
    pub(super) at: u16,
    pub(super) count: u16,
}

/// One question and how it went.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Tried {
    /// What was asked, for people.
    pub(super) what: String,
    /// `None`: it was answered.
    pub(super) trouble: Option<Told>,
}

/// What came of it.
pub(super) struct Found {
    /// What was to be read.
    pub(super) wanted: Asked,
    /// The line that answered, or the one that was named.
    pub(super) transport: Transport,
    /// What was answered: as asked, or another way.
    pub(super) asked: Asked,
    pub(super) block: Option<Block>,
    /// Every question in order.
    pub(super) tried: Vec<Tried>,
    /// Blocks beside the one asked for that fit too, where it gave one plausible way at most.
    pub(super) neighbours: Vec<Block>,
}

/// Gap between two questions (default): what the slowest meters need.
const GAP: Duration = Duration::from_millis(50);
/// Units that a device behind Modbus TCP has by custom.
const CUSTOMARY_UNITS: [u8; 2] = [1, 255];

/// Probes and shows what was found.
pub fn run(args: &ProbeArgs) -> ExitCode {
    match probe(args) {
        Ok(status) | Err(status) => status,
    }
}

fn probe(args: &ProbeArgs) -> Result<ExitCode, ExitCode> {
    let (data, language) = (args.out.data(), args.out.language());
    let ranges = Ranges::load(&data).map_err(|found| refused(&found))?;
    let model = match &args.profile {
        Some(name) => Some(profile(&data, name)?),
        None => None,
    };
    let kind = match &args.quantity {
        Some(name) => Some(ranges.named(name).ok_or_else(|| {
            fail(
                INPUT,
                format!(
                    "no quantity is called {name:?} here; one of: {}",
                    ranges.names().join(", ")
                ),
            )
        })?),
        None => None,
    };
    let sought = match (args.expect, kind) {
        (Some(value), kind) => Sought::Value(value, kind),
        (None, Some(kind)) => Sought::Kind(kind),
        (None, None) => Sought::Anything,
    };
    let asked = asked(args, model.as_ref())?;
    let transport = args.line.transport(&args.address)?;
    let found = block_on(ask(transport, args.line.timeout, asked, sought, language))?;
    let shown = Shown {
        found: &found,
        sought,
        model: model.as_ref(),
        ranges: &ranges,
        language,
    };
    print(&if args.out.json {
        format!("{:#}\n", show::json(&shown))
    } else {
        show::text(&shown)
    });
    if let Some(path) = &args.sheet {
        show::sheet(&shown).save(path, language)?;
    }
    Ok(match found.block {
        Some(_) if found.asked.unit == found.wanted.unit => ExitCode::SUCCESS,
        _ => ExitCode::from(NO_ANSWER),
    })
}

/// The model of a profile's name.
pub(super) fn profile(data: &crate::config::data::DataFiles, name: &str) -> Result<Model, ExitCode> {
    match model::find(data, name) {
        Some(Ok(model)) => Ok(model),
        Some(Err(found)) => Err(refused(&found)),
        None => Err(fail(
            INPUT,
            format!("no profile is called {name:?}; `wattwarden profile list` names them"),
        )),
    }
}

fn asked(args: &ProbeArgs, model: Option<&Model>) -> Result<Asked, ExitCode> {
    let unit = args.unit;
    if let Some(model) = model.filter(|model| model.limits.sunspec.is_some()) {
        let why = format!(
            "the addresses of {:?} count from a place that the device's chain tells",
            model.name
        );
        return Err(fail(INPUT, why + "; `wattwarden profile test` walks it"));
    }
    if let (Some(model), Some(quantity)) = (model, args.point) {
        let point = model.points.iter().find(|point| point.quantity == quantity);
        let point = point.ok_or_else(|| fail(INPUT, format!("profile {:?} has no {quantity}", model.name)))?;
        return Ok(Asked {
            unit,
            table: point.table,
            at: point.at,
            count: point.form.registers(),
        });
    }
    let Some(reg) = args.reg else {
        return Err(fail(
            INPUT,
            "say the first register with --reg, or --profile and --point",
        ));
    };
    let at = reg.checked_sub(u32::from(args.base));
    let at = at
        .and_then(|at| u16::try_from(at).ok())
        .filter(|at| at.checked_add(args.len - 1).is_some());
    let at = at.ok_or_else(|| {
        let why = format!("--reg {reg} with --len {} is not within 0 to 65535", args.len);
        fail(
            INPUT,
            why + "; of numbers such as 40001 leave out the first digit and say --base 1",
        )
    })?;
    Ok(Asked {
        unit,
        table: if args.function == 4 {
            Table::Input
        } else {
            Table::Holding
        },
        at,
        count: args.len,
    })
}

/// The same host with the other framing.
pub(super) fn other_framing(transport: &Transport) -> Option<Transport> {
    match transport.clone() {
        Transport::Tcp { host, port } => Some(Transport::RtuOverTcp { host, port }),
        Transport::RtuOverTcp { host, port } => Some(Transport::Tcp { host, port }),
        _ => None,
    }
}

/// A busy device is asked again so often, so long after; one that does not confirm its answer is believed by then.
pub(super) const BUSY_TRIES: usize = 5;
pub(super) const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// Asks until something answers, or nothing is left to try.
async fn ask(transport: Transport, timeout: Duration, asked: Asked, sought: Sought<'_>, language: Language) -> Found {
    let wanted = asked;
    let mut asker = Asker {
        master: Master::new(transport.clone(), timeout, GAP),
        language,
        tried: vec![],
    };
    let mut answered = asker.read(asked).await.map(|block| (asked, block));
    for _ in 0..BUSY_TRIES {
        if !answered.as_ref().is_err_and(is_busy) {
            break;
        }
        tokio::time::sleep(BUSY_PAUSE).await;
        answered = asker.read(asked).await.map(|block| (asked, block));
    }
    if let Some(other) = other_framing(&transport).filter(|_| is_silent(&answered)) {
        // A device that takes one connection must be left first.
        asker.master = Master::new(other, timeout, GAP);
        let by_other = asker.read(asked).await;
        if by_other.as_ref().err().is_none_or(Trouble::is_reply) {
            answered = by_other.map(|block| (asked, block));
        } else {
            asker.master = Master::new(transport.clone(), timeout, GAP);
        }
    }
    let is_unheard = matches!(&answered, Err(Trouble::Fault(Fault::TimedOut(_))));
    if is_unheard && !matches!(transport, Transport::Rtu { .. }) {
        for unit in CUSTOMARY_UNITS.into_iter().filter(|unit| *unit != asked.unit) {
            let other = Asked { unit, ..asked };
            if let Ok(block) = asker.read(other).await {
                answered = Ok((other, block));
                break;
            }
        }
    }
    if matches!(&answered, Err(Trouble::Fault(fault)) if fault.may_pass_in_parts()) {
        for other in elsewhere(asked) {
            if let Ok(block) = asker.read(other).await {
                answered = Ok((other, block));
                break;
            }
        }
    }
    let neighbours = match &answered {
        Ok((asked, block)) if !matches!(sought, Sought::Anything) && fits(block, sought) <= 1 => {
            fitting_neighbours(&mut asker, *asked, sought).await
        }
        _ => vec![],
    };
    let (asked, block) = match answered {
        Ok((asked, block)) => (asked, Some(block)),
        Err(_) => (asked, None),
    };
    Found {
        wanted,
        transport: asker.master.transport().clone(),
        asked,
        block,
        tried: asker.tried,
        neighbours,
    }
}

/// The neighbours that fit as well.
async fn fitting_neighbours(asker: &mut Asker, asked: Asked, sought: Sought<'_>) -> Vec<Block> {
    let mut neighbours = vec![];
    for other in beside(asked) {
        let (at, took) = (other.at, Duration::ZERO);
        let block = match asker.read(other).await {
            Ok(block) => Some(block),
            // They may well be alike.
            Err(Trouble::Fault(Fault::Unconfirmed { words, .. })) => Some(Block { at, words, took }),
            Err(_) => None,
        };
        neighbours.extend(block.filter(|block| fits(block, sought) > 0));
    }
    neighbours
}

/// Whether a device puts off its answer, or has not confirmed it: that says nothing of the question.
pub(super) fn is_busy(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Fault(Fault::Unconfirmed { .. }) => true,
        Trouble::Fault(fault @ Fault::Refused(_)) => !fault.may_pass_in_parts(),
        _ => false,
    }
}

/// Whether nobody answered over a connection that there is: another framing may be. A damaged answer has the right one.
fn is_silent(answered: &Result<(Asked, Block), Trouble>) -> bool {
    matches!(answered, Err(Trouble::Fault(fault)) if !fault.is_reply() && *fault != Fault::Damaged)
}

/// How many ways fit that begin at the block's first register.
fn fits(block: &Block, sought: Sought<'_>) -> usize {
    let fits = block::fitting(&block::readings(block.at, &block.words), sought);
    fits.iter().filter(|fit| fit.reading.at == block.at).count()
}

/// The other table, then the neighbours.
fn elsewhere(asked: Asked) -> Vec<Asked> {
    let table = match asked.table {
        Table::Holding => Table::Input,
        Table::Input => Table::Holding,
    };
    [vec![Asked { table, ..asked }], beside(asked)].concat()
}

/// One register before and after.
fn beside(asked: Asked) -> Vec<Asked> {
    let before = asked.at.checked_sub(1);
    let after = asked
        .at
        .checked_add(1)
        .filter(|at| at.checked_add(asked.count - 1).is_some());
    let places = before.into_iter().chain(after);
    places.map(|at| Asked { at, ..asked }).collect()
}

struct Asker {
    master: Master,
    language: Language,
    tried: Vec<Tried>,
}

impl Asker {
    async fn read(&mut self, asked: Asked) -> Result<Block, Trouble> {
        let Asked { unit, table, at, count } = asked;
        let answer = self.master.registers(unit, table, at, count).await;
        let function = table.function();
        let line = written(self.master.transport());
        let unit_word = say(self.language, "국번", "unit");
        self.tried.push(Tried {
            what: format!("{line} {unit_word} {unit} fn {function} @{at} x{count}"),
            trouble: answer
                .as_ref()
                .err()
                .map(|trouble| told(trouble, self.master.transport(), self.language)),
        });
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_stay_inside_the_registers() {
        let places = |at, count| {
            let asked = Asked {
                unit: 1,
                table: Table::Holding,
                at,
                count,
            };
            beside(asked).into_iter().map(|asked| asked.at).collect::<Vec<_>>()
        };
        assert_eq!(places(0, 2), [1]);
        assert_eq!(places(100, 2), [99, 101]);
        assert_eq!(places(65534, 2), [65533]);
    }
}
