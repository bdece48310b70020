# shellcheck shell=bash
# Sourced by the scripts beside it: a header with the elapsed seconds before each step, and limits for CI.

export CI_STARTED=${CI_STARTED:-$(date +%s)}

step() { printf '\n==== %4d s  %s\n' $(($(date +%s) - CI_STARTED)) "$*"; }

in_ci() { [[ ${CI:-} == true ]]; }

# within DURATION COMMAND...: in CI, a command that hangs is a failure.
within() {
  local limit=$1
  shift
  if in_ci; then timeout --kill-after=10s "$limit" "$@"; else "$@"; fi
}
