//! No import circle between the folders of a crate.
//!
//! ```text
//! node   a folder directly under src/, or a file directly there (`x.rs` and `x/` are one node); lib.rs and main.rs are none
//! edge   a path in the code of one node into another: `crate::…`, `super::…`, or a name that a mod.rs hands on
//! ```
//!
//! Below that, the folders of a folder are held to the same, its files are not. Test code does not count.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, code_of, is_test_code, sources};

/// A file as a module: `crates/x/src/a/b.rs` is `[a, b]`, `a/mod.rs` is `[a]`, `lib.rs` is `[]`.
struct Module {
    path: Vec<String>,
    file: String,
    code: String,
}

/// A path into another module, from where it is written.
struct Edge {
    from: Vec<String>,
    to: Vec<String>,
    /// File, line and text.
    place: String,
}

/// The module of a file, in the folder of its crate; `None` for tests and build scripts.
fn module(source: &Source) -> Option<(String, Module)> {
    let (crate_folder, rest) = source.name.split_once("/src/")?;
    if is_test_code(&source.name) && crate_folder != "tests" || source.name.ends_with("_for_tests.rs") {
        return None;
    }
    let mut path: Vec<String> = rest.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        path.pop();
    }
    Some((crate_folder.to_owned(), Module { path, file: source.name.clone(), code: code_of(&source.text) }))
}

/// Reads a path or a tree of paths, `a::{b, c::d}`, after its beginning; where it ends.
fn read_tree(code: &str, mut at: usize, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let skip = |at: usize| at + code[at..].len() - code[at..].trim_start().len();
    loop {
        at = skip(at);
        if code[at..].starts_with('{') {
            at += 1;
            loop {
                at = read_tree(code, at, &mut path.clone(), found);
                at = skip(at);
                if code[at..].starts_with(',') {
                    at += 1;
                } else {
                    // `}` ends the list; anything else is no tree
                    return if code[at..].starts_with('}') { at + 1 } else { at };
                }
            }
        }
        let word: String = code[at..].chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
        if word.is_empty() {
            found.push(path.clone());
            return at;
        }
        at += word.len();
        if word != "self" {
            path.push(word);
        }
        let next = skip(at);
        if code[next..].starts_with("::") {
            at = next + 2;
        } else {
            if code[next..].starts_with("as ") {
                let renamed = skip(next + 3);
                at = renamed
                    + code[renamed..].chars().take_while(|it| it.is_alphanumeric() || *it == '_').count();
            }
            found.push(path.clone());
            return at;
        }
    }
}

/// Where a path begins that starts with `crate::`, `self::` or `super::`: the module, and the bytes that say so.
fn base(code: &str, module: &[String]) -> (Vec<String>, usize) {
    if code.starts_with("crate::") {
        return (Vec::new(), "crate::".len());
    }
    let (mut base, mut length) = (module.to_vec(), 0);
    if code.starts_with("self::") {
        length = "self::".len();
    }
    while code[length..].starts_with("super::") {
        base.pop();
        length += "super::".len();
    }
    (base, length)
}

/// Every path of a module that begins with `crate` or `super`, from the root of the crate, and where it stands.
fn paths(module: &Module) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    for (at, _) in module.code.match_indices("crate::").chain(module.code.match_indices("super::")) {
        // `$crate::`, `mycrate::`, and the second word of `super::super::`
        let before = module.code[..at].chars().next_back();
        if before.is_some_and(|it| it.is_alphanumeric() || "_:$".contains(it)) {
            continue;
        }
        let (mut path, length) = base(&module.code[at..], &module.path);
        let mut trees = Vec::new();
        read_tree(&module.code, at + length, &mut path, &mut trees);
        found.extend(trees.into_iter().map(|path| (path, at)));
    }
    found
}

/// The names that a module uses or hands on: the last word of each path of its `use`s, and the whole path.
fn used_names(module: &Module) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::new();
    for (at, _) in module.code.match_indices("use ") {
        if module.code[..at].chars().next_back().is_some_and(|it| it.is_alphanumeric() || it == '_') {
            continue;
        }
        let (mut path, length) = base(&module.code[at + 4..], &module.path);
        let mut trees = Vec::new();
        read_tree(&module.code, at + 4 + length, &mut path, &mut trees);
        names.extend(trees.into_iter().filter_map(|path| Some((path.last()?.clone(), path))));
    }
    names
}

/// The edges between the modules of one crate.
fn edges(modules: &[Module]) -> Vec<Edge> {
    let mut known: BTreeSet<&[String]> = BTreeSet::new();
    for module in modules {
        known.extend((1..=module.path.len()).map(|length| &module.path[..length]));
    }
    let faces: BTreeMap<&[String], BTreeMap<String, Vec<String>>> =
        modules.iter().map(|module| (module.path.as_slice(), used_names(module))).collect();
    // The module in which a path ends: names that it hands on are followed a few times.
    let resolve = |mut path: Vec<String>| {
        for _ in 0..4 {
            let length =
                (0..=path.len()).rev().find(|length| *length == 0 || known.contains(&path[..*length]));
            let (module, rest) = path.split_at(length.unwrap_or(0));
            let Some(next) = rest.first().and_then(|name| faces.get(module)?.get(name)) else {
                return module.to_vec();
            };
            path = next.iter().chain(&rest[1..]).cloned().collect();
        }
        path
    };
    let mut found = Vec::new();
    for module in modules {
        for (path, at) in paths(module) {
            let to = resolve(path);
            let number = module.code[..at].lines().count();
            let line = module.code.lines().nth(number.saturating_sub(1)).unwrap_or_default().trim();
            found.push(Edge {
                from: module.path.clone(),
                to,
                place: format!("{}:{number}: {line}", module.file),
            });
        }
    }
    found
}

