//! A child process as the driver sees it. It ends with its standard input, and at the latest when this is dropped.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command as Program, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::exchange::{Command, Reply, Usage};

/// The capacity of a bus by default.
pub const RING: usize = 65_536;

/// How long an answer may take; feeding takes the longest.
const ANSWER: Duration = Duration::from_secs(60);

/// How long a child may take to end by itself.
const END: Duration = Duration::from_secs(5);

/// A server or a floor.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    replies: Receiver<Reply>,
    address: SocketAddr,
    /// Where a server keeps its database.
    _directory: Option<TempDir>,
}

impl Process {
    /// The real server; `ring_events` is the capacity of its bus.
    pub fn server(ring_events: usize) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = directory.path().to_str().unwrap().to_owned();
        Self::start(&["--as-server", &path, &ring_events.to_string()], Some(directory))
    }

    /// The bare loop.
    pub fn floor() -> Self {
        Self::start(&["--as-floor"], None)
    }

    fn start(arguments: &[&str], directory: Option<TempDir>) -> Self {
        let mut program = Program::new(std::env::current_exe().unwrap());
        program.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("it is piped"));
        let (said, replies) = sync_channel(16);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let reply = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
                if said.send(reply).is_err() {
                    return;
                }
            }
        });
        let Ok(Reply::Listening { address }) = replies.recv_timeout(ANSWER) else {
            panic!("{arguments:?} does not listen");
        };
        Self { child, stdin, replies, address, _directory: directory }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives a command, whose answer is heard later.
    pub fn tell(&mut self, command: &Command) {
        let line = serde_json::to_string(command).unwrap() + "\n";
        self.stdin.as_mut().expect("it is open").write_all(line.as_bytes()).unwrap();
    }

    /// The next answer.
    pub fn hear(&mut self) -> Reply {
        self.replies.recv_timeout(ANSWER).expect("a child process answers")
    }

    /// The next answer, if it is there.
    pub fn try_hear(&mut self) -> Option<Reply> {
        self.replies.try_recv().ok()
    }

    /// What it has used until now.
    pub fn usage(&mut self) -> Usage {
        self.tell(&Command::Usage);
        match self.hear() {
            Reply::Usage(usage) => usage,
            other => panic!("asked for usage, heard {other:?}"),
        }
    }

    /// Waits until it does next to nothing.
    pub fn settle(&mut self) {
        const LOOK: Duration = Duration::from_millis(50);
        let mut before = self.usage().processor_ns;
        for _ in 0..100 {
            thread::sleep(LOOK);
            let after = self.usage().processor_ns;
            if after - before < 2_000_000 {
                return;
            }
            before = after;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let started = Instant::now();
        while started.elapsed() < END {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
