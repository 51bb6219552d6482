//! The one thread that writes: takes commands in turn, one transaction each, and answers when the disk has it.
//!
//! It reads nothing for others. Invariants: `seq` grows by one with each successful commit and by nothing else; when
//! the store outgrows its limit the oldest log rows go, counted, but never those a restart needs (after the snapshot).

use std::{fs::File, time::Duration};

use energy::{Finding, Interval};
use rusqlite::{Connection, Transaction, params};
use tokio::sync::{mpsc, watch};

use super::{
    Acknowledgement, Command, Commit, Config, DeadLetter, Progress, Snapshot, StoreError, log, repaired::Repaired,
};
use crate::{
    clock::monotonic,
    health::{Counter, Gauge, Health},
};

/// Rows that give way at once when the store is too large: small enough that a commit never waits long behind it.
const EVICTED_AT_ONCE: u64 = 256;

/// Messages remembered as delivered, per reader: a finding has two, and nobody re-emits older ones.
const DELIVERED_LIMIT: u64 = 10_000;

pub(super) struct Writer {
    db: Connection,
    last_seq: u64,
    max_size: u64,
    committed: watch::Sender<u64>,
    counts: Counts,
    health: Health,
}

struct Counts {
    commits: Counter,
    evicted: Counter,
    letters_evicted: Counter,
    size_bytes: Gauge,
    commit_seconds: Gauge,
}

impl Writer {
    pub(super) fn new(
        db: Connection,
        config: &Config,
        health: &Health,
        committed: watch::Sender<u64>,
    ) -> rusqlite::Result<Self> {
        let mut writer = Self {
            last_seq: 0,
            max_size: config.max_size,
            committed,
            counts: Counts {
                commits: health.counter("store_commits_total", &[]),
                evicted: health.dropped("store", "oldest_log_row"),
                letters_evicted: health.dropped("store", "oldest_dead_letter"),
                size_bytes: health.gauge("store_size_bytes", &[]),
                commit_seconds: health.gauge("store_commit_seconds", &[]),
            },
            health: health.clone(),
            db,
        };
        writer.find_end()?;
        writer.counts.size_bytes.set(writer.used_bytes()? as f64);
        Ok(writer)
    }

    /// Reads where the log ends: a snapshot may be newer than the rows when the oldest were all that was left.
    fn find_end(&mut self) -> rusqlite::Result<()> {
        let end = "SELECT max(coalesce((SELECT max(seq) FROM log), 0), coalesce((SELECT seq FROM snapshot), 0))";
        self.last_seq = self.db.query_row(end, [], |row| row.get(0))?;
        self.committed.send_replace(self.last_seq);
        Ok(())
    }

