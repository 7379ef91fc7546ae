//! Secrets in files, one key per line. The first key seals, and all keys open.
//!
//! There are two kinds. The *cluster key* belongs to the members alone: whoever has it is a member as far as anyone can tell. A line of
//! the *client key* file has a secret that clients and members share, and the public half of the cluster key. The public half lets a client
//! tell a member's answer from that of anyone else who has the client key. Neither half can be made from the other.
//!
//! Keys can be changed without a stop: add the new key as a second line everywhere, then make it the first
//! everywhere, then remove the old one. A new cluster key needs new lines of the client key file before the old key is removed.
//! Only [`line()`] and [`client_line()`] ever print a key; they make a file's line.
//!
//! Memory that held a key or a file's text is overwritten before it is given back.

use ring::digest::{SHA256, digest};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// One secret of 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The bytes stay in one place: a value that moved would leave a copy behind.
    bytes: Box<Zeroizing<[u8; 32]>>,
    id: u32,
}

/// A short name of a secret or a public key. It reveals nothing about a secret.
fn short(label: &[u8], bytes: &[u8; 32]) -> u32 {
    let hashed = digest(&SHA256, &Zeroizing::new([label, bytes.as_slice()].concat()));
    u32::from_le_bytes(hashed.as_ref()[..4].try_into().expect("a digest has 32 bytes"))
}

impl Key {
    fn new(bytes: Box<Zeroizing<[u8; 32]>>) -> Key {
        let id = short(b"synod 1 key id", &bytes);
        Key { bytes, id }
    }

    /// The short name under which a datagram says which key sealed it. It reveals nothing about the key.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The half of a cluster key that answers clients; its public half is in their key files.
    pub(crate) fn half(&self) -> StaticSecret {
        StaticSecret::from(*expand(self.bytes(), &[], &[b"synod 2 cluster half"]))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:08x})", self.id)
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// Derives 32 bytes for one purpose (HKDF, RFC 5869), which `salt` and `info` name.
pub(crate) fn expand(secret: &[u8], salt: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, Length)
        .and_then(|derived| derived.fill(&mut *bytes))
        .expect("HKDF gives 32 bytes");
    bytes
}

/// The secrets of a file, in its order. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

/// An error in a key file. It never quotes the file.
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

/// The longest key file, in bytes.
const MOST: u64 = 64 << 10;
/// The most keys in a file. More at a time are a mistake.
const MOST_KEYS: usize = 16;

