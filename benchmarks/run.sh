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
    "$PYTHON" -m pyvoc bench --peer "${peers[@]}" --c-example "$example" --json \
      -o "results/$2.json" "${@:3}"
  )
}

beside() { # beside MODEL TIER FILE THREADS: the model beside what is installed
  (
    if [[ -n $2 ]]; then export PYVOC_ISA=$2; fi
    "$PYTHON" -m pyvoc bench "$1" --peers --threads "$4" --json -o "results/$3.json" "${@:5}"
  )
}

mkdir -p results
measure "" best "$@"
beside melgan "" melgan-best 1 "$@"
beside waveglow "" waveglow-best 1 --seconds 1 --repeats 5 "$@"
beside wavernn "" wavernn-best 1 --seconds 1 --repeats 5 "$@"
if [[ $(nproc) -gt 1 ]]; then
  beside melgan "" melgan-best-2 2 "$@"
  beside waveglow "" waveglow-best-2 2 --seconds 1 --repeats 5 "$@"
  beside wavernn "" wavernn-best-2 2 --seconds 1 --repeats 5 "$@"
fi
case $(uname -m) in
  x86_64 | AMD64)
    measure avx2 avx2 "$@"
    beside melgan avx2 melgan-avx2 1 "$@"
    ;;
  *) rm -f results/avx2.json results/melgan-avx2.json ;;
esac
"$PYTHON" table.py --update ../docs/performance.md results/*.json
