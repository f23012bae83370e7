# shellcheck shell=bash
# What building, starting and removing the test cloud share.

image=zenekar-test/openstack
container=zenekar-test-openstack
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${ZENEKAR_ENV_FOLDER:?names the folder for what the environments keep}/openstack

# How the environments say that a machine cannot have them.
cannot=77

say() { printf 'openstack: %s\n' "$*" >&2; }

# An image is made by the recipe of this very tree, or it is made again.
recipe=$(cat "$here/build" "$here"/inside/*.py | sha256sum | cut -c1-16)

# What the daemons need. `--privileged` asks for every capability and fails on
# machines that lack one, so those are named that can be had.
container_options=(
    --init --cap-add ALL
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined
    --security-opt systempaths=unconfined
)
sys_resource_bit=24
bounding_set=$(awk '/^CapBnd/ { print $2 }' /proc/self/status)
if ! ((0x$bounding_set >> sys_resource_bit & 1)); then
    container_options+=(--cap-drop SYS_RESOURCE)
fi
