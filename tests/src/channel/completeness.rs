//! That every kind has a harness and a README.

use std::{fs, path::Path};

/// Kinds that live in core, and where their documentation is: their module's.
const IN_CORE: [(&str, &str); 1] = [("memory", "core/src/channel/memory.rs")];

/// What the registered kinds lack, in sentences that say what to add. `harnesses` are the kinds that are put through
/// the suite, `root` is the repository.
#[must_use]
pub fn missing(kinds: &[&str], harnesses: &[&str], root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for kind in kinds {
        if !harnesses.contains(kind) {
            faults.push(format!(
                "the kind `{kind}` has no harness: add tests/channels/{kind}.rs with a `Harness` for it and \
                 `channel_conformance!`, and its `SUITE` to HARNESSES in tests/channels/main.rs (docs/adapters.md)"
            ));
        }
        let (place, begins, add) = match IN_CORE.iter().find(|(name, _)| name == kind) {
            Some((_, module)) => ((*module).to_owned(), "//! ", "say at its head what it is"),
            None => (format!("adapters/{kind}/README.md"), "# ", "say in it how to set the channel up, step by step"),
        };
        let documented = fs::read_to_string(root.join(&place)).is_ok_and(|text| text.starts_with(begins));
        if !documented {
            faults.push(format!("the kind `{kind}` has no documentation: add {place} and {add} (docs/adapters.md)"));
        }
    }
    for harness in harnesses.iter().filter(|harness| !kinds.contains(harness)) {
        faults.push(format!(
            "the harness of `{harness}` is of no registered kind: add its line to `configurable()` in \
             adapters/src/lib.rs, or take it from HARNESSES in tests/channels/main.rs"
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

    #[test]
    fn a_kind_without_harness_or_readme_is_told_what_to_add() {
        let faults = missing(&["websocket", "pigeon"], &["websocket"], Path::new(ROOT));
        assert_eq!(faults.len(), 2, "{faults:#?}");
        assert!(faults[0].contains("`pigeon` has no harness: add tests/channels/pigeon.rs"), "{}", faults[0]);
        assert!(faults[1].contains("`pigeon` has no documentation: add adapters/pigeon/README.md"), "{}", faults[1]);
        let only_readme = missing(&["pigeon"], &["pigeon"], Path::new(ROOT));
        assert_eq!(only_readme, faults[1..]);
    }

    #[test]
    fn a_harness_of_no_kind_is_told_so_and_memory_is_documented_in_core() {
        let faults = missing(&["memory"], &["memory", "pigeon"], Path::new(ROOT));
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(faults[0].contains("harness of `pigeon` is of no registered kind"), "{}", faults[0]);
        assert!(missing(&["memory"], &["memory"], Path::new("/nowhere"))[0].contains("core/src/channel/memory.rs"));
    }
}
