//! Flags of stock iperf3 that ask for what is so anyway, or for what is not to be had here.

/// The flags. Scripts give the first ones by habit; for the others a line says what to do instead.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Flags of iperf3 that change nothing here")]
pub struct Stock {
    /// Only IPv4: there is nothing else
    #[arg(short = '4', long)]
    version4: bool,
    /// Send in the 'zero copy' way: without meaning
    #[arg(short = 'Z', long)]
    zerocopy: bool,
    /// Flush at every interval: done after every line
    #[arg(long)]
    forceflush: bool,
    /// Congestion control: cubic
    #[arg(short = 'C', long, value_name = "NAME", alias = "linux-congestion")]
    congestion: Option<String>,

    #[arg(short, long, hide = true)]
    udp: bool,
    #[arg(short = '6', long, hide = true)]
    version6: bool,
    #[arg(short = 'B', long, value_name = "ADDR", hide = true)]
    bind: Option<String>,
    #[arg(short = 'D', long, hide = true)]
    daemon: bool,
    #[arg(long, value_name = "FILE", hide = true)]
    logfile: Option<String>,
    #[arg(long, hide = true)]
    get_server_output: bool,
    #[arg(long, hide = true)]
    json_stream: bool,
    #[arg(short = 'V', long, hide = true)]
    verbose: bool,
}

impl Stock {
    /// Why the first of those given cannot be had, and the way out.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        let other = self.congestion.as_deref().is_some_and(|name| name != "cubic");
        [
            (self.udp, "-u: only TCP is served here (try: without -u)"),
            (self.version6, "-6: only IPv4 is spoken here (try: without -6)"),
            (other, "-C: the endpoint has one congestion control (try: -C cubic)"),
            (self.bind.is_some(), "-B: the endpoint has one address (try: --ip)"),
            (self.daemon, "-D: the endpoint stays in the foreground (try: systemd-run, or & in a shell)"),
            (self.logfile.is_some(), "--logfile: reports go to standard output (try: > FILE)"),
            (self.get_server_output, "--get-server-output: not offered (try: -J on both sides)"),
            (self.json_stream, "--json-stream: not offered (try: -J)"),
            (self.verbose, "-V: there are no further lines (try: -J, which has all of it)"),
        ]
        .into_iter()
        .find_map(|(given, why)| given.then_some(why))
    }
}
