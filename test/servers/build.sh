#!/usr/bin/env bash
# Builds the servers that `npm run test:real` runs: etcd, two versions of Kubernetes, KWOK, Velero with its S3 plug-in, an S3 store; and two
# clients of the cloud's OpenAPI in Go. It also lays out definitions of custom kinds as their modules publish them.
#
#   build.sh all | NAME...          builds what is missing
#   build.sh --where all | NAME...  builds nothing, says where it would be
#
# Prints one line per binary on stdout: its name, its version, its path. All else goes to stderr.
# A NAME is a folder beside this file that holds go.mod, go.sum and tools.go: a wrapper module that pins one server, or a program of ours.
# The binaries lie outside the repo, in a folder keyed by version and recipe; a build that breaks off leaves none there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/migrate-testbed
servers=(etcd kubernetes-1.36 kubernetes-1.20 kwok velero velero-plugin-for-aws gofakes3 slb-client nlb-client gateway-api istio-api external-snapshotter)
kubernetes=(kube-apiserver kube-controller-manager kube-scheduler kubectl)

say() { printf '%s\n' "$*" >&2; }
die() { say "build.sh: $*"; exit 1; }

# --- What each server is built from, and how -------------------------------------------------------------------------
# `recipe NAME WORK` runs in a copy of the wrapper module and leaves the binaries in WORK/bin.

module_of() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    kubernetes-*) echo k8s.io/kubernetes ;;
    kwok) echo sigs.k8s.io/kwok ;;
    slb-client) echo github.com/aliyun/alibaba-cloud-sdk-go ;;
    nlb-client) echo github.com/alibabacloud-go/darabonba-openapi/v2 ;;
    velero | velero-plugin-for-aws) echo "github.com/vmware-tanzu/$1" ;;
    gofakes3) echo github.com/johannesboyne/gofakes3 ;;
    gateway-api) echo sigs.k8s.io/gateway-api ;;
    istio-api) echo istio.io/api ;;
    external-snapshotter) echo github.com/kubernetes-csi/external-snapshotter/client/v8 ;;
    *) die "no server is called '$1'; there are: ${servers[*]}, and 'all'" ;;
  esac
}

binaries_of() {
  case $1 in
    kubernetes-*) echo "${kubernetes[@]}" ;;
    gateway-api | istio-api | external-snapshotter) echo "$1.yaml" ;;
    *) echo "$1" ;;
  esac
}

recipe() {
  case $1 in
    etcd) go build -o "$2/bin/etcd" -ldflags '-s -w' go.etcd.io/etcd/server/v3 ;;
    kwok) go build -o "$2/bin/kwok" -ldflags '-s -w' sigs.k8s.io/kwok/cmd/kwok ;;
    kubernetes-1.20)
      go mod vendor
      generate_openapi "$2"
      # Old golang.org/x packages reach into the runtime by link name, which the linker refuses since Go 1.23.
      build_kubernetes "$1" "$2" -checklinkname=0 -mod=vendor
      ;;
    kubernetes-*) build_kubernetes "$1" "$2" '' -mod=readonly ;;
  esac
}

# Of its own, so that what is added here makes none of the servers above be built anew.
recipe_of_velero() {
  case $1 in
    # The module's own main package: see velero/tools.go for why.
    velero) go build -o "$2/bin/velero" -ldflags "-s -w -X github.com/vmware-tanzu/velero/pkg/buildinfo.Version=v$(version_of "$1")" . ;;
    velero-plugin-for-aws) go build -o "$2/bin/$1" -ldflags '-s -w' github.com/vmware-tanzu/velero-plugin-for-aws/velero-plugin-for-aws ;;
    gofakes3) go build -o "$2/bin/$1" -ldflags '-s -w' github.com/johannesboyne/gofakes3/cmd/gofakes3 ;;
  esac
}

recipes_of() {
  case $1 in
    velero | velero-plugin-for-aws | gofakes3) echo recipe_of_velero ;;
    slb-client | nlb-client) echo recipe_of_program ;;
    gateway-api | istio-api | external-snapshotter) echo recipe_of_definitions ;;
    *) echo recipe build_kubernetes generate_openapi ;;
  esac
}

# A program of ours.
recipe_of_program() { go build -o "$2/bin/$1" -ldflags '-s -w' .; }

