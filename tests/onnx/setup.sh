#!/bin/sh
# Installs ONNX and its runtime from PyPI and prints the Python that has them. Does nothing the second time.
set -eu
home="${SPHC_ONNX:-${XDG_CACHE_HOME:-$HOME/.cache}/sphc/onnx}"
version=1.23.2
runtime=1.32.0
if [ ! -e "$home/installed-$version-$runtime" ]; then
    python3 -m venv "$home" >&2
    "$home/bin/pip" install --quiet --retries 1 --timeout 10 --disable-pip-version-check "onnx==$version" "onnxruntime==$runtime" >&2
    touch "$home/installed-$version-$runtime"
fi
echo "$home/bin/python"
