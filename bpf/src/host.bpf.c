// SPDX-License-Identifier: BSD-2-Clause
// The programs that put the host's own stack behind a TAP: what the host sends by an interface comes out of the
// TAP, and what is written into the TAP reaches the host as received by the interface.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// Interface numbers, set before loading.
volatile const __u32 interface;
volatile const __u32 tap;

// At the egress of the interface. Frames of AF_XDP sockets do not come by here (__dev_direct_xmit).
SEC("tcx/egress")
int from_host(struct __sk_buff *skb)
{
	return bpf_redirect(tap, 0);
}

// At the ingress of the TAP. The frame goes through the receive path of the interface once more, behind native
// XDP but before generic.
SEC("tcx/ingress")
int to_host(struct __sk_buff *skb)
{
	return bpf_redirect(interface, BPF_F_INGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