impl Keys {
    /// One key.
    pub fn single(key: [u8; 32]) -> Keys {
        Keys(vec![Key::new(Box::new(Zeroizing::new(key)))])
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// When it cannot be read, others than its owner may, or a line is no key: 64 hexadecimal digits. Empty lines
    /// and lines that begin with `#` are passed by.
    pub fn load(path: &Path) -> Result<Keys, KeyError> {
        Keys::read(&path.display().to_string(), &text(path)?)
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// When a line is no key, or there is none.
    pub fn read(file: &str, text: &str) -> Result<Keys, KeyError> {
        let keys = lines(file, text, |line| match line.split_once(char::is_whitespace) {
            None => parse(line).map(Key::new).ok_or("a key is 64 hexadecimal digits"),
            Some(_) => Err("a key is 64 hexadecimal digits; a line of the client key file has twice as many"),
        })?;
        if keys.is_empty() {
            let what = "there is no key in it; `synod keygen --print` prints one";
            return Err(KeyError { file: file.to_owned(), line: None, what: what.to_owned() });
        }
        Ok(Keys(keys))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}

/// A secret that clients and members share, and the public half of the cluster key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientKey {
    pub(crate) secret: Key,
    pub(crate) cluster: [u8; 32],
}

/// The lines of a client key file, in its order. There is at least one. A client uses the first, and members take them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKeys(Vec<ClientKey>);

impl ClientKeys {
    /// One secret, and the public half of the first of the cluster's keys.
    pub fn single(secret: [u8; 32], cluster: &Keys) -> ClientKeys {
        let secret = Key::new(Box::new(Zeroizing::new(secret)));
        ClientKeys(vec![ClientKey { secret, cluster: public(&cluster.0[0]) }])
    }

    /// Reads a client key file.
    ///
    /// # Errors
    /// As [`Keys::load`]; a line is the two halves that [`client_line`] makes.
    pub fn load(path: &Path) -> Result<ClientKeys, KeyError> {
        ClientKeys::read(&path.display().to_string(), &text(path)?)
    }

    /// Reads the text of a client key file.
    ///
    /// # Errors
    /// When a line is no such line, or there is none.
    pub fn read(file: &str, text: &str) -> Result<ClientKeys, KeyError> {
        let keys = lines(file, text, |line| {
            let Some((secret, cluster)) = line.split_once(char::is_whitespace) else {
                return Err(
                    "this line lacks the public half of the cluster key, so that anyone with this file could answer \
                            for a member; `synod keygen --client` prints a whole line",
                );
            };
            let both = parse(secret).zip(parse(cluster.trim()));
            let (secret, cluster) =
                both.ok_or("a line is twice 64 hexadecimal digits, with a space between")?;
            Ok(ClientKey { secret: Key::new(secret), cluster: **cluster })
        })?;
        if keys.is_empty() {
            let what = "there is no key in it; `synod keygen --client` prints a line";
            return Err(KeyError { file: file.to_owned(), line: None, what: what.to_owned() });
        }
        Ok(ClientKeys(keys))
    }

    /// Checks that some line names one of these cluster keys: otherwise no client could believe a member's answer.
    ///
    /// # Errors
    /// When no line does; `file` is where the lines are from.
    pub fn fits(&self, cluster: &Keys, file: &Path) -> Result<(), KeyError> {
        if cluster.iter().map(public).any(|public| self.0.iter().any(|key| key.cluster == public)) {
            return Ok(());
        }
        let what = "no line is of this cluster's key, so no client would believe its answers; \
                    `synod keygen --client` prints one";
        Err(KeyError { file: file.display().to_string(), line: None, what: what.to_owned() })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ClientKey> {
        self.0.iter()
    }

    pub(crate) fn first(&self) -> &ClientKey {
        &self.0[0]
    }
}

/// The public half of a cluster key.
pub(crate) fn public(key: &Key) -> [u8; 32] {
    PublicKey::from(&key.half()).to_bytes()
}

/// A short name of a public half.
pub(crate) fn public_id(public: &[u8; 32]) -> u32 {
    short(b"synod 2 public id", public)
}

/// The text of a key file.
fn text(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let wrong = |what: String| KeyError { file: path.display().to_string(), line: None, what };
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => wrong("there is no key file; `synod keygen` makes one".to_owned()),
        _ => wrong(format!("cannot be read: {error}")),
    };
    // The kind is checked before the file is opened: opening a pipe would wait for its writer.
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
            let what = format!("others than its owner may use it (mode {:03o}); chmod 600 it", mode & 0o777);
            return Err(wrong(what));
        }
    }
    if metadata.len() > MOST {
        return Err(wrong(format!("is longer than {MOST} bytes")));
    }
    // The buffer has room for all of it from the beginning: text that grows is copied, and the old copy stays in memory.
    let mut text = Zeroizing::new(String::with_capacity(MOST as usize + 64));
    file.take(MOST + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => wrong("is not text".to_owned()),
        _ => unreadable(error),
    })?;
    if text.len() as u64 > MOST {
        return Err(wrong(format!("is longer than {MOST} bytes")));
    }
    Ok(text)
}

