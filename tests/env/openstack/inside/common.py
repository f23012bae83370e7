"""What preparing and running the test cloud share. Runs inside its container."""

import os
import socket
import subprocess
import time

PASSWORD = "secret"
REGION = "RegionOne"
LOGS = "/var/log/zenekar-test"
READY = "/run/zenekar-test-ready"
CLOUDS = "/var/lib/zenekar-test/clouds.yaml"
# Stands for the container's address in what is kept between lives.
ADDRESS = "CLOUD-ADDRESS"
SOCKET = "/run/mysqld/mysqld.sock"
STARTED = time.monotonic()


def say(text):
    print(f"{time.monotonic() - STARTED:7.1f} s  {text}", flush=True)


def own_address():
    return socket.gethostbyname(socket.gethostname())


def start(name, user, *command, **variables):
    """Starts a daemon as a user, with its output in a file of its own."""
    os.makedirs(LOGS, exist_ok=True)
    with open(f"{LOGS}/{name}.log", "ab") as log:
        return subprocess.Popen(
            ["runuser", "-u", user, "--", *command],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, env={**os.environ, **variables},
        )


def wait(what, check, seconds=300):
    """Waits until a check neither fails nor raises."""
    until = time.monotonic() + seconds
    while True:
        try:
            result = check()
            if result:
                say(what)
                return result
            reason = "not yet"
        except Exception as error:  # noqa: BLE001: whatever it is, it may pass
            reason = error
        if time.monotonic() > until:
            raise SystemExit(f"{what}: gave up after {seconds} s: {reason}")
        time.sleep(0.3)


def listens(port):
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def sql(text):
    command = ["mysql", "-uroot", "-S", SOCKET, "-N", "-e", text]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def start_database():
    os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
    subprocess.run(["chown", "mysql:", os.path.dirname(SOCKET)], check=True)
    # A cloud that lives for minutes: nothing has to survive a loss of power.
    daemon = start(
        "mariadb", "mysql", "mariadbd", f"--socket={SOCKET}", "--bind-address=127.0.0.1",
        "--skip-name-resolve", "--performance-schema=0", "--max-connections=400",
        "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0", "--sync-binlog=0",
    )
    wait("the data base answers", lambda: sql("SELECT 1"))
    return daemon


def connect():
    """Returns a connection of the administrator."""
    import openstack
    return openstack.connect(
        auth_url="http://127.0.0.1:5000/v3", region_name=REGION, username="admin",
        password=PASSWORD, project_name="admin", user_domain_id="default",
        project_domain_id="default",
    )
