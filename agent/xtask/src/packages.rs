//! System packages that tests need: real brokers, databases and a browser.
//!
//! On Debian and its kin the missing ones are installed, elsewhere they are named and their tests skip themselves.
//! Invariant: nothing is installed, fetched or stopped where all is there.

use std::path::Path;

use crate::{
    Failure,
    step::{command, run, succeeds},
};

/// A package of Debian, how one sees that what it brings is there, and the service that Debian starts with it.
struct Package {
    name: &'static str,
    probe: Probe,
    service: Option<&'static str>,
}

enum Probe {
    /// A program on the path, or in the folders of the system's own programs.
    Program(&'static str),
    /// A command that ends with status 0.
    Command(&'static str),
    /// A file.
    File(&'static str),
}

const fn package(name: &'static str, probe: Probe) -> Package {
    Package {
        name,
        probe,
        service: None,
    }
}

const fn server(name: &'static str, program: &'static str) -> Package {
    Package {
        name,
        probe: Probe::Program(program),
        service: Some(name),
    }
}

const PACKAGES: &[Package] = &[
    server("mosquitto", "mosquitto"),
    package("mosquitto-clients", Probe::Program("mosquitto_sub")),
    server("influxdb", "influxd"),
    server("victoria-metrics", "victoria-metrics"),
    package("chromium", Probe::Program("chromium")),
    package("nodejs", Probe::Program("node")),
    // Debian's nodejs comes without it, others' with it.
    package("npm", Probe::Program("npm")),
    package("python3-venv", Probe::Command("python3 -m ensurepip --version")),
    package("openssl", Probe::Program("openssl")),
    // Without Korean letters the pictures of the page show boxes, of other widths than what people will see.
    package(
        "fonts-noto-cjk",
        Probe::File("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    ),
];

/// Where Debian puts servers; the path of a user who is not root leaves them out.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

impl Package {
    fn is_there(&self) -> bool {
        match self.probe {
            Probe::Program(name) => has_program(name),
            Probe::Command(line) => succeeds(&mut command(line)),
            Probe::File(path) => Path::new(path).exists(),
        }
    }
}

/// Whether a program of this name can be started.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(Into::into))
        .any(|folder| folder.join(name).is_file())
}

fn missing() -> Vec<&'static Package> {
    PACKAGES.iter().filter(|package| !package.is_there()).collect()
}

/// Installs what is missing where that can be done; else says what is.
pub(crate) fn install() -> Result<(), Failure> {
    let wanted = missing();
    if wanted.is_empty() {
        println!("all there");
        return Ok(());
    }
    let names = names(&wanted);
    let Some(root) = as_root().filter(|_| has_program("apt-get")) else {
        println!("missing: {names}");
        println!(
            "not installed: that takes apt-get, as root or through a sudo that asks nothing; their tests will skip"
        );
        return Ok(());
    };
    run(&mut command(&format!("{root}apt-get update -q")))?;
    // Through env, because sudo hands no environment on.
    run(&mut command(&format!(
        "{root}env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends {names}"
    )))?;
    stop_services(root, &wanted)?;
    let still = missing();
    if still.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "apt-get installed {names}, but these cannot be found: {}",
            self::names(&still)
        ))
    }
}

fn names(packages: &[&Package]) -> String {
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    names.join(" ")
}

/// What goes before a command to run it as root, if anything does.
fn as_root() -> Option<&'static str> {
    let id = command("id -u").output().ok()?;
    if id.stdout == b"0\n" {
        Some("")
    } else {
        succeeds(&mut command("sudo -n true")).then_some("sudo -n ")
    }
}

/// Debian starts servers as it installs them. The tests start their own; these would only hold ports and memory.
fn stop_services(root: &str, installed: &[&Package]) -> Result<(), Failure> {
    if !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    for service in installed.iter().filter_map(|package| package.service) {
        run(&mut command(&format!("{root}systemctl disable --now {service}")))?;
    }
    Ok(())
}
