#!/usr/bin/env bash
# test.sh: the template tilework.sbatch on a real Slurm of three nodes, which it brings up here and takes down again.
# Needs root (the nodes are network namespaces) and Debian's package archive on the first run; see testbed/README.md.
#
# From the environment, both built before (default: under CARGO_TARGET_DIR or target/, in debug/):
#   TILEWORK_BIN    the program `tilework`
#   TILEWORK_DEMO   the example `slurm_demo`: prints `OK workers=N sum=S` once the sum has proved right;
#                   --fail: exits 3;  --slow: the same sum in 5 s or more, and prints `started` at its beginning
# The other examples are looked for beside it. Each prints `result: …`, the same wherever it runs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}/debug
bin=$(realpath -m "${TILEWORK_BIN:-$target/tilework}")
demo=$(realpath -m "${TILEWORK_DEMO:-$target/examples/slurm_demo}")
examples=$(dirname "$demo")
data=$(realpath "$here/../../examples/data/land_mask.zarr")
cd "$here"
. testbed/slurm-common.sh
for f in "$bin" "$demo" "$examples"/{futures,heat,land_area,life,monte_carlo}; do
    [ -x "$f" ] || { echo "no program $f: build it first, or set TILEWORK_BIN and TILEWORK_DEMO"; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "must be root, to make a cluster of network namespaces"; exit 2; }

trap 'testbed/slurm-down.sh || true' EXIT
# Every node has a /tmp of its own, as on a real cluster.
SLURM_DEV_DB=0 SLURM_DEV_TMP=1 testbed/slurm-up.sh 3
export SLURM_CONF=$DIR/etc/slurm.conf

# The test's user cannot read this checkout: what it needs is copied to a directory of its own.
work=$(getent passwd "$TESTUSER" | cut -d: -f6)/tilework-test
rm -rf "$work"; install -d -o "$TESTUSER" "$work"
install -m 755 "$bin" "$work/tilework"; install -m 755 "$demo" "$work/slurm_demo"
install -m 755 tilework.sbatch "$examples"/{futures,heat,land_area,life,monte_carlo} "$work/"
cp -r "$data" "$work/"; chmod -R a+rX "$work/land_mask.zarr"
as() { (cd "$work" && setpriv --reuid="$TESTUSER" --regid="$TESTUSER" --init-groups env HOME="$work" "$@"); }

