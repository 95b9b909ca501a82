# build.sh - what ./try, ./check and .ci/run share: packages, configuring, building.
# To be sourced by a POSIX shell, with the project as the working directory.
# shellcheck shell=sh

# What each group needs: how to find it, and the Debian or Ubuntu package that has it.
#   cmd NAME: a program; inc HEADER: a C header; pc MODULE: a library, by pkg-config;
#   py MODULE: a module of the system's Python.
# `build` is all that the program needs, `test` is for ./check; the others are extras of
# CI, which does without what cannot be had.
package_table()
{
    case $1 in
    build) cat <<'TABLE' ;;
cmd cc gcc
inc stdio.h libc6-dev
cmd meson meson
cmd ninja ninja-build
cmd pkg-config pkg-config
pc libpcre2-8 libpcre2-dev
pc jansson libjansson-dev
pc libmicrohttpd libmicrohttpd-dev
TABLE
    test) cat <<'TABLE' ;;
cmd python3 python3
pc cmocka libcmocka-dev
TABLE
    plots) cat <<'TABLE' ;;
cmd gnuplot gnuplot-nox
TABLE
    lint) cat <<'TABLE' ;;
cmd clang-format clang-format
cmd shellcheck shellcheck
cmd cppcheck cppcheck
cmd c++ g++
TABLE
    clang) cat <<'TABLE' ;;
cmd clang clang
TABLE
    fuzz) cat <<'TABLE' ;;
inc-clang sanitizer/asan_interface.h libclang-rt-dev
TABLE
    clients) cat <<'TABLE' ;;
cmd node nodejs
cmd npm npm
cmd chromium chromium
TABLE
    train) cat <<'TABLE' ;;
py torch python3-torch
py numpy python3-numpy
py regex python3-regex
TABLE
    esac
}

found()
{
    case $1 in
    cmd) command -v "$2" ;;
    inc) echo "#include <$2>" | cc -E - ;;
    inc-clang) echo "#include <$2>" | clang -E - ;;
    pc) pkg-config --exists "$2" ;;
    py) "$(system_python)" -c "import $2" ;;
    esac >/dev/null 2>&1
}

# The Python that distribution packages are for, which need not be the first in PATH.
system_python()
{
    if [ -x /usr/bin/python3 ]; then
        echo /usr/bin/python3
    else
        echo python3
    fi
}

# Prints the packages of the groups given that are not here, on one line.
missing_packages()
{
    for group in "$@"; do
        package_table "$group"
    done | {
        list=
        while read -r kind name package; do
            found "$kind" "$name" || list="$list $package"
        done
        echo "${list# }"
    }
}

apt_install()
{
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root='sudo -n'
    log=$(mktemp)
    # Unquoted on purpose: a list of packages, and perhaps no sudo.
    # shellcheck disable=SC2086
    if { $as_root apt-get -q update &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
            -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
            install --no-install-recommends $1; } >"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

# Installs what the groups need where that is allowed without a question; else says
# what to run and stops.
need_packages()
{
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if command -v apt-get >/dev/null 2>&1 &&
        { [ "$(id -u)" -eq 0 ] || sudo -n true >/dev/null 2>&1; }; then
        echo "Installing $missing" >&2
        apt_install "$missing" && missing=$(missing_packages "$@")
        [ -n "$missing" ] || return 0
    fi
    echo "linn needs a few packages first. Run this, then the same command again:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing" >&2
    exit 1
}

# The same for extras: tries each group, and goes on without it.
want_packages()
{
    for group in "$@"; do
        missing=$(missing_packages "$group")
        [ -n "$missing" ] || continue
        command -v apt-get >/dev/null 2>&1 || continue
        [ "$(id -u)" -eq 0 ] || sudo -n true >/dev/null 2>&1 || continue
        echo "Installing $missing" >&2
        apt_install "$missing" || echo "Going on without: $missing" >&2
    done
}

# Node, Chromium, and the npm packages of tests/clients in build-node/, where they can be had; else
# those tests are skipped. Nothing is run of what comes, and a machine without network goes on soon.
want_clients()
{
    wanted=tests/clients/package-lock.json
    want_packages clients
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || return 0
    ! cmp -s $wanted build-node/installed.json || return 0
    mkdir -p build-node
    cp tests/clients/package.json $wanted build-node/
    if quietly "npm" npm ci --prefix build-node --ignore-scripts --no-audit --no-fund --fetch-retries=1 \
        --fetch-timeout=60000; then
        cp $wanted build-node/installed.json
    else
        echo "Going on without the tests of linn serve by other programs" >&2
    fi
}

# quietly WHAT COMMAND...: shows the output of a command only when it fails.
quietly()
{
    what=$1
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        cat "$log" >&2
        rm -f "$log"
        echo "$what failed" >&2
        return 1
    fi
}

# configure DIR OPTION...: makes a build folder, or gives an existing one new options.
configure()
{
    dir=$1
    shift
    if [ ! -f "$dir/build.ninja" ]; then
        echo "Configuring $dir" >&2
        rm -rf "$dir"
        quietly "Configuring" meson setup "$dir" "$@"
    elif [ "$(cat "$dir/options" 2>/dev/null)" != "$*" ]; then
        quietly "Configuring" meson configure "$dir" "$@"
    fi
    echo "$*" >"$dir/options"
}

# build DIR [TARGET...]: on a terminal with ninja's line of progress, else silent.
build()
{
    dir=$1
    shift
    if [ -t 2 ]; then
        NINJA_STATUS='Building %f of %t  ' ninja -C "$dir" "$@" >&2
    else
        quietly "Building" ninja -C "$dir" "$@"
    fi
}
