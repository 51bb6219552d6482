//! Everything that must outlive a power cut: one SQLite file, one writer thread, any number of readers.
//!
//! The log (`log.rs`) is the truth: a dense sequence of commits, each with its CRC; intervals, findings and `now` are
//! projections made in the same transaction. It judges no reading and knows neither the engine nor InfluxDB.
//! Invariants: what [`Store::commit`] has answered is on the disk (`synchronous = FULL`); only the writer thread
//! writes; one process at a time holds the folder; readers (`reader.rs`) never change a byte.

mod cursor;
mod log;
mod reader;
mod repaired;
mod restated;
mod schema;
mod writer;

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use energy::{Finding, Interval, Now, Sample, finding::Title};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

pub use cursor::{SeqRange, Todo};
pub use reader::{Audit, FindingFilter, LogError, Reader, Series, SharedReader, StoredFinding};
pub use restated::{keep_restatement, restatements};

use crate::health::Health;

/// Commands that may wait for the writer: a commit takes milliseconds, so that this many mean a disk that hangs, and
/// whoever asks next waits.
const QUEUED_COMMANDS: usize = 64;

/// Where the store lies and how large it may grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder; the file is `wattwarden.sqlite` inside.
    pub path: PathBuf,
    /// Bytes in use beyond which the oldest log rows give way (counted); intervals and findings stay.
    pub max_size: u64,
}

impl Config {
    /// The database file.
    pub fn file(&self) -> PathBuf {
        self.path.join("wattwarden.sqlite")
    }
}

/// What becomes durable in one transaction: one row of the log, and the projections made from it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// The whole minute of data time that this commit ticks; `None` between ticks.
    pub tick: Option<Timestamp>,
    /// Samples in the order in which the engine took them.
    pub samples: Vec<Sample>,
    /// Intervals closed, or closed again.
    pub intervals: Vec<Interval>,
    /// Findings that changed, each in its latest state.
    pub findings: Vec<Finding>,
    /// The agent's own numbers: series as in [`crate::health::Series`]'s text form, and value.
    pub health: Vec<(String, f64)>,
    /// The running moment, replacing the last one.
    pub now: Option<Now>,
    /// The engine's state after this commit, replacing the last one.
    pub snapshot: Option<Snapshot>,
}

/// The engine's state, opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Data time at which it was taken.
    pub at: Timestamp,
    /// Version of `body`'s format.
    pub format: u32,
    /// The state.
    pub body: Vec<u8>,
}

/// A row of the log, read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number: 1, 2, 3, … without a hole.
    pub seq: u64,
    /// See [`Commit::tick`].
    pub tick: Option<Timestamp>,
    /// See [`Commit::samples`].
    pub samples: Vec<Sample>,
    /// See [`Commit::intervals`].
    pub intervals: Vec<Interval>,
    /// See [`Commit::findings`].
    pub findings: Vec<Finding>,
    /// See [`Commit::health`].
    pub health: Vec<(String, f64)>,
}

impl Entry {
    /// The entry in the bytes of a row whose checksum has been judged already: for whoever has bytes and no database.
    pub fn from_body(seq: u64, body: &[u8]) -> Result<Self, LogError> {
        log::content(seq, body).map_err(|error| LogError::Damaged {
            seq,
            reason: error.to_string(),
        })
    }
}

/// Something a receiver refused for good, kept for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Data time of the content.
    pub at: Timestamp,
    /// Who gave it up: `influx:plant`, `alert:maintenance`.
    pub source: String,
    /// Why, in the receiver's words.
    pub reason: String,
    /// What it was; cut at [`DeadLetter::PAYLOAD_LIMIT`].
    pub payload: String,
}

impl DeadLetter {
    /// Bytes kept of a payload: a line of InfluxDB or a webhook body is shorter; what is longer shows its start.
    pub const PAYLOAD_LIMIT: usize = 8 * 1024;
    /// Letters kept; beyond, the oldest go, counted. 10,000 × 8 KiB bound the table at 80 MB.
    pub const COUNT_LIMIT: u64 = 10_000;
}

/// A dead letter as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLetter {
    /// Its number; a later letter has a higher one.
    pub id: u64,
    /// The letter.
    pub letter: DeadLetter,
}