    /// Runs until the store is closed or all its handles are gone; `lock` is held as long.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Command>, lock: File) {
        let mut closing = None;
        while let Some(command) = queue.blocking_recv() {
            match command {
                Command::Commit(commit, answer) => reply(answer, self.commit(&commit)),
                Command::Progress(progress, answer) => {
                    let evicted = self.in_transaction(|tx| save_progress(tx, &progress));
                    reply(answer, self.count_letters(&progress.dead_letters, evicted));
                }
                Command::DeadLetter(letter, answer) => {
                    let evicted = self.in_transaction(|tx| keep_letter(tx, &letter));
                    reply(answer, self.count_letters(&[letter], evicted));
                }
                Command::Acknowledge(acknowledgement, answer) => {
                    reply(answer, self.in_transaction(|tx| acknowledge(tx, &acknowledgement)));
                }
                // What was queued before is done by then; what is queued behind is answered by its dropped sender.
                Command::Close(answer) => {
                    closing = Some(answer);
                    break;
                }
            }
        }
        let folded = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let closed = self.db.close().map_err(|(_, error)| error);
        drop(lock);
        if let Some(answer) = closing {
            reply(answer, folded.and(closed).map_err(StoreError::from));
        }
    }

    fn commit(&mut self, commit: &Commit) -> Result<u64, StoreError> {
        let begun = monotonic();
        let seq = self.last_seq + 1;
        let row = log::encode(seq, commit);
        let result = self.in_transaction(|tx| write_commit(tx, commit, &row));
        if let Err(error) = result {
            // Whether a failed COMMIT is in the file is only known by looking.
            self.find_end()?;
            return Err(error);
        }
        self.last_seq = seq;
        self.counts.commits.one();
        self.counts
            .commit_seconds
            .set(begun.elapsed().max(Duration::ZERO).as_secs_f64());
        self.committed.send_replace(seq);
        if let Err(error) = self.make_room() {
            tracing::warn!(%error, "the store could not make room");
        }
        Ok(seq)
    }

    fn in_transaction<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = (|| {
            let tx = self.db.transaction()?;
            let written = write(&tx)?;
            tx.commit()?;
            Ok(written)
        })();
        if let Err(error) = &result {
            let reason = match error {
                StoreError::Full(_) => "full",
                StoreError::Io(_) => "io",
                StoreError::Damaged(_) => "damaged",
                StoreError::UnknownFinding(_) | StoreError::Closed => return result,
            };
            self.health.counter("store_errors_total", &[("reason", reason)]).one();
        }
        result
    }

    /// Lets the oldest rows go while the store is over its limit, a few at each commit.
    fn make_room(&mut self) -> Result<(), StoreError> {
        let used = self.used_bytes()?;
        self.counts.size_bytes.set(used as f64);
        if used <= self.max_size {
            return Ok(());
        }
        let deleted = self.db.execute(
            "DELETE FROM log WHERE seq < (SELECT min(seq) FROM log) + ?1
                AND seq <= coalesce((SELECT seq FROM snapshot), 0) AND seq < (SELECT max(seq) FROM log)",
            [EVICTED_AT_ONCE],
        )?;
        self.counts.evicted.add(deleted as u64);
        Ok(())
    }

    /// Bytes of the pages in use; freed pages are used again before the file grows.
    fn used_bytes(&self) -> rusqlite::Result<u64> {
        let pragma = |name| self.db.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
    }

    /// Counts letters that are on the disk now, and the older ones that gave way to them.
    fn count_letters(&self, letters: &[DeadLetter], evicted: Result<usize, StoreError>) -> Result<(), StoreError> {
        self.counts.letters_evicted.add(evicted? as u64);
        for letter in letters {
            let labels = [("source", letter.source.as_str())];
            self.health.counter("dead_letters_total", &labels).one();
        }
        Ok(())
    }
}

/// Answers; who asked may have gone, and then nobody misses the answer.
fn reply<T>(answer: super::Answer<T>, result: Result<T, StoreError>) {
    drop(answer.send(result));
}

fn write_commit(tx: &Transaction<'_>, commit: &Commit, row: &log::Raw) -> Result<(), StoreError> {
    let (first_ms, last_ms) = log::span_ms(commit).unzip();
    tx.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![row.seq, row.format, row.crc, row.body, first_ms, last_ms])?;
    for interval in &commit.intervals {
        write_interval(tx, interval)?;
    }
    for finding in &commit.findings {
        write_finding(tx, finding)?;
    }
    if let Some(now) = &commit.now {
        let body = postcard::to_allocvec(now).expect("Now has known lengths and no foreign serialiser");
        tx.prepare_cached("INSERT OR REPLACE INTO now VALUES (1, ?1)")?
            .execute([body])?;
    }
    if let Some(Snapshot { at, format, body }) = &commit.snapshot {
        let crc = log::checksum(*format, row.seq, body);
        tx.prepare_cached("INSERT OR REPLACE INTO snapshot VALUES (1, ?1, ?2, ?3, ?4, ?5)")?
            .execute(params![at.as_millisecond(), row.seq, format, crc, body])?;
    }
    Ok(())
}

