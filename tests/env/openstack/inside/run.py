"""Starts the cloud, and stays as the container's main process.

Variable HOSTS names the hosts of the fake hypervisor; with FIRST=1 the objects
of the tests are made, and everything is stopped in good order afterwards."""

import os
import re
import signal
import subprocess
import time

from common import CLOUDS, READY, own_address, listens, say, sql, start, start_database, wait
import objects

HOSTS = os.environ.get("HOSTS", "fake1 fake2 fake3").split()
FIRST = os.environ.get("FIRST") == "1"
HERE = os.path.dirname(os.path.abspath(__file__))


def start_queue():
    for folder in ["/run/rabbitmq", "/var/lib/rabbitmq", "/var/log/rabbitmq"]:
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["chown", "rabbitmq:", folder], check=True)
    # One scheduler that does not spin while it waits: the cores are for others.
    quiet = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
    return start("rabbitmq", "rabbitmq", "rabbitmq-server", HOME="/var/lib/rabbitmq",
                 RABBITMQ_NODENAME="rabbit@localhost", RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
                 RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=quiet)


def start_web(name, user, port, script):
    """Starts a service that is a web application. Without taking the length of
    bodies out of the head, clients see their connections reset."""
    return start(
        name, user, "uwsgi", "--plugin", "python3", "--master", "--processes", "1", "--threads",
        "8", "--enable-threads", "--lazy-apps", "--buffer-size", "65535", "--die-on-term",
        "--rem-header", "Content-Length", "--add-header", "Connection:close",
        "--disable-logging", "--http-socket", f"0.0.0.0:{port}", "--wsgi-file", script)


def start_services():
    daemons = [start_queue()]
    database = start_database()
    address = own_address()
    for identifier, url in (line.split("\t") for line in
                            sql("SELECT id, url FROM keystone.endpoint").splitlines()):
        moved = re.sub(r"//[^:/]+", f"//{address}", url)
        sql(f"UPDATE keystone.endpoint SET url = '{moved}' WHERE id = '{identifier}'")
    daemons.append(start_web("keystone", "keystone", 5000, "/usr/bin/keystone-wsgi-public"))
    daemons.append(start_web("placement", "placement", 8778, "/usr/bin/placement-api"))
    daemons.append(start("glance", "glance", "glance-api", "--config-file",
                         "/etc/glance/glance-api.conf"))
    wait("Keystone listens", lambda: listens(5000))
    if FIRST:
        wait("Keystone answers", lambda: objects.connect().authorize())
        objects.make_identity()
    wait("RabbitMQ listens", lambda: listens(5672), 900)
    configuration = ["--config-file", "/etc/neutron/neutron.conf"]
    daemons.append(start("neutron", "neutron", "neutron-server", *configuration, "--config-file",
                         "/etc/neutron/plugins/ml2/ml2_conf.ini"))
    for part in ["conductor", "scheduler", "api"]:
        daemons.append(start(f"nova-{part}", "nova", f"nova-{part}"))
    # What calls Neutron before it listens waits a minute for the answer.
    wait("Neutron listens", lambda: listens(9696), 600)
    wait("Nova listens", lambda: listens(8774), 600)
    if FIRST:
        objects.make_objects()
        objects.write_clouds()
    return daemons, database


def start_hosts():
    """Starts the fake hypervisors. Their ports bind only where an agent lives."""
    if not HOSTS:
        return
    start("agents", "neutron", "python3", f"{HERE}/agents.py", *HOSTS)
    for host in HOSTS:
        path = f"/etc/nova/host-{host}.conf"
        with open(path, "w") as file:
            file.write(f"[DEFAULT]\nhost = {host}\n")
        start(f"compute-{host}", "nova", "nova-compute", "--config-file", "/etc/nova/nova.conf",
              "--config-file", "/etc/nova/fake.conf", "--config-file", path)
    # A host that is not mapped to the cell runs no servers, and it can be mapped
    # only after it has said that it is there.
    count = "SELECT COUNT(*) FROM nova.compute_nodes WHERE deleted = 0"
    wait("the hosts are known", lambda: int(sql(count)) >= len(HOSTS))
    subprocess.run(["runuser", "-u", "nova", "--", "nova-manage", "cell_v2", "discover_hosts"],
                   check=True, stdout=subprocess.DEVNULL)
    alive = "SELECT COUNT(*) FROM neutron.agents WHERE agent_type = 'Linux bridge agent'"
    wait("the agents are known", lambda: int(sql(alive)) >= len(HOSTS))


def stop(daemons, database):
    for daemon in daemons:
        os.killpg(daemon.pid, signal.SIGTERM)
    time.sleep(3)
    subprocess.run(["mysqladmin", "-S", "/run/mysqld/mysqld.sock", "shutdown"], check=True)
    database.wait(60)
    # The queue's state names this container.
    subprocess.run(["rm", "-rf", "/var/lib/rabbitmq/mnesia"], check=True)


def main():
    daemons, database = start_services()
    if FIRST:
        stop(daemons, database)
        say("the first life is over")
        return
    start_hosts()
    with open(CLOUDS) as template, open(READY, "w") as file:
        file.write(template.read().replace(objects.ADDRESS, own_address()))
    say("ready")
    while True:
        signal.pause()


main()
