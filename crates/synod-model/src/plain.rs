//! Complaints of the library that reads model files, in the words of the files and not of Rust.

/// Puts a complaint in plain words; one of another kind stays as it is.
pub fn plain(message: &str) -> String {
    let message = message.trim().replace('\n', ", ");
    let quoted = |prefix: &str| {
        let rest = message.strip_prefix(prefix)?.strip_prefix('`')?;
        let (name, rest) = rest.split_once('`')?;
        Some((name, rest.trim_start_matches(", ")))
    };
    if let Some((name, rest)) = quoted("unknown field ") {
        return match choice(rest) {
            Some(known) => format!("there is no `{name}` here; there are {known}"),
            None => format!("there is no `{name}` here; leave it out"),
        };
    }
    if let Some((name, rest)) = quoted("unknown variant ") {
        return match choice(rest) {
            Some(known) => format!("`{name}` is not known here; it must be one of {known}"),
            None => format!("`{name}` is not known here"),
        };
    }
    if let Some((name, _)) = quoted("missing field ") {
        return format!("`{name}` is missing here; add it");
    }
    if let Some((name, _)) = quoted("duplicate field ") {
        return format!("`{name}` stands here twice; leave one out");
    }
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some((given, wanted)) =
            message.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected "))
        {
            return format!("here stands {}; it must be {}", thing(given), kind(wanted));
        }
    }
    if let Some((given, wanted)) =
        message.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected "))
    {
        return format!("here stands a list of {given}; it must be {}", kind(wanted));
    }
    if message.starts_with("wanted exactly 1 element") || message.contains("exactly 1 key") {
        return "here must stand one rule, a word in quotes or a table with one key".to_owned();
    }
    message
}

/// The names that are known: `` one of `a`, `b` `` or `` `a` or `b` `` becomes a list of them.
fn choice(rest: &str) -> Option<String> {
    let names: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The value in the file, in words.
fn thing(given: &str) -> String {
    let (what, value) = given.split_once(' ').unwrap_or((given, ""));
    let value = value.trim_start_matches("point ").trim_matches('`');
    match what {
        "string" => format!("the text {value}"),
        "integer" | "floating" => format!("the number {value}"),
        "boolean" => value.to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        _ => given.replace('`', ""),
    }
}

/// The kind of value that is wanted, in words.
fn kind(wanted: &str) -> String {
    let most = |most: u64| format!("a whole number from 0 to {most}");
    match wanted {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "u8" => most(u8::MAX.into()),
        "u16" => most(u16::MAX.into()),
        "u32" => most(u32::MAX.into()),
        "u64" | "u128" | "usize" => "a whole number, 0 or more".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "bool" | "a boolean" => "true or false".to_owned(),
        "a string" | "str" | "string" => "a text in quotes".to_owned(),
        "a sequence" => "a list in [ ]".to_owned(),
        _ if wanted.starts_with("a tuple of size ") => {
            format!("a list of {}", wanted.trim_start_matches("a tuple of size "))
        }
        _ if wanted.starts_with("tuple variant") => "a list of numbers in [ ]".to_owned(),
        _ if wanted.starts_with("struct ") || wanted == "a map" => "a table".to_owned(),
        _ if wanted.starts_with("enum ") || wanted.contains("string or table") => {
            "a word in quotes, or a table with one key".to_owned()
        }
        _ => wanted.to_owned(),
    }
}
