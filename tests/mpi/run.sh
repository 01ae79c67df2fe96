#!/usr/bin/env bash
# Trains with several processes on the system's MPI: the bits of any number of ranks, uneven batches, resuming with another number,
# a rank that is killed, one that is stopped, and a run directory that is in use. Usage: tests/mpi/run.sh SPHC, a program that was
# built with `--features mpi`. More processes than cores may be started, and root may start them, as in a container.
set -euo pipefail
cd "$(dirname "$0")/../.."

sphc=$(realpath "$1")
models=$PWD/models
work=$(mktemp -d)
trap 'pkill -KILL -f "$work" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
# Its name is that of this run's alone, by which what is left of it can be found.
cp "$sphc" sphc
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none

fail() { echo "tests/mpi: $1" >&2; shift; for it in "$@"; do tail -n 20 "$it" >&2; done; exit 1; }

# ranks directory arguments...: a training on so many ranks.
ranks() {
    local n=$1 run=$2
    shift 2
    timeout 300 mpirun -n "$n" "$work/sphc" train "$@" --threads 1 --log-every 1 --run "$run" > "$run.out" 2>&1
}

# What a run left, without times: checkpoints and the log.
left() {
    sha256sum "$1"/checkpoints/* | cut -d' ' -f1
    sed -E 's/"seconds":[^,}]*,?//' "$1/metrics.jsonl"
}

same() { # what directory directory...
    local what=$1 first=$2
    shift 2
    for it in "$@"; do
        cmp -s <(left "$first") <(left "$it") || fail "$what: $it differs from $first" "$it.out"
    done
    echo "same bits: $what"
}

cat > spherenet.sph <<'MODEL'
model Small {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    for width in [8, 12, 16] {
        x = sphere_conv(x, width, operator: cosine) |> batch_norm |> relu
        x = sphere_conv(x, width, operator: sigmoid) |> batch_norm |> relu
    }
    x = max_pool(x, 2)
    output conv(x, classes, kernel: 4, pad: valid) as "score"
}

train {
    data       digits
    batch      32
    iterations 6
    loss       softmax_cross_entropy
    penalty    orthogonality(1e-3) on filters
    optimizer  adam(rate: 1e-3)
}
MODEL

for n in 1 2 4; do
    ranks "$n" "digits-$n" "$models/digits.sph" --shards 8 --iterations 12 --checkpoint-every 6 --evaluate-every 6 || fail "digits on $n ranks" "digits-$n.out"
    ranks "$n" "small-$n" spherenet.sph --shards 8 || fail "a small SphereNet on $n ranks" "small-$n.out"
    ranks "$n" "uneven-$n" "$models/digits.sph" --shards 4 --batch 21 --iterations 6 || fail "an uneven batch on $n ranks" "uneven-$n.out"
done
same "digits on 1, 2 and 4 ranks" digits-1 digits-2 digits-4
same "a small SphereNet on 1, 2 and 4 ranks" small-1 small-2 small-4
same "an uneven batch on 1, 2 and 4 ranks" uneven-1 uneven-2 uneven-4

# Without `shards`, several ranks take 8.
ranks 2 default "$models/digits.sph" --iterations 12 --checkpoint-every 6 --evaluate-every 6 || fail "without a number of shards" default.out
same "8 shards where nothing is said" digits-1 default

# pid_of rank: of the training in the directory.
pid_of() {
    local it
    for it in $(pgrep -f "$work/sphc train"); do
        if tr '\0' '\n' < "/proc/$it/environ" 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=$1"; then echo "$it"; fi
    done
}

# until_there file: something of a training that runs in the background.
until_there() {
    for _ in $(seq 600); do
        compgen -G "$1" > /dev/null && return
        sleep 0.1
    done
    fail "nothing came of $1"
}

for how in KILL STOP; do
    run="run-$how"
    timeout 300 mpirun -n 2 "$work/sphc" train "$models/digits.sph" --shards 8 --threads 1 --iterations 100000 \
        --checkpoint-every 5 --log-every 1 --run "$run" > "$run.out" 2>&1 &
    launcher=$!
    until_there "$run/checkpoints/step-*5.safetensors"
    if [ "$how" = KILL ]; then
        if timeout 60 mpirun -n 2 "$work/sphc" train "$models/digits.sph" --shards 8 --threads 1 --iterations 100000 --run "$run" > second.out 2>&1; then
            fail "a second launch on a run directory was begun"
        fi
        grep -q "error: .*$run" second.out || fail "a second launch on a run directory is not told" second.out
        echo "refused: a second launch on the same run directory"
    fi
    begun=$SECONDS
    kill "-$how" "$(pid_of 1)"
    if wait "$launcher"; then fail "a training outlived a rank's SIG$how" "$run.out"; fi
    took=$((SECONDS - begun))
    [ "$took" -le 30 ] || fail "a training took $took s to end after a rank's SIG$how"
    [ -z "$(pid_of 0)$(pid_of 1)" ] || fail "ranks are left after SIG$how"
    echo "ended after $took s: a rank got SIG$how"
done
grep -q "rank 1 has given no sign of life" run-STOP.out || fail "a stopped rank is not told" run-STOP.out

# The last checkpoint is whole, and another number of ranks goes on from it to the same bits.
last=$(basename "$(ls run-KILL/checkpoints | sort | tail -1)" .safetensors)
to=$((10#${last#step-} + 5))
ranks 4 run-KILL "$models/digits.sph" --shards 8 --checkpoint-every 5 --iterations "$to" --resume || fail "resuming on 4 ranks" run-KILL.out
ranks 1 undisturbed "$models/digits.sph" --shards 8 --checkpoint-every 5 --iterations "$to" || fail "an undisturbed run" undisturbed.out
cmp -s run-KILL/checkpoints/step-*"$to".safetensors undisturbed/checkpoints/step-*"$to".safetensors || fail "a resumed run differs from an undisturbed one"
echo "same bits: a run whose rank was killed, resumed on 4 ranks, and an undisturbed one on 1"

# What keeps one rank from beginning is told once, and ends all.
if timeout 60 mpirun -n 1 "$work/sphc" train "$models/digits.sph" --run never : -n 1 "$work/sphc" train spherenet.sph --run never > differ.out 2>&1; then
    fail "ranks with different files began"
fi
grep -q "rank 1 has another model or other settings than rank 0" differ.out || fail "different files are not told" differ.out
for missing in "$models/digits.sph" missing.sph; do
    if timeout 60 mpirun -n 1 "$work/sphc" train "$missing" --run never : -n 1 "$work/sphc" train missing.sph --run never > missing.out 2>&1; then
        fail "ranks began without their file"
    fi
    [ "$(grep -c "missing.sph" missing.out)" = 1 ] || fail "a missing file is not told once" missing.out
done
if timeout 60 mpirun -n 3 "$work/sphc" train "$models/digits.sph" --run never > three.out 2>&1; then fail "3 ranks began"; fi
[ "$(grep -c "3 ranks cannot take as many of 8 shards each" three.out)" = 1 ] || fail "3 ranks are not told once" three.out
echo "told once: different files, missing ones, and 3 ranks for 8 shards"
