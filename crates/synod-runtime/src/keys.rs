//! Secrets in files: one key a line, the first seals, all open.
//!
//! So keys are changed without anyone stopping: add the new key as a second line everywhere, then make it the first
//! everywhere, then remove the old one. Nothing here ever prints a key but [`line()`], which makes a file's line.

use ring::digest::{SHA256, digest};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// One secret of 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    bytes: [u8; 32],
    id: u32,
}

impl Key {
    fn new(bytes: [u8; 32]) -> Key {
        let hashed = digest(&SHA256, &[b"synod 1 key id".as_slice(), &bytes].concat());
        let id = u32::from_le_bytes(hashed.as_ref()[..4].try_into().expect("a digest has 32 bytes"));
        Key { bytes, id }
    }

    /// By which a datagram says under which key it was sealed; says nothing about the key.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:08x})", self.id)
    }
}

/// The secrets of a file, in its order; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

/// What is wrong with a key file. It never quotes the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    file: String,
    line: Option<usize>,
    what: String,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for KeyError {}

/// A file of keys is never longer, in bytes.
const MOST: u64 = 64 << 10;
/// More keys than this at a time are a mistake.
const MOST_KEYS: usize = 16;

impl Keys {
    /// One key.
    pub fn single(key: [u8; 32]) -> Keys {
        Keys(vec![Key::new(key)])
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// When it cannot be read, others than its owner may, or a line is no key: 64 hexadecimal digits. Empty lines
    /// and lines that begin with `#` are passed by.
    pub fn load(path: &Path) -> Result<Keys, KeyError> {
        let wrong = |what: String| KeyError { file: path.display().to_string(), line: None, what };
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => wrong("there is no key file; `synod keygen` makes one".to_owned()),
            _ => wrong(format!("cannot be read: {error}")),
        };
        // Looked at before it is opened: opening a pipe would wait for whoever writes it.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(wrong("is not a file".to_owned()));
        }
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = metadata.permissions().mode();
            if mode & 0o077 != 0 {
                let what =
                    format!("others than its owner may use it (mode {:03o}); chmod 600 it", mode & 0o777);
                return Err(wrong(what));
            }
        }
        let mut text = String::new();
        file.take(MOST + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => wrong("is not text".to_owned()),
            _ => unreadable(error),
        })?;
        if metadata.len() > MOST || text.len() as u64 > MOST {
            return Err(wrong(format!("is longer than {MOST} bytes")));
        }
        Keys::read(&path.display().to_string(), &text)
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// When a line is no key, or there is none.
    pub fn read(file: &str, text: &str) -> Result<Keys, KeyError> {
        let wrong = |line, what: &str| KeyError { file: file.to_owned(), line, what: what.to_owned() };
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = parse(line).ok_or_else(|| wrong(Some(number), "a key is 64 hexadecimal digits"))?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(wrong(Some(number), "this key is there twice"));
            }
            if keys.len() == MOST_KEYS {
                return Err(wrong(Some(number), "more than 16 keys"));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(wrong(None, "there is no key in it; `synod keygen --print` prints one"));
        }
        Ok(Keys(keys))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}

fn parse(line: &str) -> Option<Key> {
    let digits = line.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(Key::new(bytes))
}

/// A key as a line of a key file.
pub fn line(key: &[u8; 32]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
    key.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Makes a key file with one key, readable by its owner alone.
///
/// # Errors
/// When it is there already, or cannot be written.
pub fn create(path: &Path, key: &[u8; 32]) -> Result<(), KeyError> {
    let wrong = |error: io::Error| KeyError {
        file: path.display().to_string(),
        line: None,
        what: format!("cannot be made: {error}"),
    };
    let mut file = crate::private::create_new(path).map_err(wrong)?;
    writeln!(file, "{}", line(key)).and_then(|()| file.sync_all()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_was_made_is_read_and_others_may_not_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        create(&path, &[7; 32]).expect("it can be made");
        assert_eq!(Keys::load(&path), Ok(Keys::single([7; 32])));
        assert!(create(&path, &[8; 32]).is_err(), "a key is never overwritten");
        for mode in [0o640, 0o604, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            let error = Keys::load(&path).expect_err("others may use it").to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn the_order_of_a_file_is_kept() {
        let text = format!("# new\n{}\n\n# old\n  {}\n", line(&[1; 32]), line(&[2; 32]).to_uppercase());
        let keys = Keys::read("k", &text).expect("it is right");
        assert_eq!(keys, Keys(vec![Key::new([1; 32]), Key::new([2; 32])]));
    }

    #[test]
    fn what_is_no_key_is_refused_at_its_line_and_not_quoted() {
        let good = line(&[1; 32]);
        for (text, says) in [
            (format!("{good}\nsecret"), "k:2: a key is 64 hexadecimal digits"),
            (format!("{}0", &good), "k:1: a key is 64"),
            (good.replace('0', "g"), "k:1: a key is 64"),
            (format!("{good}\n#\n{good}"), "k:3: this key is there twice"),
            ("# nothing\n".to_owned(), "k: there is no key in it"),
            ((0..17).map(|i| line(&[i; 32]) + "\n").collect(), "k:17: more than 16 keys"),
        ] {
            let error = Keys::read("k", &text).expect_err("it is wrong").to_string();
            assert!(error.starts_with(says), "{error}");
            assert!(!error.contains("secret") && !error.contains(&good));
        }
        assert!(!format!("{:?}", Keys::single([0xab; 32])).contains("abab"));
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |path: &Path| Keys::load(path).expect_err("it is wrong").to_string();
        assert!(error(folder.path()).contains("is not a file"));
        assert!(error(&folder.path().join("none")).contains("synod keygen"));
        let path = folder.path().join("key");
        create(&path, &[7; 32]).expect("it can be made");
        fs::write(&path, [0xff; 10]).expect("it is ours");
        assert!(error(&path).contains("is not text"));
        fs::write(&path, vec![b'#'; 70_000]).expect("it is ours");
        assert!(error(&path).contains("is longer than"));
    }
}
