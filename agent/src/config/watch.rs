//! Notices that the configuration, or a data file beside it, was written.
//!
//! It looks every other second instead of being told: that works on every file system, whether an editor writes the file
//! or puts another in its place, and costs less than a thread that waits. It reads no file. Invariant: a change is told
//! once no file has moved between two looks, so that nobody reads half a file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::data::Folder;

/// Time between two looks: whoever saves a file sees it taken up while they still look.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files as they stood at a look: when each was written, and its length.
type Stand = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// The files of one configuration.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    told: Stand,
}

impl Watch {
    /// Watches a configuration and the data files beside it, from how they stand now.
    pub fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            told: stand(path),
        }
    }

    /// Ends when something was written.
    pub async fn changed(&mut self) {
        let mut last = stand(&self.path);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stand(&self.path);
            if now == last && now != self.told {
                self.told = now;
                return;
            }
            last = now;
        }
    }
}

fn stand(path: &Path) -> Stand {
    let beside = path.parent().unwrap_or(Path::new(""));
    let in_folder = |folder: &Folder| {
        let entries = fs::read_dir(beside.join(folder.path())).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    };
    let data = Folder::ALL.iter().flat_map(in_folder);
    let toml = data.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let found = |path: PathBuf| {
        let meta = fs::metadata(&path).ok()?;
        Some((path, (meta.modified().ok(), meta.len())))
    };
    toml.chain([path.to_owned()]).filter_map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_written_file_is_told_once_and_only_when_it_has_come_to_rest() {
        let folder = std::env::temp_dir().join(format!("wattwarden-watch-{}", std::process::id()));
        fs::create_dir_all(folder.join("meters")).unwrap();
        let path = folder.join("site.toml");
        fs::write(&path, "1").unwrap();
        let mut watch = Watch::of(&path);
        for (place, text) in [("site.toml", "12"), ("meters/own.toml", "1"), ("new.toml", "1")] {
            fs::write(folder.join(place), text).unwrap();
            watch.changed().await;
            let again = tokio::time::timeout(LOOK_EVERY * 5, watch.changed()).await;
            assert!(again.is_err(), "{place} is told once");
        }
        fs::write(folder.join("notes.txt"), "").unwrap();
        assert!(tokio::time::timeout(LOOK_EVERY * 5, watch.changed()).await.is_err());
        let writing = async {
            for n in 3..8 {
                fs::write(&path, "x".repeat(n)).unwrap();
                tokio::time::sleep(LOOK_EVERY / 2).await;
            }
        };
        tokio::select! {
            () = watch.changed() => panic!("told while it was written"),
            () = writing => {}
        }
        watch.changed().await;
        fs::remove_dir_all(&folder).unwrap();
    }
}
