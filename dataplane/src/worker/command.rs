//! What a worker can be told between two passes.

use std::sync::Arc;

use crossbeam::channel::Sender;
use ports::{Rx, Time};
use switch::{PortIndex, Switch};

use super::{AppId, Hosted};

/// One change. Every `ack` is answered once the worker acts accordingly, never later than a pass on.
pub(super) enum Command {
    /// Receive from this port from now on.
    AddPort {
        /// Its switch.
        switch: Arc<Switch>,
        /// Its number there.
        index: PortIndex,
        /// Its receiving half.
        rx: Box<dyn Rx>,
        ack: Sender<()>,
    },
    /// Receive from this port no more, and hand its half back: at once, or when nothing waits in it any more,
    /// but at `drain_until` at the latest.
    RemovePort { switch: Arc<Switch>, index: PortIndex, drain_until: Time, ack: Sender<Box<dyn Rx>> },
    /// Look at the membership of this switch anew.
    Refresh { switch: Arc<Switch>, ack: Sender<()> },
    /// Poll this app from now on.
    AddApp { hosted: Box<Hosted> },
    /// Ask this app to come to its end.
    StopApp { id: AppId },
    /// Poll this app no more, whatever it is in the middle of.
    RemoveApp { id: AppId },
    /// Let go of everything and end the thread.
    Quit,
}