/// How far a reader has come, saved in one transaction with what it gave up and what it delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The reader: `influx:plant`, `alert:maintenance`.
    pub reader: String,
    /// What is still to be done; `None` leaves the saved ranges as they are.
    pub ranges: Option<Vec<SeqRange>>,
    /// What was refused for good.
    pub dead_letters: Vec<DeadLetter>,
    /// Ids of messages delivered, so that none goes out twice; the newest 10,000 of a reader are remembered.
    pub delivered: Vec<String>,
}

/// What a person did about a finding; appended to the audit trail and never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The finding.
    pub id: String,
    /// Who.
    pub by: String,
    /// What they said about it.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

/// Why the store could not be opened; each says how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is not there.
    #[error("the store's folder {} does not exist: create it with `mkdir -p {}` and give it to the agent's user", .0.display(), .0.display())]
    NoFolder(PathBuf),
    /// There is something else in the folder's place.
    #[error("the store's folder {} is a file: store.path names a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The folder is there, but may not be written.
    #[error("the store's folder {path} cannot be written ({source}): give it to the agent's user with `chown`")]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent holds it.
    #[error("the store in {path} is in use by another wattwarden (process {holder}): stop that one, or use its page")]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Its process id as it wrote it down.
        holder: String,
    },
    /// A newer agent wrote it.
    #[error("{path} has format {found}, this version reads up to {known}: install the newer wattwarden again")]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: u32,
        /// The newest format this version knows.
        known: u32,
    },
    /// The file is not a sound database.
    #[error(
        "{path} is damaged or not a store ({reason}): set it aside with its -wal file, restore a backup or begin anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Anything else of the system.
    #[error("opening {path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl OpenError {
    /// In both languages, for people.
    pub fn text(&self) -> Title {
        let ko = match self {
            Self::NoFolder(path) => format!(
                "저장소 폴더 {0}이(가) 없습니다. `mkdir -p {0}` 명령으로 만들고 에이전트의 사용자에게 넘기십시오",
                path.display()
            ),
            Self::NotAFolder(path) => {
                format!(
                    "저장소 폴더 {}이(가) 파일입니다. store.path에는 폴더를 쓰십시오",
                    path.display()
                )
            }
            Self::NotWritable { path, source } => format!(
                "저장소 폴더 {}에 쓸 수 없습니다({source}). `chown` 명령으로 에이전트의 사용자에게 넘기십시오",
                path.display()
            ),
            Self::InUse { path, holder } => format!(
                "{}의 저장소를 다른 wattwarden(프로세스 {holder})이 쓰고 있습니다. 그것을 멈추거나 그 화면을 쓰십시오",
                path.display()
            ),
            Self::Newer { path, found, known } => format!(
                "{}의 형식은 {found}인데 이 버전은 {known}까지 읽습니다. 새 버전의 wattwarden을 다시 설치하십시오",
                path.display()
            ),
            Self::Damaged { path, reason } => format!(
                "{} 파일이 손상되었거나 저장소가 아닙니다({reason}). -wal 파일과 함께 옮겨 두고 백업을 되살리거나 새로 시작하십시오",
                path.display()
            ),
            Self::Io { path, reason } => format!("{}을(를) 열 수 없습니다: {reason}", path.display()),
        };
        let en = self.to_string();
        Title { ko, en }
    }
}

/// Why something could not be written or read, by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room: keep the data, try again; a person must free space.
    #[error("no room left on the store's disk ({0}): free some; nothing was lost so far")]
    Full(String),
    /// The disk answered with an error, or the database was busy: keep the data and try again.
    #[error("the store's disk: {0}")]
    Io(String),
    /// The file is damaged: trying again does not help.
    #[error("the store is damaged: {0}; stop, set the file aside, restore a backup")]
    Damaged(String),
    /// No finding has this id: the caller's input is wrong.
    #[error("no finding has the id {0:?}")]
    UnknownFinding(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::Full(text),
            // None: a value that cannot be what its column says.
            Some(Code::DatabaseCorrupt | Code::NotADatabase) | None => Self::Damaged(text),
            Some(_) => Self::Io(text),
        }
    }
}

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer thread can be asked for.
enum Command {
    Commit(Arc<Commit>, Answer<u64>),
    Progress(Progress, Answer<()>),
    DeadLetter(DeadLetter, Answer<()>),
    Acknowledge(Acknowledgement, Answer<()>),
    Close(Answer<()>),
}

