"""Makes the calls that MiCADO makes, in its order: the submitter deploys,
the policy keeper scales, the submitter undeploys.

Usage: micado.py HOST:PORT FOLDER-WITH-LINKS
"""

import json
import os
import subprocess
import sys
import time
import urllib.request

ENDPOINT, LINKS = "http://" + sys.argv[1], sys.argv[2]
INFRASTRUCTURE, WORKER = "micado_worker_infra", "worker-node"
PATIENCE_SECONDS = 60


def execute(command, success):
    """Runs a command as the submitter does in Occopus's container."""
    words = command.split()
    words[0] = os.path.join(LINKS, words[0])
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert success in done.stdout, done.stdout


def call(method, path):
    """Makes a call; MiCADO looks at the status first, then at the JSON."""
    request = urllib.request.Request(ENDPOINT + path, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
        assert response.status == 200, response.status
        return json.loads(response.read().decode())


def node():
    """Looks at the worker as the policy keeper does."""
    return call("GET", "/infrastructures/" + INFRASTRUCTURE).get(WORKER, {})


def wait_for(count):
    """Waits until there are so many workers."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        worker = node()
        states = [one["state"] for one in worker.get("instances", {}).values()]
        if states == ["ready"] * count:
            return worker
        assert time.monotonic() < until, worker
        time.sleep(0.1)


def addresses(worker):
    """Returns the first address of each worker, whether it is one or a list."""
    found = []
    for one in worker["instances"].values():
        address = one["resource_address"]
        found.append(address[0] if isinstance(address, list) else address)
    return found


def deploy():
    execute("occopus-import nodes.yaml", "Successfully imported nodes")
    execute(
        "occopus-build infra.yaml -i %s --auth_data_path auth_data.yaml --parallelize" % INFRASTRUCTURE,
        "Submitted infrastructure",
    )
    assert call("POST", "/infrastructures/%s/attach" % INFRASTRUCTURE) == {"infraid": INFRASTRUCTURE}
    print("deployed")


def keep_policies():
    base = "/infrastructures/" + INFRASTRUCTURE
    for count in (4, 2):
        answer = call("POST", "%s/scaleto/%s/%d" % (base, WORKER, count))
        assert answer["method"] == "scaleto" and answer["count"] == count, answer
        assert node().get("scaling", {}).get("target", 0) == count
        worker = wait_for(count)
    replica = addresses(worker)[0]
    answer = call("POST", "%s/scaledown/%s/%s" % (base, WORKER, replica))
    assert answer["nodeid"] == replica, answer
    worker = wait_for(1)
    assert replica not in addresses(worker), worker
    assert worker["scaling"] == {"actual": 1, "max": 5, "min": 1, "target": 1}, worker
    # A replica that is gone already: the answer is JSON, and nobody is hurt.
    call("POST", "%s/scaledown/%s/%s" % (base, WORKER, replica))
    assert len(wait_for(1)["instances"]) == 1
    # An infrastructure that is not there: the policy keeper takes a count of 0.
    other = call("GET", "/infrastructures/other")
    assert other.get(WORKER, {}).get("scaling", {}).get("target", 0) == 0
    print("scaled")


def update():
    """A changed description: built again while it is attached."""
    with open("infra.yaml") as file:
        text = file.read()
    with open("infra.yaml", "w") as file:
        file.write(text.replace("min: 1", "min: 2"))
    execute(
        "occopus-build infra.yaml -i %s --auth_data_path auth_data.yaml --parallelize" % INFRASTRUCTURE,
        "Submitted infrastructure",
    )
    call("POST", "/infrastructures/%s/attach" % INFRASTRUCTURE)
    assert wait_for(2)["scaling"]["min"] == 2
    call("POST", "/infrastructures/%s/detach" % INFRASTRUCTURE)
    print("updated")


def undeploy():
    call("DELETE", "/infrastructures/" + INFRASTRUCTURE)
    assert INFRASTRUCTURE not in call("GET", "/infrastructures/")["infrastuctures"]
    print("undeployed")


deploy()
keep_policies()
update()
undeploy()
