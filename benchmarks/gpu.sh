#!/bin/sh
# A step of every training at the paper's sizes on a GPU, in six minutes at most. Writes FILE, docs/gpu.json by default, and from
# it docs/gpu.md:
#   sh benchmarks/gpu.sh [FILE]      FILE is seen from the folder that it is called in
# PYTHON: with torch for CUDA and what `pip install .` brings; GET3D's step is left out where PyTorch3D is missing.
set -eu
case "${1:-}" in
    "") file=docs/gpu.json ;;
    /*) file="$1" ;;
    *) file="$PWD/$1" ;;
esac
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-.venv/bin/python}"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
status=0
timeout 360 "$PYTHON" -m benchmarks.gpu --out "$file" || status=$?
[ "$status" -eq 0 ] || [ "$status" -eq 124 ] || exit "$status" # 124: time was up; what was measured by then is in the file
"$PYTHON" -m benchmarks.gpu --fill "$file"
