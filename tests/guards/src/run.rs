//! Builds the copy, and runs tests and models with one edit after the other, in processes of their own.

use crate::copy::Copied;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The crates whose tests are run, beside the models, if none are named.
const TESTED: [&str; 5] = ["synod", "synod-apply", "synod-server", "synod-replay", "synod-model"];

/// How much memory one process may take, in kilobytes, and one model in it, in megabytes.
const MEMORY: (u64, u64) = (4 << 20, 1 << 10);

/// How an edit came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A test failed, or a model's verdict was another.
    Killed,
    /// It took more time or memory than it may, many times what is usual.
    RanOut,
    /// Nothing but a number of states differed.
    Counts,
    /// Nothing differed.
    Unnoticed,
}

/// An edit, by its number, and how it came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub edit: usize,
    pub kind: Kind,
    /// Who noticed first.
    pub by: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reached {
    model: String,
    seconds: f64,
    verdict: String,
    complaints: Vec<String>,
    reached: Vec<usize>,
}

/// What is run with every edit: the cheapest first.
pub struct Checks<'c> {
    copied: &'c Copied,
    most: f64,
    tests: Vec<(PathBuf, Duration)>,
    /// Built and recorded as soon as an edit survives the tests.
    models: OnceLock<Result<Models, String>>,
    scratch: PathBuf,
}

struct Models {
    runner: PathBuf,
    reached: Vec<Reached>,
}

struct Ran {
    ended: Option<bool>,
    said: String,
}

