"""Writes the configuration of all services and makes their data bases. Runs once,
while the image is built; everything is stopped again when it ends."""

import glob
import os
import shutil
import subprocess

from common import PASSWORD, REGION, SOCKET, own_address, say, sql, start_database, LOGS

QUEUE = "rabbit://guest:guest@127.0.0.1:5672/"
IDENTITY = "http://127.0.0.1:5000"


def database(name):
    return {"connection": f"mysql+pymysql://cloud:{PASSWORD}@127.0.0.1/{name}"}


def account(user, **more):
    """How a service shows who it is."""
    return {
        "auth_url": IDENTITY, "auth_type": "password", "username": user, "password": PASSWORD,
        "project_name": "service", "user_domain_id": "default", "project_domain_id": "default",
        **more,
    }


def checks_tokens(user):
    # Service tokens count only from users with the role `service`; see objects.py.
    return account(user, www_authenticate_uri=IDENTITY, service_token_roles_required=True)


FILES = {
    "/etc/keystone/keystone.conf": {
        "database": database("keystone"),
        # Cheap hashes: a test cloud answers a thousand logins.
        "identity": {"password_hash_rounds": 4},
        "token": {"provider": "fernet", "expiration": 14400},
        "fernet_tokens": {"key_repository": "/var/lib/keystone/fernet-keys"},
        "credential": {"key_repository": "/var/lib/keystone/credential-keys"},
        "cache": {"enabled": True, "backend": "oslo_cache.dict"},
    },
    "/etc/glance/glance-api.conf": {
        "DEFAULT": {"bind_host": "0.0.0.0", "workers": 1, "enabled_backends": "files:file"},
        "database": database("glance"),
        "glance_store": {"default_backend": "files"},
        "files": {"filesystem_store_datadir": "/var/lib/glance/images"},
        "os_glance_staging_store": {"filesystem_store_datadir": "/var/lib/glance/staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": "/var/lib/glance/tasks"},
        "paste_deploy": {"flavor": "keystone"},
        "keystone_authtoken": checks_tokens("glance"),
    },
    "/etc/placement/placement.conf": {
        "placement_database": database("placement"),
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": checks_tokens("placement"),
    },
    "/etc/nova/nova.conf": {
        "DEFAULT": {
            "transport_url": QUEUE, "state_path": "/var/lib/nova", "my_ip": "127.0.0.1",
            "enabled_apis": "osapi_compute", "osapi_compute_workers": 1,
            # The fake hypervisor plugs nothing in, so nobody reports that it is.
            "vif_plugging_is_fatal": False, "vif_plugging_timeout": 0,
            "rpc_response_timeout": 120, "reserved_host_memory_mb": 0,
            "initial_cpu_allocation_ratio": 64, "initial_ram_allocation_ratio": 8,
        },
        "api_database": database("nova_api"),
        "database": database("nova"),
        "api": {"auth_strategy": "keystone"},
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1},
        "glance": {"api_servers": "http://127.0.0.1:9292"},
        "oslo_concurrency": {"lock_path": "/var/lib/nova/tmp"},
        "vnc": {"enabled": False},
        "keystone_authtoken": checks_tokens("nova"),
        "service_user": account("nova", region_name=REGION, send_service_user_token=True),
        "placement": account("placement", region_name=REGION),
        "neutron": account("neutron", region_name=REGION),
    },
    "/etc/nova/fake.conf": {"DEFAULT": {"compute_driver": "fake.FakeDriver"}},
    "/etc/neutron/neutron.conf": {
        "DEFAULT": {
            "transport_url": QUEUE, "core_plugin": "ml2", "service_plugins": "router",
            "api_workers": 1, "rpc_workers": 1, "rpc_state_report_workers": 0,
            "notify_nova_on_port_status_changes": True, "notify_nova_on_port_data_changes": True,
        },
        "database": database("neutron"),
        "oslo_concurrency": {"lock_path": "/var/lib/neutron/lock"},
        "experimental": {"linuxbridge": True},
        "keystone_authtoken": checks_tokens("neutron"),
        "nova": account("nova", region_name=REGION),
    },
    "/etc/neutron/plugins/ml2/ml2_conf.ini": {
        "ml2": {
            "type_drivers": "flat,vxlan", "tenant_network_types": "vxlan",
            "mechanism_drivers": "linuxbridge", "extension_drivers": "port_security",
        },
        "ml2_type_flat": {"flat_networks": "*"},
        "ml2_type_vxlan": {"vni_ranges": "1:1000"},
    },
}

