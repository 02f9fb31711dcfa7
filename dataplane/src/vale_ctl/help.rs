//! What `--help` says beyond the flags. A paragraph is one line here, since clap wraps it to the terminal.

pub(super) const MORE: &str = "\
Without an action: lists the ports, as netmap does. Naming a port to attach starts valed where none runs.

A port is valeX:PORT, and what is behind it follows after @:
  vale0:eth0             an existing interface, by AF_XDP
  vale0:veth1@packet     an interface by raw socket, offloads kept
  vale0:tap7@tap         a TAP, made if it is not there
  vale0:vm1@vhost-user   a guest of a stock QEMU; prints the arguments to paste
  vale0:vm3@stream       the same without shared memory; @dgram: by datagrams
  vale0:dpdk1@memif      a program of DPDK's, or VPP; prints its arguments
  vale0:x@null           swallows everything

Options follow after another colon, as in vale0:eth0@afxdp:mode=generic,core=1:
  afxdp                  mode=auto|native|generic zero_copy=on|off
                         queues=N slots=N
  packet, tap            offloads=on|off
  vhost-user             path=SOCKET client queues=N workers=N offloads=on|off
  stream                 path=SOCKET client
  dgram                  path=SOCKET peer=SOCKET
  memif                  path=SOCKET client queues=N id=N secret=WORD
  all                    core=N, the core whose worker receives from the port

Examples:
  vale-ctl -a vale0:veth0
  vale-ctl                       vale0:veth0 bridge_idx 0 port_idx 0
  vale-ctl stats vale0
  vale-ctl fdb vale0 --json
  vale-ctl -d vale0:veth0

--json prints one line of JSON; the --help of each command shows what is in it. -l and -g print one element of \
the list that ports prints.";

pub(super) const ATTACHED: &str = "\
With --json (two of them with --host; a note tells of a fallback that was taken, or the like):
  [{\"name\":\"vale0:eth0\",\"bridge_idx\":0,\"port_idx\":0,\"notes\":[]}]";

pub(super) const PORTS: &str = "\
With --json:
  [{\"name\":\"vale0:eth0\",\"bridge_idx\":0,\"port_idx\":0,\"backend\":\"null\",
    \"core\":0,\"mac\":null,\"rings\":{\"tx_slots\":1,\"rx_slots\":0,\"tx_rings\":1,
    \"rx_rings\":0,\"memory_bytes\":65554,\"page_bytes\":4096},\"mem_id\":1,\"notes\":[]}]

What to paste on the other side of a port stands below the table while nobody is connected; vale-ctl -v -g PORT shows it \
at any time. A persistent port that is on no switch has neither numbers nor a core (null), and list leaves it out. The backend \
of a tool's port is app. One of vhost-user, memif or stream has a \"peer\" before its notes: {\"state\":\"nobody\"}, or \
\"here\" or \"ended\" with a \"text\". One with workers=N has \"more_cores\" behind its core: [1].";

pub(super) const STATS: &str = "\
Reasons for drops:
  full            the destination had no room
  runt            shorter than an Ethernet header
  oversize        longer than the destination takes
  reflect         the destination is behind the port the frame came from
  no_destination  nobody else is on the switch
  no_offload      malformed headers: cannot be checksummed or segmented
  port_gone       the destination left in between
  error           the port failed: nobody is connected to it, or its interface is down
  bad_checksum    came with a checksum yet to be filled in (AF_XDP on a veth)
  kernel          dropped by the kernel, before it reached us (AF_XDP: more slots=N hold more) or after it left

rx is what came in by a port, tx what went out by it. Over all ports, rx + copies = tx + drops, but for frames on \
their way.

With --json (reasons that did not occur are left out; a port with a problem has a hint besides):
  {\"switches\":[{\"switch\":\"vale0\",\"ports\":[{\"name\":\"vale0:eth0\",
    \"rx_frames\":5,\"rx_bytes\":300,\"tx_frames\":0,\"tx_bytes\":0,\"copies\":0,
    \"drops\":{\"no_destination\":5}}],\"total\":{\"rx_frames\":5,\"rx_bytes\":300,
    \"tx_frames\":0,\"tx_bytes\":0,\"copies\":0,\"drops\":{\"no_destination\":5}},
    \"balance\":0}]}";

pub(super) const FDB: &str = "\
With --json:
  [{\"mac\":\"02:00:00:00:00:01\",\"port\":\"vale0:eth0\",\"age_s\":3}]";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ports::{Mac, Reason, Rings};
    use serde::Serialize;

    use super::*;
    use crate::control::message::{Attached, Counts, PortRow, PortStats, Station, SwitchStats};

    fn shown_in(help: &str) -> String {
        let (_, after) = help.split_once("With --json").unwrap();
        after.lines().skip(1).take_while(|l| !l.is_empty()).map(str::trim).collect()
    }

    #[track_caller]
    fn is_shown(what: &impl Serialize, help: &str) {
        assert_eq!(serde_json::to_string(what).unwrap(), shown_in(help));
    }

    #[test]
    fn the_json_shown_is_the_json_printed() {
        let name = || "vale0:eth0".to_owned();
        is_shown(&[Attached { name: name(), bridge_idx: 0, port_idx: 0, notes: vec![] }], ATTACHED);
        let row = PortRow {
            name: name(),
            bridge_idx: Some(0),
            port_idx: Some(0),
            backend: "null".to_owned(),
            core: Some(0),
            more_cores: vec![],
            mac: None,
            rings: Rings { tx_slots: 1, tx_rings: 1, memory_bytes: 65554, ..Rings::default() },
            mem_id: 1,
            peer: None,
            notes: vec![],
        };
        is_shown(&[row], PORTS);
        let drops = BTreeMap::from([(Reason::NoDestination, 5)]);
        let counts = Counts { rx_frames: 5, rx_bytes: 300, drops, ..Counts::default() };
        let port = PortStats { name: name(), counts: counts.clone(), hint: None };
        let switch = SwitchStats { switch: "vale0".to_owned(), ports: vec![port], total: counts, balance: 0 };
        is_shown(&BTreeMap::from([("switches", [switch])]), STATS);
        is_shown(&[Station { mac: Mac::from_bits(0x02_00_00_00_00_01), port: name(), age_s: 3 }], FDB);
    }

    #[test]
    fn every_reason_is_explained() {
        for reason in Reason::ALL {
            assert!(STATS.contains(&format!("\n  {} ", reason.name())), "{}", reason.name());
        }
    }
}
