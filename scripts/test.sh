#!/usr/bin/env bash
# Installs what the tests need and runs every one of them, the browser tests included.
# Usage: scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."

python="${VIRTUAL_ENV:-.venv}/bin/python"
[ -x "$python" ] || python3 -m venv .venv
"$python" -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt

if ! command -v chromium chromium-browser google-chrome >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
    else
        echo "The browser tests need Chromium. On Debian: sudo apt-get install chromium" >&2
        exit 2
    fi
fi

if ! command -v espeak-ng >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq espeak-ng >/dev/null
    else
        echo "The tests of spoken text need eSpeak NG. On Debian: sudo apt-get install espeak-ng" >&2
        exit 2
    fi
fi

rm -f ui/*.pyi viewer/*.pyi # Gradio writes these; mypy would believe an old one
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
"$python" -m pytest -n 2 --dist loadfile "$@" # files stay whole: each starts its app or browser once
