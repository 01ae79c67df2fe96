#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: everything that only a GPU can tell, the most important first.
#
# It needs no Rust there. Carry `tests/`, `models/` and two binaries, built on a machine with an older or equal libc:
#
#     cargo build --release                      # target/release/sphc
#     cargo test --release --no-run              # prints the path of the test binary: target/release/deps/all-...
#
# and run, from the folder that holds `tests/` and `models/`:
#
#     tests/gpu.sh --sphc ./sphc --cases ./all-... [--out DIR] [--minutes 9] [--quick]
#
# NVRTC is looked for where toolkits and wheels put it, unless SPHC_CUDA_LIB says where; PyTorch and NVIDIA's profiler are
# used where they are. Every part is limited in time and survives the failure of the others. DIR holds two files: summary.txt, a table of
# all parts, and results.tar.gz, which is packed anew after every part. Exit status 1 when one failed.
set -uo pipefail
cd "$(dirname "$0")/.."

sphc=target/release/sphc
cases=$(ls -t target/release/deps/all-* 2>/dev/null | grep -v '\.d$' | head -1)
out=gpu-results minutes=9 quick=
while [ $# -gt 0 ]; do
    case "$1" in
        --sphc) sphc=$2; shift ;;
        --cases) cases=$2; shift ;;
        --out) out=$2; shift ;;
        --minutes) minutes=$2; shift ;;
        --quick) quick=yes ;;
        *) sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
