//! Files that only their owner can read.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file to write it anew. From its creation on, only its owner can open it, whatever the process's mask
/// allows. It replaces a file of that name.
///
/// # Errors
/// When it cannot be made.
pub fn create(path: &Path) -> io::Result<File> {
    // The old file may be open to others, or be a name for another file. It is removed and not written to.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => create_new(path),
    }
}

/// Opens a new file as [`create`] does, where no file of that name exists.
///
/// # Errors
/// When one exists, or it cannot be made.
pub fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_its_owners_alone_even_where_one_for_everybody_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, elsewhere) = (folder.path().join("file"), folder.path().join("elsewhere"));
        let mode = || std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
        write!(create(&path).expect("it can be made"), "one").expect("it can be written");
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
        assert!(create_new(&path).is_err(), "there is one");
        write!(create(&path).expect("it can be made anew"), "two").expect("it can be written");
        assert_eq!((mode(), std::fs::read(&path).expect("it is ours")), (0o600, b"two".to_vec()));
        std::fs::write(&elsewhere, "kept").expect("it can be written");
        std::fs::remove_file(&path).expect("it is ours");
        std::os::unix::fs::symlink(&elsewhere, &path).expect("it can be made");
        write!(create(&path).expect("it can be made anew"), "three").expect("it can be written");
        assert_eq!(std::fs::read(&elsewhere).expect("it is ours"), b"kept");
    }
}