/// A later closing of the same interval replaces the earlier; an older revision does not come back.
fn write_interval(tx: &Transaction<'_>, interval: &Interval) -> Result<(), StoreError> {
    // SQLite keeps NaN as NULL: an unknown energy stays unknown, an unknown coverage is none.
    let coverage = if interval.coverage.is_finite() {
        interval.coverage
    } else {
        0.0
    };
    let n_written = tx
        .prepare_cached(
            "INSERT INTO interval VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT DO UPDATE SET end_ms = excluded.end_ms, energy_import_kwh = excluded.energy_import_kwh,
             energy_export_kwh = excluded.energy_export_kwh,
             reactive_energy_lag_kvarh = excluded.reactive_energy_lag_kvarh,
             reactive_energy_lead_kvarh = excluded.reactive_energy_lead_kvarh,
             quality = excluded.quality, coverage = excluded.coverage, revision = excluded.revision
         WHERE excluded.revision >= interval.revision",
        )?
        .execute(params![
            &*interval.meter,
            interval.start.as_millisecond(),
            interval.end.as_millisecond(),
            interval.energy_import_kwh,
            interval.energy_export_kwh,
            interval.reactive_energy_lag_kvarh,
            interval.reactive_energy_lead_kvarh,
            interval.quality as u8,
            coverage,
            interval.revision,
        ])?;
    if n_written == 0 {
        return Ok(());
    }
    let key = params![&*interval.meter, interval.start.as_millisecond()];
    tx.prepare_cached("DELETE FROM repair WHERE meter = ?1 AND start_ms = ?2")?
        .execute(key)?;
    if let Some(json) = Repaired::text(interval) {
        tx.prepare_cached("INSERT INTO repair VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                &*interval.meter,
                interval.start.as_millisecond(),
                interval.revision,
                json
            ])?;
    }
    Ok(())
}

fn write_finding(tx: &Transaction<'_>, finding: &Finding) -> Result<(), StoreError> {
    let state = match finding.state {
        energy::finding::Condition::Open => "open",
        energy::finding::Condition::Closed => "closed",
    };
    tx.prepare_cached("INSERT OR REPLACE INTO finding VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            finding.id,
            finding.since.as_millisecond(),
            finding.until.map(jiff::Timestamp::as_millisecond),
            state,
            finding.kind.name(),
            &*finding.machine,
            finding.severity.name(),
            log::json(finding),
        ])?;
    Ok(())
}

/// Saves it; the number of older dead letters that gave way.
fn save_progress(tx: &Transaction<'_>, progress: &Progress) -> Result<usize, StoreError> {
    let mut evicted = 0;
    if let Some(ranges) = &progress.ranges {
        tx.prepare_cached("DELETE FROM cursor WHERE reader = ?1")?
            .execute([&progress.reader])?;
        for range in ranges {
            tx.prepare_cached("INSERT OR REPLACE INTO cursor VALUES (?1, ?2, ?3)")?
                .execute(params![progress.reader, range.from, range.to])?;
        }
    }
    for letter in &progress.dead_letters {
        evicted += keep_letter(tx, letter)?;
    }
    for message in &progress.delivered {
        tx.prepare_cached("INSERT OR IGNORE INTO delivered (reader, message) VALUES (?1, ?2)")?
            .execute(params![progress.reader, message])?;
    }
    if !progress.delivered.is_empty() {
        tx.prepare_cached(
            "DELETE FROM delivered WHERE reader = ?1 AND id <=
                (SELECT id FROM delivered WHERE reader = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![progress.reader, DELIVERED_LIMIT])?;
    }
    Ok(evicted)
}

/// Keeps it; the number of older ones that gave way.
fn keep_letter(tx: &Transaction<'_>, letter: &DeadLetter) -> Result<usize, StoreError> {
    let payload = &letter.payload[..letter.payload.floor_char_boundary(DeadLetter::PAYLOAD_LIMIT)];
    tx.prepare_cached("INSERT INTO dead_letter (at_ms, source, reason, payload) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            letter.at.as_millisecond(),
            letter.source,
            letter.reason,
            payload
        ])?;
    let evicted = tx
        .prepare_cached("DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?1")?
        .execute([DeadLetter::COUNT_LIMIT])?;
    Ok(evicted)
}

fn acknowledge(tx: &Transaction<'_>, acknowledgement: &Acknowledgement) -> Result<(), StoreError> {
    let Acknowledgement { id, by, comment, at } = acknowledgement;
    let is_known: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM finding WHERE id = ?1)")?
        .query_row([id], |row| row.get(0))?;
    if !is_known {
        return Err(StoreError::UnknownFinding(id.clone()));
    }
    tx.prepare_cached("INSERT INTO audit (at_ms, who, what, finding, comment) VALUES (?1, ?2, 'acknowledge', ?3, ?4)")?
        .execute(params![at.as_millisecond(), by, id, comment])?;
    Ok(())
}
