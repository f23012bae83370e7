"""Gives the simulator's instances hosts: one container each.

A container has the instance's private address, the key of its key pair, its
user-data and its instance metadata (versions 1 and 2 at 169.254.169.254). A
host that ends is shown as a stopped instance.
"""

import base64
import concurrent.futures
import gzip
import http.server
import ipaddress
import json
import os
import shlex
import subprocess
import sys
import threading
import time

LABEL = "org.zenekar.test.ec2"
# Networks of which the first free one is taken, so that several simulators can
# run at once: containers have the addresses of their instances.
NETWORKS = [f"10.{number}.0.0/20" for number in range(181, 250)]
METADATA_ADDRESS = "169.254.169.254"
# Two processors start about ten containers a second; more at once are not faster.
STARTS_AT_ONCE = 4
# Instances with this tag are records only: for tests that need many.
HOSTLESS = "hostless"
POLL_S = 0.2
MEMORY = "256m"
CONSOLE_BYTES_MAX = 64 * 1024

# What a host runs first. Everything after it is user-data's.
INIT = """#!/bin/sh
mkdir -p /run/sshd /root/.ssh /var/log
chmod 700 /root/.ssh
cat /zenekar-host/keys >>/root/.ssh/authorized_keys
if command -v sshd >/dev/null; then
    ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    /usr/sbin/sshd
fi
if [ -e /zenekar-host/boot ] && [ ! -e /var/lib/zenekar-host-booted ]; then
    : >/var/lib/zenekar-host-booted
    sh /zenekar-host/boot 2>&1 | tee /var/log/cloud-init-output.log
    echo "contextualisation is over"
fi
exec sleep infinity
"""


def docker(*arguments):
    """Runs the client of the engine."""
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def complain(what, result):
    """Tells whoever reads the log."""
    print(what, result.stderr.strip()[:300], file=sys.stderr, flush=True)


def script_of(user_data):
    """Writes a shell script that does what user-data says, as far as tests use it."""
    if user_data[:2] == b"\x1f\x8b":
        user_data = gzip.decompress(user_data)
    text = user_data.decode("utf-8", "replace")
    if text.startswith("#!"):
        interpreter = text.split("\n", 1)[0][2:].strip() or "/bin/sh"
        packed = base64.b64encode(text.encode()).decode()
        return f"echo {packed} | base64 -d >/run/user-data\nexec {interpreter} /run/user-data\n"
    if not text.startswith("#cloud-config"):
        return "echo 'user-data of a kind that hosts of tests do not know'\n"
    import yaml

    config = yaml.safe_load(text) or {}
    lines = []
    if config.get("hostname"):
        lines.append("hostname " + shlex.quote(str(config["hostname"])) + " 2>/dev/null")
    for key in config.get("ssh_authorized_keys") or []:
        lines.append("echo " + shlex.quote(key) + " >>/root/.ssh/authorized_keys")
    lines += [command_of(one) for one in config.get("bootcmd") or []]
    for entry in config.get("write_files") or []:
        lines += write_lines(entry)
    lines += [command_of(one) for one in config.get("runcmd") or []]
    return "\n".join(lines) + "\n"


def command_of(command):
    """Writes one command: a text for the shell, or words."""
    if isinstance(command, list):
        return " ".join(shlex.quote(str(word)) for word in command)
    return str(command)


def write_lines(entry):
    """Writes the lines that make one file."""
    content = entry.get("content", "")
    data = content if isinstance(content, bytes) else str(content).encode()
    encoding = str(entry.get("encoding", ""))
    if encoding in ("b64", "base64", "gz+b64", "gz+base64", "gzip+base64"):
        data = base64.b64decode(data)
    if encoding.startswith("gz"):
        data = gzip.decompress(data)
    path = shlex.quote(entry["path"])
    redirect = ">>" if entry.get("append") else ">"
    lines = [
        f"mkdir -p $(dirname {path})",
        f"echo {base64.b64encode(data).decode()} | base64 -d {redirect}{path}",
    ]
    if entry.get("permissions"):
        lines.append(f"chmod {shlex.quote(str(entry['permissions']))} {path}")
    if entry.get("owner"):
        lines.append(f"chown {shlex.quote(str(entry['owner']))} {path}")
    return lines