passed=0 failed=0 job=''
show() { # the job's own words, once
    local f
    if [ -z "$job" ]; then return; fi
    echo "--- job $job"; scontrol show job "$job" | grep -E 'JobState|ExitCode|NodeList' || true
    for f in "$work/tilework-$job.out" "$work/tilework-$job"/*.log; do
        if [ -e "$f" ]; then echo "--- $f"; tail -n 60 "$f"; fi
    done
    echo "---"; job=''
}
check() { # check NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok    $1"; passed=$((passed + 1))
    else echo "FAIL  $1: expected '$2', got '$3'"; failed=$((failed + 1)); show; fi
}
submit() { # submit [OPTION OF SBATCH...] -- PROGRAM [ARGUMENT...]: sets job, and its run's directory
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done; shift
    options=(-N3 -n3 -c2 --mem=1G "${options[@]}")
    job=$(as env TILEWORK_BIN="$work/tilework" sbatch --parsable "${options[@]}" tilework.sbatch "$@")
    id=$job run=$work/tilework-$job
}
field() { scontrol show job "$id" | sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" | head -n 1; }
ended() { case $(field JobState) in PENDING | CONFIGURING | RUNNING | COMPLETING) return 1 ;; esac; }
output() { cat "$work/tilework-$id.out" 2>/dev/null || true; }
result() { output | grep '^result:'; }
answer() { output | sed -n "s/^OK .*$1=\([^ ]*\).*/\1/p"; }
# The job's processes, on whatever node: one machine carries them all. By the job id in their environment.
procs() { # procs NAME [ARGUMENT]: pids of the job's processes of that name, with that word in their arguments
    local p name
    for p in /proc/[0-9]*; do
        name=''; { read -r name <"$p/comm"; } 2>/dev/null || true
        [ "$name" = "$1" ] || continue
        grep -qzxF "SLURM_JOB_ID=$id" "$p/environ" 2>/dev/null || continue
        if [ $# -gt 1 ] && ! grep -qzxF -- "$2" "$p/cmdline" 2>/dev/null; then continue; fi
        echo "${p#/proc/}"
    done
}
n_procs() { procs "$@" | wc -l; }
workers() { procs slurm_demo tilework-worker; } # the program itself, as a worker
mid_run() { [ "$(workers | wc -l)" = 3 ] && [ "$(n_procs slurm_demo)" = 4 ] && output | grep -q '^started'; }
none_left() {
    local name
    for name in tilework slurm_demo futures heat life monte_carlo land_area; do [ -z "$(procs $name)" ] || return 1; done
}
left() {
    echo "$(n_procs tilework) tilework, $(n_procs slurm_demo) slurm_demo," \
        "$(find "$run" -name 'connection-*' | wc -l) files"
}
nothing_left="0 tilework, 0 slurm_demo, 0 files"
await() { # await SECONDS NAME CONDITION: a check of its own only where it never comes true
    wait_for "$1" "$3" || check "$2" "within $1 s" "not so"
}

# --- a program that succeeds -----------------------------------------------------------------------------------
# A wrapper script as the program, to see what it is given.
# shellcheck disable=SC2016
submit -- sh -c 'echo "argument $1"; echo "environment $TILEWORK_CONNECTION"; exec ./slurm_demo' sh '{connection}'
await 90 "success: the job ends" ended
check "success: state and exit code" "COMPLETED 0:0" "$(field JobState) $(field ExitCode)"
check "success: what starts the program is no worker, and that is said in one line" 1 \
    "$(output | grep -c 'sh is no program built with the library tilework, so it cannot be a worker; if it')"
check "success: every worker joined" 3 "$(answer workers)"
check "success: the connection file, as an argument and in the environment" \
    "argument $run/connection-0.json environment $run/connection-0.json" \
    "$(output | grep -E '^(argument|environment)' | xargs)"
await 10 "success: processes end" none_left
check "success: nothing is left" "$nothing_left" "$(left)"
sum=$(answer sum)

# --- a program that fails, on the second network ---------------------------------------------------------------
TILEWORK_ANNOUNCE=10.99.0.0/24 submit -- ./slurm_demo --fail
await 90 "failure: the job ends" ended
check "failure: the program's exit code is the job's" "FAILED 3:0" "$(field JobState) $(field ExitCode)"
await 10 "failure: processes end" none_left
check "failure: nothing is left" "$nothing_left" "$(left)"

# --- a cluster that cannot come up -----------------------------------------------------------------------------
TILEWORK_WORKER_ARGS=--no-such-option submit -- ./slurm_demo
await 90 "no workers: the job ends" ended
check "no workers: an exit code of its own, and the program is not run" "FAILED 69:0 workers=" \
    "$(field JobState) $(field ExitCode) workers=$(answer workers)"
await 10 "no workers: processes end" none_left
check "no workers: nothing is left" "$nothing_left" "$(left)"

# --- ended from outside ----------------------------------------------------------------------------------------
submit -- ./slurm_demo --slow
await 60 "scancel: the program runs" mid_run
check "scancel: the connection file is the user's alone" "700 600" \
    "$(stat -c %a "$run" "$run/connection-0.json" 2>&1 | xargs)"
as scancel "$id"
await 30 "scancel: the job ends" ended
check "scancel: state" CANCELLED "$(field JobState)"
await 20 "scancel: processes end" none_left
check "scancel: nothing is left" "$nothing_left" "$(left)"

submit -- ./slurm_demo --slow
await 60 "time limit: the program runs" mid_run
as scancel --batch --signal=TERM "$id" # what --signal=B:TERM@120 does before the time limit
await 30 "time limit: the job ends" ended
check "time limit: the program was told" "FAILED 143:0" "$(field JobState) $(field ExitCode)"
check "time limit: the scheduler and the workers ended by themselves" 0 \
    "$(output | grep -cE 'did not end|not all workers ended|Killed')"
await 10 "time limit: processes end" none_left
check "time limit: nothing is left" "$nothing_left" "$(left)"

# --- a worker lost ---------------------------------------------------------------------------------------------
submit -- ./slurm_demo --slow
await 60 "lost worker: the program runs" mid_run
kill -KILL "$(workers | tail -n 1)"
two_left() { [ "$(workers | wc -l)" = 2 ]; }
await 10 "lost worker: the process is gone" two_left
check "lost worker: the program still ran then" 3 "$(n_procs slurm_demo)"
await 120 "lost worker: the job ends" ended
check "lost worker: Slurm saw it killed" 1 "$(output | grep -c 'srun: error: .*Killed')"
check "lost worker: state and exit code" "COMPLETED 0:0" "$(field JobState) $(field ExitCode)"
check "lost worker: the same sum" "$sum" "$(answer sum)"
await 10 "lost worker: processes end" none_left
check "lost worker: nothing is left" "$nothing_left" "$(left)"

# --- functions of the program's own ----------------------------------------------------------------------------
compare() { # compare NAME PROGRAM [ARGUMENT...]: a job whose program says the same as within one process
    local name=$1 here; shift
    here=$(as "$@" | grep '^result:')
    submit -- "$@"
    await 240 "$name: the job ends" ended
    check "$name: state and exit code" "COMPLETED 0:0" "$(field JobState) $(field ExitCode)"
    check "$name: as within one process" "$here" "$(result)"
    check "$name: every chunk was made by a worker" 0 "$(output | grep -c 'called in this process')"
    await 10 "$name: processes end" none_left
}
compare heat ./heat --n 128 --chunk 32 --steps 10
compare life ./life --n 128 --chunk 32 --generations 10
compare monte_carlo ./monte_carlo --n 4000000
compare futures ./futures --width 400 --steps 500
compare land_area ./land_area --data land_mask.zarr --rows 1200

# A program that is on the first node alone; and one that starts it, and says so.
testbed/slurm-node.sh 1 install -m 755 "$examples/life" /tmp/life
life=(--n 128 --chunk 32 --generations 10)
here=$(as ./life "${life[@]}" | grep '^result:')
TILEWORK_WORKER_PROGRAM=/tmp/life submit -w node1,node2,node3 -- sh -c 'exec /tmp/life "$@"' sh "${life[@]}"
await 90 "one node's program: the job ends" ended
check "one node's program: the result" "$here" "$(result)"
check "one node's program: it was copied, and the copy is gone" "1 0" \
    "$(output | grep -c 'copied to') $(find "$run" -name 'program-*' | wc -l)"

# Its entry before `main` does not work, and its `main` does not call `tilework::init`; then one whose `main` does.
TILEWORK_ENTRY=init submit -- ./life "${life[@]}"
await 60 "no entry: the job ends" ended
check "no entry: said at once" "FAILED 69:0 1" \
    "$(field JobState) $(field ExitCode) $(output | grep -c 'Make `tilework::init();` the first line of its `main`')"
TILEWORK_ENTRY=init submit -- ./slurm_demo
await 90 "init: the job ends" ended
check "init: the same sum" "COMPLETED $sum" "$(field JobState) $(answer sum)"
TILEWORK_WORKER_PROGRAM=none submit -- ./life "${life[@]}"
await 90 "other workers: the job ends" ended
check "other workers: the error says how to start its own" "FAILED 1:0 1" \
    "$(field JobState) $(field ExitCode) $(output | grep -c 'start workers with `tilework worker --program')"

[ $failed -gt 0 ] || rm -rf "$work"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
