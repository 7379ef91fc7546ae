//! Guarantees that matching takes time in the length of the key times that of the pattern, and not more, whatever the pattern.

/// True if the key matches a pattern of `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a byte that stands for itself.
pub(crate) fn matches(pattern: &[u8], key: &[u8]) -> bool {
    let (mut p, mut k) = (0, 0);
    // The latest star, and the position up to which it covers the key: only that one ever has to cover more.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, k));
            continue;
        }
        let next = match (pattern.get(p), key.get(k)) {
            (None, None) => return true,
            (Some(_), Some(byte)) => one(&pattern[p..], *byte),
            _ => None,
        };
        match (next, star) {
            (Some(length), _) => (p, k) = (p + length, k + 1),
            (None, Some((after, covered))) if covered < key.len() => {
                star = Some((after, covered + 1));
                (p, k) = (after, covered + 1);
            }
            (None, _) => return false,
        }
    }
}

/// The length of the first element of a pattern, if the byte matches it.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => {
            let is_negated = rest.first() == Some(&b'^');
            let mut at = usize::from(is_negated);
            let mut is_in = false;
            loop {
                match rest.get(at..).unwrap_or_default() {
                    // A class without an end goes up to the end of the pattern, as with Redis.
                    [] => break,
                    [b']', ..] => {
                        at += 1;
                        break;
                    }
                    [b'\\', escaped, ..] => {
                        is_in |= *escaped == byte;
                        at += 2;
                    }
                    [from, b'-', to, ..] => {
                        is_in |= (from.min(to)..=from.max(to)).contains(&&byte);
                        at += 3;
                    }
                    [single, ..] => {
                        is_in |= *single == byte;
                        at += 1;
                    }
                }
            }
            (is_in != is_negated).then_some(1 + at)
        }
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// The bytes with which every match of a pattern begins.
pub(crate) fn prefix(pattern: &[u8]) -> &[u8] {
    let special = pattern.iter().position(|byte| b"*?[\\".contains(byte));
    &pattern[..special.unwrap_or(pattern.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_mean_what_they_mean_to_redis() {
        for (pattern, key, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeello", true),
            ("h[ae]llo", "hello", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hello", false),
            ("[\\]]", "]", true),
            ("[ab", "b", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("a*", "ba", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), key.as_bytes()), expected, "{pattern} {key}");
        }
        let long = "a".repeat(10_000);
        assert!(!matches(
            &b"a*".repeat(100),
            format!("{long}b").replace('b', "").as_bytes().get(..50).unwrap()
        ));
        assert!(!matches(format!("{}b", "*a".repeat(100)).as_bytes(), long.as_bytes()), "and soon");
        assert_eq!(prefix(b"user:*:x"), b"user:");
        assert_eq!(prefix(b"a\\*"), b"a");
    }

    /// The definition, word by word.
    fn naive(pattern: &[u8], key: &[u8]) -> bool {
        match pattern {
            [] => key.is_empty(),
            [b'*', rest @ ..] => (0..=key.len()).any(|covered| naive(rest, &key[covered..])),
            _ => key.first().is_some_and(|byte| {
                one(pattern, *byte).is_some_and(|length| naive(&pattern[length..], &key[1..]))
            }),
        }
    }

    proptest! {
        #[test]
        fn one_star_to_come_back_to_is_enough(pattern in "[ab*?]{0,8}", key in "[ab]{0,10}") {
            prop_assert_eq!(matches(pattern.as_bytes(), key.as_bytes()), naive(pattern.as_bytes(), key.as_bytes()));
            prop_assert!(!matches(pattern.as_bytes(), key.as_bytes()) || key.as_bytes().starts_with(prefix(pattern.as_bytes())));
        }
    }
}
