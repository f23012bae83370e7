"""The interface of EC2 for tests: moto's server, with what it leaves out.

Besides what moto does:
- RunInstances keeps to its client tokens: the same request gives the same
  instances, another one a mismatch, and a token whose instances are terminated
  is used up.
- Images and instance types that do not exist are refused, and so is one
  instance too many. Filters for client tokens work; unknown filters are errors
  of the client instead of the server.
- A security group that instances are in cannot be deleted.
- RunInstances may take a while (EC2_RUN_DELAY_S) without holding others up.
- Requests are counted: GET /zenekar/counts, POST /zenekar/counts to forget.
- POST /zenekar/settings changes `run_delay_s` and `instances_max` while it runs.
- POST /zenekar/rules makes launches slow or lets them fail, those of one test
  only: {"text": what is in the request, "delay_s": seconds, "fault": one of FAULTS};
  a rule without delay and fault ends the one for that text.

Instances have hosts where Docker is there: see hosts.py.
"""

import collections
import functools
import hashlib
import io
import json
import os
import socket
import sys
import threading
import time
import urllib.parse

FOLDER = os.environ["ZENEKAR_ENV_FOLDER"]
PORT = int(os.environ.get("ZENEKAR_ENV_EC2_PORT", "0"))
REGION = os.environ.get("ZENEKAR_ENV_EC2_REGION", "eu-central-1")
IMAGE = "ami-0a000000000000001"
# The network of instances where they have no hosts.
NETWORK = "10.181.0.0/20"
# Tells what belongs to this simulator from what belongs to others.
MARK = os.environ["ZENEKAR_ENV_EC2_MARK"]
BODY_BYTES_MAX = 1 << 20

AMIS = [
    {
        "ami_id": IMAGE,
        "name": "zenekar-test-debian-12",
        "description": "Debian 12 for tests",
        "owner_id": "123456789012",
        "public": True,
        "virtualization_type": "hvm",
        "architecture": "x86_64",
        "state": "available",
        "platform": None,
        "image_type": "machine",
        "hypervisor": "xen",
        "root_device_name": "/dev/xvda",
        "root_device_type": "ebs",
        "sriov": "simple",
    },
]
AMIS.append(
    dict(AMIS[0], ami_id="ami-0a000000000000002", name="zenekar-test-arm", architecture="arm64")
)

# moto reads thousands of images at each launch otherwise.
os.makedirs(FOLDER, exist_ok=True)
with open(os.path.join(FOLDER, "images.json"), "w", encoding="utf-8") as file:
    json.dump(AMIS, file)
os.environ["MOTO_AMIS_PATH"] = os.path.join(FOLDER, "images.json")
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "true"

from moto.ec2 import ec2_backends, utils  # noqa: E402
from moto.ec2.exceptions import EC2ClientError  # noqa: E402
from moto.ec2.responses.account_attributes import AccountAttributes  # noqa: E402
from moto.ec2.responses.general import General  # noqa: E402
from moto.ec2.responses.instances import InstanceResponse  # noqa: E402
from moto.ec2.responses.security_groups import SecurityGroups  # noqa: E402
from moto.core.responses import ActionResult  # noqa: E402
from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402

settings = {
    "run_delay_s": float(os.environ.get("EC2_RUN_DELAY_S", "0")),
    "instances_max": int(os.environ.get("EC2_INSTANCES_MAX", "1000")),
}
counts = collections.Counter()
rules = {}
# Refusals by the names that rules have for them; the others lose something on the way.
REFUSALS = {
    "throttled": ("RequestLimitExceeded", "Request limit exceeded.", 503),
    "capacity": ("InsufficientInstanceCapacity", "There is no capacity.", 500),
    "quota": ("VcpuLimitExceeded", "There are no processors left.", 400),
    "server-error": ("InternalError", "An internal error has occurred", 500),
}
FAULTS = (*REFUSALS, "lost-answer", "lost-request")
launches = {}
# Launches change several tables of moto; its own code does not expect company.
changing = threading.RLock()
hosts = None


def refusal(code, text):
    """Makes an error as EC2 answers it."""
    error = EC2ClientError(code, text)
    error.status = 400
    return error


def is_live(instance):
    """Says whether an instance takes a place."""
    return instance.state not in ("terminated", "shutting-down")


def all_instances(backend):
    """Lists all instances of a region."""
    return [i for r in list(backend.reservations.values()) for i in r.instances]


