//! Meters in.

pub mod csv;

/// One sample on its way to the recorder.
#[derive(Debug)]
pub struct Incoming {
    /// The sample.
    pub sample: energy::Sample,
    /// Answered once the sample is durable.
    pub stored: Option<tokio::sync::oneshot::Sender<()>>,
}
