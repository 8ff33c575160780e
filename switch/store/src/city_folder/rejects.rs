//! Reject files: every fault of a file that was not loaded, by line and column.

use std::fs;
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::FILES;
use super::report::{ImportError, RowFault};

/// `cards.csv` gives `cards.csv.rejects.csv`: beside the file's own name, so that nobody
/// takes it for the file.
fn path(dir: &Path, file: &str) -> PathBuf {
    dir.join(format!("{file}.rejects.csv"))
}

/// Removes what a former import rejected: what lies there is always the last import's.
pub(super) fn remove_former(dir: &Path) -> Result<(), ImportError> {
    for path in FILES.map(|file| path(dir, file)) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(ImportError::Rejects { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Lists a file's faults.
pub(super) fn write(dir: &Path, file: &str, faults: &[RowFault]) -> Result<PathBuf, ImportError> {
    let path = path(dir, file);
    let failed = |source| ImportError::Rejects { path: path.clone(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    let temporary = path.with_extension("csv.tmp");
    write_all(&temporary, faults).map_err(failed)?;
    fs::rename(&temporary, &path).map_err(failed)?;
    Ok(path)
}

fn write_all(path: &Path, faults: &[RowFault]) -> std::io::Result<()> {
    let mut csv = csv::Writer::from_writer(BufWriter::new(fs::File::create(path)?));
    csv.write_record(["line", "column", "reason"])?;
    for fault in faults {
        csv.write_record([fault.line.to_string().as_str(), &fault.column, &fault.reason])?;
    }
    csv.into_inner().map_err(|error| error.into_error())?.flush()
}
