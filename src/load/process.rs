//! What a process takes: memory and descriptors, from /proc. Where there is none, nothing is said.

use serde::Serialize;

/// A process's memory and descriptors at a moment.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    /// Resident memory.
    pub rss_mib: Option<u64>,
    /// Open descriptors.
    pub descriptors: Option<u64>,
}

impl Usage {
    /// Of a process; of this one without.
    pub fn of(pid: Option<u32>) -> Self {
        let folder = pid.map_or_else(|| "/proc/self".to_owned(), |pid| format!("/proc/{pid}"));
        let descriptors = std::fs::read_dir(format!("{folder}/fd")).ok().map(|entries| entries.count() as u64);
        Self { rss_mib: rss_mib(&folder), descriptors }
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        write!(f, "{} MiB, {} descriptors", shown(self.rss_mib), shown(self.descriptors))
    }
}

fn rss_mib(folder: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("{folder}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib / 1_024)
}
