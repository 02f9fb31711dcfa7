//! The skeletons that libbpf-cargo generated from the programs beside this file.

#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
pub(crate) mod xdp {
    include!(concat!(env!("OUT_DIR"), "/xdp.skel.rs"));
}
