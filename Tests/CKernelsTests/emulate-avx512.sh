#!/usr/bin/env bash
# Checks the AVX-512 kernels against the scalar twin on a machine without AVX-512: the same sources, compiled without their target
# attributes against intrinsics that SIMDe (Debian: libsimde-dev) emulates. Also runs the native kernels that the machine has.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sources=$here/../../Sources/CKernels
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
compiler=${CC:-clang}
flags="-O2 -std=gnu17 -I$sources -I$sources/include"

for name in scalar dispatch avx2 int8 int8_scalar int8_avx2 int8_avx512 int8_avx512vnni planes3_scalar planes3_avx2 chunk_scalar chunk_avx2 \
    cascade cascade_plan cascade_scalar cascade_avx2 cascade_write_avx2 enec enec_search enec_scalar enec_avx2 \
    kv kv_planes_scalar kv_planes_avx2 kv_transforms_scalar kv_transforms_avx2 kv_quantisers_scalar kv_quantisers_avx2 kv_codes_scalar kv_codes_avx2 \
    rans rans_scalar rans_avx2; do
    $compiler $flags -c "$sources/$name.c" -o "$out/$name.o"
done
$compiler $flags -DEMULATED_VBMI -c "$sources/planes3.c" -o "$out/planes3.o"
for name in avx512 avx512bf16 planes3_avx512 planes3_avx512bf16; do
    sed '/#pragma clang attribute/d' "$sources/$name.c" > "$out/$name.c"
    # -w: the emulation's casts are not ours to silence one by one.
    $compiler $flags -w -mavx2 -mfma -mf16c -mpopcnt -I"$here/emulation" -I"$sources" -I"$sources/include" -c "$out/$name.c" -o "$out/$name.o"
done
for name in cascade_avx512 kv_planes_avx512 kv_transforms_avx512 kv_quantisers_avx512 rans_avx512; do
    sed '/#pragma clang attribute/d' "$sources/$name.c" > "$out/$name.c"
    $compiler $flags -w -mavx2 -mfma -mbmi2 -mpopcnt -I"$here/emulation" -c "$out/$name.c" -o "$out/$name.o"
done
# As if the machine had them.
sed 's/__builtin_cpu_supports("avx512vbmi2\{0,1\}")/1/g' "$sources/chunk.c" > "$out/chunk.c"
$compiler $flags -c "$out/chunk.c" -o "$out/chunk.o"
$compiler $flags "$here/twins.c" "$out"/*.o -lm -o "$out/twins"
$compiler $flags "$here/int8_twins.c" "$out"/*.o -lm -o "$out/int8_twins"
$compiler $flags "$here/planes3_twins.c" "$out"/*.o -lm -o "$out/planes3_twins"
$compiler $flags "$here/codec_twins.c" "$out"/*.o -lm -o "$out/codec_twins"
$compiler $flags "$here/kv_twins.c" "$out"/*.o -lm -o "$out/kv_twins"
$compiler $flags "$here/rans_twins.c" "$out"/*.o -lm -o "$out/rans_twins"
for set in 1 2 4; do "$out/twins" $set; done
for set in 1 2 3 4; do "$out/int8_twins" $set; done
for set in 0 1 2 4; do "$out/planes3_twins" $set; done
for set in 0 1 2; do "$out/codec_twins" $set; done
for set in 0 1 2; do "$out/kv_twins" $set; done
for set in 0 1 2; do "$out/rans_twins" $set; done
