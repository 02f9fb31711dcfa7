// SPDX-License-Identifier: BSD-2-Clause
// The XDP program: hands each frame to the AF_XDP socket of the receive queue it came in by.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// Sockets by receive queue.
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	// A queue without a socket passes its frames to the stack: the low bits of the flags are the verdict
	// for a failed lookup (bpf-helpers(7), bpf_redirect_map; kernel 5.3).
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
