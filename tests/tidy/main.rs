//! Style and structure as ordinary tests: a rule without a check is a wish.
//!
//! ```text
//! dependencies   edges between crates, sole users of a library, lints, versions
//! code           purity, words that belong to one folder, lengths, heads of files, sizes of folders
//! circles        no import circle between the folders of a crate
//! names          one vocabulary
//! docs           the map is short, and every file that a document names exists
//! ```
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says why and stops"
)]

mod circles;
mod code;
mod dependencies;
mod docs;
mod names;
mod source;

use std::process::ExitCode;

use custodia_tests::Suite;

fn main() -> ExitCode {
    Suite::default()
        .check(dependencies::crates_depend_only_along_the_allowed_edges)
        .check(dependencies::sharp_tools_have_one_user)
        .check(dependencies::every_package_takes_the_workspace_lints)
        .check(dependencies::dependency_versions_stand_in_the_workspace_manifest)
        .check(code::sharp_words_stand_only_in_their_folders)
        .check(code::the_law_is_pure)
        .check(code::files_stay_short)
        .check(code::folders_stay_small)
        .check(code::every_source_file_says_what_it_owns)
        .check(code::lints_are_expected_with_a_reason_never_allowed)
        .check(code::nothing_is_left_to_do_in_silence)
        .check(circles::folders_of_a_crate_do_not_import_each_other_in_a_circle)
        .check(circles::a_circle_is_found_however_it_is_written)
        .check(names::banned_names_are_gone)
        .check(names::banned_words_are_gone_from_code_and_texts)
        .check(docs::the_map_is_short)
        .check(docs::every_file_that_a_document_names_exists)
        .check(docs::a_missing_file_is_found)
        .check(source::comments_texts_and_tests_are_no_code)
        .run()
}
