#!/usr/bin/env bash
# Builds the program that counts words in bigslice, as the first argument.
#
# The last versions of bigslice and of the two modules below it do not build as
# they are: their go.mod files name a language from before unsafe.Add and type
# parameters, which they use, and bigmachine v0.5.8 is from before base/config
# had a type parameter. So the compiler is told the language, and a copy of
# bigmachine gets that one. Both are about building; what runs is unchanged.
set -euo pipefail

out=$(realpath -m "${1:?the program to make}")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp go.mod go.sum main.go "$work"
go mod download github.com/grailbio/bigmachine
cp -r "$(go list -m -f '{{.Dir}}' github.com/grailbio/bigmachine)" "$work/bigmachine"
chmod -R u+w "$work/bigmachine"
sed -i 's/\*config\.Constructor)/*config.Constructor[interface{}])/' "$work/bigmachine/local.go"

cd "$work"
go mod edit -replace github.com/grailbio/bigmachine=./bigmachine
go build -gcflags='github.com/grailbio/...=-lang=go1.18' -o "$out" .