/// Edges between the children of one folder: from, to, and one place for each pair.
type Graph<'e> = BTreeMap<&'e str, BTreeMap<&'e str, &'e str>>;

/// The circles of a graph, as the places of their edges; one for each set of nodes.
fn circles_in(graph: &Graph<'_>) -> Vec<Vec<String>> {
    let mut found: BTreeMap<BTreeSet<&str>, Vec<String>> = BTreeMap::new();
    for start in graph.keys() {
        if let Some(way) = way_back(graph, start) {
            let places =
                way.windows(2).map(|two| format!("{} → {}: {}", two[0], two[1], graph[two[0]][two[1]]));
            found.entry(way.iter().copied().collect()).or_insert_with(|| places.collect());
        }
    }
    found.into_values().collect()
}

/// The shortest way from a node back to itself.
fn way_back<'e>(graph: &Graph<'e>, start: &'e str) -> Option<Vec<&'e str>> {
    let mut ways: Vec<Vec<&str>> = vec![vec![start]];
    let mut seen = BTreeSet::new();
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        next += 1;
        for to in graph.get(way[way.len() - 1]).into_iter().flat_map(BTreeMap::keys) {
            let longer = [&way[..], &[*to]].concat();
            if *to == start {
                return Some(longer);
            }
            if seen.insert(*to) {
                ways.push(longer);
            }
        }
    }
    None
}

/// The circles between the children of each folder of a crate.
fn circles(modules: &[Module]) -> Vec<String> {
    let folders: BTreeSet<&[String]> = modules
        .iter()
        .flat_map(|module| (1..module.path.len()).map(|length| &module.path[..length]))
        .collect();
    let edges = edges(modules);
    let mut graphs: BTreeMap<&[String], Graph<'_>> = BTreeMap::new();
    for edge in &edges {
        let shared = edge.from.iter().zip(&edge.to).take_while(|(from, to)| from == to).count();
        let (Some(from), Some(to)) = (edge.from.get(shared), edge.to.get(shared)) else { continue };
        let folder = &edge.from[..shared];
        let is_folder = |path: &[String]| folders.contains(&path[..=shared]);
        if folder.is_empty() || is_folder(&edge.from) && is_folder(&edge.to) {
            graphs.entry(folder).or_default().entry(from).or_default().entry(to).or_insert(&edge.place);
        }
    }
    let mut found = Vec::new();
    for (folder, graph) in &graphs {
        let circles = circles_in(graph).into_iter();
        found.extend(circles.map(|edges| format!("src/{}:\n  {}", folder.join("/"), edges.join("\n  "))));
    }
    found
}

pub(crate) fn folders_of_a_crate_do_not_import_each_other_in_a_circle() {
    let mut crates: BTreeMap<String, Vec<Module>> = BTreeMap::new();
    for (folder, module) in sources().iter().filter_map(module) {
        crates.entry(folder).or_default().push(module);
    }
    let mut found = Vec::new();
    for (folder, modules) in &crates {
        found.extend(circles(modules).into_iter().map(|circle| format!("{folder}/{circle}")));
    }
    assert!(found.is_empty(), "import circles:\n{}", found.join("\n"));
}

pub(crate) fn a_circle_is_found_however_it_is_written() {
    let modules = |files: &[(&str, &str)]| -> Vec<Module> {
        let source =
            |(name, text): &(&str, &str)| Source { name: format!("x/src/{name}"), text: (*text).to_owned() };
        files.iter().map(source).filter_map(|source| Some(module(&source)?.1)).collect()
    };
    let lib = ("lib.rs", "mod a; mod b; mod c; pub use b::two::Two; pub use c::C;");
    let into_b = ("a/one.rs", "use super::super::{c::C, b};\nfn f() {}");
    let cases = [
        ("b/two.rs", "pub struct Two; fn f() { crate::a::one::f() }"),
        ("b/two.rs", "use crate::{a::{one}, c};"),
        ("b/mod.rs", "pub(crate) mod two;\nuse super::a::one::X;"),
    ];
    for back in cases {
        let found = circles(&modules(&[lib, into_b, back, ("c.rs", "pub struct C;")]));
        assert_eq!(found.len(), 1, "{back:?}: {found:?}");
        assert!(found[0].contains("a → b: x/src/a/one.rs:1: use super::super::{c::C, b};"), "{}", found[0]);
        assert!(found[0].contains("b → a: x/src/b/"), "{}", found[0]);
    }
    // by a name that lib.rs hands on
    let by_name =
        [lib, ("a/one.rs", "use crate::{C, Two};"), ("b/two.rs", "use crate::a::one;"), ("c.rs", "")];
    assert_eq!(circles(&modules(&by_name)).len(), 1);
    let in_tests =
        [lib, into_b, ("b/two.rs", "#[cfg(test)]\nmod tests { use crate::a::one; }"), ("c.rs", "")];
    assert_eq!(circles(&modules(&in_tests)), Vec::<String>::new());
    let one_way = [lib, into_b, ("b/two.rs", "use crate::c::C; // crate::a"), ("c.rs", "struct C;")];
    assert_eq!(circles(&modules(&one_way)), Vec::<String>::new());
}
