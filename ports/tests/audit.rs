//! The table of the audit of unsafe code, in docs, against the sources: it names every file with unsafe code, no other, and tests
//! that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where unsafe code may be.
const ALLOWED: [&str; 2] = ["ports/", "bpf/"];
/// What has to be an allocator: its functions are on the terms of the trait's.
const ALLOCATOR: &str = "ports/src/contract/allocations.rs";
/// The word itself, in two parts: this file is searched, too.
const WORD: &str = concat!("un", "safe");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The text of every Rust source of the workspace, by its path from the root.
fn sources() -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    gather(&root(), "", &mut sources).expect("read the sources");
    assert!(sources.len() > 50, "only {} sources", sources.len());
    sources
}

fn gather(directory: &Path, prefix: &str, sources: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !name.starts_with("target") {
                gather(&entry.path(), &format!("{prefix}{name}/"), sources)?;
            }
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "rs") {
            sources.insert(format!("{prefix}{name}"), fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

/// Numbers of the lines, from 0, that have the word in their code. Lint names are other words.
fn lines_with_it(text: &str) -> Vec<usize> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let has_it = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.split(|c| !part_of_word(c)).any(|word| word == WORD)
    };
    text.lines().enumerate().filter(|(_, line)| has_it(line)).map(|(number, _)| number).collect()
}

/// Whether the statement or item that line `number` belongs to has a comment before it that says why it is sound,
/// or what its callers answer for.
fn is_justified(text: &str, number: usize) -> bool {
    let lines: Vec<_> = text.lines().map(str::trim).take(number).collect();
    let is_comment = |line: &&&str| line.starts_with("//");
    let ends_another = |line: &str| line.is_empty() || line.ends_with([';', '}', ',']);
    let above = lines.iter().rev().skip_while(|line| !is_comment(line) && !ends_another(line));
    let mut comment = above.take_while(is_comment);
    comment.any(|line| line.contains("SAFETY: ") || line.contains("# Safety"))
}

/// The rows of the table: the file, and the names in the column of tests.
fn table() -> BTreeMap<String, Vec<String>> {
    let document = fs::read_to_string(root().join(format!("docs/{WORD}.md"))).expect("the audit");
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let [file, _, _, tests] = cells[..] else { panic!("four columns: {row}") };
        (quoted(file).concat(), quoted(tests))
    })
    .collect()
}

#[test]
fn every_file_with_it_is_in_the_table_and_no_other() {
    let sources = sources();
    let with_it = sources.iter().filter(|(_, text)| !lines_with_it(text).is_empty()).map(|(name, _)| name);
    let with_it: BTreeSet<_> = with_it.cloned().collect();
    let named = table().into_keys().collect::<BTreeSet<_>>();
    let only_in_one: Vec<_> = named.symmetric_difference(&with_it).collect();
    assert!(only_in_one.is_empty(), "in the table or in the sources, but not in both: {only_in_one:?}");
    let elsewhere = with_it.iter().find(|name| !ALLOWED.iter().any(|allowed| name.starts_with(allowed)));
    assert_eq!(elsewhere, None, "not allowed there");
}

#[test]
fn every_use_of_it_says_why() {
    for (name, text) in sources() {
        for number in lines_with_it(&text) {
            let line = text.lines().nth(number).unwrap_or_default();
            let inherited = name == ALLOCATOR && line.contains(" fn ");
            assert!(inherited || is_justified(&text, number), "{name}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn the_tests_of_the_table_are_there() {
    let sources = sources();
    for (file, tests) in table() {
        assert!(!tests.is_empty(), "{file}: no test");
        for test in tests {
            let is_there = |text: &String| text.contains(&format!("fn {test}("));
            let is_file = sources.contains_key(&test);
            assert!(is_file || sources.values().any(is_there), "{file}: no test {test}");
        }
    }
}
