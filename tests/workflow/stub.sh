#!/usr/bin/env bash
# Stands in for the program in tests of the workflow: writes what each verb declares, in no time, and records
# nothing of it, so that only Snakemake judges what is up to date.
set -euo pipefail
verb=$1
echo "$*" >>calls.txt
shift
while (($#)); do
    case $1 in
        --out) out=$2 ;;
        --config) category=$(basename "$2" .yaml) ;;
        --results) results=$2 ;;
        --log) echo "$verb" >"$2" ;;
    esac
    shift
done
[[ $verb == "${STUB_FAIL:-}" && ! -e mended ]] && { mkdir -p "$out/state" && touch "$out/state/kept"; exit 1; }
case $verb in
    dataset) mkdir -p "$out/$category" ;;
    warmup | encode | train) mkdir -p "$out" && date +%N >"$out/model.safetensors" && echo '{}' >"$out/model.json" && echo null >"$out/provenance.json" ;;
    evaluate | reference | consistency | geometry | geometry_floor | curve | memorisation | ladder) echo "{\"made\": \"$(date +%N)\"}" >"$out" ;;
    download) echo '{}' >"$out" ;;
    report)
        mkdir -p "$results/tables" "$results/figures"
        for name in metrics.csv claims.csv curves.csv metrics.md metrics.tex metrics.json; do date +%N >"$results/tables/$name"; done
        date +%N >"$results/report.html"
        echo null >"$results/tables/provenance.json"
        ;;
    *) mkdir -p "$out" ;;
esac
