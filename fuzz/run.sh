#!/usr/bin/env bash
# usage: fuzz/run.sh [SECONDS [TARGET...]]
# Builds the fuzzer, tries again what was found before, then fuzzes each target for its share of SECONDS (60 unless given). What
# it has found of a target's inputs is kept in fuzz/target/corpus. Status 1, and how to see it again, where something is found.
# SPHC_FUZZ_LEAN=1 leaves the language server out, and builds faster.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
[ "$#" -eq 0 ] || shift
host=$(rustc -vV | sed -n 's/^host: //p')
# LLVM's own instrumentation; `--target` keeps it out of build scripts and of what runs in the compiler. Comparisons are not traced: that
# takes two thirds of the time of what reads texts, and words and packed files have their own mutations here.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3"
flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
features=(); [ -z "${SPHC_FUZZ_LEAN:-}" ] || features=(--no-default-features)
RUSTFLAGS="$flags" cargo build --locked --quiet --profile fuzz --target "$host" "${features[@]}"
fuzzer=$PWD/target/$host/fuzz/sphc-fuzz

# In memory, nothing is worn out; nothing relative is there to be read.
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mapfile -t known < <(SPHC_FUZZ_LIST=1 "$fuzzer" 2>/dev/null)
targets=("$@")
[ "${#targets[@]}" -ne 0 ] || targets=("${known[@]%% *}")
share=$((seconds / ${#targets[@]})); [ "$share" -ge 1 ] || share=1
status=0
limits=(-timeout=10 -rss_limit_mb=2048)

for name in "${targets[@]}"; do
    longest=$(printf '%s\n' "${known[@]}" | sed -n "s/^$name //p")
    [ -n "$longest" ] || { echo "no target \`$name\`: ${known[*]%% *}" >&2; exit 2; }
    export SPHC_FUZZ_TARGET=$name
    corpus=$PWD/target/corpus/$name finds=$PWD/target/finds/$name found=$PWD/../tests/fuzzed/found/$name
    mkdir -p "$corpus" "$finds"
    SPHC_FUZZ_SEEDS="$work/$name" "$fuzzer" 2>/dev/null
    words=(); [ ! -s "$work/$name.dict" ] || words=("-dict=$work/$name.dict")
    log=$PWD/target/finds/$name.log
    if compgen -G "$found/*" > /dev/null; then
        (cd "$work" && "$fuzzer" "${limits[@]}" "$found"/*) > "$log" 2>&1 ||
            { echo "$name: what was found before is back:"; tail -25 "$log"; status=1; continue; }
    fi
    if (cd "$work" && "$fuzzer" "${limits[@]}" "${words[@]}" -max_len="$longest" -max_total_time="$share" \
        -print_final_stats=1 -artifact_prefix="$finds/" "$corpus" "$work/$name") > "$log" 2>&1
    then
        count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        places=$(grep -o ' cov: [0-9]*' "$log" | tail -1)
        echo "$name: $count inputs in $share s,$places"
    else
        status=1
        grep -a -m3 -A2 "panicked at\|ERROR: " "$log" || tail -20 "$log"
        input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
        echo "$name: a find. See it again with"
        echo "    SPHC_FUZZ_TARGET=$name $fuzzer $input"
        echo "make it small with -minimize_crash=1 -runs=100000 before the file, and keep it in tests/fuzzed/found/$name"
    fi
done
exit "$status"
