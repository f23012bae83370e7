"""Makes what the tests need in the cloud, through its own interfaces: users,
services, an image, flavours, networks. Runs once, while the image is built."""

import io
import os
import time

from common import ADDRESS, CLOUDS, PASSWORD, REGION, connect, own_address, say, wait

SERVICES = [
    ("glance", "image", "9292", ""),
    ("placement", "placement", "8778", ""),
    ("nova", "compute", "8774", "/v2.1"),
    ("neutron", "network", "9696", ""),
]

# name, cores, memory in MiB, disk in GiB
FLAVORS = [
    ("t1.micro", 1, 64, 1),
    ("t1.small", 1, 512, 10),
    ("t1.large", 4, 8192, 80),
    ("t1.huge", 64, 262144, 1000),
]


def make_identity():
    cloud = connect()
    identity = cloud.identity
    service = identity.find_project("service") or identity.create_project(
        name="service", domain_id="default")
    roles = [identity.find_role("admin"),
             identity.find_role("service") or identity.create_role(name="service")]
    for name, kind, port, path in SERVICES:
        user = identity.create_user(name=name, password=PASSWORD, domain_id="default")
        for role in roles:
            identity.assign_project_role_to_user(service, user, role)
        made = identity.create_service(name=name, type=kind)
        for interface in ["public", "internal", "admin"]:
            identity.create_endpoint(service_id=made.id, interface=interface, region_id=REGION,
                                     url=f"http://{own_address()}:{port}{path}")
    member = identity.find_role("member")
    for name in ["demo", "narrow"]:
        project = identity.create_project(name=name, domain_id="default")
        user = identity.create_user(name=name, password=PASSWORD, domain_id="default",
                                    default_project_id=project.id)
        identity.assign_project_role_to_user(project, user, member)
    say("users and services are there")


def make_image(cloud, name, **settings):
    image = cloud.image.create_image(
        name=name, container_format="bare", disk_format="raw", visibility="public",
        data=io.BytesIO(b"\0" * 1024), allow_duplicates=True, **settings)
    for _ in range(100):
        if cloud.image.get_image(image.id).status == "active":
            return
        time.sleep(0.2)
    raise SystemExit(f"image {name} does not get active")


def make_objects():
    cloud = connect()
    wait("Glance answers", lambda: list(cloud.image.images()) is not None)
    make_image(cloud, "tiny")
    make_image(cloud, "twin")
    make_image(cloud, "twin")
    make_image(cloud, "wide", min_disk=20, min_ram=1024)
    wait("Nova answers", lambda: list(cloud.compute.flavors()) is not None)
    for name, cores, memory, disk in FLAVORS:
        cloud.compute.create_flavor(name=name, vcpus=cores, ram=memory, disk=disk)
    demo = cloud.identity.find_project("demo")
    narrow = cloud.identity.find_project("narrow")
    cloud.set_compute_quotas(demo.id, instances=400, cores=800, ram=2000000, server_groups=20)
    cloud.set_compute_quotas(narrow.id, instances=2, cores=4, ram=4096)
    cloud.set_network_quotas(demo.id, port=800, floatingip=40, security_group=60,
                             security_group_rule=600)
    cloud.set_network_quotas(narrow.id, floatingip=0)
    make_networks(cloud, demo, narrow)


def make_networks(cloud, demo, narrow):
    network = cloud.network
    wait("Neutron answers", lambda: list(network.networks()) is not None)
    external = network.create_network(
        name="external", is_router_external=True,
        provider_network_type="flat", provider_physical_network="public")
    network.create_subnet(network_id=external.id, name="external", ip_version=4,
                          cidr="10.60.0.0/24", is_dhcp_enabled=False)
    for project in [demo, narrow]:
        inner = network.create_network(name="inner", project_id=project.id)
        subnet = network.create_subnet(network_id=inner.id, name="inner", ip_version=4,
                                       cidr="10.70.0.0/22", project_id=project.id)
        router = network.create_router(name="edge", project_id=project.id,
                                       external_gateway_info={"network_id": external.id})
        network.add_interface_to_router(router, subnet_id=subnet.id)
    say("networks are there")


def write_clouds():
    """Writes the clouds of the tests, with a stand-in for the address."""
    import openstack
    demo = openstack.connect(
        auth_url="http://127.0.0.1:5000/v3", region_name=REGION, username="demo",
        password=PASSWORD, project_name="demo", user_domain_id="default",
        project_domain_id="default")
    robot = demo.identity.create_application_credential(
        user=demo.current_user_id, name="robot", secret="robot-secret")
    lines = ["clouds:"]
    for name in ["demo", "narrow", "admin"]:
        lines += cloud_of(name, [
            f"username: {name}", f"password: {PASSWORD}", f"project_name: {name}",
            "user_domain_name: Default", "project_domain_id: default"])
    lines += cloud_of("robot", [
        f"application_credential_id: {robot.id}",
        "application_credential_secret: robot-secret"])
    os.makedirs(os.path.dirname(CLOUDS), exist_ok=True)
    with open(CLOUDS, "w") as file:
        file.write("\n".join(lines) + "\n")


def cloud_of(name, auth):
    settings = [f"auth_url: http://{ADDRESS}:5000", *auth]
    return [f"  {name}:", f"    region_name: {REGION}", "    auth:",
            *[f"      {setting}" for setting in settings]]
