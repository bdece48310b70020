//! What the image runs, without a container: the `Dockerfile`'s command, environment and user, and the settings of
//! `docker-compose.yml`, with a temporary directory as `/data`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Process, eventually};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn project_file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the file is there")
}

/// What the last stage of the `Dockerfile` says, lines that are continued joined.
fn instructions(name: &str) -> Vec<String> {
    let text = project_file("Dockerfile").replace("\\\n", " ");
    let stage: Vec<_> = text.lines().rev().take_while(|line| !line.starts_with("FROM ")).collect();
    let with_name = stage.into_iter().rev().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    with_name.map(|rest| rest.trim().to_owned()).collect()
}

fn words(instruction: &str) -> Vec<String> {
    let [one] = &instructions(instruction)[..] else { panic!("one {instruction}") };
    serde_json::from_str(one).expect("the form of a JSON list")
}

/// The image's file system, as far as it matters, and its environment on a port of this machine.
struct Image {
    directory: TempDir,
    user: u32,
    environment: Vec<(String, String)>,
}

impl Image {
    fn unpacked() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let root = directory.path();
        let user = instructions("USER").concat();
        let user = user.split(':').next().and_then(|id| id.parse().ok()).expect("a user by number");
        assert_ne!(user, 0, "the image does not run as root");
        fs::create_dir(root.join("data")).expect("made");
        fs::copy(env!("CARGO_BIN_EXE_andon"), root.join("andon")).expect("copied");
        fs::write(root.join("admin_token"), format!("{TOKEN}\n")).expect("written");
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).expect("open to all");
        if is_root() {
            chown(root.join("data"), Some(user), Some(user)).expect("given away");
        }
        let port = TcpListener::bind("0.0.0.0:0").and_then(|any| any.local_addr()).expect("a port").port();
        let variables = instructions("ENV").join(" ");
        let environment = variables.split_whitespace().map(|variable| {
            let (name, value) = variable.split_once('=').expect("NAME=VALUE");
            let value = value.replace("8080", &port.to_string());
            (name.to_owned(), value.replace("/data/", &format!("{}/data/", root.display())))
        });
        let environment = environment.collect();
        Self { user, environment, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Andon, as a container of this image would run it.
    fn command(&self, arguments: &[String]) -> Command {
        let [entry] = &words("ENTRYPOINT")[..] else { panic!("one word") };
        let mut command = Command::new(self.path(entry));
        command.args(arguments).env_clear().envs(self.environment.clone()).current_dir(self.path("data"));
        if is_root() {
            command.uid(self.user).gid(self.user);
        }
        command
    }

    /// The exit code of the health check, and what it says.
    async fn health(&self) -> (Option<i32>, String) {
        let check = instructions("HEALTHCHECK").concat();
        let (_, check) = check.split_once("CMD ").expect("a command");
        let check: Vec<String> = serde_json::from_str(check).expect("the form of a JSON list");
        assert_eq!(check[..1], words("ENTRYPOINT")[..], "the program of the image");
        let output = self.command(&check[1..]).output().await.expect("starts");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").map(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0).unwrap_or(false)
}

/// The settings that `docker-compose.yml` gives to Andon.
fn settings_of_compose() -> String {
    let text = project_file("docker-compose.yml");
    let (_, configs) =
        text.split_once("\nconfigs:\n  andon:\n    content: |\n").expect("settings stand there");
    let lines = configs.lines().map_while(|line| line.strip_prefix("      "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn the_image_becomes_healthy_as_an_ordinary_user_and_stops_when_told() {
    let image = Image::unpacked();
    let settings = settings_of_compose();
    assert!(settings.contains("/run/secrets/admin_token"), "{settings}");
    let secret = image.path("admin_token").display().to_string();
    fs::write(image.path("andon.toml"), settings.replace("/run/secrets/admin_token", &secret))
        .expect("written");
    let (code, written) = image.health().await;
    assert_eq!(code, Some(1), "nothing runs yet: {written}");

    let mut command = words("CMD");
    command.extend(["--config".to_owned(), image.path("andon.toml").display().to_string()]);
    let process = Process::start(image.command(&command)).await;
    let (code, written) = image.health().await;
    assert_eq!(code, Some(0), "{written}");
    assert!(image.path("data/andon.db").exists(), "data go to the volume");
    let url = format!("http://127.0.0.1:{}/api/v1/characteristics", process.address.port());
    let ask = |token: &str| reqwest::Client::new().get(&url).bearer_auth(token.to_owned()).send();
    assert_eq!(ask(TOKEN).await.expect("an answer").status(), 200);
    assert_eq!(ask("somebody else's token").await.expect("an answer").status(), 401);
    assert_eq!(instructions("STOPSIGNAL"), ["SIGTERM"]);
    process.terminate().await;
    let (status, log) = process.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    eventually("it is gone", async || (image.health().await.0 == Some(1)).then_some(())).await;
}

#[tokio::test]
async fn the_image_without_tokens_refuses_to_be_open_to_everybody() {
    let image = Image::unpacked();
    let (code, written) = Process::refused(image.command(&words("CMD"))).await;
    assert_eq!(code, Some(1), "{written}");
    assert!(written.contains("auth.tokens") && written.contains("--allow-anonymous"), "{written}");
}

/// Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let below = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

#[test]
fn what_the_sources_include_is_given_to_the_build() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept: Vec<_> = project_file(".dockerignore")
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .map(str::to_owned)
        .collect();
    let mut included = vec![];
    for source in sources(&root.join("src")) {
        let text = fs::read_to_string(&source).expect("readable");
        for (opening, base) in [
            ("include_str!(\"", source.parent().expect("in a folder")),
            ("include_bytes!(\"", source.parent().expect("in a folder")),
            ("migrate!(\"", root),
        ] {
            let paths = text.split(opening).skip(1).filter_map(|rest| rest.split('"').next());
            included.extend(paths.map(|path| base.join(path).canonicalize().expect("it is there")));
        }
    }
    assert!(!included.is_empty(), "at least the migrations");
    for path in included {
        assert!(
            kept.iter().any(|kept| path.starts_with(root.join(kept))),
            "{} is not in the build's context: see .dockerignore",
            path.display()
        );
    }
}
