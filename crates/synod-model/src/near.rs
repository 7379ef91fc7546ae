//! Known names that are like a wrong one, for "did you mean".

/// The likeness of two names, from 0 to 1, above which one is offered for the other.
const LIKE: f64 = 0.7;

/// The known name that is most like this one, as the end of an error message: `; did you mean "one"?`, or nothing.
pub(crate) fn meant<'n>(wanted: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let like = |name: &'n str| (strsim::normalized_damerau_levenshtein(wanted, name), name);
    // People remember the last segment of a path.
    let known = known.into_iter().flat_map(|name| {
        let last = name.rsplit('/').next().unwrap_or(name);
        [like(name), (strsim::normalized_damerau_levenshtein(wanted, last), name)]
    });
    // The first by the alphabet wins among equals.
    let best =
        known.min_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1))).filter(|(like, _)| *like >= LIKE);
    best.map(|(_, name)| format!("; did you mean {name:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_a_stranger_is_not() {
        let known = ["mutants/any-value", "log/two", "P2b"];
        assert_eq!(meant("mutants/any-valeu", known), "; did you mean \"mutants/any-value\"?");
        assert_eq!(meant("any-value", known), "; did you mean \"mutants/any-value\"?");
        assert_eq!(meant("raft", known), "");
        assert_eq!(meant("", []), "");
    }
}