FOLDERS = {
    "glance": ["images", "staging", "tasks"],
    "nova": ["instances", "tmp"],
    "neutron": ["lock"],
    "keystone": ["fernet-keys", "credential-keys"],
}


def write_files():
    for path, sections in FILES.items():
        lines = []
        for section, settings in sections.items():
            lines.append(f"[{section}]")
            # Keystone and others would write files beside their output otherwise.
            lines += [f"{key} = {str(value).lower() if isinstance(value, bool) else value}"
                      for key, value in settings.items()]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        os.chmod(path, 0o644)
        os.chmod(os.path.dirname(path), 0o755)
    for service, folders in FOLDERS.items():
        for folder in folders:
            os.makedirs(f"/var/lib/{service}/{folder}", exist_ok=True)
        subprocess.run(["chown", "-R", f"{service}:", f"/var/lib/{service}"], check=True)
    for path in glob.glob("/var/log/*/*.log"):
        os.remove(path)


def as_service(user, *command, may_fail=False):
    os.makedirs(LOGS, exist_ok=True)
    with open(f"{LOGS}/prepare-{user}.log", "ab") as log:
        code = subprocess.run(["runuser", "-u", user, "--", *command],
                              stdout=log, stderr=log, stdin=subprocess.DEVNULL).returncode
    if code and not may_fail:
        with open(f"{LOGS}/prepare-{user}.log") as log:
            print("".join(log.readlines()[-30:]))
        raise SystemExit(f"{' '.join(command)} failed with {code}")


def make_databases():
    if not os.path.isdir("/var/lib/mysql/mysql"):
        subprocess.run(["mariadb-install-db", "--user=mysql", "--datadir=/var/lib/mysql",
                        "--auth-root-authentication-method=socket"],
                       check=True, stdout=subprocess.DEVNULL)
    start_database()
    names = ["keystone", "glance", "placement", "nova_api", "nova", "nova_cell0", "neutron"]
    text = "".join(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb3;" for name in names)
    for host in ["127.0.0.1", "localhost"]:
        text += f"CREATE USER IF NOT EXISTS cloud@'{host}' IDENTIFIED BY '{PASSWORD}';"
        text += f"GRANT ALL ON *.* TO cloud@'{host}';"
    sql(text)
    keys = ["--keystone-user", "keystone", "--keystone-group", "keystone"]
    as_service("keystone", "keystone-manage", "fernet_setup", *keys)
    as_service("keystone", "keystone-manage", "credential_setup", *keys)
    as_service("keystone", "keystone-manage", "db_sync")
    address = f"http://{own_address()}:5000/v3"
    as_service("keystone", "keystone-manage", "bootstrap", "--bootstrap-password", PASSWORD,
               "--bootstrap-admin-url", address, "--bootstrap-internal-url", address,
               "--bootstrap-public-url", address, "--bootstrap-region-id", REGION)
    say("Keystone is prepared")
    as_service("glance", "glance-manage", "db_sync")
    as_service("placement", "placement-manage", "db", "sync")
    say("Glance and Placement are prepared")
    as_service("nova", "nova-manage", "api_db", "sync")
    as_service("nova", "nova-manage", "cell_v2", "map_cell0", "--database_connection",
               database("nova_cell0")["connection"])
    as_service("nova", "nova-manage", "db", "sync")
    # It fails if the cell is there already.
    as_service("nova", "nova-manage", "cell_v2", "create_cell", "--name", "cell1",
               "--database_connection", database("nova")["connection"],
               "--transport-url", QUEUE, may_fail=True)
    say("Nova is prepared")
    as_service("neutron", "neutron-db-manage", "--config-file", "/etc/neutron/neutron.conf",
               "--config-file", "/etc/neutron/plugins/ml2/ml2_conf.ini", "upgrade", "head")
    say("Neutron is prepared")
    subprocess.run(["mysqladmin", "-S", SOCKET, "shutdown"], check=True)


write_files()
make_databases()
shutil.rmtree(LOGS, ignore_errors=True)