impl<'c> Checks<'c> {
    /// Builds the tests of these crates, or of all that have something to do with the roles, and runs them without an edit. Of the latter
    /// only what takes at most so many seconds is run again.
    pub fn prepare(copied: &'c Copied, most: f64, crates: &[String]) -> Result<Checks<'c>, String> {
        let mut arguments = vec!["test", "--no-run", "--lib", "--tests"];
        let all = TESTED.map(str::to_owned);
        let (crates, longest) = if crates.is_empty() { (&all[..], most) } else { (crates, f64::INFINITY) };
        arguments.extend(crates.iter().flat_map(|name| ["-p", name]));
        let tests = build(copied, &arguments)?;
        let scratch = at(copied).join("scratch");
        fs::create_dir_all(&scratch).map_err(|error| error.to_string())?;
        let mut checks = Checks { copied, most, tests: Vec::new(), models: OnceLock::new(), scratch };
        for test in tests {
            let begun = Instant::now();
            let ran = checks.test(&test, 0, 0, Duration::from_secs(600))?;
            if ran.ended != Some(true) {
                return Err(format!("{} fails without an edit:\n{}", test.display(), ran.said));
            }
            let took = begun.elapsed();
            if took.as_secs_f64() > longest {
                eprintln!("left out, since it takes {took:.1?}: {}", test.display());
            } else if !ran.said.contains("running 0 tests") {
                checks.tests.push((test, took));
            }
        }
        checks.tests.sort_by_key(|(_, took)| *took);
        let slowest = checks.tests.last().map_or(Duration::ZERO, |(_, took)| *took);
        eprintln!("{} test programs, the slowest in {slowest:.1?}", checks.tests.len());
        Ok(checks)
    }

    /// The models, and what runs them.
    fn models(&self) -> Result<&Models, String> {
        let models = self.models.get_or_init(|| {
            eprintln!("an edit survives the tests: building and running the models without an edit");
            let runner = build(self.copied, &["build", "-p", "guards-runner"])?;
            let runner = runner.into_iter().next_back().ok_or("cargo built no runner")?;
            let file =
                at(self.copied).join(format!("reached-{:016x}-{}.jsonl", self.copied.untested, self.most));
            let mut reached = self.record(&runner, &file)?;
            reached.retain(|model| model.seconds <= self.most && model.verdict != "incomplete");
            reached.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
            let seconds: f64 = reached.iter().map(|model| model.seconds).sum();
            eprintln!("{} models, together in {seconds:.0} s", reached.len());
            Ok(Models { runner, reached })
        });
        models.as_ref().map_err(Clone::clone)
    }

    /// What each model reaches, from an earlier run on the same copy if there was one.
    fn record(&self, runner: &Path, file: &Path) -> Result<Vec<Reached>, String> {
        let read = |text: &str| {
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Reached>>()
        };
        if let Ok(text) = fs::read_to_string(file) {
            return Ok(read(&text));
        }
        let mut command = Command::new(runner);
        command.args(["record", &self.most.to_string()]);
        // The tests of other edits go on meanwhile.
        let ran = self.finish(command, 0, usize::MAX, Duration::from_secs(1800))?;
        if ran.ended != Some(true) {
            return Err(format!("models cannot be run:\n{}", ran.said));
        }
        let models = read(&ran.said);
        for model in models.iter().filter(|model| model.verdict != "incomplete") {
            if let Some(complaint) = model.complaints.first() {
                return Err(format!("{} does not come out without an edit: {complaint}", model.model));
            }
        }
        fs::write(file, &ran.said).map_err(|error| error.to_string())?;
        Ok(models)
    }

    fn test(&self, test: &Path, edit: usize, place: usize, most: Duration) -> Result<Ran, String> {
        let mut command = Command::new(test);
        command.args(["--test-threads", "2"]);
        self.finish(command, edit, place, most)
    }

    /// Runs a program with an edit in force, within the bounds of memory and time.
    fn finish(&self, program: Command, edit: usize, place: usize, most: Duration) -> Result<Ran, String> {
        let path = self.scratch.join(format!("said-{place}"));
        let out = File::create(&path).map_err(|error| error.to_string())?;
        let errors = out.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {}; exec \"$0\" \"$@\"", MEMORY.0)]);
        command.arg(program.get_program()).args(program.get_args());
        command.env("SYNOD_GUARD", edit.to_string()).current_dir(&self.scratch);
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        let mut child = command.spawn().map_err(|error| format!("sh: {error}"))?;
        let begun = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break Some(status.success());
            }
            if begun.elapsed() > most {
                child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = fs::read(&path).map_err(|error| error.to_string())?;
        Ok(Ran { ended, said: String::from_utf8_lossy(&said).into_owned() })
    }

    /// Runs everything with one edit, up to the first that notices.
    fn decide(&self, edit: usize, place: usize) -> Result<Outcome, String> {
        for (test, took) in &self.tests {
            let ran = self.test(test, edit, place, *took * 20 + Duration::from_secs(20))?;
            let failed =
                ran.said.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
            let name = test.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            let name = name.rsplit_once('-').map_or(name.as_str(), |(name, _)| name);
            match ran.ended {
                Some(true) => {}
                Some(false) => {
                    let by = format!("test {name} {}", failed.unwrap_or("(it ended before its time)"));
                    return Ok(Outcome { edit, kind: Kind::Killed, by });
                }
                None => return Ok(Outcome { edit, kind: Kind::RanOut, by: format!("tests of {name}") }),
            }
        }
        let models = self.models()?;
        let reaching: Vec<&Reached> =
            models.reached.iter().filter(|model| model.reached.contains(&edit)).collect();
        if reaching.is_empty() {
            return Ok(Outcome { edit, kind: Kind::Unnoticed, by: "no model reaches it".to_owned() });
        }
        let mut command = Command::new(&models.runner);
        command.args(["run", "20", &MEMORY.1.to_string()]).args(reaching.iter().map(|it| &it.model));
        let usual: f64 = reaching.iter().map(|it| it.seconds).sum();
        let ran = self.finish(command, edit, place, Duration::from_secs_f64(usual * 20.0 + 60.0))?;
        let mut counts = None;
        let mut last = String::new();
        for line in
            ran.said.lines().filter_map(|line| serde_json::from_str::<BTreeMap<String, String>>(line).ok())
        {
            if let Some(begins) = line.get("begins") {
                last.clone_from(begins);
                continue;
            }
            let (Some(model), Some(kind), Some(says)) =
                (line.get("model"), line.get("kind"), line.get("says"))
            else {
                continue;
            };
            let by = format!("model {model}: {says}");
            match kind.as_str() {
                "verdict" => return Ok(Outcome { edit, kind: Kind::Killed, by }),
                "limits" => return Ok(Outcome { edit, kind: Kind::RanOut, by }),
                _ => _ = counts.get_or_insert(by),
            }
        }
        Ok(match (ran.ended, counts) {
            (None, _) => Outcome { edit, kind: Kind::RanOut, by: format!("model {last}") },
            (Some(false), _) => {
                Outcome { edit, kind: Kind::RanOut, by: format!("model {last} (it ended before its time)") }
            }
            (_, Some(by)) => Outcome { edit, kind: Kind::Counts, by },
            (_, None) => {
                Outcome { edit, kind: Kind::Unnoticed, by: format!("{} models reach it", reaching.len()) }
            }
        })
    }

    /// Decides these edits on so many threads, those that an earlier run has not decided yet.
    pub fn run(&self, edits: &[usize], threads: usize, results: &Path) -> Result<Vec<Outcome>, String> {
        let known = fs::read_to_string(results).unwrap_or_default();
        let known: Vec<Outcome> = known.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let mut done: BTreeMap<usize, Outcome> = known.into_iter().map(|it| (it.edit, it)).collect();
        let open: Vec<usize> = edits.iter().copied().filter(|edit| !done.contains_key(edit)).collect();
        let file =
            File::options().create(true).append(true).open(results).map_err(|error| error.to_string())?;
        let (next, file, failed) = (AtomicUsize::new(0), Mutex::new(file), Mutex::new(None));
        let decided = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for place in 0..threads.max(1) {
                let (next, file, failed, decided, open) = (&next, &file, &failed, &decided, &open);
                scope.spawn(move || {
                    while let Some(edit) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match self.decide(*edit, place) {
                            Ok(outcome) => {
                                let line = serde_json::to_string(&outcome).expect("plain data");
                                let written = writeln!(file.lock().expect("no thread panics"), "{line}");
                                let mut decided = decided.lock().expect("no thread panics");
                                decided.push(outcome);
                                if decided.len() % 50 == 0 {
                                    eprintln!("{} of {} edits are decided", decided.len(), open.len());
                                }
                                if written.is_ok() {
                                    continue;
                                }
                            }
                            Err(error) => *failed.lock().expect("no thread panics") = Some(error),
                        }
                        return;
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().expect("no thread panics") {
            return Err(error);
        }
        done.extend(decided.into_inner().expect("no thread panics").into_iter().map(|it| (it.edit, it)));
        edits
            .iter()
            .map(|edit| done.get(edit).cloned().ok_or_else(|| format!("edit {edit} is undecided")))
            .collect()
    }
}

/// Where all is written: the folder of the copy.
fn at(copied: &Copied) -> &Path {
    copied.folder.parent().expect("below target")
}

/// Builds in the copy, and says which programs came out.
fn build(copied: &Copied, arguments: &[&str]) -> Result<Vec<PathBuf>, String> {
    let target = at(copied).join("build");
    let output = Command::new("cargo")
        .args(arguments)
        .args(["--release", "--message-format", "json-render-diagnostics", "--quiet"])
        .current_dir(&copied.folder)
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTFLAGS", "--cap-lints allow")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err("the copy does not build".to_owned());
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let program = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line.get("executable")?.as_str().map(PathBuf::from)
    };
    Ok(said.lines().filter_map(program).collect())
}