class Hosts:
    """Keeps one container for each instance that should have one."""

    def __init__(self, backend, region, folder, image, mark):
        self.backend, self.region, self.image, self.mark = backend, region, image, mark
        self.folder = os.path.join(folder, "hosts")
        self.networks, self.known, self.starting = {}, {}, {}
        self.metadata_port = None
        self.lock = threading.Lock()
        self.pool = concurrent.futures.ThreadPoolExecutor(STARTS_AT_ONCE)

    def find_network(self):
        """Makes the container network for the first subnet; returns its addresses."""
        for addresses in NETWORKS:
            if self.make_network("zenekar-ec2-" + self.mark, "zke" + self.mark, addresses):
                return addresses
        raise RuntimeError("no network is free")

    def adopt_network(self, subnet_id):
        """Says which subnet the found network is for."""
        self.networks[subnet_id] = "zenekar-ec2-" + self.mark

    def make_network(self, name, bridge, addresses):
        """Makes a container network, with the way to the metadata service."""
        gateway = str(next(ipaddress.ip_network(addresses).hosts()))
        made = docker(
            "network", "create", "--label", f"{LABEL}={self.mark}", "--subnet", addresses,
            "--gateway", gateway, "-o", "com.docker.network.bridge.name=" + bridge, name,
        )
        if made.returncode:
            complain("network " + name, made)
            return False
        rule = [
            "PREROUTING", "-i", bridge, "-d", METADATA_ADDRESS, "-p", "tcp", "--dport", "80",
            "-j", "REDIRECT", "--to-ports", str(self.metadata_port),
        ]
        table = ["iptables", "-w", "-t", "nat"]
        subprocess.run([*table, "-A", *rule], capture_output=True, check=False)
        return True

    def serve(self):
        """Starts to serve metadata."""
        os.makedirs(self.folder, exist_ok=True)
        init = os.path.join(self.folder, "init")
        with open(init, "w", encoding="utf-8") as file:
            file.write(INIT)
        hosts = self

        class Handler(Metadata):
            """Metadata of these hosts."""

            owner = hosts

        # The containers reach it through their networks' gateways.
        server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.metadata_port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def start(self):
        """Starts to watch."""
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        """Compares instances and containers, again and again."""
        while True:
            try:
                self.sync()
            except Exception as error:  # The next look may succeed.
                print("hosts:", repr(error)[:300], file=sys.stderr, flush=True)
            time.sleep(POLL_S)

    def instances(self):
        """Lists all instances that have hosts."""
        reservations = list(self.backend.reservations.values())
        everything = [one for reservation in reservations for one in reservation.instances]
        return [
            one
            for one in everything
            if one.subnet_id and not any(tag["key"] == HOSTLESS for tag in one.get_tags())
        ]

    def containers(self):
        """Returns the states of all containers of instances."""
        form = '{{.Label "' + LABEL + '.instance"}} {{.State}}'
        listed = docker("ps", "-a", "--filter", f"label={LABEL}={self.mark}", "--format", form)
        if listed.returncode:
            raise RuntimeError(listed.stderr.strip()[:200])
        return dict(line.split() for line in listed.stdout.splitlines() if len(line.split()) == 2)

    def sync(self):
        """Makes, starts, stops and removes containers."""
        wanted = {one.id: one for one in self.instances()}
        pending = [one for one in wanted.values() if one.id not in self.known]
        if not pending and all(state == "gone" for state in self.known.values()):
            return
        # Before the look: what comes to be during it says nothing.
        busy = {name for name, start in self.starting.items() if not start.done()}
        have = self.containers()
        for one in wanted.values():
            state, host = one.state, have.get(one.id)
            if one.id in busy:
                continue
            if state in ("pending", "running"):
                if host is None and self.known.get(one.id) is None:
                    self.known[one.id] = "made"
                    self.starting[one.id] = self.pool.submit(self.make, one)
                elif host == "exited" and self.known.get(one.id) == "stopped":
                    docker("start", "zenekar-ec2-" + one.id)
                    self.known[one.id] = "made"
                elif host in (None, "exited", "dead"):
                    print(one.id, "its host is gone: it is stopped", file=sys.stderr, flush=True)
                    one.stop()
                    self.known[one.id] = "stopped"
            elif state in ("stopping", "stopped"):
                if host == "running":
                    docker("stop", "-t", "1", "zenekar-ec2-" + one.id)
                self.known[one.id] = "stopped"
            elif self.known.get(one.id) != "gone":
                if host is not None:
                    docker("rm", "-f", "zenekar-ec2-" + one.id)
                self.known[one.id] = "gone"
        for instance in have:
            if instance not in wanted:
                docker("rm", "-f", "zenekar-ec2-" + instance)

    def network(self, subnet_id):
        """Returns the network that stands for a subnet."""
        with self.lock:
            if subnet_id in self.networks:
                return self.networks[subnet_id]
            subnet = self.backend.get_subnet(subnet_id)
            name, bridge = "zenekar-ec2-" + subnet_id, "zke" + subnet_id[-10:]
            self.make_network(name, bridge, subnet.cidr_block)
            self.networks[subnet_id] = name
            return name

    def key_of(self, one):
        """Returns the public key of an instance's key pair."""
        pair = self.backend.key_pairs.get(one.key_name or "")
        return (getattr(pair, "material_public", "") or "") if pair else ""

    def user_data(self, one):
        """Returns an instance's user-data as bytes."""
        return base64.b64decode(str(one.user_data)) if one.user_data else b""

    def make(self, one):
        """Makes the container of an instance."""
        try:
            self.make_container(one)
        except Exception as error:
            print("host of", one.id, repr(error)[:300], file=sys.stderr, flush=True)

    def make_container(self, one):
        """Makes the container of an instance."""
        folder = os.path.join(self.folder, one.id)
        os.makedirs(folder, exist_ok=True)
        key = self.key_of(one)
        with open(os.path.join(folder, "keys"), "w", encoding="utf-8") as file:
            file.write(key if isinstance(key, str) else key.decode())
        data = self.user_data(one)
        if data:
            with open(os.path.join(folder, "boot"), "w", encoding="utf-8") as file:
                file.write(script_of(data))
        address = one.private_ip
        made = docker(
            "run", "-d", "--init", "--name", "zenekar-ec2-" + one.id,
            "--hostname", "ip-" + address.replace(".", "-"),
            "--label", f"{LABEL}={self.mark}", "--label", f"{LABEL}.instance={one.id}",
            "--network", self.network(one.subnet_id), "--ip", address,
            "--memory", MEMORY, "--cap-add", "NET_ADMIN",
            "-v", f"{folder}:/zenekar-host:ro",
            "-v", f"{os.path.join(self.folder, 'init')}:/zenekar-init:ro",
            "--entrypoint", "/bin/sh", self.image, "/zenekar-init",
        )
        if made.returncode:
            complain("host of " + one.id, made)
            docker("rm", "-f", "zenekar-ec2-" + one.id)

    def console(self, instance_id):
        """Returns what a host has printed, in base64."""
        shown = docker("logs", "zenekar-ec2-" + instance_id)
        data = (shown.stdout + shown.stderr).encode() if shown.returncode == 0 else b""
        return base64.b64encode(data[-CONSOLE_BYTES_MAX:]).decode()


