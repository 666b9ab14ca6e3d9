# shellcheck shell=bash
# Paths that change while the runtime looks at them. Loaded behind helpers.bash.

# swap A B: exchanges two names for ever, in the background.
swap() {
	command -v python3 >/dev/null || skip 'needs python3 for renameat2(2)'
	cat >"$T/swap.py" <<'PYTHON'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
a, b = (os.fsencode(p) for p in sys.argv[1:3])
if libc.renameat2(-100, a, -100, b, 2) != 0:
    sys.exit("renameat2: " + os.strerror(ctypes.get_errno()))
print("ready", flush=True)
while True:
    libc.renameat2(-100, a, -100, b, 2)  # RENAME_EXCHANGE
PYTHON
	background python3 "$T/swap.py" "$1" "$2" >"$T/swap.out"
	wait_for grep -q ready "$T/swap.out"
}
