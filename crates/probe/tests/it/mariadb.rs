//! Logins to a real `MariaDB`, which the tests start and end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use zenekar_base::ProbeResult;
use zenekar_probe::HostNetwork;

use crate::support::{CERTIFICATE, KEY, database, reason, run};

const ACCOUNTS: &str = "\
create database shop;
create user native@'%' identified via mysql_native_password using password('n pä$$');
grant all on shop.* to native@'%';
create user nothing@'%' identified via mysql_native_password using password('');
grant all on shop.* to nothing@'%';
create user stranger@'%' identified via mysql_native_password using password('s');
create user secured@'%' identified by 'x' require ssl;
grant all on shop.* to secured@'%';
create user socket@'%' identified via unix_socket;
grant all on shop.* to socket@'%';
";

/// Accounts with a plugin that Debian has in a package of its own.
const ELLIPTIC_ACCOUNTS: &str = "\
create user elliptic@'%' identified via ed25519 using password('e');
grant all on shop.* to elliptic@'%';
create user several@'%' identified via ed25519 using password('e') \
or mysql_native_password using password('m');
grant all on shop.* to several@'%';
";

/// A running server; ends with it.
struct Server {
    process: Child,
    /// Its files, which go after it.
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a server on the port of databases of an address; says so if it cannot.
fn start(address: &str, with_tls: bool) -> Option<Server> {
    if let Err(error) = TcpListener::bind((address, 3306)) {
        println!("skipped: no listener on {address}:3306: {error}");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let user = Command::new("id").arg("-un").output().expect("`id` runs");
    let user = String::from_utf8(user.stdout).expect("a name");
    let common = [
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        // A server that starts removes the temporary tables of all others there.
        format!("--tmpdir={}", folder.path().display()),
        format!("--user={}", user.trim()),
        "--innodb-log-file-size=4M".to_owned(),
    ];
    let installed = Command::new("mariadb-install-db")
        .args(&common)
        .args(["--skip-test-db", "--skip-name-resolve"])
        .arg("--auth-root-authentication-method=normal")
        .stdin(Stdio::null())
        .output();
    match installed {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => {
            println!("skipped: `mariadb-install-db` (package mariadb-server-core): {error}");
            return None;
        }
    }
    let mut command = Command::new(daemon());
    command
        .args(&common)
        .args(["--port=3306", "--skip-name-resolve", "--skip-log-bin"])
        .arg("--innodb-buffer-pool-size=8M")
        .arg(format!("--bind-address={address}"))
        .arg(option("socket", folder.path(), "socket"))
        .arg(option("pid-file", folder.path(), "pid"))
        .arg(option("init-file", folder.path(), "accounts.sql"));
    let mut accounts = ACCOUNTS.to_owned();
    if has_elliptic() {
        command.arg("--plugin-load-add=auth_ed25519");
        accounts.push_str(ELLIPTIC_ACCOUNTS);
    }
    fs::write(folder.path().join("accounts.sql"), accounts).expect("accounts are written");
    if with_tls {
        fs::write(folder.path().join("crt"), CERTIFICATE).expect("a file is written");
        fs::write(folder.path().join("key"), KEY).expect("a file is written");
        command
            .arg(option("ssl-cert", folder.path(), "crt"))
            .arg(option("ssl-key", folder.path(), "key"));
    }
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let words = BufReader::new(process.stderr.take().expect("it is piped"));
    let server = Server {
        process,
        _folder: folder,
    };
    let mut seen = String::new();
    let mut lines = words.lines().map_while(Result::ok);
    for line in lines.by_ref() {
        if line.contains("ready for connections") {
            // Somebody has to listen, or the server's words stop it one day.
            std::thread::spawn(move || lines.for_each(drop));
            return Some(server);
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    panic!("the server ended: {seen}");
}

/// Debian keeps the server where only root's path leads.
fn daemon() -> &'static str {
    let usual = "/usr/sbin/mariadbd";
    if Path::new(usual).exists() {
        usual
    } else {
        "mariadbd"
    }
}

/// Whether the plugin `ed25519` is installed; says so if not.
fn has_elliptic() -> bool {
    let has = Path::new("/usr/lib/mysql/plugin/auth_ed25519.so").exists();
    if !has {
        println!("skipped: the plugin `ed25519` of MariaDB (package mariadb-server)");
    }
    has
}

fn option(name: &str, folder: &Path, file: &str) -> String {
    format!("--{name}={}", folder.join(file).display())
}

#[test]
fn accounts_log_in() {
    let address = "127.66.3.1";
    let Some(_server) = start(address, false) else {
        return;
    };
    let healthy = |name, user, password| {
        let result = run(&HostNetwork, address, &database(name, user, password));
        assert_eq!(result, ProbeResult::Healthy, "{user}");
    };
    healthy("shop", "native", "n pä$$");
    healthy("shop", "nothing", "");
    healthy("", "stranger", "s");

    let refused =
        |name, user, password| reason(&HostNetwork, address, &database(name, user, password));
    assert_eq!(
        refused("shop", "native", "wrong"),
        "database shop: error 1045: Access denied for user 'native'@'127.0.0.1' (using password: YES)"
    );
    assert_eq!(
        refused("shop", "native", ""),
        "database shop: error 1045: Access denied for user 'native'@'127.0.0.1' (using password: NO)"
    );
    assert_eq!(
        refused("shop", "stranger", "s"),
        "database shop: error 1044: Access denied for user 'stranger'@'%' to database 'shop'"
    );
    assert_eq!(
        refused("nowhere", "native", "n pä$$"),
        "database nowhere: error 1044: Access denied for user 'native'@'%' to database 'nowhere'"
    );
    if has_elliptic() {
        healthy("shop", "several", "m");
        assert_eq!(
            refused("shop", "elliptic", "e"),
            "database shop: the account logs in with the plugin `client_ed25519`, which checks do not know"
        );
    }
    assert_eq!(
        refused("shop", "socket", "x"),
        "database shop: error 1698: Access denied for user 'socket'@'127.0.0.1' \
         (its plugin takes no password, as `unix_socket` does not)"
    );
    assert_eq!(
        refused("shop", "secured", "x"),
        "database shop: error 1045: Access denied for user 'secured'@'127.0.0.1' (using password: YES)"
    );
}

#[test]
fn accounts_log_in_over_tls() {
    let address = "127.66.3.2";
    let Some(_server) = start(address, true) else {
        return;
    };
    for (user, password) in [("secured", "x"), ("native", "n pä$$"), ("nothing", "")] {
        let spec = database("shop", user, password);
        assert_eq!(
            run(&HostNetwork, address, &spec),
            ProbeResult::Healthy,
            "{user}"
        );
    }
    assert!(
        reason(&HostNetwork, address, &database("shop", "secured", "wrong"))
            .starts_with("database shop: error 1045: ")
    );
}

#[test]
fn nobody_at_the_port_is_named() {
    assert_eq!(
        reason(&HostNetwork, "127.66.3.3", &database("shop", "me", "x")),
        "database shop: connection refused"
    );
}
