//! Tells the library's sources that they are built for the scheduler.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(sim, fuzzing)");
    println!("cargo::rustc-cfg=sim");
}
