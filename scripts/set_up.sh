#!/bin/sh
# Makes .venv in the project folder, or brings it up to date, from nothing but Python.
#
#   scripts/set_up.sh runtime       what the pipeline, its sandbox and the demo run on
#   scripts/set_up.sh development   that, and what tests and checks add: all of requirements.txt
#   scripts/set_up.sh image         apart, in .venv-image: what the production image holds
#
# Each takes its dependency groups (pyproject.toml) at the versions of the lock, requirements.txt. A
# stamp holds the checksum of what was installed, so the second time is instant and a changed lock
# installs again. Everything is byte-compiled: without that each Airflow process spends three
# seconds compiling, again and again.
set -eu

cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX || true

folder=.venv
case "${1:-}" in
    runtime) groups="production demo" ;;
    development) groups="production demo test" ;;
    image) groups="production"; folder=.venv-image ;;
    *) echo "usage: scripts/set_up.sh runtime|development|image" >&2; exit 2 ;;
esac

is_suitable() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

can_make_environments() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

make_environment() {
    found=""
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        is_suitable "$candidate" || continue
        found="$candidate"
        can_make_environments "$candidate" || continue
        echo "Making $folder with $("$candidate" --version)"
        "$candidate" -m venv --clear "$folder"
        return
    done
    if [ -n "$found" ]; then
        echo "$found has no 'venv' module: install it (Debian, Ubuntu: apt install python3-venv)." >&2
    else
        echo "No Python 3.11, 3.12 or 3.13 found: install one (https://www.python.org/downloads/)," >&2
        echo "or say where it is: make PYTHON=/path/to/python3.12 ..." >&2
    fi
    exit 1
}

install() {
    # The pip that Python brings along takes uv and a newer pip by their checksums, and they take
    # everything else.
    sed -n -e '/^pip==/,/# via/p' -e '/^uv==/,/# via/p' requirements.txt > "$folder/installer.txt"
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$folder/installer.txt"
    requirements="--require-hashes --constraint requirements.txt"
    for group in $groups; do requirements="$requirements --group $group"; done
    # uv reads none of pip's settings: where only pip knows the way (a company's mirror), pip goes.
    # Either takes only files whose checksum the lock names, and nothing that is not in it.
    # shellcheck disable=SC2086
    "$python" -m uv pip install --quiet --compile-bytecode --python "$python" $requirements || {
        echo "uv could not install; trying pip, which takes a few minutes"
        "$python" -m pip install --disable-pip-version-check --compile $requirements
    }
}

python=$folder/bin/python
is_suitable "$python" && "$python" -c 'import pip' 2>/dev/null || make_environment

stamp="$folder/.installed-$1"
wanted="$(cksum requirements.txt)"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Setting up $folder ($groups): takes 1 to 3 minutes the first time"
    started=$(date +%s)
    rm -f "$stamp"
    install
    echo "$wanted" > "$stamp"
    echo "Set up in $(($(date +%s) - started)) s"
fi
