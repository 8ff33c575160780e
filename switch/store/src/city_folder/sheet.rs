//! A whole file, read and judged row by row.

use std::borrow::Cow;
use std::collections::HashMap;

use csv::{ReaderBuilder, StringRecord};

use super::fields::Fields;
use super::header::Header;
use super::report::RowFault;
use super::table::Table;

/// A file's rows as far as they are good, and what is wrong with the others.
pub(super) struct Sheet<R> {
    /// Rows without a fault of their own, each with its line.
    pub(super) rows: Vec<(u64, R)>,
    pub(super) faults: Vec<RowFault>,
    /// Rows that there are, good or bad.
    pub(super) read: u64,
}

/// Rows between two reports of progress.
pub(super) const ROWS_A_REPORT: u64 = 10_000;

impl<R> Sheet<R> {
    /// A file that is bad as a whole.
    pub(super) fn bad(read: u64, faults: Vec<RowFault>) -> Self {
        Self { rows: Vec::new(), faults, read }
    }

    /// Reads and judges every row.
    pub(super) fn read<T: Table<Row = R>>(table: &T, text: &str, mut progress: impl FnMut(u64)) -> Self {
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
        let mut next = |record: &mut StringRecord| reader.read_record(record).unwrap_or(false);
        if !next(&mut record) {
            return Self::bad(0, vec![whole_file("the file is empty: it needs a header line at least")]);
        }
        let header = match Header::read(&record, &T::COLUMNS) {
            Ok(header) => header,
            Err(faults) => return Self::bad(count(next), faults),
        };
        let mut judge = Judge { table, header, sheet: Self::bad(0, Vec::new()), seen: HashMap::new() };
        while next(&mut record) {
            judge.row(&record, lines.of(&record));
            if judge.sheet.read.is_multiple_of(ROWS_A_REPORT) {
                progress(judge.sheet.read);
            }
        }
        judge.sheet
    }
}

fn count(mut next: impl FnMut(&mut StringRecord) -> bool) -> u64 {
    let mut record = StringRecord::new();
    let mut rows = 0;
    while next(&mut record) {
        rows += 1;
    }
    rows
}

fn whole_file(reason: &'static str) -> RowFault {
    RowFault { line: 1, column: Cow::Borrowed(""), reason: Cow::Borrowed(reason) }
}

struct Judge<'t, T: Table> {
    table: &'t T,
    header: Header,
    sheet: Sheet<T::Row>,
    /// The line on which each identity stood first.
    seen: HashMap<T::Key, u64>,
}

impl<T: Table> Judge<'_, T> {
    fn row(&mut self, record: &StringRecord, line: u64) {
        self.sheet.read += 1;
        let Self { header, sheet, .. } = self;
        if let Some(fault) = bad_form(header, record, line) {
            sheet.faults.push(fault);
            return;
        }
        let mut fields = Fields { header, record, line, faults: &mut sheet.faults };
        let Some(row) = self.table.read(&mut fields) else {
            return;
        };
        let first = *self.seen.entry(T::key(&row)).or_insert(line);
        if first != line {
            let reason = Cow::Owned(format!("stands on line {first} already"));
            sheet.faults.push(RowFault { line, column: Cow::Borrowed(T::IDENTITY), reason });
            return;
        }
        sheet.rows.push((line, row));
    }
}

/// Too many or too few columns, or something in one that no column may hold.
fn bad_form(header: &Header, record: &StringRecord, line: u64) -> Option<RowFault> {
    if record.len() != header.len() {
        let reason = format!("the row has {} columns, the header has {}", record.len(), header.len());
        return Some(RowFault { line, column: Cow::Borrowed(""), reason: Cow::Owned(reason) });
    }
    let control = |field: &str| field.chars().any(char::is_control);
    let place = record.iter().position(control)?;
    let reason = "holds a line break or another control character: is a quote left open?";
    Some(RowFault { line, column: Cow::Borrowed(header.name(place)), reason: Cow::Borrowed(reason) })
}

/// Turns places in the text into lines. The CSV reader counts too, but not the line
/// breaks between the end of a row and the beginning of the next.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, record: &StringRecord) -> u64 {
        let byte = record.position().map_or(0, csv::Position::byte);
        let from = usize::try_from(byte).unwrap_or(usize::MAX).clamp(self.at, self.text.len());
        let rest = &self.text[from..];
        let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.text[self.at..from + breaks];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = from + breaks;
        self.line
    }
}
