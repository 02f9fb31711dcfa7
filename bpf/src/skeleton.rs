//! The skeletons that libbpf-cargo generated from the programs beside this file.

/// Generated code keeps its own house rules.
macro_rules! skeleton {
    ($name:ident) => {
        #[expect(
            clippy::allow_attributes,
            clippy::allow_attributes_without_reason,
            clippy::multiple_unsafe_ops_per_block,
            clippy::needless_pass_by_value,
            clippy::undocumented_unsafe_blocks,
            clippy::unwrap_used,
            unreachable_pub,
            unused_qualifications,
            reason = "generated code"
        )]
        pub(crate) mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".skel.rs"));
        }
    };
}

skeleton!(xdp);
skeleton!(host);
