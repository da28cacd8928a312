//! Watches the files with rules and the code of functions while `crossfade dev` runs.
//!
//! Looks at them at intervals, which works on every file system, in a thread of its own and with at most 2 % of a processor.
//! Owns which files count as code. What a change leads to is decided in `dev`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossfade_function::FileVersion;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The shortest interval, and how many times longer than a look it is.
const INTERVAL: Duration = Duration::from_millis(200);
const PAUSES: u32 = 50;
/// The most entries of a folder and its subfolders. A larger one is not watched.
const MOST_ENTRIES: usize = 20_000;

/// Folders of dependencies, results and caches, besides those whose names begin with a dot.
const IGNORED: [&str; 9] = [
    "node_modules",
    "bower_components",
    "target",
    "__pycache__",
    "venv",
    "site-packages",
    "vendor",
    "coverage",
    "cdk.out",
];
/// The endings of files that a function may read when it starts. Not those of data: a function that writes into its own folder
/// would be started again and again.
const CODE: [&str; 42] = [
    "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "json", "node", "wasm", "py", "rb", "php", "pl", "lua", "go",
    "rs", "java", "kt", "scala", "class", "jar", "cs", "dll", "so", "sh", "yml", "yaml", "toml", "ini", "html", "htm",
    "ejs", "hbs", "pug", "j2", "twig", "erb", "graphql", "proto", "sql",
];

/// The watched files and folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Watched {
    /// Files with rules, and all that they include.
    pub(super) rules: Vec<PathBuf>,
    /// Programs and scripts.
    pub(super) programs: Vec<PathBuf>,
    /// Folders of functions.
    pub(super) folders: Vec<PathBuf>,
}

/// Something to tell of the watched files.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These have been written, created or removed.
    Files(Vec<PathBuf>),
    /// A folder has too many files to watch.
    TooLarge(PathBuf),
}

/// A running watch. Dropping it ends the thread.
pub(super) struct Changes {
    watched: Arc<Mutex<Watched>>,
    received: UnboundedReceiver<Change>,
}

impl Changes {
    pub(super) fn start(watched: Watched) -> Changes {
        let watched = Arc::new(Mutex::new(watched));
        let (changes, received) = unbounded_channel();
        let shared = Arc::clone(&watched);
        std::thread::spawn(move || watch(&shared, &changes));
        Changes { watched, received }
    }

    /// Replaces what is watched.
    pub(super) fn watch(&self, watched: Watched) {
        *lock(&self.watched) = watched;
    }

    pub(super) async fn next(&mut self) -> Change {
        match self.received.recv().await {
            Some(change) => change,
            None => std::future::pending().await,
        }
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(shared: &Mutex<Watched>, changes: &UnboundedSender<Change>) {
    let mut watched = lock(shared).clone();
    let (mut too_large, mut pause) = (Vec::new(), Duration::ZERO);
    let mut look = |watched: &Watched, pause: &mut Duration| {
        let began = Instant::now();
        let versions = versions(watched, &mut too_large, changes);
        *pause = began.elapsed().saturating_mul(PAUSES).max(INTERVAL);
        versions
    };
    let mut known = look(&watched, &mut pause);
    let mut last = known.clone();
    while !changes.is_closed() {
        std::thread::sleep(pause);
        let next = lock(shared).clone();
        if next != watched {
            watched = next;
            // A file that has not been watched before has not changed.
            let now = look(&watched, &mut pause);
            let seen = now.into_iter().map(|(file, version)| {
                let version = known.get(&file).copied().unwrap_or(version);
                (file, version)
            });
            known = seen.collect();
            last.clone_from(&known);
        }
        let now = look(&watched, &mut pause);
        // What is still being written has another version in the next look.
        if now == last && now != known {
            let _ = changes.send(Change::Files(differences(&known, &now)));
            known.clone_from(&now);
        }
        last = now;
    }
}

type Versions = BTreeMap<PathBuf, FileVersion>;

fn differences(before: &Versions, now: &Versions) -> Vec<PathBuf> {
    let changed = now.iter().filter(|(file, version)| before.get(*file) != Some(version)).map(|(file, _)| file);
    let removed = before.keys().filter(|file| !now.contains_key(*file));
    changed.chain(removed).cloned().collect()
}

fn versions(watched: &Watched, too_large: &mut Vec<PathBuf>, changes: &UnboundedSender<Change>) -> Versions {
    let files = watched.rules.iter().chain(&watched.programs).cloned();
    let mut versions: Versions = files.filter_map(|file| Some((file.clone(), FileVersion::of(&file)?))).collect();
    for folder in &watched.folders {
        if too_large.contains(folder) {
            continue;
        }
        match code_in(folder) {
            Some(code) => versions.extend(code),
            None => {
                too_large.push(folder.clone());
                let _ = changes.send(Change::TooLarge(folder.clone()));
            }
        }
    }
    versions
}

/// The code in a folder and its subfolders. `None` if it has too many entries.
fn code_in(folder: &Path) -> Option<Versions> {
    let mut versions = Versions::new();
    let mut folders = vec![folder.to_owned()];
    let mut count = 0_usize;
    while let Some(folder) = folders.pop() {
        // One that cannot be read is empty.
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            count = count.saturating_add(1);
            if count > MOST_ENTRIES {
                return None;
            }
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            // Links to folders are not followed: they may lead anywhere.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if !name.starts_with('.') && !IGNORED.contains(&&*name) {
                    folders.push(path);
                }
            } else if is_code(&path, &name)
                && let Some(version) = FileVersion::of(&path)
            {
                versions.insert(path, version);
            }
        }
    }
    Some(versions)
}