def fingerprint(response):
    """Tells the parameters of a launch apart, but for its token."""
    left_out = ("ClientToken", "Action", "Version")
    entries = sorted((k, v) for k, v in response.data.items() if k not in left_out)
    return hashlib.sha256(json.dumps(entries, default=str).encode()).hexdigest()


def check_launch(response, backend, live):
    """Refuses what EC2 would refuse."""
    image = response._get_param("ImageId")
    if image not in backend.amis:
        raise refusal("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
    kind = response._get_param("InstanceType", "m1.small")
    try:
        backend.describe_instance_types([kind])
    except Exception:
        raise refusal("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.") from None
    key = response._get_param("KeyName")
    if key and key not in backend.key_pairs:
        raise refusal("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")
    if response._get_param("DryRun", False):
        return
    if len(live) + int(response._get_param("MaxCount", "1")) > settings["instances_max"]:
        raise refusal(
            "InstanceLimitExceeded",
            f"You have requested more instances than your current instance limit of {settings['instances_max']} allows.",
        )


plain_run = InstanceResponse.run_instances


@functools.wraps(plain_run)
def run_instances(self):
    """Launches, and keeps to the client token."""
    backend, token = self.ec2_backend, self._get_param("ClientToken")
    with changing:
        everything = all_instances(backend)
        live = [i for i in everything if is_live(i)]
        key = (id(backend), token)
        answer = None
        if token and key in launches:
            made_by, answer, ids = launches[key]
            if made_by != fingerprint(self):
                raise refusal(
                    "IdempotentParameterMismatch",
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
                )
            if not any(i.id in ids for i in live):
                raise refusal(
                    "IdempotentInstanceTerminated",
                    "The client token you have provided is associated with a terminated instance. "
                    "Please use a different client token.",
                )
        else:
            check_launch(self, backend, live)
            before = {i.id for i in everything}
            answer = plain_run(self)
            made = {i.id for i in all_instances(backend)} - before
            for instance in all_instances(backend):
                if instance.id in made and self._get_param("InstanceMarketOptions.MarketType") == "spot":
                    instance.lifecycle = "spot"
            if token:
                launches[key] = (fingerprint(self), answer, made)
    return answer


InstanceResponse.run_instances = run_instances

plain_terminate = InstanceResponse.terminate_instances


@functools.wraps(plain_terminate)
def terminate_instances(self):
    """Terminates, one call at a time."""
    with changing:
        return plain_terminate(self)


InstanceResponse.terminate_instances = terminate_instances

utils.filter_dict_attribute_mapping.setdefault("client-token", "client_token")
utils.filter_dict_attribute_mapping.setdefault("instance-lifecycle", "lifecycle")


def strict(plain):
    """Makes unknown filters mistakes of the client."""

    @functools.wraps(plain)
    def describe(self):
        try:
            return plain(self)
        except NotImplementedError as error:
            text = str(error).split(". Feel")[0]
            raise refusal("InvalidParameterValue", text) from None

    return describe


for name in ("describe_instances", "describe_instance_status"):
    setattr(InstanceResponse, name, strict(getattr(InstanceResponse, name)))

plain_delete_group = SecurityGroups.delete_security_group


@functools.wraps(plain_delete_group)
def delete_security_group(self):
    """Deletes a group that nothing uses."""
    wanted = self._get_param("GroupId")
    with changing:
        for instance in all_instances(self.ec2_backend):
            groups = [getattr(group, "id", group) for group in instance.security_groups]
            if wanted and wanted in groups and instance.state != "terminated":
                raise refusal("DependencyViolation", f"resource {wanted} has a dependent object")
        return plain_delete_group(self)


SecurityGroups.delete_security_group = delete_security_group

plain_create_group = SecurityGroups.create_security_group


@functools.wraps(plain_create_group)
def create_security_group(self):
    """Makes a group, one call at a time."""
    with changing:
        return plain_create_group(self)


SecurityGroups.create_security_group = create_security_group


def describe_account_attributes(self):
    """Tells the limit that holds here."""
    value = [{"AttributeValue": str(settings["instances_max"])}]
    return ActionResult(
        {"AccountAttributes": [{"AttributeName": "max-instances", "AttributeValues": value}]}
    )


AccountAttributes.describe_account_attributes = describe_account_attributes

plain_console = General.get_console_output


@functools.wraps(plain_console)
def get_console_output(self):
    """Shows what the instance's host has printed."""
    answer = plain_console(self)
    if hosts:
        answer.result["Output"] = hosts.console(self._get_param("InstanceId"))
    return answer


General.get_console_output = get_console_output


class Handler(WSGIRequestHandler):
    """Keeps connections, and is silent."""

    protocol_version = "HTTP/1.1"

    def log(self, *_):
        """Prints nothing."""


def answer_json(start, value):
    """Answers with a value."""
    body = json.dumps(value).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class Application:
    """Counts requests on their way to moto, and answers what is asked of itself."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ, start):
        size = min(int(environ.get("CONTENT_LENGTH") or 0), BODY_BYTES_MAX)
        body = environ["wsgi.input"].read(size) if size else b""
        path = environ.get("PATH_INFO", "")
        if path == "/zenekar/counts":
            if environ["REQUEST_METHOD"] == "POST":
                counts.clear()
            return answer_json(start, dict(counts))
        if path == "/zenekar/settings":
            for key, value in json.loads(body or b"{}").items():
                if key in settings:
                    settings[key] = type(settings[key])(value)
            return answer_json(start, settings)
        if path == "/zenekar/rules":
            rule = json.loads(body or b"{}")
            text = str(rule.pop("text", ""))
            if text and (rule.get("delay_s") or rule.get("fault") in FAULTS):
                rules[text] = rule
            else:
                rules.pop(text, None)
            return answer_json(start, rules)
        environ["wsgi.input"] = io.BytesIO(body)
        form = urllib.parse.parse_qs(body.decode("utf-8", "replace"))
        action = form.get("Action", [""])[0]
        if action:
            counts[action] += 1
        if action != "RunInstances":
            return self.moto(environ, start)
        values = {value for values in form.values() for value in values}
        rule = next((rule for text, rule in list(rules.items()) if text in values), {})
        return self.launch(environ, start, rule)

    def launch(self, environ, start, rule):
        """Launches, as slow and as well as a rule says."""
        fault = rule.get("fault")
        if fault in REFUSALS:
            return refuse(start, *REFUSALS[fault])
        if fault == "lost-request":
            hang_up(environ)
        if fault == "lost-answer":
            list(self.moto(environ, lambda *_: None))
            hang_up(environ)
        # The effect is there before the answer, as at Amazon.
        held = []
        answer = list(self.moto(environ, lambda *head: held.append(head)))
        time.sleep(rule.get("delay_s", settings["run_delay_s"]))
        start(*held[-1])
        return answer


def refuse(start, code, text, status):
    """Answers with a refusal."""
    body = (
        f"<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors>"
        "<RequestID>by-a-rule</RequestID></Response>"
    ).encode()
    headers = [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))]
    start(f"{status} Refused", headers)
    return [body]


def hang_up(environ):
    """Ends the connection without an answer."""
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionError("by a rule")


def prepare(backend, addresses):
    """Makes the network that tests launch into."""
    vpc = backend.create_vpc(addresses)
    subnet = backend.create_subnet(vpc.id, addresses, availability_zone=REGION + "a")
    backend.create_security_group("default-of-tests", "for tests", vpc_id=vpc.id)
    return vpc.id, subnet.id


def main():
    """Serves until it is ended."""
    global hosts
    account = "123456789012"
    backend = ec2_backends[account][REGION]
    image, addresses = os.environ.get("ZENEKAR_ENV_EC2_HOST_IMAGE"), NETWORK
    if image:
        from hosts import Hosts

        hosts = Hosts(backend, REGION, FOLDER, image, MARK)
        hosts.serve()
        addresses = hosts.find_network()
    vpc, subnet = prepare(backend, addresses)
    server = make_server("127.0.0.1", PORT, Application(), threaded=True, request_handler=Handler)
    variables = {
        "ZENEKAR_TEST_EC2_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "ZENEKAR_TEST_EC2_REGION": REGION,
        "ZENEKAR_TEST_EC2_VPC": vpc,
        "ZENEKAR_TEST_EC2_SUBNET": subnet,
        "ZENEKAR_TEST_EC2_IMAGE": IMAGE,
        "ZENEKAR_TEST_EC2_TYPE": "t3.micro",
    }
    if hosts:
        hosts.adopt_network(subnet)
        hosts.start()
        variables["ZENEKAR_TEST_EC2_HOSTS"] = "1"
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    part = os.path.join(FOLDER, "variables.part")
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(part, os.path.join(FOLDER, "printed"))
    print("serving on port", server.server_port, file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
