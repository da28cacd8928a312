#!/usr/bin/env bash
# Makes the files of a release from built programs. The same programs give the same files.
#
#   release/assemble.sh VERSION OWNER/REPOSITORY BUILT OUT
#
# BUILT has: TARGET/crossfade or TARGET/crossfade.exe for each target below, bootstrap-x86_64, bootstrap-arm64,
# crossfade-function-x86_64.zip, crossfade-function-arm64.zip (by `crossfade package`), and *.cdx.json (by cargo-cyclonedx).
set -euo pipefail
[ $# -eq 4 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
version=$1 repository=$2 built=$3 out=$4
root=$(cd "$(dirname "$0")/.." && pwd)

targets=(
    x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
    x86_64-apple-darwin aarch64-apple-darwin
    x86_64-pc-windows-msvc
)
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for target in "${targets[@]}"; do
    name=crossfade-$target
    mkdir "$work/$name"
    program=crossfade
    case $target in *-windows-*) program=crossfade.exe ;; esac
    install -m 755 "$built/$target/$program" "$built/bootstrap-x86_64" "$built/bootstrap-arm64" "$work/$name/"
    install -m 644 "$root/README.md" "$root/CHANGELOG.md" "$root/LICENSE-APACHE" "$root/LICENSE-MIT" "$work/$name/"
    find "$work/$name" -exec touch -d '1980-01-01T00:00:00Z' {} +
    case $target in
        *-windows-*)
            (cd "$work" && find "$name" -type f | LC_ALL=C sort | TZ=UTC zip -q -X -9 "$name.zip" -@)
            mv "$work/$name.zip" "$out/"
            ;;
        *) tar -C "$work" --sort=name --mtime='1980-01-01T00:00:00Z' --owner=0 --group=0 --numeric-owner --format=ustar -cf - "$name" |
            gzip -9n > "$out/$name.tar.gz" ;;
    esac
done
cp "$built"/crossfade-function-{x86_64,arm64}.zip "$built"/*.cdx.json "$out/"

fill() { sed -e "s|@VERSION@|$version|g" -e "s|@REPOSITORY@|$repository|g" "$1"; }
fill "$root/release/install.sh" > "$out/install.sh"
fill "$root/release/crossfade.rb" > "$out/crossfade.rb"
for archive in "$out"/*.tar.gz; do
    name=${archive##*/}
    sum=$(sha256sum "$archive" | cut -d ' ' -f 1)
    sed -i "s|@SHA256:$name@|$sum|" "$out/crossfade.rb"
done
if grep -n '@[A-Z]' "$out/install.sh" "$out/crossfade.rb" | grep -v '\*@\*@\*'; then
    echo "error: a value is missing in the lines above" >&2
    exit 1
fi
(cd "$out" && sha256sum -- *.tar.gz *.zip *.json install.sh crossfade.rb > SHA256SUMS)