/// The running store: a handle on the writer thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    config: Config,
    commands: mpsc::Sender<Command>,
    committed: watch::Receiver<u64>,
}

impl Store {
    /// Opens or creates the store and starts its writer; the folder must exist. Blocks for the disk, shortly.
    pub fn open(config: &Config, health: &Health) -> Result<Self, OpenError> {
        let lock = lock(&config.path)?;
        let db = schema::open_for_writing(&config.file())?;
        let (committed_sender, committed) = watch::channel(0);
        let writer = writer::Writer::new(db, config, health, committed_sender).map_err(|error| OpenError::Damaged {
            path: config.file(),
            reason: error.to_string(),
        })?;
        let (commands, queue) = mpsc::channel(QUEUED_COMMANDS);
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(queue, lock))
            .map_err(|source| OpenError::Io {
                path: config.file(),
                reason: format!("starting the writer thread: {source}"),
            })?;
        Ok(Self {
            config: config.clone(),
            commands,
            committed,
        })
    }

    /// Appends one row to the log with its projections. `Ok(seq)`: all of it is on the disk. `Err`: none of it is.
    pub async fn commit(&self, commit: impl Into<Arc<Commit>>) -> Result<u64, StoreError> {
        let commit = commit.into();
        self.ask(|answer| Command::Commit(commit, answer)).await
    }

    /// Saves what `reader` has still to do, durably.
    pub async fn save_cursor(&self, reader: &str, ranges: Vec<SeqRange>) -> Result<(), StoreError> {
        self.progress(Progress {
            reader: reader.to_owned(),
            ranges: Some(ranges),
            ..Progress::default()
        })
        .await
    }

    /// Saves a reader's progress, its dead letters and its deliveries in one transaction.
    pub async fn progress(&self, progress: Progress) -> Result<(), StoreError> {
        self.ask(|answer| Command::Progress(progress, answer)).await
    }

    /// Keeps something that was refused for good.
    pub async fn dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.ask(|answer| Command::DeadLetter(letter, answer)).await
    }

    /// Appends to the audit trail that somebody has taken note of a finding.
    pub async fn acknowledge(&self, acknowledgement: Acknowledgement) -> Result<(), StoreError> {
        self.ask(|answer| Command::Acknowledge(acknowledgement, answer)).await
    }

    /// Finishes what is queued, folds the write-ahead log into the file and gives the folder free. Later calls through
    /// other clones answer [`StoreError::Closed`].
    pub async fn close(self) -> Result<(), StoreError> {
        self.ask(Command::Close).await
    }

    /// A reader with its own read-only connection.
    pub fn reader(&self) -> Result<Reader, OpenError> {
        Reader::open(&self.config)
    }

    /// The highest durable sequence number, as it grows; wakes cursor readers. Copy the number out at once: while its
    /// `borrow` is held, the writer waits.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(command(answer))
            .await
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

/// Whether the folder is one.
fn folder(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        Ok(())
    } else if path.exists() {
        Err(OpenError::NotAFolder(path.to_owned()))
    } else {
        Err(OpenError::NoFolder(path.to_owned()))
    }
}

/// Whether a store could be opened in the folder, without opening it: a file is made there and taken away again.
pub fn try_folder(path: &Path) -> Result<(), OpenError> {
    folder(path)?;
    let probe = path.join(format!("wattwarden-check-{}", std::process::id()));
    let made = File::create_new(&probe).and_then(|_| fs::remove_file(&probe));
    made.map_err(|source| OpenError::NotWritable {
        path: path.to_owned(),
        source,
    })
}

/// Takes the folder for this process; the lock goes with the file handle, also when the process is killed.
fn lock(path: &Path) -> Result<File, OpenError> {
    folder(path)?;
    let not_writable = |source| OpenError::NotWritable {
        path: path.to_owned(),
        source,
    };
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join("wattwarden.lock"))
        .map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            if file.read_to_string(&mut holder).is_err() || holder.trim().is_empty() {
                holder = "unknown".into();
            }
            return Err(OpenError::InUse {
                path: path.to_owned(),
                holder: holder.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(not_writable(source)),
    }
    file.set_len(0).map_err(not_writable)?;
    writeln!(file, "{}", std::process::id()).map_err(not_writable)?;
    Ok(file)
}