[ -x "$sphc" ] || { echo "no program at $sphc: give its path with --sphc" >&2; exit 2; }
mkdir -p "$out"
back=$(cd "$out" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
steps=50
[ "$quick" ] && steps=2
summary=$out/summary.txt
: > "$summary"
failed=0

# The folder of NVRTC: without it nothing runs.
nvrtc() {
    local name found
    for name in libnvrtc.so.13 libnvrtc.so.12; do
        found=$(ldconfig -p 2>/dev/null | sed -n "s/.*$name .*=> //p" | head -n 1)
        [ "$found" ] || found=$(timeout 30 find / -xdev -name "$name" -print -quit 2>/dev/null)
        [ "$found" ] && dirname "$(readlink -f "$found")" && return
    done
}
if [ -z "${SPHC_CUDA_LIB:-}" ]; then
    SPHC_CUDA_LIB=$(nvrtc)
    [ "$SPHC_CUDA_LIB" ] || { echo "no libnvrtc.so.13 or .12 on this machine: \`pip install nvidia-cuda-nvrtc\`" >&2; exit 2; }
    export SPHC_CUDA_LIB
    echo "NVRTC in $SPHC_CUDA_LIB"
fi

# Whatever happens to this run, what the parts before have found is kept.
pack() {
    cp "$summary" "$back/summary.txt"
    (cd "$out" && tar -czf "$back/.results" --exclude='run-*' ./*) && mv "$back/.results" "$back/results.tar.gz"
}

# part NAME LIMIT COMMAND...: runs a part for at most LIMIT seconds, or what is left of all.
part() {
    local name=$1 limit=$2 left=$((minutes * 60 - SECONDS)) start=$SECONDS verdict
    shift 2
    echo "== $name"
    if [ "$left" -lt 5 ]; then
        verdict="skipped: no time was left"
    else
        [ "$left" -lt "$limit" ] && limit=$left
        export limit
        # A training asked to stop waits for its step; behind a kernel that never ends only the kill helps.
        timeout -k 5 "$limit" "$@" 2>&1 | tee "$out/$name.txt"
        case "${PIPESTATUS[0]}" in
            0) verdict=passed ;;
            77) verdict="skipped: $(tail -n 1 "$out/$name.txt")" ;;
            124 | 137) verdict="stopped after $limit s" ;;
            *) verdict=FAILED failed=1 ;;
        esac
    fi
    printf '%-28s %5d s  %s\n' "$name" "$((SECONDS - start))" "$verdict" | tee -a "$summary"
    pack
}

# What the parts run, each in a shell of its own.
cases_on_the_device() {
    [ -x "$cases" ] || { echo "no test binary: give its path with --cases"; return 77; }
    local filter=emulate::
    [ "$quick" ] && filter='emulate::random_numbers emulate::matrix_products'
    SPHC_TEST_DEVICE=cuda "$cases" $filter
}

verify() {
    local bad=0
    for precision in bf16 tf32 f32; do
        echo "-- $precision"
        "$sphc" verify "$@" --device cuda --precision "$precision" || bad=1
        [ "$quick" ] && break
    done
    return $bad
}

# The first loss depends on the forward pass alone, the fourth on three updates.
losses() {
    local bad=0 at run bound device precision operator
    for operator in cosine none linear sigmoid lr_sigmoid; do
        for precision in cpu f32 tf32 bf16; do
            device=cuda
            [ $precision = cpu ] && device=cpu
            run=$out/run-$precision
            rm -rf "$run"
            "$sphc" train models/digits.sph --run "$run" --iterations 4 --log-every 1 --evaluate-every 1000 \
                --set "norm=$operator" ${quick:+--set widths=[4,6] --batch 4} --device "$device" \
                $([ $precision = cpu ] || echo --precision $precision) >"$out/losses.log" 2>&1 ||
                { cat "$out/losses.log"; bad=1; continue; }
            [ $precision = cpu ] && continue
            case $precision in f32) bound=1e-5 ;; tf32) bound=2e-3 ;; *) bound=2e-2 ;; esac
            paste <(loss_of "$out/run-cpu") <(loss_of "$run") | awk -v bound=$bound -v what="$operator $precision" '
                { error = $2 / $1 - 1; if (error < 0) error = -error; if (NR == 1) first = error; if (worst < error) worst = error }
                END {
                    good = NR == 4 && first <= bound && worst <= 10 * bound
                    printf "%-16s first loss off by %.1e (at most %.0e), worst of 4 by %.1e%s\n", what, first, bound, worst, good ? "" : "  FAILED"
                    exit !good
                }' || bad=1
        done
        [ "$quick" ] && break
    done
    return $bad
}

loss_of() { sed -n 's/.*"loss":\([-0-9.e+]*\).*/\1/p' "$1/metrics.jsonl"; }

accuracy() {
    "$sphc" train models/digits.sph --device cuda --run "$out/digits" --iterations 1000 | tee "$out/digits.txt" &&
        awk '/test accuracy/ { found = 1; exit !(97 <= $3) } END { if (!found) exit 1 }' "$out/digits.txt"
}

# One model in one precision: the table for people, and one line for the comparison.
bench() {
    local model=$1 precision=$2
    shift 2
    "$sphc" bench "$model" --device cuda --precision "$precision" --steps $steps "$@" --kernels &&
        "$sphc" bench "$model" --device cuda --precision "$precision" --steps $steps "$@" --format json \
            > "$out/bench-$(basename "$model" .sph)-$precision.json"
}

torch() {
    python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null || { echo "there is no PyTorch with CUDA"; return 77; }
    set -o pipefail
    python3 tests/peer_torch.py "$1" --operator "$2" --seconds $((limit - 30)) | tee "$out/torch-$1.json"
}

# NVIDIA's own checks of memory, barriers and races, where they are installed.
sanitize() {
    local bad=0 tool
    command -v compute-sanitizer >/dev/null || { echo "there is no compute-sanitizer"; return 77; }
    for tool in memcheck synccheck racecheck; do
        echo "-- $tool"
        compute-sanitizer --tool $tool --error-exitcode 1 "$sphc" verify models/digits.sph --batch 4 --kernels-only \
            --device cuda --precision bf16 || bad=1
    done
    return $bad
}

# What the first kernels do to memory, before anything else is believed.
memcheck() {
    command -v compute-sanitizer >/dev/null || { echo "there is no compute-sanitizer"; return 77; }
    compute-sanitizer --tool memcheck --error-exitcode 1 "$sphc" verify models/digits.sph --batch 4 --kernels-only \
        --device cuda --precision bf16
}

clocks() {
    command -v nvidia-smi >/dev/null || { echo "there is no nvidia-smi"; return 77; }
    nvidia-smi -q -d CLOCK,POWER,PERFORMANCE,TEMPERATURE
}

# Every kernel of a step by NVIDIA's profiler: durations, what limits it, conflicts.
profile() {
    command -v ncu >/dev/null || { echo "there is no ncu"; return 77; }
    ncu --graph-profiling node --csv --metrics \
gpu__time_duration.sum,sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active,\
sm__inst_issued.avg.pct_of_peak_sustained_active,dram__bytes.sum,lts__t_bytes.sum,\
l1tex__data_bank_conflicts_pipe_lsu.sum,sm__warps_active.avg.pct_of_peak_sustained_active \
        --launch-count 300 "$sphc" bench "$1" --device cuda --precision bf16 --steps 1
}

export sphc cases out quick steps
export -f cases_on_the_device verify losses loss_of accuracy bench torch sanitize memcheck clocks profile
run() { local name=$1 limit=$2; shift 2; part "$name" "$limit" bash -c "$*"; }

run clocks 10 clocks
run doctor 30 '"$sphc" doctor'
if [ "$quick" ]; then
    run verify-digits 200 "verify models/digits.sph --batch 4 --set 'widths=[4,6]'"
    run losses 120 losses
    run cases 200 cases_on_the_device
    run bench-digits 120 "bench models/digits.sph f32 --batch 4 --set 'widths=[4,6]'"
    run torch-spherenet9 30 torch spherenet9 cosine
else
    run memcheck 60 memcheck
    run losses 150 losses
    run bench-spherenet9-bf16 60 bench models/spherenet9.sph bf16
    run bench-sphereresnet32-bf16 90 bench models/sphereresnet32.sph bf16
    run profile-spherenet9 90 profile models/spherenet9.sph
    run torch-spherenet9 120 torch spherenet9 cosine
    run cases 240 cases_on_the_device
    run verify-digits 60 verify models/digits.sph
    run verify-spherenet9 120 verify models/spherenet9.sph
    run verify-operators 60 verify models/operators_demo.sph
    run accuracy 30 accuracy
    run sanitize 90 sanitize
    run torch-sphereresnet32 120 torch sphereresnet32 linear
    run verify-sphereresnet32 240 "verify models/sphereresnet32.sph --kernels-only"
    for precision in tf32 f32; do
        for model in spherenet9 sphereresnet32; do
            run "bench-$model-$precision" 60 bench "models/$model.sph" "$precision"
        done
    done
fi

echo
echo "== all parts"
cat "$summary"
echo
echo "== milliseconds per step"
field() { sed -n "s/.*\"$1\": *\([-0-9.e+]*\).*/\1/p"; }
row() { printf '%-16s %-28s %10s\n' "$1" "$2" "$(awk -v s="$3" 'BEGIN { printf "%.3f", 1000 * s }')"; }
for network in digits spherenet9 sphereresnet32; do
    for precision in bf16 tf32 f32; do
        file=$out/bench-$network-$precision.json
        [ -s "$file" ] && row "$network" "sphc $precision" "$(field median_seconds < "$file")"
    done
    [ -s "$out/torch-$network.json" ] && while read -r line; do
        mode=$(sed -n 's/.*"mode": "\([^"]*\)".*/\1/p' <<< "$line") time=$(field median_seconds <<< "$line")
        [ "$time" ] && row "$network" "PyTorch $mode" "$time"
    done < "$out/torch-$network.json"
done
pack
exit $failed
