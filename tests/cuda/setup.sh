#!/bin/sh
# Installs NVIDIA's run-time compiler, assembler and disassembler from PyPI (no GPU, no driver, no CUDA toolkit needed) and prints
# the folder of their libraries, which is what SPHC_CUDA_LIB wants. Does nothing the second time.
set -eu
home="${SPHC_CUDA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/sphc/cuda-tools}"
version=13.0.88
# The oldest one that there is; it reads what older assemblers write.
disassembler=13.2.51
if [ ! -e "$home/installed-$version-$disassembler" ]; then
    python3 -m venv "$home" >&2
    "$home/bin/pip" install --quiet --disable-pip-version-check \
        "nvidia-cuda-nvrtc==$version" "nvidia-cuda-nvcc==$version" \
        "nvidia-cuda-nvdisasm==$disassembler" >&2
    touch "$home/installed-$version-$disassembler"
fi
nvrtc=$(find "$home" -name 'libnvrtc.so.13' -print -quit)
[ -n "$nvrtc" ] || { echo "no libnvrtc.so.13 under $home" >&2; exit 1; }
dirname "$nvrtc"
