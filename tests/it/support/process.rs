//! The real binary as a process of its own: for what can only be seen from outside.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{DEADLINE, address_of, eventually};

/// A running `andon serve`; killed when dropped.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    lines: watch::Receiver<String>,
}

impl Process {
    /// The command to serve a database on a free port; arguments and environment may be added.
    pub fn serve(database: &Path) -> Command {
        Self::serve_at("127.0.0.1:0", database)
    }

    /// The same on this port.
    pub fn serve_at(address: &str, database: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
        command.args(["serve", "--listen", address, "--database"]);
        command.arg(address_of(database));
        // Listeners of these tests count every sample, even where the machine is too busy for them to keep up.
        command.env("ANDON_BROADCAST__SAMPLE_QUEUE_BYTES", "1000000000");
        command.env("ANDON_BROADCAST__ALERT_QUEUE_BYTES", "1000000000");
        command
    }

    /// Starts the command and waits until it is ready.
    pub async fn start(command: Command) -> Self {
        let started = Self::try_start(command).await;
        started.unwrap_or_else(|(status, log)| panic!("it ended before it was ready, {status}: {log}"))
    }

    /// The same of one that may end before: then its exit status and its log.
    pub async fn try_start(mut command: Command) -> Result<Self, (ExitStatus, String)> {
        super::name_tls_provider();
        let mut child =
            command.kill_on_drop(true).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (written, mut lines) = watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = stderr.next_line().await {
                written.send_modify(|text| *text += &(line + "\n"));
            }
        });
        let says_where = |text: &String| text.contains("listening on http://");
        let said =
            timeout(DEADLINE, lines.wait_for(says_where)).await.expect("listens or ends in time").is_ok();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { address: nowhere, child, lines };
        if !said {
            return Err(process.end().await);
        }
        let text = process.log();
        let (_, address) = text.split_once("listening on http://").expect("waited for");
        let address = address.lines().next().expect("a line").parse().expect("an address");
        process.address = address;
        let is_ready = eventually("the process is ready, or has ended", async || {
            match reqwest::get(format!("http://{address}/health/ready")).await {
                Ok(ready) => ready.status().is_success().then_some(true),
                Err(_) => process.child.try_wait().expect("is a child").map(|_| false),
            }
        });
        if is_ready.await { Ok(process) } else { Err(process.end().await) }
    }

    /// Runs a command that is to fail, and tells its exit code and what it wrote.
    pub async fn refused(mut command: Command) -> (Option<i32>, String) {
        let output = timeout(DEADLINE, command.kill_on_drop(true).output()).await.expect("ends in time");
        let output = output.expect("starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// All its metrics, as text.
    pub async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.address);
        reqwest::get(&url).await.expect("an answer").text().await.expect("a text")
    }

    /// The sum of a metric over all its labels; 0 where it is not told.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let values = text.lines().filter_map(|line| {
            let (metric, value) = line.rsplit_once(' ')?;
            (metric.split('{').next() == Some(name)).then(|| value.parse::<f64>().expect("a number"))
        });
        values.sum()
    }

    /// The position of the newest event, once it is known.
    pub async fn head(&self) -> u64 {
        eventually("the head of the log is known", async || {
            let position = self.metric("andon_log_head_position").await as u64;
            (position > 0).then_some(position)
        })
        .await
    }

    /// What it has logged until now.
    pub fn log(&self) -> String {
        self.lines.borrow().clone()
    }

    /// Asks the process to stop, as a service manager does.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends it a signal.
    pub async fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.id());
        let status = Command::new("sh").args(["-c", &kill]).status().await.expect("sh runs");
        assert!(status.success(), "{kill}");
    }

    /// Waits for the end; gives the exit status and the whole log.
    pub async fn end(mut self) -> (ExitStatus, String) {
        let status = timeout(DEADLINE, self.child.wait()).await.expect("ends in time").expect("is a child");
        while self.lines.changed().await.is_ok() {} // until its end of the pipe is closed
        (status, self.log())
    }

    /// Ends the process without warning and waits until it is gone. (The machine goes on: what the process
    /// wrote without waiting for the disk is not lost by this.)
    pub async fn kill(mut self) {
        self.child.kill().await.expect("is a child");
    }
}