# Definitions of custom kinds lie in the module's archive as YAML: one stream of them is all that is made.
recipe_of_definitions() {
  local dir file files
  dir=$(go mod download -json "$(module_of "$1")" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  case $1 in
    gateway-api) files=("$dir"/config/crd/standard/*.yaml) ;;
    istio-api) files=("$dir"/kubernetes/customresourcedefinitions.gen.yaml) ;;
    external-snapshotter) files=("$dir"/config/crd/snapshot.storage.k8s.io_*.yaml) ;;
  esac
  for file in "${files[@]}"; do printf -- '---\n' && cat "$file"; done >"$2/bin/$1.yaml"
}

# Without the -X flags /version answers v0.0.0-master+$Format:%H$, which breaks whatever reads the version.
build_kubernetes() {
  local version minor flags=$3 package binary
  version=$(version_of "$1") minor=${version#1.}
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
  done
  for binary in "${kubernetes[@]}"; do
    go build "$4" -o "$2/bin/$binary" -ldflags "-s -w $flags" "k8s.io/kubernetes/cmd/$binary"
  done
}

# Releases up to 1.22 generate their OpenAPI definitions when they are built, so the module lacks them. The input is every
# package that carries the generator's tag; the tag's own home, kube-openapi, only talks about it.
generate_openapi() {
  local inputs
  inputs=$(grep -rlE '^[[:space:]]*//[[:space:]]*\+k8s:openapi-gen=true' --include='*.go' vendor/k8s.io |
    sed -e 's,/[^/]*$,,' -e 's,^vendor/,,' | grep -v '^k8s.io/kube-openapi/' | LC_ALL=C sort -u | paste -sd, -)
  go build -mod=vendor -o "$1/openapi-gen" k8s.io/kube-openapi/cmd/openapi-gen
  : >"$1/no-header.txt"
  "$1/openapi-gen" --input-dirs "$inputs" --go-header-file "$1/no-header.txt" --report-filename "$1/openapi-report.txt" \
    --output-base "$1/generated" --output-package k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi >&2
  # Into vendor/, for an overlay on the module cache is refused.
  cp "$1/generated/k8s.io/kubernetes/pkg/generated/openapi/"*.go vendor/k8s.io/kubernetes/pkg/generated/openapi/
}

# --- Where it goes ---------------------------------------------------------------------------------------------------

version_of() {
  sed -nE "s,^(require)?[[:space:]]*$(module_of "$1") v([0-9.]+).*,\2,p" "$here/$1/go.mod" | head -n 1
}

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# The recipe is the wrapper module and the functions above, read through the shell so that comments do not count.
home_of() {
  local recipe
  # shellcheck disable=SC2046  # several names
  recipe=$({ cat "$here/$1/"{go.mod,go.sum,tools.go} && declare -f $(recipes_of "$1"); } | sha256)
  echo "$cache/$1-$(version_of "$1")-${recipe:0:12}"
}

missing_in() {
  local binary
  for binary in $(binaries_of "$2"); do [ -s "$1/$binary" ] || echo "$binary"; done
}

# --- Building --------------------------------------------------------------------------------------------------------

three_times() {
  local try
  for try in 1 2 3; do
    "$@" && return
    [ "$try" = 3 ] && return 1
    say "build.sh: '$*' failed; again in $((try * 10)) s"
    sleep $((try * 10))
  done
}

build() {
  local name=$1 home=$2 work binary started=$SECONDS
  command -v go >/dev/null ||
    die "$name is not built yet, and Go is not on the PATH: the real servers are built from Go modules. Install Go ($(
      sed -n 's/^go //p' "$here/kubernetes-1.36/go.mod") or newer builds all of them), then run this again."
  say "build.sh: building $name $(version_of "$name"), once for this recipe"
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/.building-$name-XXXXXX")
  # shellcheck disable=SC2064  # the folder's name is known now and is not by the time the trap runs
  trap "rm -rf '$work'" EXIT
  mkdir "$work/module" "$work/bin"
  cp "$here/$name/"{go.mod,go.sum,tools.go} "$work/module/"
  # Nothing of the caller's Go settings gets in, save where modules come from; and no path of this machine into a binary.
  export GO111MODULE=on GOWORK=off GOFLAGS='-trimpath -buildvcs=false'
  cd "$work/module"
  three_times go mod download || die "the modules of $name could not be downloaded"
  case $(recipes_of "$name") in
    recipe_of_*) "$(recipes_of "$name")" "$name" "$work" ;;
    *) recipe "$name" "$work" ;;
  esac
  [ -z "$(missing_in "$work/bin" "$name")" ] || die "the build of $name left out $(missing_in "$work/bin" "$name")"
  mkdir -p "$home"
  # Two builds may run side by side: a rename within one file system is whole or not at all, and the last one wins.
  for binary in $(binaries_of "$name"); do mv -f "$work/bin/$binary" "$home/$binary"; done
  say "build.sh: built $name in $((SECONDS - started)) s"
}

where=no
[ "${1-}" = --where ] && where=yes && shift
[ $# -gt 0 ] || die "say what to build: all, or some of ${servers[*]}"
[ "$1" = all ] && set -- "${servers[@]}"

for name in "$@"; do module_of "$name" >/dev/null; done
for name in "$@"; do
  home=$(home_of "$name")
  # A subshell, so that its trap tidies up after this one build.
  [ "$where" = yes ] || [ -z "$(missing_in "$home" "$name")" ] || (build "$name" "$home")
  for binary in $(binaries_of "$name"); do echo "$binary $(version_of "$name") $home/$binary"; done
done
