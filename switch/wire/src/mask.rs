//! Masking: messages print as field numbers and harmless values.

use core::fmt;

use crate::dialect::Content;
use crate::fields::Fields;
use crate::pan::Pan;

/// Fields whose content is shown: amounts, times, codes, who and where. Whatever isn't
/// listed isn't shown, so that a new field starts out hidden.
const SHOWN: &[u8] = &[3, 4, 11, 12, 13, 15, 22, 23, 25, 37, 38, 39, 41, 42, 48, 49, 60, 61];

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for field in self.numbers() {
            map.entry(&field, &Masked { fields: self, field });
        }
        map.finish()
    }
}

struct Masked<'m, 'a> {
    fields: &'m Fields<'a>,
    field: u8,
}

impl fmt::Debug for Masked<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.fields.bytes(self.field).unwrap_or_default();
        let digits = self.fields.digits(self.field);
        match (self.field, digits) {
            (2, Some(digits)) => match Pan::from_digits(digits) {
                Some(pan) => write!(f, "{pan}"),
                None => f.write_str("…"),
            },
            (field, Some(digits)) if SHOWN.contains(&field) => {
                digits.values().try_for_each(|value| write!(f, "{value}"))
            }
            (field, None) if SHOWN.contains(&field) => write!(f, "{}", bytes.escape_ascii()),
            _ => write!(f, "({} bytes)", bytes.len()),
        }
    }
}

impl Fields<'_> {
    /// Whether a field's content may be shown to people.
    pub fn may_be_shown(&self, field: u8) -> bool {
        let row = self.dialect().fields.get(usize::from(field)).copied().flatten();
        SHOWN.contains(&field) && row.is_some_and(|row| row.content != Content::B)
    }
}
