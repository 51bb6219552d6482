//! Running the real program: a folder of the test's own, arguments in, exit status and text out.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails where it unwraps"
)]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

/// A folder of the test's own, removed at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wattwarden-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.0.join(name), text).unwrap();
        self.path(name)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub fn wattwarden(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wattwarden"))
        .args(args)
        .env("NO_COLOR", "1")
        .env("LANG", "C.UTF-8")
        .output()
        .unwrap()
}

/// Runs the program, wants this exit status and all of these texts in what it printed, and hands that over.
pub fn check(args: &[&str], status: i32, texts: &[&str]) -> String {
    let output = wattwarden(args);
    let printed = [output.stdout, output.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat();
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{printed}");
    for text in texts {
        assert!(printed.contains(text), "{args:?}: {text:?} is not in\n{printed}");
    }
    assert!(!printed.contains("panicked"), "{printed}");
    printed
}
