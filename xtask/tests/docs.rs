//! The documentation's links, images and paths: each link leads to a file that exists, each image is small and is shown
//! somewhere, and each path in ARCHITECTURE.md exists.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const IMAGES: &str = "docs/images";
/// Pages load on a slow connection, and clones stay small.
const LARGEST_IMAGE: u64 = 200_000;
/// Folders with pages of their own.
const FOLDERS: [&str; 11] = [
    "",
    "docs",
    "bench",
    "fuzz",
    "deploy/cdk",
    "deploy/cloudformation",
    "deploy/monitoring",
    "deploy/sam",
    "deploy/serverless",
    "deploy/terraform",
    "bench/runs",
];

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in FOLDERS {
        let folder = Path::new(ROOT).join(folder);
        let files = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        pages.extend(files.filter(|file| file.extension().is_some_and(|extension| extension == "md")));
    }
    assert!(pages.len() > 15, "only {} pages found: this test looks in the wrong place", pages.len());
    pages
}

/// The targets of Markdown links, images and HTML attributes, outside code.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let prose: Vec<&str> = text.split("```").step_by(2).collect();
    let prose: String = prose.concat().split('`').step_by(2).collect::<Vec<_>>().join("``");
    for (start, end) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"'), ("href=\"", '"')] {
        found.extend(prose.split(start).skip(1).filter_map(|rest| rest.split_once(end)).map(|(to, _)| to.to_owned()));
    }
    found
}

#[test]
fn every_link_leads_to_a_file_and_every_image_is_shown() {
    let (mut broken, mut shown, mut followed) = (Vec::new(), BTreeSet::new(), 0);
    for page in pages() {
        for target in targets(&fs::read_to_string(&page).unwrap()) {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            match page.parent().unwrap().join(path).canonicalize() {
                Ok(file) => _ = shown.insert(file),
                Err(_) => broken.push(format!("{}: {target}", page.display())),
            }
        }
    }
    assert!(followed > 50, "only {followed} links found: this test looks in the wrong place");
    assert!(broken.is_empty(), "links to nowhere: {broken:#?}");

    let images = fs::read_dir(Path::new(ROOT).join(IMAGES)).unwrap().map(|entry| entry.unwrap().path());
    let images: Vec<PathBuf> = images.filter(|file| file.extension().is_some_and(|name| name != "mjs")).collect();
    assert!(images.len() >= 6, "{images:?}: this test looks in the wrong place");
    for image in images {
        let size = image.metadata().unwrap().len();
        assert!(size < LARGEST_IMAGE, "{} has {size} bytes; the limit is {LARGEST_IMAGE}", image.display());
        assert!(shown.contains(&image.canonicalize().unwrap()), "no page shows {}", image.display());
    }
}

/// A path is written as code and begins with a folder of the repository. A bare file name follows a path of the same paragraph or
/// table row, and is in the folder of one of them.
#[test]
fn every_path_in_the_architecture_exists() {
    let text = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap();
    let (mut named, mut missing) = (0, Vec::new());
    for paragraph in paragraphs(&text) {
        let mut folders = Vec::new();
        for path in paths(&paragraph) {
            named += 1;
            let exists = match path.split_once('/') {
                Some(_) if TOP_FOLDERS.iter().any(|top| path.starts_with(top)) => {
                    let whole = Path::new(ROOT).join(path);
                    folders.push(if whole.is_dir() { whole.clone() } else { whole.parent().unwrap().to_owned() });
                    whole.exists()
                }
                _ => folders
                    .iter()
                    .flat_map(|folder| folder.ancestors().take(3))
                    .any(|folder| folder.join(path).exists()),
            };
            if !exists {
                missing.push(path.to_owned());
            }
        }
    }
    assert!(named > 100, "only {named} paths found: this test looks in the wrong place");
    assert!(missing.is_empty(), "ARCHITECTURE.md names paths that do not exist: {missing:#?}");
}

const TOP_FOLDERS: [&str; 6] = ["crates/", "bench/", "docs/", "fuzz/", "xtask/", "deploy/"];

/// Paragraphs and table rows, outside blocks of code.
fn paragraphs(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.replace("\n|", "\n\n|").replace("\n- ", "\n\n- ").split("\n\n").map(str::to_owned).collect()
}

/// The paths in the code spans of a paragraph.
fn paths(paragraph: &str) -> Vec<&str> {
    let is_path = |code: &&str| {
        let has_extension = [".rs", ".md", ".toml", ".json"].iter().any(|extension| code.ends_with(extension));
        !code.contains([' ', '{', '*']) && (has_extension || TOP_FOLDERS.iter().any(|top| code.starts_with(top)))
    };
    paragraph.split('`').skip(1).step_by(2).filter(is_path).collect()
}

#[test]
fn targets_are_found_outside_code() {
    let text = "[a](b.md#c) `[x](y)` ![d](e.png)\n```yaml\n[f](g)\n```\n<img src=\"h.svg\"> <source srcset=\"i.svg\">";
    assert_eq!(targets(text), ["b.md#c", "e.png", "h.svg", "i.svg"]);
}
