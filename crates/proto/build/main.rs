//! Compiles `proto/` with protox, so `protoc` need not be installed, and generates the code behind `rpc.rs` from the
//! methods' options.

mod methods;

use std::{error::Error, path::PathBuf};

const FILES: [&str; 8] = [
    "custodia/v1/profile.proto",
    "custodia/v1/consent.proto",
    "custodia/v1/catalog.proto",
    "custodia/v1/preference.proto",
    "custodia/v1/identity.proto",
    "custodia/v1/duplicate.proto",
    "custodia/v1/cluster.proto",
    "custodia/internal/v1/peer.proto",
];

#[expect(clippy::print_stdout, reason = "cargo reads a build script's standard output")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../../proto");
    println!("cargo:rerun-if-changed=build");
    let mut compiler = protox::Compiler::new(["../../proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut messages = tonic_prost_build::Config::new();
    messages.enable_type_names();
    // Maps are generated sorted, so that equal messages have equal bytes.
    tonic_prost_build::configure()
        .bytes(".custodia.internal.v1")
        .btree_map(".custodia.v1")
        .compile_fds_with_config(compiler.file_descriptor_set(), messages)?;
    std::fs::write(out.join("custodia.bin"), compiler.encode_file_descriptor_set())?;
    std::fs::write(out.join("methods.rs"), methods::generate(&compiler.descriptor_pool())?)?;
    Ok(())
}
