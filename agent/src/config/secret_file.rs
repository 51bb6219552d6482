//! Secrets, which stand alone in files: read once at start, their line end taken off.
//!
//! It never shows a secret. Invariant: no key of the configuration holds a secret itself (see `read.rs`).

use std::path::Path;

use energy::both;

use super::{
    Context, Secrets,
    diagnostic::{Code, Diagnostic},
    read::{At, Table},
};
use crate::secret::Secret;

/// The secret in the file under `key`; `None` when absent or unreadable, which is reported.
pub(super) fn optional(context: &Context<'_>, table: &mut Table<'_>, key: &'static str) -> Option<Secret> {
    let path = table.text(key)?;
    secret(context, &path)
}

/// As [`optional`], but the key must be there.
pub(super) fn required(context: &Context<'_>, table: &mut Table<'_>, key: &'static str) -> Option<Secret> {
    let path = table.text(key);
    let path = table.required(key, path)?;
    secret(context, &path)
}

fn secret(context: &Context<'_>, path: &At<&str>) -> Option<Secret> {
    if context.secrets == Secrets::LeaveOut {
        return Some(Secret::new(String::new()));
    }
    let full = context.folder.join(path.get_ref());
    match std::fs::read_to_string(&full) {
        Ok(text) if text.trim().is_empty() => {
            let message = both!(
                "비밀 값의 파일이 비어 있습니다: {}",
                "the file of this secret is empty: {}",
                full.display()
            );
            context.file.report(Code::SecretFile, path.span(), message);
            None
        }
        Ok(text) => {
            warn_if_public(context, path, &full);
            Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        Err(error) => {
            let message = both!(
                "비밀 값의 파일 {}을(를) 읽을 수 없습니다: {error}",
                "cannot read the file of this secret, {}: {error}",
                full.display()
            );
            let help = both!(
                "비밀 값만 담은 파일을 만들고 사용자 wattwarden만 읽을 수 있게 하십시오",
                "create it with the secret alone in it, readable by the user wattwarden only"
            );
            let diagnostic = Diagnostic::new(Code::SecretFile, message).help(help);
            context
                .file
                .problems
                .push(diagnostic.at(context.file.source.place(path.span())));
            None
        }
    }
}

/// Warns of a secret that everybody on the machine can read.
#[cfg(unix)]
pub(super) fn warn_if_public(context: &Context<'_>, path: &At<&str>, full: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    const OTHERS_READ: u32 = 0o004;
    let is_public = std::fs::metadata(full).is_ok_and(|about| about.permissions().mode() & OTHERS_READ != 0);
    if is_public {
        let message = both!(
            "이 컴퓨터의 누구나 {} 파일을 읽을 수 있습니다",
            "everybody on this machine can read {}",
            full.display()
        );
        let help = Some(both!(
            "다음을 실행하십시오: chmod o-r {}",
            "chmod o-r {}",
            full.display()
        ));
        context
            .file
            .report_with(Code::SecretIsPublic, path.span(), message, help);
    }
}

/// Only Unix tells who may read.
#[cfg(not(unix))]
pub(super) fn warn_if_public(_: &Context<'_>, _: &At<&str>, _: &Path) {}
