//! Interfaces that cannot be had as they are, and what is said then.

use ports::afxdp::{self, Mode, Options};
use ports::contract::{eventually, in_namespace, ip, veth};
use ports::{Error, Interface};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::{link_says, open, with};

fn error(name: &str, options: &Options) -> String {
    afxdp::open(name, options).err().expect("an error").to_string()
}

/// A program of somebody else's, once the one before it is gone.
fn attached(index: u32) -> bpf::XdpProgram {
    let mut program = None;
    eventually("the interface stays busy", || {
        program = bpf::XdpProgram::load_and_attach(index, bpf::Mode::Native).ok();
        program.is_some()
    });
    program.expect("attached")
}

#[test]
fn errors_name_the_way_out() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let default = Options::default();
        assert_eq!(error("veth7", &default), "veth7: no such interface (try: ip link)");
        let slots = Options { slots: 100, ..default };
        assert_eq!(error("veth0", &slots), "veth0: 100 slots: a ring has a power of two of 64 to 16384");

        ip("link set veth0 down");
        assert_eq!(error("veth0", &default), "veth0: interface is down (try: ip link set veth0 up)");
        ip("link set veth0 up mtu 9000");
        let long = error("veth0", &default);
        assert!(long.contains("MTU 9000") && long.contains("mtu 3822"), "{long}");
        ip("link set veth0 mtu 1500");

        let held = open(&default);
        assert!(matches!(afxdp::open("veth0", &default), Err(Error::Taken { .. })));
        drop(held);

        let index = Interface::find("veth0").unwrap().index;
        let program = attached(index);
        for mode in [Mode::Auto, Mode::Native, Mode::Generic] {
            let taken = error("veth0", &with(mode));
            assert!(taken.starts_with("veth0: taken: an XDP program is attached"), "{taken}");
            assert!(taken.contains("ip link set dev veth0 xdp off"), "{taken}");
        }
        drop(program);
        open(&default);
    });
}

/// A machine whose cores are taken may keep the holder from letting go for longer than anybody waits: not always.
#[test]
fn a_busy_queue_is_waited_for() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let waited_for = || {
            let held = open(&Options::default());
            let holder = std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(40));
                drop(held);
            });
            let opened = afxdp::open("veth0", &Options::default());
            holder.join().unwrap();
            opened.is_ok()
        };
        assert!((0..20).any(|_| waited_for()));
    });
}

#[test]
fn missing_capabilities_are_named() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let all = capabilities(None).unwrap();
        let without = |dropped: CapabilitySet| {
            let mut some = all;
            some.effective -= dropped;
            set_capabilities(None, some).unwrap();
            let error = error("veth0", &Options::default());
            set_capabilities(None, all).unwrap();
            error
        };
        let net_raw = without(CapabilitySet::NET_RAW);
        assert!(net_raw.contains("CAP_NET_RAW"), "{net_raw}");
        let bpf = without(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN);
        assert!(bpf.contains("CAP_BPF"), "{bpf}");
        let net_admin = without(CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN);
        assert!(net_admin.contains("CAP_NET_ADMIN"), "{net_admin}");
        let clean = |says: &str| !says.contains("xdp") && says.contains("promiscuity 0");
        eventually("something stays behind", || clean(&link_says("veth0")));
        open(&Options::default());
    });
}

#[test]
fn generic_mode_steps_in_and_says_so() {
    in_namespace(|| {
        ip("link add br0 type bridge");
        ip("link set br0 up");
        let port = afxdp::open("br0", &Options::default()).unwrap();
        assert_eq!(port.notes, ["br0: driver has no native XDP: generic mode"]);
        drop(port);
        let native = error("br0", &with(Mode::Native));
        assert_eq!(native, "br0: not supported: driver has no native XDP (try: generic mode)");
    });
}
