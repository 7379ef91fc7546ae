//! The files: which belong together, and in which order they were written.

use crate::verdict::Unreadable;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use synod_groups::MOST_GROUPS;
use synod_runtime::record::{Header, Reader, Trigger};
use synod_server::{IDS, Wiring};

/// The bytes of some record files.
#[derive(Default)]
pub struct Records {
    files: Vec<(String, Vec<u8>)>,
}

/// The record of one member between a start and its end.
pub struct Life<'a> {
    /// The file.
    pub file: &'a str,
    /// The number of the start.
    pub boot: u64,
    /// The number of saves that this start found; `None` if it ended before it took part.
    pub found: Option<u64>,
    /// The wiring with which it started.
    pub wiring: Wiring,
    /// Reads the record from its beginning.
    pub bytes: &'a [u8],
}

/// Everything that is recorded of a cluster.
pub struct Lives<'a> {
    /// The wiring in one of the records. The others keep the same log; they may differ in settings that are told to it.
    pub wiring: Wiring,
    /// The lives of each member, in order.
    pub members: BTreeMap<u64, Vec<Life<'a>>>,
}

impl Records {
    /// Adds a record from memory, under a name for messages.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.push((name.to_owned(), bytes));
    }

    /// Reads the records in these files and folders; of a folder, every `flight-*.rec` in it and in its folders.
    ///
    /// # Errors
    /// When something cannot be read, or there is nothing.
    pub fn read(paths: &[PathBuf]) -> Result<Records, Unreadable> {
        let mut records = Records::default();
        for path in paths {
            let before = records.files.len();
            records.gather(path, 0)?;
            if records.files.len() == before {
                return Err(unreadable(path, "there is no flight record (flight-*.rec) in it"));
            }
        }
        Ok(records)
    }

    fn gather(&mut self, path: &Path, depth: usize) -> Result<(), Unreadable> {
        let failed = |error: std::io::Error| unreadable(path, &error.to_string());
        if !fs::metadata(path).map_err(failed)?.is_dir() {
            self.add(&path.display().to_string(), fs::read(path).map_err(failed)?);
            return Ok(());
        }
        let entries: Result<Vec<PathBuf>, _> =
            fs::read_dir(path).and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect());
        let mut entries = entries.map_err(failed)?;
        entries.sort();
        for entry in entries {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_record = name.starts_with("flight-") && entry.extension().is_some_and(|e| e == "rec");
            if is_record || (depth < 3 && entry.is_dir()) {
                self.gather(&entry, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Sorts the files into lives of members.
    ///
    /// # Errors
    /// When they are not of one cluster, of one data directory a member, or cannot be read at all.
    pub fn lives(&self) -> Result<Lives<'_>, Unreadable> {
        let mut first: Option<(&str, Header, Wiring)> = None;
        let mut disks: BTreeMap<u64, (u64, &str)> = BTreeMap::new();
        let mut members: BTreeMap<u64, Vec<Life<'_>>> = BTreeMap::new();
        for (file, bytes) in &self.files {
            let wrong = |what: String| Unreadable { file: file.clone(), what };
            let mut reader = Reader::open(bytes).map_err(|damaged| wrong(damaged.to_string()))?;
            let header = reader.header().clone();
            let mut wiring: Wiring = postcard::from_bytes(&header.application).map_err(|error| {
                wrong(format!("its header does not say how the member was wired: {error}"))
            })?;
            if let Some(changing) = &wiring.changing {
                if !changing.is_sound() || changing.first != wiring.members {
                    return Err(wrong("its header has no sound rule by which members change".to_owned()));
                }
                wiring.directory = Some(header.disk);
            }
            if !(1..=MOST_GROUPS).contains(&wiring.groups) {
                let groups = wiring.groups;
                return Err(wrong(format!(
                    "its header says {groups} groups, and there are at most {MOST_GROUPS}; it is damaged or of another version"
                )));
            }
            let (other, cluster, agreed) =
                first.get_or_insert_with(|| (file.as_str(), header.clone(), wiring.clone()));
            let same = wiring.members == agreed.members
                && wiring.groups == agreed.groups
                && wiring.changing == agreed.changing;
            if header.cluster != cluster.cluster || !same {
                return Err(wrong(format!("it is of another cluster than {other}")));
            }
            let keeps = match (&wiring.log, &agreed.log) {
                (Some((log, _)), Some((other, _))) => log.keeps_log_of(other),
                (log, other) => log == other && wiring.max_value == agreed.max_value,
            };
            if !keeps {
                return Err(wrong(format!("its log has other settings than in {other}")));
            }
            if let Some(complaint) = wiring.log.as_ref().and_then(|(log, _)| log.complaint()) {
                return Err(wrong(format!("there is no such log: {complaint}")));
            }
            // Only retry times may change from one start to the next; they are in what each output says.
            let distinct: BTreeSet<u64> = wiring.members.iter().copied().collect();
            let fits = |id: &u64| u16::try_from(*id).is_ok();
            if distinct.len() != wiring.members.len()
                || distinct.len() > synod::MAX_ACCEPTORS
                || !distinct.iter().all(fits)
            {
                return Err(wrong(format!("there is no cluster with members {:?}", wiring.members)));
            }
            let is_one = |member: u64| match wiring.changing {
                Some(_) => member < IDS,
                None => distinct.contains(&member),
            };
            if !is_one(header.member) {
                return Err(wrong(format!("member {} is none of its own cluster", header.member)));
            }
            let disk = disks.entry(header.member).or_insert((header.disk, file));
            if disk.0 != header.disk {
                let what =
                    format!("member {} has another data directory here than in {}", header.member, disk.1);
                return Err(wrong(what));
            }
            let found = match reader.next() {
                Some(Ok(entry)) => match entry.event {
                    Trigger::Start { saves, .. } => Some(saves),
                    _ => return Err(wrong("it does not begin with a start".to_owned())),
                },
                Some(Err(damaged)) => return Err(wrong(damaged.to_string())),
                None => None,
            };
            members.entry(header.member).or_default().push(Life {
                file,
                boot: header.boot,
                found,
                wiring,
                bytes,
            });
        }
        let Some((_, _, wiring)) = first else {
            return Err(Unreadable { file: "records".to_owned(), what: "there are none".to_owned() });
        };
        for lives in members.values_mut() {
            lives.sort_by_key(|life| life.boot);
            if let Some(two) = lives.windows(2).find(|two| two[0].boot == two[1].boot) {
                let what = format!("it is of the same start as {}", two[0].file);
                return Err(Unreadable { file: two[1].file.to_owned(), what });
            }
        }
        let missing: Vec<u64> =
            wiring.members.iter().copied().filter(|member| !members.contains_key(member)).collect();
        if !missing.is_empty() {
            let what = format!("there is no record of member {missing:?}; every member's is needed");
            return Err(Unreadable { file: "records".to_owned(), what });
        }
        Ok(Lives { wiring, members })
    }
}

fn unreadable(path: &Path, what: &str) -> Unreadable {
    Unreadable { file: path.display().to_string(), what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Which, tell};
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use synod_runtime::record::Recorder;

    #[derive(Clone, Default)]
    struct Tape(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The record of a member that never took part, of a cluster with so many groups.
    fn record(groups: usize) -> Records {
        let retry = Duration::ZERO..Duration::from_millis(1);
        let wiring = Wiring {
            groups,
            members: vec![0],
            retry,
            election: None,
            max_value: 9,
            log: None,
            changing: None,
            directory: None,
        };
        let application = postcard::to_allocvec(&wiring).expect("plain data");
        let header = Header { cluster: 1, member: 0, disk: 5, boot: 1, application };
        let tape = Tape::default();
        Recorder::create(Box::new(tape.clone()), &header).expect("memory takes everything");
        let mut records = Records::default();
        let bytes = tape.0.lock().expect("nobody panicked").clone();
        records.add("flight-0.rec", bytes);
        records
    }

    #[test]
    fn a_record_of_too_many_groups_is_refused() {
        for groups in [1, 2, MOST_GROUPS] {
            assert!(record(groups).lives().is_ok(), "{groups} groups");
        }
        for groups in [MOST_GROUPS + 1, 256] {
            let refused = tell(&record(groups), Which::default(), 9).expect_err("there is no such cluster");
            let expected = format!("flight-0.rec: its header says {groups} groups, and there are at most 64");
            assert!(refused.to_string().starts_with(&expected), "{refused}");
        }
    }

    #[test]
    fn a_group_that_there_is_not_cannot_be_told() {
        let which = |group| Which { group: Some(group), ..Which::default() };
        assert!(tell(&record(3), which(2), 9).is_ok());
        for group in [3, 9, u8::MAX] {
            let refused = tell(&record(3), which(group), 9).expect_err("there are three").to_string();
            assert_eq!(refused, format!("records: there is no group {group}: they are of groups 0 to 2"));
        }
    }
}
