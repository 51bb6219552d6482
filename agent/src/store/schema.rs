//! The tables, and how a connection to them is opened and checked.
//!
//! No rows are read or written here but the format's version. Invariants: `log.seq` is dense; `audit` is append-only
//! (triggers refuse anything else); a file of a newer format is refused, never guessed at.
//!
//! Kept free for later: `chunk(meter, quantity, from_ms, body)`, pco-packed columns of samples whose log rows were
//! compacted. Until then a series is read from the log through `log_at`.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::OpenError;

/// Version of the tables; one more with each change an older agent could not live with.
pub(super) const FORMAT: u32 = 1;

/// How long a statement waits for another connection's lock before it gives up: a checkpoint on slow flash stays below.
const BUSY: std::time::Duration = std::time::Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One row a commit. crc = CRC-32 of format, seq and body. first_ms..last_ms bound the data time of its samples.
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY, format INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL,
    first_ms INTEGER, last_ms INTEGER);
CREATE INDEX IF NOT EXISTS log_at ON log (last_ms, first_ms) WHERE last_ms IS NOT NULL;

CREATE TABLE IF NOT EXISTS interval (
    meter TEXT NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL,
    energy_import_kwh REAL, energy_export_kwh REAL, reactive_energy_lag_kvarh REAL, reactive_energy_lead_kvarh REAL,
    quality INTEGER NOT NULL, coverage REAL NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (meter, start_ms)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS interval_start ON interval (start_ms);
-- What the registers said, and what was done to it (JSON), of the intervals that were repaired.
CREATE TABLE IF NOT EXISTS repair (
    meter TEXT NOT NULL, start_ms INTEGER NOT NULL, revision INTEGER NOT NULL, json TEXT NOT NULL,
    PRIMARY KEY (meter, start_ms)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS finding (
    id TEXT PRIMARY KEY, since_ms INTEGER NOT NULL, until_ms INTEGER, state TEXT NOT NULL, kind TEXT NOT NULL,
    machine TEXT NOT NULL, severity TEXT NOT NULL, json TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS finding_since ON finding (since_ms);

CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    finding TEXT NOT NULL, comment TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS audit_finding ON audit (finding, id);
CREATE TRIGGER IF NOT EXISTS audit_keeps BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

-- What a reader has still to do; to_seq NULL = and everything after.
CREATE TABLE IF NOT EXISTS cursor (
    reader TEXT NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER, PRIMARY KEY (reader, from_seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS delivered (
    id INTEGER PRIMARY KEY AUTOINCREMENT, reader TEXT NOT NULL, message TEXT NOT NULL, UNIQUE (reader, message));
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL,
    payload TEXT NOT NULL);

-- One row each.
CREATE TABLE IF NOT EXISTS snapshot (
    id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER NOT NULL, seq INTEGER NOT NULL, format INTEGER NOT NULL,
    crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS now (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL);
";

/// Opens the file as its only writer, creating the tables in a new one.
pub(super) fn open_for_writing(file: &Path) -> Result<Connection, OpenError> {
    let failed = |error| open_error(file, error);
    refuse_stump(file)?;
    let db = Connection::open(file).map_err(failed)?;
    db.busy_timeout(BUSY).map_err(failed)?;
    // The version first: a newer file must not be touched, not even by a pragma.
    check_format(&db, file)?;
    set_up(&db).map_err(failed)?;
    Ok(db)
}

/// SQLite takes a file shorter than its smallest page for a new one and would write over it.
fn refuse_stump(file: &Path) -> Result<(), OpenError> {
    match std::fs::metadata(file).map(|metadata| metadata.len()) {
        Ok(length @ 1..512) => Err(OpenError::Damaged {
            path: file.to_owned(),
            reason: format!("it is {length} bytes long, a database has 512 or more"),
        }),
        _ => Ok(()),
    }
}

fn set_up(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    // A long read must not leave a write-ahead log of gigabytes behind.
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES} INSERT OR IGNORE INTO meta VALUES ('format', '{FORMAT}'); COMMIT;"
    ))
}

/// Opens the file for reading only, with or without a running writer.
pub(super) fn open_for_reading(file: &Path) -> Result<Connection, OpenError> {
    let failed = |error| open_error(file, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags).map_err(failed)?;
    db.busy_timeout(BUSY).map_err(failed)?;
    if check_format(&db, file)?.is_none() {
        return Err(OpenError::Damaged {
            path: file.to_owned(),
            reason: "it holds no store yet".into(),
        });
    }
    // A store that only older agents have written has none, and nobody may write into it here.
    if !db.table_exists(None, "repair").map_err(failed)? {
        db.execute_batch("CREATE TEMP TABLE repair (meter, start_ms, revision, json)")
            .map_err(failed)?;
    }
    Ok(db)
}

/// The file's format; `None` in an empty file.
fn check_format(db: &Connection, file: &Path) -> Result<Option<u32>, OpenError> {
    let failed = |error| open_error(file, error);
    let tables: u32 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if tables == 0 {
        return Ok(None);
    }
    let format: Option<String> = db
        .query_row("SELECT value FROM meta WHERE key = 'format'", [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    let Some(found) = format.as_deref().and_then(|text| text.parse().ok()) else {
        return Err(OpenError::Damaged {
            path: file.to_owned(),
            reason: format!("its format is {format:?}, wanted a number"),
        });
    };
    if found > FORMAT {
        return Err(OpenError::Newer {
            path: file.to_owned(),
            found,
            known: FORMAT,
        });
    }
    Ok(Some(found))
}

fn open_error(file: &Path, error: rusqlite::Error) -> OpenError {
    let path = file.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::NotWritable {
            path,
            source: std::io::Error::new(std::io::ErrorKind::PermissionDenied, error),
        },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => OpenError::Damaged {
            path,
            reason: error.to_string(),
        },
        _ => OpenError::Io {
            path,
            reason: error.to_string(),
        },
    }
}
