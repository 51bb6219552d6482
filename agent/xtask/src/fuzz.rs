//! `cargo xtask fuzz`: unpacks a target's corpus, lets it grow for some minutes, keeps the least of it that reaches as far,
//! and packs it again beside the target.
//!
//! It needs a nightly toolchain and cargo-fuzz, and is not part of the tests. Invariant: a corpus is packed again only
//! where its target held; what broke it lies in `agent/fuzz/artifacts`.

use std::{fs, path::Path, process::Command};

use crate::{
    Failure,
    step::{Steps, cargo, command, root, run},
};

const MINUTES: u32 = 10;

/// Lets these targets run, all where none is named, each for the minutes after `--minutes`.
pub(crate) fn run_all(arguments: &[&str]) -> Result<(), Failure> {
    let (names, minutes) = match arguments {
        [names @ .., "--minutes", minutes] => {
            let wanted = |_| format!("--minutes {minutes}: a whole number is wanted");
            (names, minutes.parse::<u32>().map_err(wanted)?)
        }
        names => (names, MINUTES),
    };
    let targets = targets(&root().join("agent/fuzz/fuzz_targets"))?;
    if let Some(unknown) = names.iter().find(|name| !targets.iter().any(|target| target == *name)) {
        return Err(format!("no such target: {unknown}; there are {}", targets.join(", ")));
    }
    let mut steps = Steps::default();
    for target in targets
        .iter()
        .filter(|target| names.is_empty() || names.contains(&target.as_str()))
    {
        steps.run(target.clone(), || fuzz(target, minutes))?;
    }
    steps.print_table();
    Ok(())
}

/// The names of the programs in the folder, in order.
fn targets(folder: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error| format!("reading {}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn fuzz(target: &str, minutes: u32) -> Result<(), Failure> {
    let kept = root().join(format!("agent/fuzz/corpus/{target}.tar.gz"));
    let grown = root().join(format!("target/fuzz/{target}"));
    for folder in [&grown, &root().join("agent/fuzz/corpus")] {
        fs::create_dir_all(folder).map_err(|error| format!("making {}: {error}", folder.display()))?;
    }
    if kept.exists() {
        run(command("tar -xzf").arg(&kept).arg("-C").arg(&grown))?;
    }
    run(in_agent("run", target)
        .arg(&grown)
        .arg("--")
        .arg(format!("-max_total_time={}", minutes * 60)))?;
    run(in_agent("cmin", target).arg(&grown))?;
    // The same files give the same archive.
    let pack = "tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -czf";
    run(command(pack).arg(&kept).arg("-C").arg(&grown).arg("."))
}

fn in_agent(verb: &str, target: &str) -> Command {
    let mut command = cargo(&format!("+nightly fuzz {verb} {target}"));
    command.current_dir(root().join("agent"));
    command
}
