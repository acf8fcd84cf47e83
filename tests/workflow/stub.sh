#!/usr/bin/env bash
# Stands in for the command `holofusion` in tests of the workflow: writes what each verb declares, in no time.
set -euo pipefail
verb=$1
echo "$*" >>calls.txt
shift
while (($#)); do
    case $1 in
        --out) out=$2 ;;
        --results) results=$2 ;;
        --log) echo "$verb" >"$2" ;;
    esac
    shift
done
[[ $verb == "${STUB_FAIL:-}" && ! -e mended ]] && { mkdir -p "$out/state" && touch "$out/state/kept"; exit 1; }
case $verb in
    dataset) mkdir -p "$out/hydrant" ;;
    warmup | train) mkdir -p "$out" && date +%N >"$out/model.safetensors" && echo '{}' >"$out/model.json" ;;
    evaluate | floor | curve) date +%N >"$out" ;;
    report) mkdir -p "$results/tables" "$results/figures" && date +%N >"$results/tables/metrics.csv" && date +%N >"$out" ;;
    *) mkdir -p "$out" ;;
esac
