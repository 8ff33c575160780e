//! The histograms as a file that the usual tools read: HdrHistogram's log, V2 compressed.
//!
//! One line for each second and kind of request, tagged with the kind; microseconds.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::mix::Kind;

/// A log that is being written.
pub struct HdrLog {
    path: PathBuf,
    file: BufWriter<File>,
    serializer: V2DeflateSerializer,
}

impl HdrLog {
    /// Begins one, in place of what is there.
    pub fn create(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        let mut log = Self { path, file: BufWriter::new(file), serializer: V2DeflateSerializer::new() };
        let now = SystemTime::now();
        let mut head = IntervalLogWriterBuilder::new();
        head.add_comment("[Histogram log format version 1.3]")
            .add_comment("xingka load: microseconds, from the intended start");
        head.with_start_time(now).with_base_time(now);
        let begun = head.begin_log_with(&mut log.file, &mut log.serializer).map(drop);
        begun.with_context(|| format!("writing {}", log.path.display()))?;
        Ok(log)
    }

    /// One kind's answers in an interval; nothing where there were none.
    pub fn write(&mut self, kind: Kind, micros: &Histogram<u64>, from: Duration, length: Duration) -> Result<()> {
        if micros.is_empty() {
            return Ok(());
        }
        let mut lines = IntervalLogWriterBuilder::new().begin_log_with(&mut self.file, &mut self.serializer)?;
        let written = lines.write_histogram(micros, from, length, Tag::new(kind.name()));
        written.map_err(|error| anyhow!("writing {}: {error}", self.path.display()))
    }

    /// Nothing more comes.
    pub fn finish(mut self) -> Result<()> {
        self.file.flush().with_context(|| format!("writing {}", self.path.display()))
    }
}
