#!/bin/sh
# Installs the command `crossfade`, with the function's programs beside it, from a release: downloads the archive for this
# machine, compares its SHA-256 with the release's SHA256SUMS, and unpacks it. Needs no root.
#
#   CROSSFADE_VERSION      version to install, such as 0.2.0 [default: that of the release this script is from]
#   CROSSFADE_HOME         folder for the files [default: ~/.local/share/crossfade]
#   CROSSFADE_BIN          folder for the link `crossfade` [default: ~/.local/bin]
#   CROSSFADE_RELEASES     URL below which there is a folder `vVERSION` with the files of each release
set -eu

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

# `release/assemble.sh` writes the two values into the script of a release.
version=${CROSSFADE_VERSION:-@VERSION@}
releases=${CROSSFADE_RELEASES:-https://github.com/@REPOSITORY@/releases/download}
case "$version $releases" in
    *@*@*) fail "this script is not from a release" "set CROSSFADE_VERSION and CROSSFADE_RELEASES" ;;
esac
version=${version#v}
home=${CROSSFADE_HOME:-${HOME:?}/.local/share/crossfade}
bin=${CROSSFADE_BIN:-${HOME:?}/.local/bin}

case "$(uname -s) $(uname -m)" in
    "Linux x86_64" | "Linux amd64") target=x86_64-unknown-linux-gnu ;;
    "Linux aarch64" | "Linux arm64") target=aarch64-unknown-linux-gnu ;;
    "Darwin x86_64") target=x86_64-apple-darwin ;;
    "Darwin arm64") target=aarch64-apple-darwin ;;
    *) fail "there is no release for $(uname -s) $(uname -m)" "build it in a clone: cargo install --locked --path crates/cli" ;;
esac
if [ "${target#*-unknown-linux-}" = gnu ] && ! ls /lib*/ld-linux-*.so.* > /dev/null 2>&1; then
    fail "this system has no glibc, which the released program needs" "build it in a clone: cargo install --locked --path crates/cli"
fi

if command -v curl > /dev/null; then
    download() { curl --fail --silent --show-error --location --retry 3 --output "$2" "$1"; }
elif command -v wget > /dev/null; then
    download() { wget --quiet --tries=3 --output-document="$2" "$1"; }
else
    fail "neither curl nor wget is installed" "install one of them"
fi
if command -v sha256sum > /dev/null; then
    sha256() { sha256sum "$1" | cut -d ' ' -f 1; }
elif command -v shasum > /dev/null; then
    sha256() { shasum -a 256 "$1" | cut -d ' ' -f 1; }
else
    fail "neither sha256sum nor shasum is installed" "install coreutils"
fi

archive=crossfade-$target.tar.gz
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
for file in "$archive" SHA256SUMS; do
    download "$releases/v$version/$file" "$folder/$file" ||
        fail "cannot download $releases/v$version/$file" "check the version and the network; CROSSFADE_RELEASES names a mirror"
done
expected=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1 }' "$folder/SHA256SUMS")
actual=$(sha256 "$folder/$archive")
[ -n "$expected" ] || fail "SHA256SUMS has no line for $archive" "report it; nothing was installed"
[ "$expected" = "$actual" ] ||
    fail "the SHA-256 of $archive is $actual, and the release says $expected" "download it again, and report it if that does not help; nothing was installed"

tar -xzf "$folder/$archive" -C "$folder"
mkdir -p "$home" "$bin"
for file in "$folder/crossfade-$target"/*; do
    # A running program can be replaced, but not overwritten.
    rm -f "$home/${file##*/}"
    mv "$file" "$home/"
done
ln -sf "$home/crossfade" "$bin/crossfade"

echo "installed $("$bin/crossfade" --version) in $home, linked from $bin"
case ":$PATH:" in
    *":$bin:"*) ;;
    *) echo "add $bin to your PATH: export PATH=\"$bin:\$PATH\"" ;;
esac