class Metadata(http.server.BaseHTTPRequestHandler):
    """The metadata service: who asks is told by the address."""

    protocol_version = "HTTP/1.1"
    owner = None

    def log_message(self, *_):
        """Prints nothing."""

    def reply(self, body, status=200):
        """Answers."""
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_PUT(self):
        """Gives the token that version 2 asks for."""
        if self.path == "/latest/api/token":
            self.reply("zenekar-test-token")
        else:
            self.reply("", 404)

    def do_GET(self):
        """Gives user-data and metadata."""
        address = self.client_address[0]
        mine = [
            one
            for one in self.owner.instances()
            if one.private_ip == address and one.state in ("pending", "running")
        ]
        parts = self.path.strip("/").split("/", 1)
        rest = (parts[1] if len(parts) > 1 else "").rstrip("/")
        if not mine:
            return self.reply("", 404)
        one = mine[0]
        if rest == "user-data":
            data = self.owner.user_data(one)
            return self.reply(data) if data else self.reply("", 404)
        values = self.values(one)
        if rest == "dynamic/instance-identity/document":
            return self.reply(json.dumps({"instanceId": one.id, "region": self.owner.region}))
        if rest.startswith("meta-data"):
            key = rest[len("meta-data") :].strip("/")
            if key in values:
                return self.reply(values[key])
            prefix = key + "/" if key else ""
            below = {
                name[len(prefix) :].split("/")[0] + ("/" if "/" in name[len(prefix) :] else "")
                for name in values
                if name.startswith(prefix)
            }
            if below:
                return self.reply("\n".join(sorted(below)))
        return self.reply("", 404)

    def values(self, one):
        """Returns the metadata of an instance."""
        values = {
            "ami-id": one.image_id,
            "instance-id": one.id,
            "instance-type": one.instance_type,
            "local-hostname": one.private_dns,
            "local-ipv4": one.private_ip,
            "hostname": one.private_dns,
            "placement/availability-zone": one.placement,
            "placement/region": self.owner.region,
        }
        key = self.owner.key_of(one)
        if key:
            values["public-keys/0/openssh-key"] = key
        return {name: str(value) for name, value in values.items()}
