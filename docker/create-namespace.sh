#!/bin/sh
# Makes the namespace that the worker works in, with its search attributes; can be run again at any time. What is asked for here is what
# src/temporal/ensure-namespace.ts asks for: the worker does the rest alone, but it cannot make a namespace.
# The connection comes from TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE.
set -eu

# The server needs some seconds to be ready, and some more to know a namespace that is new.
patiently() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    if "$@"; then return 0; fi
    sleep "${PAUSE_SECONDS:-2}"
  done
  echo "gave up: $*" >&2
  return 1
}

patiently temporal operator cluster health
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 720h
patiently temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
  --name Pipeline --type Keyword --name Target --type Keyword \
  --name LogicalDate --type Keyword --name Outcome --type Keyword
