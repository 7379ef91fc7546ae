//! The commands that are served, and nothing that is guaranteed: a table.

use crate::reply::Reply;

/// A command by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// The name, in lower case.
    pub(crate) name: &'static str,
    /// The number of words, the name among them; the least number if it is negative.
    arity: i64,
    /// True if it may change the store.
    writes: bool,
    /// The positions of the first and the last key, and the distance of two; zeros if it has none.
    keys: [i64; 3],
}

const fn command(name: &'static str, arity: i64, writes: bool, keys: [i64; 3]) -> Command {
    Command { name, arity, writes, keys }
}

const NONE: [i64; 3] = [0, 0, 0];
const ONE: [i64; 3] = [1, 1, 1];
const ALL: [i64; 3] = [1, -1, 1];

/// All commands, in the order of their names.
pub(crate) const COMMANDS: &[Command] = &[
    command("auth", -2, false, NONE),
    command("client", -2, false, NONE),
    command("command", -1, false, NONE),
    command("decr", 2, true, ONE),
    command("decrby", 3, true, ONE),
    command("del", -2, true, ALL),
    command("discard", 1, false, NONE),
    command("echo", 2, false, NONE),
    command("exec", 1, false, NONE),
    command("exists", -2, false, ALL),
    command("expire", 3, true, ONE),
    command("get", 2, false, ONE),
    command("getdel", 2, true, ONE),
    command("hello", -1, false, NONE),
    command("incr", 2, true, ONE),
    command("incrby", 3, true, ONE),
    command("info", -1, false, NONE),
    command("mget", -2, false, ALL),
    command("mset", -3, true, [1, -1, 2]),
    command("multi", 1, false, NONE),
    command("persist", 2, true, ONE),
    command("pexpire", 3, true, ONE),
    command("ping", -1, false, NONE),
    command("pttl", 2, false, ONE),
    command("quit", -1, false, NONE),
    command("reset", 1, false, NONE),
    command("scan", -2, false, NONE),
    command("select", 2, false, NONE),
    command("set", -3, true, ONE),
    command("ttl", 2, false, ONE),
    command("unwatch", 1, false, NONE),
    command("watch", -2, false, ALL),
];

impl Command {
    /// The command of a name, if it can have that many words.
    ///
    /// # Errors
    /// The reply that says what is wrong.
    pub(crate) fn find(name: &[u8], words: usize) -> Result<&'static Command, Reply> {
        let lower = name.to_ascii_lowercase();
        let Ok(at) = COMMANDS.binary_search_by(|command| command.name.as_bytes().cmp(&lower)) else {
            let served: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
            let shown = name[..name.len().min(64)].escape_ascii();
            return Err(Reply::error(format!(
                "ERR unknown command '{shown}', synod serves {}",
                served.join(", ").to_ascii_uppercase()
            )));
        };
        let command = &COMMANDS[at];
        let is_right = match usize::try_from(command.arity) {
            Ok(exact) => words == exact,
            Err(_) => words >= command.arity.unsigned_abs() as usize,
        };
        if is_right { Ok(command) } else { Err(command.wrong_number()) }
    }

    /// The reply to a wrong number of words.
    pub(crate) fn wrong_number(&self) -> Reply {
        Reply::error(format!("ERR wrong number of arguments for '{}' command", self.name))
    }

    /// The command as `COMMAND` tells it.
    pub(crate) fn told(&self) -> Reply {
        let flag = Reply::Simple(if self.writes { "write" } else { "readonly" });
        let mut told = vec![Reply::text(self.name), Reply::Integer(self.arity), Reply::Array(vec![flag])];
        told.extend(self.keys.map(Reply::Integer));
        Reply::Array(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_by_name_and_others_are_refused_by_it() {
        assert!(COMMANDS.is_sorted_by_key(|command| command.name));
        for command in COMMANDS {
            let words = command.arity.unsigned_abs() as usize;
            let upper = command.name.to_ascii_uppercase();
            assert_eq!(Command::find(upper.as_bytes(), words), Ok(command));
            assert_eq!(Command::find(upper.as_bytes(), words - 1), Err(command.wrong_number()));
            assert_eq!(Command::find(upper.as_bytes(), words + 1).is_ok(), command.arity < 0);
        }
        let Err(Reply::Error(said)) = Command::find(b"lpush\r\n", 3) else { panic!("there are no lists") };
        assert!(said.starts_with("ERR unknown command 'lpush\\r\\n', synod serves AUTH, CLIENT,"), "{said}");
    }
}
