//! The cases, by what they are about. Each stands for itself: a failed one doesn't fail the next.

mod follow_ups;
mod format;
mod refusals;
mod repeats;
mod sessions;
mod settlements;
mod swipes;

use crate::lab::Case;

/// Every case, in the order in which a certification goes.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    let groups: [&[Case]; 7] = [
        sessions::CASES,
        swipes::CASES,
        refusals::CASES,
        format::CASES,
        repeats::CASES,
        follow_ups::CASES,
        settlements::CASES,
    ];
    groups.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_has_a_name_of_its_own() {
        let mut ids: Vec<&str> = super::all().map(|case| case.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
