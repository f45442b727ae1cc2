#!/bin/sh
# make install puts a working library, tools, manual pages and completions where a distribution wants them.
set -u
build=${EGO_BUILD:-build}
case $build in *asan* | *tsan*) echo "the installed library is tested without sanitizers"; exit 77 ;; esac
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
bad=0
fail() { echo "failed: $*"; bad=1; }

make -s install BUILD="$build" DESTDIR="$dir" PREFIX=/usr >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
for tool in embed match mcq model synth train; do
    "$dir/usr/bin/ego-$tool" --version >/dev/null || fail "ego-$tool does not start"
    [ -s "$dir/usr/share/man/man1/ego-$tool.1" ] || fail "no manual page for ego-$tool"
    bash -n "$dir/usr/share/bash-completion/completions/ego-$tool" || fail "completion of ego-$tool"
    [ -s "$dir/usr/share/zsh/site-functions/_ego-$tool" ] || fail "no zsh completion of ego-$tool"
done
[ "$(readlink "$dir/usr/lib/libego.so.0")" = libego.so.0.1.0 ] || fail "libego.so.0 is not the link it should be"
readelf -d "$dir/usr/lib/libego.so.0" | grep -q 'SONAME.*libego\.so\.0' || fail "no soname"
shown=$(nm -D --defined-only "$dir/usr/lib/libego.so.0" | awk '$2 == "T" { print $3 }')
for symbol in $shown; do
    grep -qw "$symbol" libcore/ego.h libcore/base/err.h libcore/base/provenance.h || fail "$symbol is visible but not public"
done

# A program of somebody else's, built as the example says.
cp examples/similar.c "$dir"
export PKG_CONFIG_PATH="$dir/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$dir"
# shellcheck disable=SC2046
${CC:-gcc} -Wall "$dir/similar.c" $(pkg-config --cflags --libs ego) -o "$dir/similar" || fail "the example does not build"
"$dir/usr/bin/ego-model" init -q -o "$dir/m.safetensors" --set dim=32 --set heads=2 --set depth=2 --set vocab=300 \
    --set image_size=32 --set fuse_layers=1 --set 'projection=[16]' --set max_positions=64 >/dev/null || fail "ego-model init"
"$dir/usr/bin/ego-synth" -q "$dir/world" --videos 1 --minutes 0.5 --seed 1 >/dev/null || fail "ego-synth"
video=$(find "$dir/world/videos" -name '*.mp4' | head -n 1)
LD_LIBRARY_PATH="$dir/usr/lib" "$dir/similar" "$dir/m.safetensors" "$video" 1 3 "#C C picks up the cup" >"$dir/out" || fail "similar: $(cat "$dir/out")"
grep -q '^cosine -\{0,1\}[01]\.[0-9]*, probability' "$dir/out" || fail "similar printed: $(cat "$dir/out")"
if LD_LIBRARY_PATH="$dir/usr/lib" "$dir/similar" /nowhere x 0 1 y 2>"$dir/err"; then fail "a missing model is no error"; fi
grep -q '/nowhere' "$dir/err" || fail "the error does not name the file: $(cat "$dir/err")"

make -s uninstall BUILD="$build" DESTDIR="$dir" PREFIX=/usr || fail "uninstall"
left=$(find "$dir/usr" -type f | head -n 3)
[ -z "$left" ] || fail "uninstall left $left"
[ $bad = 0 ] && echo "installed, linked against, removed"
exit $bad
