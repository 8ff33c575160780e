//! The header line: which columns a file has, and whether they are its own.

use std::borrow::Cow;

use csv::StringRecord;

use super::report::RowFault;

/// The columns of a kind of file.
pub(super) struct Columns {
    pub(super) required: &'static [&'static str],
    pub(super) optional: &'static [&'static str],
    /// A column, and those that may stand instead of it.
    pub(super) either: Option<(&'static str, &'static [&'static str])>,
}

/// Where each column is.
pub(super) struct Header {
    names: Vec<&'static str>,
}

/// Letters that may be wrong in a name we take for a mistyped one.
const MISTYPED: usize = 3;

impl Header {
    pub(super) fn read(record: &StringRecord, columns: &Columns) -> Result<Self, Vec<RowFault>> {
        let mut names = Vec::with_capacity(record.len());
        let mut faults = Vec::new();
        for (name, number) in record.iter().zip(1..) {
            match columns.all().find(|known| *known == name) {
                Some(known) if names.contains(&known) => faults.push(fault(known, "stands twice in the header".into())),
                Some(known) => names.push(known),
                None => faults.push(columns.unknown(name, number)),
            }
        }
        let header = Self { names };
        faults.extend(columns.missing(&header));
        if faults.is_empty() { Ok(header) } else { Err(faults) }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.names.iter().position(|name| *name == column)
    }

    pub(super) fn name(&self, place: usize) -> &'static str {
        self.names.get(place).copied().unwrap_or_default()
    }
}

impl Columns {
    fn all(&self) -> impl Iterator<Item = &'static str> {
        let either = self.either.iter().flat_map(|(one, others)| std::iter::once(one).chain(*others));
        self.required.iter().chain(self.optional).chain(either).copied()
    }

    fn missing(&self, header: &Header) -> Vec<RowFault> {
        let lacks = |column: &&'static str| header.place(column).is_none();
        let mut missing: Vec<RowFault> = self
            .required
            .iter()
            .copied()
            .filter(lacks)
            .map(|column| fault(column, "is missing from the header".into()))
            .collect();
        if let Some((one, others)) = self.either
            && lacks(&one)
            && others.iter().any(lacks)
        {
            missing.push(fault(
                one,
                format!("is missing from the header, and so is {} instead", others.join(", ")).into(),
            ));
        }
        missing
    }

    fn unknown(&self, name: &str, number: usize) -> RowFault {
        let nearest = self.all().min_by_key(|known| strsim::damerau_levenshtein(known, &name.to_lowercase()));
        let near = nearest.filter(|known| strsim::damerau_levenshtein(known, &name.to_lowercase()) <= MISTYPED);
        let reason = match near {
            Some(known) => format!("isn't a column of this file: is {known} meant?"),
            None => format!("isn't a column of this file, which are {}", self.all().collect::<Vec<_>>().join(", ")),
        };
        fault_named(shown(name, number), reason.into())
    }
}

/// A column's name if it looks like one. In a file without a header line the first row
/// stands in its place, and its card number or key must not be repeated.
fn shown(name: &str, number: usize) -> Cow<'static, str> {
    let like_a_name = |c: char| c.is_alphabetic() || c == '_';
    let digits = name.chars().filter(char::is_ascii_digit).count();
    let letters = name.chars().filter(|c| like_a_name(*c)).count();
    if letters > 0 && digits <= 2 && letters + digits == name.chars().count() && letters <= 24 {
        Cow::Owned(name.to_owned())
    } else {
        Cow::Owned(format!("column {number}"))
    }
}

fn fault(column: &'static str, reason: Cow<'static, str>) -> RowFault {
    fault_named(Cow::Borrowed(column), reason)
}

fn fault_named(column: Cow<'static, str>, reason: Cow<'static, str>) -> RowFault {
    RowFault { line: 1, column, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns =
        Columns { required: &["holder_id", "status"], optional: &["name"], either: Some(("pan", &["pan_key", "bin"])) };

    fn faults(names: &[&str]) -> Vec<(String, String)> {
        let read = Header::read(&StringRecord::from(names.to_vec()), &COLUMNS);
        let faults = read.err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.column.into_owned(), fault.reason.into_owned())).collect()
    }

    #[test]
    fn columns_stand_in_any_order() {
        let header = Header::read(&StringRecord::from(vec!["pan", "status", "holder_id"]), &COLUMNS).ok().unwrap();
        assert_eq!((header.place("holder_id"), header.place("name"), header.name(1)), (Some(2), None, "status"));
        assert_eq!(faults(&["bin", "pan_key", "name", "status", "holder_id"]), []);
    }

    #[test]
    fn faults_name_the_column() {
        for (names, column, reason) in [
            (&["holder_id", "pan"][..], "status", "is missing from the header"),
            (&["holder_id", "status", "bin"], "pan", "is missing from the header, and so is pan_key, bin instead"),
            (&["holder_id", "status", "pan", "pan"], "pan", "stands twice in the header"),
            (&["holder_id", "status", "pan", "nmae"], "nmae", "isn't a column of this file: is name meant?"),
            (&["holder_id", "status", "pan", "Name"], "Name", "isn't a column of this file: is name meant?"),
            (
                &["holder_id", "status", "pan", "6299990000000000012"],
                "column 4",
                "isn't a column of this file, which are holder_id, status, name, pan, pan_key, bin",
            ),
            (
                &["holder_id", "status", "pan", "DEADBEEFDEADBEEFDEADBEEFDEADBEEF"],
                "column 4",
                "isn't a column of this file, which are holder_id, status, name, pan, pan_key, bin",
            ),
        ] {
            assert_eq!(faults(names), [(column.to_owned(), reason.to_owned())], "{names:?}");
        }
    }
}
