#!/bin/sh
# Installs the launchers that the tests run for real: Open MPI, MPICH and Slurm. Needs root and apt-get; without them the
# tests of these launchers are skipped and say so. Debian starts no daemon for them here: the tests start their own.
set -eu
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "install.sh: not root or no apt-get; the tests of MPI and Slurm will be skipped" >&2
    exit 0
fi
missing=""
command -v mpirun.openmpi >/dev/null || missing="$missing openmpi-bin"
command -v mpiexec.hydra >/dev/null || missing="$missing mpich"
command -v slurmctld >/dev/null || missing="$missing slurm-wlm munge"
[ -z "$missing" ] && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of names
apt-get install -qq -y --no-install-recommends $missing
