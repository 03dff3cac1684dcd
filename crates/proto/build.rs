//! Compiles `proto/` with protox, so that no `protoc` has to be installed.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::path::Path::new("../../proto");
    let files = [
        "custodia/v1/profile.proto",
        "custodia/v1/consent.proto",
        "custodia/v1/catalog.proto",
        "custodia/v1/preference.proto",
        "custodia/v1/cluster.proto",
        "custodia/internal/v1/peer.proto",
    ];
    println!("cargo:rerun-if-changed=../../proto");
    let descriptors = protox::compile(files, [root])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure().bytes(".custodia.internal.v1").compile_fds(descriptors.clone())?;
    std::fs::write(out.join("custodia.bin"), descriptors.encode_to_vec())?;
    Ok(())
}
