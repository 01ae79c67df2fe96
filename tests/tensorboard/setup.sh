#!/bin/sh
# Installs TensorBoard and safetensors from PyPI and prints the Python that has it. Does nothing the second time.
set -eu
home="${SPHC_TENSORBOARD:-${XDG_CACHE_HOME:-$HOME/.cache}/sphc/tensorboard}"
version=2.20.0
if [ ! -e "$home/installed-$version-safetensors" ]; then
    python3 -m venv "$home" >&2
    # pkg_resources, which it imports, left setuptools in version 81.
    "$home/bin/pip" install --quiet --retries 1 --timeout 10 --disable-pip-version-check "tensorboard==$version" "setuptools<81" "safetensors==0.5.3" >&2
    touch "$home/installed-$version-safetensors"
fi
echo "$home/bin/python"
