# shellcheck shell=sh
# Sourced by the launchers beside it, which set $root to the checkout's real path.
#
# `prepare NAME` returns at once when .venv is up to date; else it checks that everything that an
# installation needs is there, says all that is missing in one message, and only then lets
# prepare.py make or refresh .venv. It needs no Python for that, because Python may be what is
# missing.

venv=$root/.venv

# Another environment's variables would put foreign modules before ours.
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV

prepare() {
    ! up_to_date || return 0
    find_python
    find_missing
    if [ -n "$missing" ]; then
        explain_missing "$1" >&2
        exit 69
    fi
    "$python" -I "$root/bin/prepare.py" "$1" || exit
}

# The stamp, which prepare.py writes last, holds the checkout's path (an environment cannot be
# moved), the interpreter, and all that the environment was made from.
up_to_date() {
    [ -x "$venv/bin/python" ] && [ -f "$venv/stamp" ] && {
        printf '%s\n%s\n' "$root" "$(readlink "$venv/bin/python")"
        cat "$root/requirements.lock" "$root/setup.cfg"
    } | cmp -s - "$venv/stamp"
}

# Choose the first Python that has everything, else the first that is new enough. Sets $python,
# $python_lacks (its missing parts) and $python_seen (what was found and is too old).
find_python() {
    python='' python_lacks='' python_seen=''
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        command -v "$candidate" >/dev/null || continue
        if ! lacks=$("$candidate" -I "$root/bin/probe.py" 2>/dev/null); then
            python_seen=${python_seen:-$("$candidate" --version 2>/dev/null || :)}
        elif [ -z "$lacks" ]; then
            python=$candidate python_lacks=''
            return
        elif [ -z "$python" ]; then
            python=$candidate python_lacks=$lacks
        fi
    done
}

# Set $missing to what is missing, in words, and $packages to what Debian calls it.
find_missing() {
    missing='' packages=''
    if [ -z "$python" ]; then
        lack "Python 3.11 or newer${python_seen:+ (found: $python_seen)}" \
            "python3 python3-dev python3-venv"
    fi
    case $python_lacks in *headers*)
        lack "the headers of Python (Python.h for $python)" "$python-dev" ;;
    esac
    case $python_lacks in *venv*)
        lack "the modules venv and ensurepip of $python" "$python-venv" ;;
    esac
    compiler=${CC:-cc}
    # CC may hold options after the command.
    command -v "${compiler%% *}" >/dev/null ||
        lack "a C compiler (${compiler%% *})" "gcc libc6-dev"
    git_is_new_enough ||
        lack "Git 2.34 or newer${git_version:+ (found: $git_version)}" "git"
}

lack() {
    missing="${missing:+$missing; }$1"
    packages="${packages:+$packages }$2"
}

git_is_new_enough() {
    git_version=$(git --version 2>/dev/null) || git_version=''
    git_version=${git_version#git version }
    major=${git_version%%.*}
    minor=${git_version#*.}
    minor=${minor%%[!0-9]*}
    case $major$minor in '' | *[!0-9]*) return 1 ;; esac
    [ "$major" -gt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -ge 34 ]; }
}

explain_missing() {
    cat <<END
$1: nothing was installed, because this is missing: $missing.
  Debian, Ubuntu:  apt-get install $packages
  macOS:           xcode-select --install, and brew install git python
END
}
