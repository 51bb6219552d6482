//! The configurations that are measured, as text through the reader that every configuration goes through.
//!
//! Meters have the points of a full power meter; machines have states, shifts and a contract, so that every rule works.

use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use energy::Site;
use wattwarden::{
    config::{self, Secrets, diagnostic::Source},
    plant::load::UNITS_PER_ADDRESS,
};

/// Points of a meter: what a usual three-phase meter tells, as gauges, because the simulated registers do not grow.
pub(crate) const POINTS: [&str; 20] = [
    "active_power_kw",
    "active_power_l1_kw",
    "active_power_l2_kw",
    "active_power_l3_kw",
    "reactive_power_kvar",
    "apparent_power_kva",
    "voltage_l1_v",
    "voltage_l2_v",
    "voltage_l3_v",
    "voltage_l12_v",
    "voltage_l23_v",
    "voltage_l31_v",
    "current_l1_a",
    "current_l2_a",
    "current_l3_a",
    "current_n_a",
    "frequency_hz",
    "thd_voltage_pct",
    "thd_current_pct",
    "temperature_c",
];

/// Kinds that the machines take in turn.
const KINDS: [&str; 4] = ["press", "compressor", "machining_centre", "injection_moulding"];

/// A site of `meters` meters, each of a machine, fed by nobody but the measurement.
pub(crate) fn site(meters: usize) -> Site {
    let mut text = head();
    for n in 0..meters {
        writeln!(text, "[[meter]]\nname = \"m{n}\"").unwrap();
    }
    write_machines(&mut text, meters);
    let parsed = config::parse(Source::new("bench", &text), Path::new("."), Secrets::LeaveOut);
    parsed.unwrap_or_else(|found| panic!("{text}\n{found:?}")).config.site
}

/// A whole configuration in `folder`: `meters` meters of all [`POINTS`] each second at `plant` by one profile, its page on
/// a port that is free. The simulated registers are of no load, so their values are not checked against each other.
pub(crate) fn running(folder: &Path, meters: usize, plant: &[SocketAddr], page: SocketAddr) -> PathBuf {
    let mut text = head();
    for (bus, addr) in plant.iter().enumerate() {
        let written = writeln!(
            text,
            "[[bus]]\nname = \"bus{bus}\"\nmodbus = \"tcp://{addr}\"\nevery = \"1s\"\ntimeout = \"500ms\""
        );
        written.unwrap();
    }
    for n in 0..meters {
        let (bus, unit) = (n / UNITS_PER_ADDRESS, n % UNITS_PER_ADDRESS + 1);
        let written = writeln!(
            text,
            "[[meter]]\nname = \"m{n}\"\nbus = \"bus{bus}\"\nunit = {unit}\nprofile = \"bench\"\ncheck_values = false"
        );
        written.unwrap();
    }
    write_machines(&mut text, meters);
    writeln!(text, "[store]\npath = \"store\"\n[web]\nlisten = \"{page}\"").unwrap();
    fs::create_dir_all(folder.join("meters")).unwrap();
    fs::write(folder.join("meters/bench.toml"), profile()).unwrap();
    let path = folder.join("wattwarden.toml");
    fs::write(&path, text).unwrap();
    path
}

/// The simulated meter's registers.
fn profile() -> String {
    let mut text =
        "maker = \"none\"\nmodel = \"bench\"\nsource = \"agent/benches\"\nverified = true\nregisters = [\n".to_owned();
    for (index, quantity) in POINTS.iter().enumerate() {
        let at = 2 * index;
        let written = writeln!(
            text,
            "  {{ at = {at}, type = \"f32\", order = \"abcd\", quantity = \"{quantity}\" }},"
        );
        written.unwrap();
    }
    text + "]\n"
}

fn head() -> String {
    "[site]\nname = \"bench\"\nzone = \"Asia/Seoul\"\nholidays = \"kr\"\nmain_meter = \"m0\"\ncarbon = \"kr-grid\"\n\
     shifts = { day = \"mon-fri 08:00-12:00 13:00-18:00\" }\n\
     [[contract]]\nfrom = \"2024-11-01\"\ntariff = \"kepco-industrial-b-high-a-2\"\ncontract_kw = 900\n"
        .to_owned()
}

fn write_machines(text: &mut String, meters: usize) {
    for n in 0..meters {
        let kind = KINDS[n % KINDS.len()];
        let written = writeln!(
            text,
            "[[machine]]\nname = \"machine{n}\"\nkind = \"{kind}\"\nmeter = \"m{n}\"\nrated_kw = 50\nshift = \"day\""
        );
        written.unwrap();
    }
}
