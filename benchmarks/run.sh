#!/usr/bin/env bash
# Measures everything docs/performance.md shows, on the best tier of this machine and on avx2, and
# writes the tables there.
#
#   benchmarks/run.sh PEER_INT8 PEER_FLOAT C_EXAMPLE [OPTION OF pyvoc bench ...]
#
# README.md says how to build the two peers and the C example. Needs pyvoc with its extra "convert".
set -euo pipefail
if [[ $# -lt 3 ]]; then
  sed -n '2,7s/^# \{0,1\}//p' "$0"
  exit 2
fi
peers=("$(realpath "$1")" "$(realpath "$2")")
example=$(realpath "$3")
shift 3
cd "$(dirname "${BASH_SOURCE[0]}")"
PYTHON=${PYTHON:-python3}

measure() { # measure TIER FILE; an empty TIER is the best one
  (
    if [[ -n $1 ]]; then export PYVOC_ISA=$1; fi
    "$PYTHON" -m pyvoc bench --peer-lpcnet "${peers[@]}" --c-example "$example" --json \
      -o "results/$2.json" "${@:3}"
  )
}

melgan() { # melgan TIER FILE THREADS
  (
    if [[ -n $1 ]]; then export PYVOC_ISA=$1; fi
    "$PYTHON" -m pyvoc bench melgan --peers --threads "$3" --json -o "results/$2.json" "${@:4}"
  )
}

mkdir -p results
measure "" best "$@"
melgan "" melgan-best 1 "$@"
if [[ $(nproc) -gt 1 ]]; then melgan "" melgan-best-2 2 "$@"; fi
case $(uname -m) in
  x86_64 | AMD64)
    measure avx2 avx2 "$@"
    melgan avx2 melgan-avx2 1 "$@"
    ;;
  *) rm -f results/avx2.json results/melgan-avx2.json ;;
esac
"$PYTHON" table.py --update ../docs/performance.md results/*.json
