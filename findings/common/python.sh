# Sourced by scripts that need Python packages: `packages NAME==VERSION ...`, then `$python`; all of it goes at the end.
# The script makes $work, a temporary folder.
trap 'rm -rf "$work"' EXIT
python=$work/venv/bin/python

packages() {
  python3 -m venv "$work/venv"
  "$python" -m pip install --quiet --disable-pip-version-check "$@" 2>&1 | grep -v '^WARNING' >&2 || true
}
