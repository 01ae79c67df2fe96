#!/usr/bin/env bash
# usage: tests/sanitize.sh [FILTER...]
# Runs tests under LLVM's address sanitizer: those of the CPU's kernels, of networks and shards, and of what a fuzzer feeds, unless
# others are named. Each buffer of a plan is then an allocation by itself (`--cfg sanitized`), so that one byte beside it ends the program.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
# A stable compiler has the sanitizer, and wants to be asked like this. `--target` keeps it out of build scripts.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address --cfg sanitized"
# Memory that is refused is an error of the program, which is tested.
export ASAN_OPTIONS=allocator_may_return_null=1
run() { cargo test --no-default-features --target "$host" --target-dir target/sanitized "$@"; }

# It sees what it should.
planted=runtime::cpu::memory::tests::a_write_beside_a_block_is_the_end
if run --lib -- --ignored --exact "$planted" > target/planted.log 2>&1 || ! grep -q "AddressSanitizer: heap-buffer-overflow" target/planted.log; then
    echo "the sanitizer did not see a write beside a block:" >&2
    tail -20 target/planted.log >&2
    exit 1
fi

run --lib -- runtime::
[ "$#" -ne 0 ] || set -- backends::cpu backends::random backends::engines networks:: runs::shards fuzzed::
run --test all -- "$@"