fn is_code(path: &Path, name: &str) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    // Editors write a file under another name first, such as `.#a.js` and `.a.js.swp`.
    name == ".env" || name.starts_with(".env.") || !name.starts_with('.') && CODE.contains(&ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(versions: &Versions, folder: &Path) -> Vec<String> {
        versions.keys().map(|file| file.strip_prefix(folder).unwrap().display().to_string()).collect()
    }

    #[test]
    fn code_is_watched_and_dependencies_and_data_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "index.js",
            "src/app.py",
            "src/views/a.html",
            "serverless.yml",
            ".env",
            ".env.dev",
            "node_modules/a/index.js",
            ".git/config.json",
            "target/a.rs",
            "src/__pycache__/a.py",
            ".venv/a.py",
            "db.sqlite3",
            "a.log",
            "upload.png",
            ".#index.js",
            ".index.js.swp",
            "index.js~",
            "4913",
            "README.md",
        ] {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink("/", folder.path().join("everything")).unwrap();
        let code = code_in(folder.path()).unwrap();
        assert_eq!(
            names(&code, folder.path()),
            [".env", ".env.dev", "index.js", "serverless.yml", "src/app.py", "src/views/a.html"]
        );
        assert_eq!(code_in(&folder.path().join("none")), Some(Versions::new()));
    }

    #[test]
    fn a_huge_folder_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=MOST_ENTRIES {
            fs::File::create(folder.path().join(number.to_string())).unwrap();
        }
        assert_eq!(code_in(folder.path()), None);
    }

    #[tokio::test]
    async fn changes_are_told_together_when_nothing_is_written_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::write(file("a.js"), "1").unwrap();
        fs::write(file("gone.js"), "1").unwrap();
        let watched = Watched { rules: vec![file("rules")], programs: vec![], folders: vec![folder.path().to_owned()] };
        let mut changes = Changes::start(watched.clone());
        tokio::time::sleep(INTERVAL).await;
        fs::write(file("a.js"), "22").unwrap();
        fs::write(file("b.js"), "1").unwrap();
        fs::remove_file(file("gone.js")).unwrap();
        fs::write(file("data.db"), "1").unwrap();
        let told = [file("a.js"), file("b.js"), file("gone.js")];
        assert_eq!(changes.next().await, Change::Files(told.to_vec()));
        fs::write(file("rules"), "1").unwrap();
        assert_eq!(changes.next().await, Change::Files(vec![file("rules")]));
        // Others are watched from now on.
        changes.watch(Watched { rules: vec![], ..watched });
        tokio::time::sleep(INTERVAL * 2).await;
        fs::write(file("rules"), "22").unwrap();
        fs::write(file("a.js"), "333").unwrap();
        assert_eq!(changes.next().await, Change::Files(vec![file("a.js")]));
    }
}
