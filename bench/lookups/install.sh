#!/usr/bin/env bash
# The Python of the look-up peer (peer.py) in a virtual environment of its own; prints its path.
# Usage: bench/lookups/install.sh [DIR]
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
DIR=${1:-$HOME/.cache/nowcast/lookups/$({ python3 --version && cat "$HERE/requirements.txt"; } | sha256sum | cut -c1-16)}
if [ ! -f "$DIR/.complete" ]; then
    python3 -m venv "$DIR"
    "$DIR/bin/python" -m pip install -q --disable-pip-version-check -r "$HERE/requirements.txt"
    touch "$DIR/.complete"
fi
echo "$DIR/bin/python"