/// The values of a key file's lines, without empty lines and comments.
fn lines<T: PartialEq>(
    file: &str,
    text: &str,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, KeyError> {
    let mut keys = Vec::with_capacity(MOST_KEYS);
    for (number, line) in (1..).zip(text.lines()) {
        let wrong =
            |what: &str| KeyError { file: file.to_owned(), line: Some(number), what: what.to_owned() };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = read(line).map_err(wrong)?;
        if keys.contains(&key) {
            return Err(wrong("this key is there twice"));
        }
        if keys.len() == MOST_KEYS {
            return Err(wrong("more than 16 keys"));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn parse(digits: &str) -> Option<Box<Zeroizing<[u8; 32]>>> {
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = Box::new(Zeroizing::new([0; 32]));
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}

/// A key as a line of a key file.
pub fn line(key: &[u8; 32]) -> Zeroizing<String> {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
    let mut line = Zeroizing::new(String::with_capacity(64));
    line.extend(key.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
    line
}

/// A secret as a line of a client key file, with the public half of the first of the cluster's keys.
pub fn client_line(secret: &[u8; 32], cluster: &Keys) -> Zeroizing<String> {
    let mut both = Zeroizing::new(String::with_capacity(129));
    both.push_str(&line(secret));
    both.push(' ');
    both.push_str(&line(&public(&cluster.0[0])));
    both
}

/// Makes a key file of one line, readable by its owner alone.
///
/// # Errors
/// When it is there already, or cannot be written.
pub fn create(path: &Path, line: &str) -> Result<(), KeyError> {
    let wrong = |error: io::Error| KeyError {
        file: path.display().to_string(),
        line: None,
        what: format!("cannot be made: {error}"),
    };
    let mut file = crate::private::create_new(path).map_err(wrong)?;
    writeln!(file, "{line}").and_then(|()| file.sync_all()).map_err(wrong)
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
        create(&path, &line(&[7; 32])).expect("it can be made");
        assert_eq!(Keys::load(&path), Ok(Keys::single([7; 32])));
        assert!(create(&path, &line(&[8; 32])).is_err(), "a key is never overwritten");
        for mode in [0o640, 0o604, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            let error = Keys::load(&path).expect_err("others may use it").to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn the_order_of_a_file_is_kept() {
        let text = format!("# new\n{}\n\n# old\n  {}\n", *line(&[1; 32]), line(&[2; 32]).to_uppercase());
        let keys = Keys::read("k", &text).expect("it is right");
        assert_eq!(keys.0, [Keys::single([1; 32]).0, Keys::single([2; 32]).0].concat());
    }

    #[test]
    fn what_is_no_key_is_refused_at_its_line_and_not_quoted() {
        let good = line(&[1; 32]);
        for (text, says) in [
            (format!("{}\nsecret", *good), "k:2: a key is 64 hexadecimal digits"),
            (format!("{}0", *good), "k:1: a key is 64"),
            (good.replace('0', "g"), "k:1: a key is 64"),
            (format!("{0}\n#\n{0}", *good), "k:3: this key is there twice"),
            (format!("{} {}", *good, *good), "k:1: a key is 64 hexadecimal digits; a line of the client"),
            ("# nothing\n".to_owned(), "k: there is no key in it"),
            (
                (0..17).map(|i| line(&[i; 32]).to_string()).collect::<Vec<_>>().join("\n"),
                "k:17: more than 16 keys",
            ),
        ] {
            let error = Keys::read("k", &text).expect_err("it is wrong").to_string();
            assert!(error.starts_with(says), "{error}");
            assert!(!error.contains("secret") && !error.contains(&*good));
        }
        assert!(!format!("{:?}", Keys::single([0xab; 32])).contains("abab"));
    }

    #[test]
    fn a_client_key_names_the_cluster_whose_answers_it_believes() {
        let (ours, others) = (Keys::single([1; 32]), Keys::single([3; 32]));
        let (line, file) = (client_line(&[2; 32], &ours), Path::new("c"));
        let keys = ClientKeys::read("c", &line).expect("it is right");
        assert_eq!(keys, ClientKeys::single([2; 32], &ours));
        assert!(!line.contains(&*super::line(&[1; 32])), "the members' key is not in it");
        assert_eq!(keys.fits(&ours, file), Ok(()));
        let both = Keys([others.0.clone(), ours.0.clone()].concat());
        assert_eq!(keys.fits(&both, file), Ok(()), "any of the cluster's keys will do");
        let error = keys.fits(&others, file).expect_err("it is another cluster's").to_string();
        assert!(error.starts_with("c: no line is of this cluster's key"), "{error}");
        let old = super::line(&[2; 32]);
        for (text, says) in [
            (old.to_string(), "c:1: this line lacks the public half"),
            (format!("{} 12", *old), "c:1: a line is twice 64"),
            (format!("{}\n{}", *line, *line), "c:2: this key is there twice"),
            (String::new(), "c: there is no key in it; `synod keygen --client`"),
        ] {
            let error = ClientKeys::read("c", &text).expect_err("it is wrong").to_string();
            assert!(error.starts_with(says) && !error.contains(&*old), "{error}");
        }
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |path: &Path| Keys::load(path).expect_err("it is wrong").to_string();
        assert!(error(folder.path()).contains("is not a file"));
        assert!(error(&folder.path().join("none")).contains("synod keygen"));
        let path = folder.path().join("key");
        create(&path, &line(&[7; 32])).expect("it can be made");
        fs::write(&path, [0xff; 10]).expect("it is ours");
        assert!(error(&path).contains("is not text"));
        fs::write(&path, vec![b'#'; 70_000]).expect("it is ours");
        assert!(error(&path).contains("is longer than"));
    }
}
